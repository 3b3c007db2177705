//! gRPC statuses, by number: no dependency on a gRPC library.

use std::time::Duration;

use evenkeel_stats::{FailureKind, Outcome, Phase};

use super::{Classification, Retry};

impl Classification {
    /// What a gRPC status code says of the backend; `retry_after` is what a `RetryInfo` or the
    /// server's push-back asks for.
    ///
    /// | code | outcome | again |
    /// |---|---|---|
    /// | 1 `CANCELLED` | cancelled | if repeatable |
    /// | 4 `DEADLINE_EXCEEDED`, 14 `UNAVAILABLE` | failure | if repeatable |
    /// | 8 `RESOURCE_EXHAUSTED` | overload | if repeatable |
    /// | 2 `UNKNOWN`, 13 `INTERNAL`, 15 `DATA_LOSS` | failure | no |
    /// | all others | success: an answer, also if it is "no" | no |
    ///
    /// `UNAVAILABLE` does not say whether the request was sent, so only requests that are
    /// [repeatable](crate::Repeat::Always) are sent again.
    #[must_use]
    pub fn of_grpc(code: i32, retry_after: Option<Duration>) -> Self {
        let reason = |name| format!("status {code} {name}");
        let failed = |kind, retry| Self::failed(Phase::Read, kind, retry);
        match code {
            1 => Self::new(Outcome::Cancelled, Retry::IfRepeatable).because(reason("CANCELLED")),
            4 => failed(FailureKind::Timeout, Retry::IfRepeatable).because(reason("DEADLINE_EXCEEDED")),
            14 => failed(FailureKind::Other, Retry::IfRepeatable).because(reason("UNAVAILABLE")),
            8 => {
                let overload = Outcome::Overload { retry_after };
                Self::new(overload, Retry::IfRepeatable).because(reason("RESOURCE_EXHAUSTED"))
            }
            2 => failed(FailureKind::Other, Retry::Never).because(reason("UNKNOWN")),
            13 => failed(FailureKind::Other, Retry::Never).because(reason("INTERNAL")),
            15 => failed(FailureKind::Other, Retry::Never).because(reason("DATA_LOSS")),
            _ => Self::SUCCESS,
        }
    }
}
