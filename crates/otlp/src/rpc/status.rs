//! [`RpcStatus`].

use std::fmt;
use std::time::Duration;

use thiserror::Error;

use super::Code;

/// A `google.rpc.Status`: why a request was not accepted, and when to come back if the server said so.
///
/// ```
/// use std::time::Duration;
/// use evenkeel_otlp::rpc::{Code, RpcStatus};
///
/// let status = RpcStatus::new(Code::Unavailable, "the queue is full")
///     .with_retry_delay(Duration::from_millis(1500));
/// let bytes = status.encode_protobuf();
/// assert_eq!(RpcStatus::decode_protobuf(&bytes)?, status);
/// # Ok::<(), evenkeel_otlp::rpc::StatusError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RpcStatus {
    /// The code.
    pub code: Code,
    /// For developers, in English.
    pub message: String,
    /// The `RetryInfo` among the details: how long to wait. Other details are passed over.
    pub retry_delay: Option<Duration>,
}

impl RpcStatus {
    /// A status without details.
    #[must_use]
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            retry_delay: None,
        }
    }

    /// With a `RetryInfo` that asks for this wait.
    #[must_use]
    pub const fn with_retry_delay(mut self, delay: Duration) -> Self {
        self.retry_delay = Some(delay);
        self
    }

    /// Whether a client may send the request again; see [`Code::is_retryable`].
    #[must_use]
    pub const fn is_retryable(&self) -> bool {
        self.code.is_retryable(self.retry_delay.is_some())
    }

    /// The HTTP status that goes with it; see [`Code::to_http`].
    #[must_use]
    pub const fn http_status(&self) -> u16 {
        self.code.to_http(self.retry_delay.is_some())
    }
}

impl fmt::Display for RpcStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.code)?;
        if !self.message.is_empty() {
            write!(f, ": {}", self.message)?;
        }
        match self.retry_delay {
            Some(delay) => write!(f, " (retry after {delay:?})"),
            None => Ok(()),
        }
    }
}

/// Why some bytes are no `google.rpc.Status`.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum StatusError {
    /// It is no protobuf, or a field has the wrong type.
    #[error("no google.rpc.Status: malformed at byte {position}")]
    Malformed {
        /// The first byte that makes no sense.
        position: usize,
    },
    /// It is no JSON, or a field has the wrong type.
    #[error("no google.rpc.Status: {reason}")]
    Json {
        /// What is wrong with it.
        reason: String,
    },
    /// The header's value is not base64.
    #[error("grpc-status-details-bin is not base64")]
    Base64,
}
