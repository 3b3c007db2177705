//! [`Classify`]: what an answer, or an error, says of the backend and of a second attempt.

mod error_chain;
mod grpc;
#[cfg(feature = "http")]
mod http;
mod status;

use std::borrow::Cow;
use std::fmt;

use evenkeel_stats::{Failure, FailureKind, Outcome, Phase};

pub use error_chain::ErrorClassifier;
#[cfg(feature = "http")]
pub use http::HttpClassifier;

use crate::Repeat;

/// Whether it makes sense to send the request again, elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Retry {
    /// No: this is the answer, and it would be the same elsewhere.
    Never,
    /// Yes, if the request may take effect twice: the backend may have acted on it.
    IfRepeatable,
    /// Yes: the backend has not acted on it.
    Unsent,
}

impl Retry {
    /// Whether a request that may be repeated like this is to be sent again.
    #[must_use]
    pub const fn allows(self, repeat: Repeat) -> bool {
        match (self, repeat) {
            (Self::Never, _) | (_, Repeat::Never) => false,
            (Self::Unsent, _) | (Self::IfRepeatable, Repeat::Always) => true,
            (Self::IfRepeatable, Repeat::IfUnsent) => false,
        }
    }
}

/// What one attempt amounts to.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Classification {
    /// What load, statistics and judges hear.
    pub outcome: Outcome,
    /// Where and how it failed, if it did and that is known.
    pub failure: Option<Failure>,
    /// Whether to send it again.
    pub retry: Retry,
    /// Why it is no success, in words for the error that lists the attempts. Of an `Err`, that says
    /// it itself, it is not needed.
    pub reason: Option<Cow<'static, str>>,
}

impl Classification {
    /// A good answer.
    pub const SUCCESS: Self = Self {
        outcome: Outcome::Success,
        failure: None,
        retry: Retry::Never,
        reason: None,
    };

    /// An outcome, and whether to try again.
    #[must_use]
    pub const fn new(outcome: Outcome, retry: Retry) -> Self {
        Self {
            outcome,
            failure: None,
            retry,
            reason: None,
        }
    }

    /// A failure of this class.
    #[must_use]
    pub const fn failed(phase: Phase, kind: FailureKind, retry: Retry) -> Self {
        Self {
            outcome: Outcome::Failure,
            failure: Some(Failure { phase, kind }),
            retry,
            reason: None,
        }
    }

    /// With these words on why.
    #[must_use]
    pub fn because(mut self, reason: impl Into<Cow<'static, str>>) -> Self {
        self.reason = Some(reason.into());
        self
    }
}

/// Says what the result of an attempt amounts to. Any function from a result to a [`Classification`] is
/// one; [`ErrorClassifier`] is the default, `HttpClassifier` (feature `http`) looks at the status. For
/// tonic:
///
/// ```
/// # use evenkeel_balancer::{Classification, Classify};
/// # mod tonic {
/// #     #[derive(Clone, Copy)]
/// #     pub enum Code { Unavailable = 14 }
/// #     pub struct Status(pub Code);
/// #     impl Status { pub fn code(&self) -> Code { self.0 } }
/// # }
/// let classify = |result: &Result<(), tonic::Status>| match result {
///     Ok(_) => Classification::SUCCESS,
///     Err(status) => Classification::of_grpc(status.code() as i32, None),
/// };
/// # assert!(classify.classify(&Err(tonic::Status(tonic::Code::Unavailable))).outcome.is_failure());
/// ```
pub trait Classify<T, E> {
    /// What `result` amounts to.
    fn classify(&self, result: &Result<T, E>) -> Classification;
}

impl<T, E, F> Classify<T, E> for F
where
    F: Fn(&Result<T, E>) -> Classification,
{
    fn classify(&self, result: &Result<T, E>) -> Classification {
        self(result)
    }
}

impl fmt::Display for Classification {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.reason, self.failure) {
            (Some(reason), _) => f.write_str(reason),
            (None, Some(failure)) => write!(f, "{}: {}", failure.phase, failure.kind),
            (None, None) => write!(f, "{:?}", self.outcome),
        }
    }
}
