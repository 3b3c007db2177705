//! [`OutlierDetector`]: judges the backends of a group against each other.

mod config;
mod group;
mod judge;
mod member;

use std::fmt;
use std::sync::Arc;

use evenkeel_stats::Timestamp;

pub use config::OutlierConfig;
use group::Group;
use member::Cell;
pub use member::OutlierMember;

use crate::ConfigError;

/// Why a backend is out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "snake_case")
)]
#[non_exhaustive]
pub enum OutlierReason {
    /// Too many failures in a row.
    ConsecutiveFailures,
    /// A success rate below the others'.
    SuccessRate,
    /// A latency above the others'.
    Latency,
}

impl OutlierReason {
    /// The reason in lower-case words, for labels.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ConsecutiveFailures => "consecutive_failures",
            Self::SuccessRate => "success_rate",
            Self::Latency => "latency",
        }
    }
}

impl fmt::Display for OutlierReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A backend that was put out by a sweep.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Ejection {
    /// Its name.
    pub name: Arc<str>,
    /// Why.
    pub reason: OutlierReason,
    /// Until when.
    pub until: Timestamp,
}

/// Puts the backends of a group out of rotation that stand out of it.
///
/// - At once: after [`consecutive_failures`](OutlierConfig::consecutive_failures).
/// - At each [`sweep`](Self::sweep): a success rate far below the group's, or below a fixed floor while most
///   of the others are above it; or a latency above the group's.
/// - An ejection lasts longer each time, and the times are forgotten one by one.
/// - At least one backend stays, and never is more than a share of the group out: when somebody leaves the
///   group and too few would be left, who is out is let back in.
///
/// Whoever owns the group calls `sweep` every 10 s or so. Requests record by themselves: two atomic
/// additions for a success. The lock is for sweeps, ejections and changes of membership.
///
/// Source: Envoy's outlier detection, and what its users found amiss in small groups (issue 26877).
///
/// ```
/// use evenkeel_health::{Detector, Observation, OutlierConfig, OutlierDetector};
/// use evenkeel_stats::{Outcome, Timestamp};
///
/// let group = OutlierDetector::new(OutlierConfig::default())?;
/// let (sick, well) = (group.join("sick"), group.join("well"));
/// let now = Timestamp::from_nanos(1);
/// for _ in 0..5 {
///     sick.observe(&Observation { outcome: Outcome::Failure, started: now, now });
///     well.observe(&Observation { outcome: Outcome::Failure, started: now, now });
/// }
/// assert!(!sick.verdict(now).is_eligible());
/// assert!(well.verdict(now).is_eligible(), "somebody has to stay");
/// # Ok::<(), evenkeel_health::ConfigError>(())
/// ```
#[derive(Debug)]
pub struct OutlierDetector {
    group: Arc<Group>,
}

impl OutlierDetector {
    /// A group without members.
    ///
    /// # Errors
    /// Names the field of `config` that is out of range.
    pub fn new(config: OutlierConfig) -> Result<Self, ConfigError> {
        config.validate()?;
        Ok(Self {
            group: Arc::new(Group::new(config)),
        })
    }

    /// A new member, which belongs to the group until it is dropped.
    #[must_use]
    pub fn join(&self, name: impl Into<Arc<str>>) -> OutlierMember {
        let cell = Arc::new(Cell::new(name.into()));
        self.group.join(cell.clone());
        OutlierMember::new(self.group.clone(), cell)
    }

    /// Compares what each backend did since the last sweep; returns whom it put out. It also tells of
    /// those whose ejection ended meanwhile, by an event.
    pub fn sweep(&self, now: Timestamp) -> Vec<Ejection> {
        self.group.sweep(now)
    }

    /// How many members there are, and how many of them are out at `now`.
    #[must_use]
    pub fn members(&self, now: Timestamp) -> (usize, usize) {
        self.group.count(now)
    }
}
