//! [`OutlierDetector`]: judges the backends of a group against each other.

mod config;
mod judge;
mod member;

use std::fmt;
use std::sync::{Arc, Weak};
use std::time::Duration;

use evenkeel_stats::Timestamp;
use parking_lot::Mutex;

pub use config::OutlierConfig;
use judge::Sample;
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
/// - At each [`sweep`](Self::sweep): a success rate below the group's, or a latency above it. In a group
///   too small for that, a success rate below a fixed floor, as long as the others are above it.
/// - An ejection lasts longer each time, and the times are forgotten one by one.
/// - At least one backend stays, and never is more than a share of the group out.
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

/// What the members share.
#[derive(Debug)]
pub(crate) struct Group {
    config: OutlierConfig,
    cells: Mutex<Vec<Weak<Cell>>>,
}

impl OutlierDetector {
    /// A group without members.
    ///
    /// # Errors
    /// Names the field of `config` that is out of range.
    pub fn new(config: OutlierConfig) -> Result<Self, ConfigError> {
        config.validate()?;
        let cells = Mutex::new(Vec::new());
        Ok(Self {
            group: Arc::new(Group { config, cells }),
        })
    }

    /// A new member, which belongs to the group until it is dropped.
    #[must_use]
    pub fn join(&self, name: impl Into<Arc<str>>) -> OutlierMember {
        let cell = Arc::new(Cell::new(name.into()));
        self.group.cells.lock().push(Arc::downgrade(&cell));
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
        let cells = self.group.cells.lock();
        let live: Vec<_> = cells.iter().filter_map(Weak::upgrade).collect();
        (live.len(), ejected(&live, now))
    }
}

fn ejected(cells: &[Arc<Cell>], now: Timestamp) -> usize {
    cells.iter().filter(|cell| cell.is_ejected(now)).count()
}

impl Group {
    pub(super) const fn config(&self) -> &OutlierConfig {
        &self.config
    }

    fn sweep(&self, now: Timestamp) -> Vec<Ejection> {
        let mut cells = self.cells.lock();
        let live = live(&mut cells);
        let mut back = Vec::new();
        let mut compared: Vec<(&Arc<Cell>, Sample)> = Vec::with_capacity(live.len());
        for cell in &live {
            let sample = cell.take();
            if cell.is_ejected(now) {
                continue;
            }
            if cell.has_returned(now) {
                back.push(cell.name().clone());
            }
            cell.forgive();
            if sample.requests() >= u64::from(self.config.min_requests) {
                compared.push((cell, sample));
            }
        }
        let samples: Vec<_> = compared.iter().map(|(_, sample)| *sample).collect();
        let outliers = judge::outliers(&self.config, &samples);
        let out = outliers.into_iter().filter_map(|(index, reason)| {
            let cell = compared[index].0;
            let until = self.eject_one(&live, cell, reason, now)?;
            let name = cell.name().clone();
            Some(Ejection { name, reason, until })
        });
        let out: Vec<_> = out.collect();
        drop(cells);
        back.iter().for_each(|name| tell_return(name));
        tell(&out);
        out
    }

    /// Ends the ejection of a backend, if it is out.
    pub(super) fn readmit(&self, cell: &Cell, now: Timestamp) {
        let cells = self.cells.lock();
        let back = cell.readmit(now) && cell.has_returned(now);
        drop(cells);
        if back {
            tell_return(cell.name());
        }
    }

    /// Puts a backend out at once, if one more may be.
    pub(super) fn eject(&self, cell: &Arc<Cell>, reason: OutlierReason, now: Timestamp) {
        let mut cells = self.cells.lock();
        let live = live(&mut cells);
        if cell.is_ejected(now) {
            return;
        }
        let until = self.eject_one(&live, cell, reason, now);
        drop(cells);
        if let Some(until) = until {
            let name = cell.name().clone();
            tell(&[Ejection { name, reason, until }]);
        }
    }

    fn eject_one(
        &self,
        live: &[Arc<Cell>],
        cell: &Cell,
        reason: OutlierReason,
        now: Timestamp,
    ) -> Option<Timestamp> {
        if ejected(live, now) >= self.config.most_ejected(live.len()) {
            tracing::debug!(
                name = &**cell.name(),
                reason = reason.as_str(),
                "outlier stays: too many are out"
            );
            return None;
        }
        let times = cell.count_ejection();
        let time = self
            .config
            .base_ejection
            .checked_mul(times)
            .unwrap_or(Duration::MAX);
        let until = now.saturating_add(time.min(self.config.max_ejection));
        cell.eject_until(until);
        Some(until)
    }
}

/// The members that are still there; the others are swept out.
fn live(cells: &mut Vec<Weak<Cell>>) -> Vec<Arc<Cell>> {
    cells.retain(|cell| cell.strong_count() > 0);
    cells.iter().filter_map(Weak::upgrade).collect()
}

/// Outside of the lock, as `tell` is.
fn tell_return(name: &str) {
    tracing::info!(name, "outlier returned");
}

/// Outside of the lock: a subscriber may be slow, or ask.
fn tell(out: &[Ejection]) {
    for Ejection { name, reason, until } in out {
        tracing::warn!(name = &**name, reason = reason.as_str(), until = ?until, "outlier ejected");
    }
}
