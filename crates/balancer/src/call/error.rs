//! [`CallError`]: every backend that was tried, and why it was not enough.

use std::fmt;
use std::time::Duration;

use evenkeel_strategy::BackendId;
use thiserror::Error;

use crate::PickError;

/// Why a call has no answer.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CallError<E> {
    /// There was nobody to send it to.
    #[error("no backend: {source}{attempts}")]
    NotPicked {
        /// What was tried before.
        attempts: FailedAttempts,
        /// Why there was nobody.
        source: PickError,
    },
    /// It failed, and was not to be sent again: it may not be repeated, or the retries, the budget or
    /// the time were used up.
    #[error("{source}{attempts}")]
    Failed {
        /// Every attempt, the last one included.
        attempts: FailedAttempts,
        /// The error of the last.
        source: E,
    },
    /// The time was over first.
    #[error("no answer within {after:?}{attempts}")]
    TimedOut {
        /// Every attempt.
        attempts: FailedAttempts,
        /// How long the call took.
        after: Duration,
    },
}

impl<E> CallError<E> {
    /// Every attempt that was made, in the order they ended.
    #[must_use]
    pub const fn attempts(&self) -> &FailedAttempts {
        match self {
            Self::NotPicked { attempts, .. }
            | Self::Failed { attempts, .. }
            | Self::TimedOut { attempts, .. } => attempts,
        }
    }
}

/// One attempt that was not the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FailedAttempt {
    /// Where it was sent.
    pub backend: BackendId,
    /// When, from the beginning of the call.
    pub after: Duration,
    /// How long it took.
    pub took: Duration,
    /// Why it was not the answer.
    pub reason: String,
}

/// The attempts of a call, at most twice as many as `max_retries` allows and two more: each may have a
/// hedge.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FailedAttempts(Vec<FailedAttempt>);

impl FailedAttempts {
    pub(super) fn push(&mut self, attempt: FailedAttempt) {
        self.0.push(attempt);
    }

    /// Whether there are some, and none was this backend's.
    pub(super) fn are_of_others_than(&self, backend: &BackendId) -> bool {
        !self.0.is_empty() && self.0.iter().all(|attempt| attempt.backend != *backend)
    }

    /// Them, in the order they ended.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &FailedAttempt> {
        self.0.iter()
    }

    /// How many there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// ` (tried a: connection refused; b: ...)`, or nothing.
impl fmt::Display for FailedAttempts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, attempt) in self.0.iter().enumerate() {
            f.write_str(if index == 0 { " (tried " } else { "; " })?;
            write!(
                f,
                "{}: {} after {:?}",
                attempt.backend, attempt.reason, attempt.took
            )?;
        }
        if self.0.is_empty() {
            Ok(())
        } else {
            f.write_str(")")
        }
    }
}
