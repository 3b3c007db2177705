//! What all judges together say of a backend: [`ReadinessTracker`] and the words it speaks in.

mod ledger;
mod tracker;
#[cfg(feature = "checker")]
mod watch;

use std::fmt;
use std::sync::Arc;

use evenkeel_stats::{Readiness, Timestamp};

use crate::Verdict;
pub use ledger::ReadinessStats;
pub use tracker::ReadinessTracker;
#[cfg(feature = "checker")]
pub use watch::ReadinessWatch;

/// What an operator wants of a backend.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "snake_case")
)]
#[non_exhaustive]
pub enum OperatorWord {
    /// Nothing: the judges decide.
    #[default]
    Auto,
    /// Finishes what it has and gets nothing new.
    Drain,
    /// Gets nothing, and what it has may be cut off.
    Disable,
}

impl OperatorWord {
    /// The word in lower case, for labels.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Drain => "drain",
            Self::Disable => "disable",
        }
    }
}

/// Why a backend has its readiness.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ReadinessReason {
    /// Nothing is known against it.
    Well,
    /// Its ejection is over, and it has to prove itself.
    OnTrial,
    /// A detector put it out.
    Ejected {
        /// Until when, if nothing changes; [`Timestamp::MAX`] when only a hand ends it.
        until: Timestamp,
    },
    /// Its active checks say no.
    CheckFailed,
    /// An operator drains it.
    Drained,
    /// An operator disabled it.
    Disabled,
}

impl ReadinessReason {
    /// The reason in lower-case words, for labels.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Well => "well",
            Self::OnTrial => "on_trial",
            Self::Ejected { .. } => "ejected",
            Self::CheckFailed => "check_failed",
            Self::Drained => "drained",
            Self::Disabled => "disabled",
        }
    }

    /// The readiness that follows from it.
    #[must_use]
    pub const fn readiness(self) -> Readiness {
        match self {
            Self::Well => Readiness::Ready,
            Self::OnTrial => Readiness::Degraded,
            Self::Ejected { .. } => Readiness::Ejected,
            Self::CheckFailed => Readiness::Unhealthy,
            Self::Drained | Self::Disabled => Readiness::Draining,
        }
    }

    /// The truth table of [`ReadinessTracker`].
    pub(crate) const fn of(operator: OperatorWord, healthy: Option<bool>, verdict: Verdict) -> Self {
        match (operator, healthy, verdict) {
            (OperatorWord::Disable, _, _) => Self::Disabled,
            (OperatorWord::Drain, _, _) => Self::Drained,
            (OperatorWord::Auto, Some(false), _) => Self::CheckFailed,
            (OperatorWord::Auto, _, Verdict::Ejected { until }) => Self::Ejected { until },
            (OperatorWord::Auto, _, Verdict::OnTrial) => Self::OnTrial,
            (OperatorWord::Auto, _, Verdict::Healthy) => Self::Well,
        }
    }
}

impl fmt::Display for ReadinessReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a [`ReadinessTracker`] says of its backend.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReadinessReport {
    /// The word that pickers go by.
    pub readiness: Readiness,
    /// Why it is so.
    pub reason: ReadinessReason,
    /// Since when the readiness is so, on the clock of whoever drives the tracker. Another reason for
    /// the same readiness leaves it.
    pub since: Timestamp,
    /// What the last bad check said, while the checks say no.
    pub error: Option<Arc<str>>,
}

/// One change of a [`ReadinessReport`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReadinessChange {
    /// What the readiness was before: the same, if only the reason changed.
    pub from: Readiness,
    /// What holds now.
    pub report: ReadinessReport,
}

impl ReadinessChange {
    /// Whether the backend is back in full: the moment for slow start to begin. A trial is not that
    /// yet; its few requests are bounded by its permits.
    #[must_use]
    pub fn is_return(&self) -> bool {
        self.from != Readiness::Ready && self.report.readiness == Readiness::Ready
    }
}
