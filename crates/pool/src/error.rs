//! What can go wrong: one enum for building a pool, one for a checkout, one for a dial.

use std::error::Error;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use evenkeel_io_core::{ConnectError, Target, TargetError};
use evenkeel_stats::{Failure, FailureKind, Phase};

use crate::ConfigError;

/// Why a pool could not be built, or its addresses not be changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// A field makes no sense; `addresses` and `weights` are reported as fields too.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// An address names nobody to connect to.
    #[error("addresses: {0}")]
    Target(#[from] TargetError),
    /// The strategy can not choose among these addresses.
    #[error("load_balancing_strategy: {0}")]
    Strategy(#[from] evenkeel_strategy::BuildError),
    /// The strategy's own configuration makes no sense.
    #[error("load_balancing_strategy: {0}")]
    StrategyConfig(#[from] evenkeel_strategy::ConfigError),
    /// There is no tokio runtime around, and the pool needs one for its background work.
    #[error("a pool must be built inside a tokio runtime")]
    NoRuntime,
    /// The runtime was built without `enable_time`, and the pool needs its timers.
    #[error("a pool must be built inside a tokio runtime that has timers (enable_time)")]
    NoTimers,
}

/// Why a checkout gave no connection.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckoutError {
    /// No connection within the checkout time-out.
    #[error(
        "{phase}: no connection within {waited:?}, {ahead} callers ahead{}",
        suffix(last_dial)
    )]
    Timeout {
        /// [`Phase::Connect`] if a connection was being opened that would have been this caller's;
        /// [`Phase::Queue`] if it waited for another caller to give one back; [`Phase::Read`] if it
        /// waited for a [check](crate::Recycle::check) after `validate_after_idle`.
        phase: Phase,
        /// How long the caller waited.
        waited: Duration,
        /// How many callers were to be served before this one.
        ahead: usize,
        /// The last failure of a connect, if none has succeeded since.
        #[source]
        last_dial: Option<DialError>,
    },

    /// `max_waiters` callers wait already.
    #[error("queue: {limit} callers wait already (max_waiters)")]
    QueueFull {
        /// The limit.
        limit: usize,
    },

    /// Connecting failed, was tried again `retry_attempts` times, and there is no open connection to
    /// wait for.
    #[error("no connection could be opened: {0}")]
    Connect(#[source] DialError),

    /// The pool was closed, or the runtime that runs its background work has ended.
    #[error("the pool is closed")]
    Closed,
}

fn suffix(last_dial: &Option<DialError>) -> String {
    last_dial
        .as_ref()
        .map_or_else(String::new, |error| format!("; the last connect failed: {error}"))
}

impl CheckoutError {
    /// The phase it ended in and its kind, as statistics count it.
    #[must_use]
    pub fn failure(&self) -> Failure {
        let (phase, kind) = match self {
            Self::Timeout { phase, .. } => (*phase, FailureKind::Timeout),
            Self::QueueFull { .. } => (Phase::Queue, FailureKind::Limit),
            Self::Connect(error) => return error.failure(),
            Self::Closed => (Phase::Queue, FailureKind::Closed),
        };
        Failure { phase, kind }
    }
}

/// Why one connect failed. Clones share it, since every caller who waited is told.
#[derive(Clone, Debug)]
pub struct DialError(Arc<Failed>);

#[derive(Debug)]
struct Failed {
    target: Target,
    cause: DialCause,
}

/// What went wrong with a connect.
#[derive(Debug)]
#[non_exhaustive]
pub enum DialCause {
    /// The connector said no.
    Failed(Box<dyn Error + Send + Sync>),
    /// It took longer than `connection_timeout`, which was this.
    Timeout(Duration),
    /// The connector panicked, or [`Hooks::created`](crate::Hooks::created) or the observer did.
    Panicked,
}

impl DialError {
    pub(crate) fn new(target: Target, cause: DialCause) -> Self {
        Self(Arc::new(Failed { target, cause }))
    }

    /// Who was dialled.
    #[must_use]
    pub fn target(&self) -> &Target {
        &self.0.target
    }

    /// What went wrong.
    #[must_use]
    pub fn cause(&self) -> &DialCause {
        &self.0.cause
    }

    /// What the connector said, if it is an `E`.
    #[must_use]
    pub fn downcast_ref<E: Error + 'static>(&self) -> Option<&E> {
        match &self.0.cause {
            DialCause::Failed(source) => source.downcast_ref(),
            _ => None,
        }
    }

    /// The phase it ended in and its kind, as statistics count it.
    #[must_use]
    pub fn failure(&self) -> Failure {
        if let Some(error) = self.downcast_ref::<ConnectError>() {
            return error.failure();
        }
        let kind = match &self.0.cause {
            DialCause::Timeout(_) => FailureKind::Timeout,
            DialCause::Failed(_) => self
                .downcast_ref::<io::Error>()
                .map_or(FailureKind::Other, FailureKind::of_io),
            DialCause::Panicked => FailureKind::Other,
        };
        Failure {
            phase: Phase::Connect,
            kind,
        }
    }
}

impl fmt::Display for DialError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: connect: ", self.0.target)?;
        match &self.0.cause {
            DialCause::Failed(source) => write!(f, "{source}"),
            DialCause::Timeout(after) => write!(f, "not done within {after:?}"),
            DialCause::Panicked => f.write_str("the connector panicked"),
        }
    }
}

// By hand: behind the shared pointer is nothing thiserror could see into.
impl Error for DialError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.0.cause {
            DialCause::Failed(source) => Some(&**source),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused() -> DialError {
        DialError::new(
            "collector:4317".parse().unwrap(),
            DialCause::Failed(Box::new(io::Error::from(io::ErrorKind::ConnectionRefused))),
        )
    }

    #[test]
    fn the_connectors_error_is_reached_through_the_chain_of_sources() {
        let error = CheckoutError::Connect(refused());
        let dial = error.source().unwrap();
        assert!(dial.source().unwrap().is::<io::Error>());
        assert_eq!(error.failure().kind, FailureKind::Refused);
        assert_eq!(error.failure().phase, Phase::Connect);
    }

    #[test]
    fn a_time_out_names_its_phase_who_was_ahead_and_the_last_dial() {
        let error = CheckoutError::Timeout {
            phase: Phase::Queue,
            waited: Duration::from_secs(1),
            ahead: 3,
            last_dial: Some(refused()),
        };
        let text = error.to_string();
        assert!(
            text.starts_with("queue: no connection within 1s, 3 callers ahead"),
            "{text}"
        );
        assert!(text.contains("collector:4317"), "{text}");
    }
}
