//! HTTP statuses, by number.

use std::time::Duration;

use evenkeel_stats::{FailureKind, Outcome, Phase};

use super::{Classification, Retry};

impl Classification {
    /// What an HTTP status says of the backend; `retry_after` is what the header of that name asks for.
    ///
    /// | status | outcome | again |
    /// |---|---|---|
    /// | 408, 502, 504 | failure | if repeatable |
    /// | 429; 503 with `retry_after` | overload | yes: it was not acted on |
    /// | 503 | failure | if repeatable |
    /// | other 5xx | failure | no: what crashes one backend would crash the next |
    /// | all others | success: an answer, also if it is "no" | no |
    #[must_use]
    pub fn of_http(status: u16, retry_after: Option<Duration>) -> Self {
        let reason = || format!("status {status}");
        match status {
            429 => Self::new(Outcome::Overload { retry_after }, Retry::Unsent).because(reason()),
            503 if retry_after.is_some() => {
                Self::new(Outcome::Overload { retry_after }, Retry::Unsent).because(reason())
            }
            408 | 504 => {
                Self::failed(Phase::Read, FailureKind::Timeout, Retry::IfRepeatable).because(reason())
            }
            502 | 503 => Self::failed(Phase::Read, FailureKind::Other, Retry::IfRepeatable).because(reason()),
            500..=599 => Self::failed(Phase::Read, FailureKind::Other, Retry::Never).because(reason()),
            _ => Self::SUCCESS,
        }
    }
}
