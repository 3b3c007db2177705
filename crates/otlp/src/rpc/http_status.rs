//! gRPC codes and HTTP statuses, both ways.

use super::Code;

impl Code {
    /// What an HTTP status means when there is no gRPC status beside it: a proxy answered, or the server
    /// speaks HTTP.
    ///
    /// Not every 5xx is retryable in OTLP, and gRPC's own table (`http-grpc-status-mapping.md`) agrees: 429,
    /// 502, 503 and 504 are `UNAVAILABLE`. Beyond that table 408 is `DEADLINE_EXCEEDED`'s kin in name only:
    /// OTLP does not let it be repeated, so it is `UNKNOWN`; 413 is `RESOURCE_EXHAUSTED`, without a
    /// `RetryInfo`; and 500 is `INTERNAL`.
    #[must_use]
    pub const fn from_http(status: u16) -> Self {
        match status {
            200..=299 => Self::Ok,
            400 => Self::InvalidArgument,
            401 => Self::Unauthenticated,
            403 => Self::PermissionDenied,
            404 | 405 | 415 | 501 => Self::Unimplemented,
            413 => Self::ResourceExhausted,
            429 | 502 | 503 | 504 => Self::Unavailable,
            500 => Self::Internal,
            _ => Self::Unknown,
        }
    }

    /// The HTTP status by which an OTLP server says this, such that a client that goes by OTLP's table for
    /// HTTP repeats exactly what one that goes by the table for gRPC does.
    #[must_use]
    pub const fn to_http(self, has_retry_info: bool) -> u16 {
        match self {
            Self::Ok => 200,
            Self::InvalidArgument | Self::FailedPrecondition | Self::AlreadyExists => 400,
            Self::Unauthenticated => 401,
            Self::PermissionDenied => 403,
            Self::NotFound | Self::Unimplemented => 404,
            Self::ResourceExhausted if has_retry_info => 429,
            // Not 429: that may be repeated.
            Self::ResourceExhausted => 413,
            Self::Cancelled | Self::Aborted | Self::OutOfRange | Self::Unavailable | Self::DataLoss => 503,
            Self::DeadlineExceeded => 504,
            Self::Unknown | Self::Internal => 500,
        }
    }
}
