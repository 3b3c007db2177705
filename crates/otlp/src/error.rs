//! What can go wrong with building a client and with sending.

use std::borrow::Cow;
use std::time::Duration;

use evenkeel::balancer::{BackendId, FailedAttempts, MemberError, PickError};
use thiserror::Error;

use crate::rpc::{Code, RpcStatus};
use crate::{EndpointError, ExportError};

/// Why a client could not be built, or its collectors not be changed. Nothing was changed then.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum BuildError {
    /// A field of the config makes no sense.
    #[error("{field} = {value}: {reason}")]
    Field {
        /// The field.
        field: &'static str,
        /// Its value.
        value: String,
        /// What it must be.
        reason: &'static str,
    },
    /// The balancer's part of the config makes no sense, or a collector can not be a member.
    #[error("balancer: {0}")]
    Balancer(#[from] evenkeel::balancer::BuildError),
    /// A collector can not be a member.
    #[error(transparent)]
    Member(#[from] MemberError),
    /// An endpoint makes no sense.
    #[error("collector {id}: {source}")]
    Endpoint {
        /// Whose.
        id: BackendId,
        /// Why.
        source: EndpointError,
    },
    /// A header can not be sent.
    #[error("{place}: header '{name}': {reason}")]
    Header {
        /// `headers`, or the collector that has it.
        place: String,
        /// Its name.
        name: String,
        /// Why not. The value is left out, since it may be a secret.
        reason: &'static str,
    },
    /// An endpoint is `https` and this build has no TLS.
    #[error("collector {id}: https takes the feature 'tls'")]
    NoTls {
        /// Whose.
        id: BackendId,
    },
    /// The TLS part of the config can not be used.
    #[cfg(feature = "tls")]
    #[error("tls: {0}")]
    Tls(#[from] evenkeel::io_core::TlsError),
    /// What opens connections could not be built.
    #[error(transparent)]
    Io(#[from] evenkeel::io_core::ConfigError),
    /// The pool of a collector could not be built.
    #[error("collector {id}: {source}")]
    Pool {
        /// Whose.
        id: BackendId,
        /// Why.
        source: evenkeel::pool::BuildError,
    },
    /// A collector can not be checked by gRPC.
    #[cfg(feature = "grpc-checks")]
    #[error("health check of collector {id}: {source}")]
    HealthCheck {
        /// Whose.
        id: BackendId,
        /// Why not.
        source: evenkeel::health::ConfigError,
    },
    /// The client was shut down.
    #[error("the client was shut down")]
    ShutDown,
}

impl BuildError {
    pub(crate) const fn field(field: &'static str, value: String, reason: &'static str) -> Self {
        Self::Field { field, value, reason }
    }
}

/// Why a request was not acknowledged, and so what a sender upstream should do: drop it, or come back.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SendError {
    /// A collector said no, and by the specification the request must not be sent again.
    #[error("{backend} rejected it: {status}{attempts}")]
    Rejected {
        /// Who.
        backend: BackendId,
        /// What it said.
        status: RpcStatus,
        /// What was tried before.
        attempts: FailedAttempts,
    },
    /// Collectors ask for less; the last that was asked said this.
    #[error("{backend} asks for less: {status}{attempts}")]
    Throttled {
        /// Who.
        backend: BackendId,
        /// What it said.
        status: RpcStatus,
        /// Every attempt.
        attempts: FailedAttempts,
    },
    /// It failed everywhere it was sent, in ways that may pass; the last of them was this.
    #[error("{backend}: {status}{attempts}")]
    Unavailable {
        /// The last that was asked.
        backend: BackendId,
        /// What it said, or what came between.
        status: RpcStatus,
        /// Every attempt.
        attempts: FailedAttempts,
    },
    /// The time was over first.
    #[error("no acknowledgement within {after:?}{attempts}")]
    TimedOut {
        /// How long it took.
        after: Duration,
        /// Every attempt.
        attempts: FailedAttempts,
    },
    /// Every collector has as many requests under way as
    /// [`max_in_flight`](crate::OtlpClientConfig::max_in_flight) allows, or as it allows itself.
    #[error(
        "{backend} and the others have as many requests under way as max_in_flight or they allow, {limit}{attempts}"
    )]
    Busy {
        /// The last that was asked.
        backend: BackendId,
        /// The limit.
        limit: usize,
        /// What was tried before.
        attempts: FailedAttempts,
    },
    /// There is no collector to send it to.
    #[error("no collector: {source}{attempts}")]
    NoCollector {
        /// Why.
        source: PickError,
        /// What was tried before.
        attempts: FailedAttempts,
    },
    /// It is larger than [`max_request_size`](crate::OtlpClientConfig::max_request_size).
    #[error("the request has {size} bytes, max_request_size allows {limit}")]
    TooLarge {
        /// How large it is.
        size: usize,
        /// How large it may be.
        limit: usize,
    },
    /// It can not be sent in its form: JSON to collectors that are all spoken to over gRPC, or a compression
    /// that this build has not got.
    #[error("{backend}: {reason}")]
    Unsupported {
        /// The last that was asked, or nobody in particular.
        backend: BackendId,
        /// Why it can not be sent.
        reason: Cow<'static, str>,
    },
    /// The client was shut down.
    #[error("the client was shut down")]
    ShutDown,
}

impl SendError {
    /// Whether it makes sense to send the request again later, by the specification's tables.
    #[must_use]
    pub const fn is_retryable(&self) -> bool {
        match self {
            Self::Throttled { .. }
            | Self::Unavailable { .. }
            | Self::TimedOut { .. }
            | Self::Busy { .. }
            | Self::NoCollector { .. }
            | Self::ShutDown => true,
            Self::Rejected { .. } | Self::TooLarge { .. } | Self::Unsupported { .. } => false,
        }
    }

    /// How long to wait before that, if a collector said so.
    #[must_use]
    pub const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Throttled { status, .. } | Self::Unavailable { status, .. } => status.retry_delay,
            _ => None,
        }
    }

    /// What a server that stands in front of this client should answer with; retryable if and only if
    /// [`is_retryable`](Self::is_retryable).
    #[must_use]
    pub fn status(&self) -> Cow<'_, RpcStatus> {
        let code = match self {
            Self::Rejected { status, .. }
            | Self::Throttled { status, .. }
            | Self::Unavailable { status, .. } => return Cow::Borrowed(status),
            Self::TimedOut { .. } => Code::DeadlineExceeded,
            Self::Busy { .. } | Self::NoCollector { .. } | Self::ShutDown => Code::Unavailable,
            Self::TooLarge { .. } => Code::ResourceExhausted,
            Self::Unsupported { .. } => Code::Unimplemented,
        };
        Cow::Owned(RpcStatus::new(code, self.to_string()))
    }

    /// What was tried, and why it was not enough.
    #[must_use]
    pub const fn attempts(&self) -> Option<&FailedAttempts> {
        match self {
            Self::Rejected { attempts, .. }
            | Self::Throttled { attempts, .. }
            | Self::Unavailable { attempts, .. }
            | Self::TimedOut { attempts, .. }
            | Self::Busy { attempts, .. }
            | Self::NoCollector { attempts, .. } => Some(attempts),
            _ => None,
        }
    }

    pub(crate) fn unsupported(error: &ExportError) -> Self {
        Self::Unsupported {
            backend: "(any)".into(),
            reason: error.to_string().into(),
        }
    }
}
