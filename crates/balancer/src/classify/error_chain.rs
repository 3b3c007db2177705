//! [`ErrorClassifier`]: looks for an I/O error among an error's causes.

use std::error::Error;
use std::io;

use evenkeel_stats::{FailureKind, Outcome, Phase};

use super::{Classification, Classify, Retry};

/// The default: every `Ok` is a success; an error is what the [`io::Error`] among its causes says, or
/// else a failure of unknown kind after which the backend may have acted on the request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ErrorClassifier;

impl<T, E: Error + 'static> Classify<T, E> for ErrorClassifier {
    fn classify(&self, result: &Result<T, E>) -> Classification {
        match result {
            Ok(_) => Classification::SUCCESS,
            Err(error) => Classification::of_error(error),
        }
    }
}

/// How many causes are looked at: chains are short, and one of them may be a ring.
const DEPTH: usize = 16;

impl Classification {
    /// What an error says, by the first [`io::Error`] among its causes.
    #[must_use]
    pub fn of_error(error: &(dyn Error + 'static)) -> Self {
        let mut next = Some(error);
        for _ in 0..DEPTH {
            let Some(error) = next else { break };
            if let Some(error) = error.downcast_ref::<io::Error>() {
                // An io::Error may be the wrapping of another error, which knows more.
                let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
                return Self::of_io(inner.unwrap_or(error));
            }
            next = error.source();
        }
        Self::new(Outcome::Failure, Retry::IfRepeatable)
    }

    /// What an I/O error says. Refused, or no way there: nothing was sent. This machine out of
    /// descriptors, ports or memory: that is not the backend's doing, and no other backend will mend
    /// it. All else: the backend failed, and may have acted on the request.
    #[must_use]
    pub fn of_io(error: &io::Error) -> Self {
        match FailureKind::of_io(error) {
            kind @ (FailureKind::Refused | FailureKind::Unreachable) => {
                Self::failed(Phase::Connect, kind, Retry::Unsent)
            }
            FailureKind::Resources => Self::new(Outcome::Cancelled, Retry::Never),
            kind => Self::failed(Phase::Read, kind, Retry::IfRepeatable),
        }
    }
}
