//! [`OutlierMember`]: what one backend of a group records.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use evenkeel_stats::{Outcome, Timestamp};

use super::judge::Sample;
use super::{Group, OutlierReason};
use crate::{Detector, Observation, Verdict};

/// The counts of one backend. Each is right by itself; a request that ends while a sweep takes them may
/// be in two sweeps by halves.
#[derive(Debug)]
pub(crate) struct Cell {
    name: Arc<str>,
    successes: AtomicU64,
    failures: AtomicU64,
    latency: AtomicU64,
    run: AtomicU32,
    ejected_until: AtomicU64,
    /// It was put out, and its return is not told yet. Changed under the group's lock.
    out: AtomicBool,
    /// The steps of the next ejection; changed under the group's lock.
    times: AtomicU32,
}

impl Cell {
    pub(super) const fn new(name: Arc<str>) -> Self {
        Self {
            name,
            successes: AtomicU64::new(0),
            failures: AtomicU64::new(0),
            latency: AtomicU64::new(0),
            run: AtomicU32::new(0),
            ejected_until: AtomicU64::new(0),
            out: AtomicBool::new(false),
            times: AtomicU32::new(0),
        }
    }

    pub(super) const fn name(&self) -> &Arc<str> {
        &self.name
    }

    pub(super) fn until(&self) -> Timestamp {
        Timestamp::from_nanos(self.ejected_until.load(Ordering::Relaxed))
    }

    pub(super) fn is_ejected(&self, now: Timestamp) -> bool {
        now < self.until()
    }

    pub(super) fn eject_until(&self, until: Timestamp) {
        self.run.store(0, Ordering::Relaxed);
        self.ejected_until.store(until.as_nanos(), Ordering::Relaxed);
        self.out.store(true, Ordering::Relaxed);
    }

    /// Ends an ejection at `now`; whether there was one.
    pub(super) fn readmit(&self, now: Timestamp) -> bool {
        let out = self.is_ejected(now);
        if out {
            self.ejected_until.store(now.as_nanos(), Ordering::Relaxed);
        }
        out
    }

    /// Whether it was out until lately; once for each time.
    pub(super) fn has_returned(&self, now: Timestamp) -> bool {
        !self.is_ejected(now) && self.out.swap(false, Ordering::Relaxed)
    }

    /// What was counted since the last time.
    pub(super) fn take(&self) -> Sample {
        Sample {
            successes: self.successes.swap(0, Ordering::Relaxed),
            failures: self.failures.swap(0, Ordering::Relaxed),
            latency: self.latency.swap(0, Ordering::Relaxed),
        }
    }

    /// How often it was put out lately, this time included; no more than `most`, so that the times are
    /// forgotten as soon as they are served.
    pub(super) fn count_ejection(&self, most: u32) -> u32 {
        let times = self.times.load(Ordering::Relaxed).saturating_add(1).min(most);
        self.times.store(times, Ordering::Relaxed);
        times
    }

    /// A sweep found it in rotation.
    pub(super) fn forgive(&self) {
        let times = self.times.load(Ordering::Relaxed);
        self.times.store(times.saturating_sub(1), Ordering::Relaxed);
    }
}

/// One backend of an [`OutlierDetector`](crate::OutlierDetector)'s group; dropped, it leaves the group.
///
/// Requests that were sent before the end of its last ejection are not counted.
pub struct OutlierMember {
    group: Arc<Group>,
    cell: Arc<Cell>,
}

impl OutlierMember {
    pub(super) const fn new(group: Arc<Group>, cell: Arc<Cell>) -> Self {
        Self { group, cell }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.cell.name
    }

    /// Takes in successes that somebody else has counted, `nanos` being the time of all of them
    /// together: for an owner that has these numbers anyhow, and hands them in before each sweep in place of
    /// each success by itself. They end no run of failures, so the rule of
    /// [`consecutive_failures`](crate::OutlierConfig::consecutive_failures) has to be off (`u32::MAX`).
    pub fn observe_successes(&self, count: u64, nanos: u64) {
        self.cell.successes.fetch_add(count, Ordering::Relaxed);
        self.cell.latency.fetch_add(nanos, Ordering::Relaxed);
    }
}

impl Drop for OutlierMember {
    fn drop(&mut self) {
        self.group.leave(&self.cell);
    }
}

impl Detector for OutlierMember {
    fn observe(&self, observation: &Observation) -> Verdict {
        let cell = &self.cell;
        let now = observation.now;
        if observation.started < cell.until() {
            return self.verdict(now);
        }
        match observation.outcome {
            Outcome::Success => {
                let nanos = now.nanos_since(observation.started);
                cell.latency.fetch_add(nanos, Ordering::Relaxed);
                cell.successes.fetch_add(1, Ordering::Relaxed);
                if cell.run.load(Ordering::Relaxed) != 0 {
                    cell.run.store(0, Ordering::Relaxed);
                }
            }
            Outcome::Cancelled => {}
            Outcome::Overload { .. } => {
                cell.failures.fetch_add(1, Ordering::Relaxed);
            }
            _ => {
                cell.failures.fetch_add(1, Ordering::Relaxed);
                let run = cell.run.fetch_add(1, Ordering::Relaxed).saturating_add(1);
                if run >= self.group.config().consecutive_failures && self.group.may_eject(now) {
                    self.group.eject(cell, OutlierReason::ConsecutiveFailures, now);
                }
            }
        }
        self.verdict(now)
    }

    fn verdict(&self, now: Timestamp) -> Verdict {
        let until = self.cell.until();
        if now < until {
            Verdict::Ejected { until }
        } else {
            Verdict::Healthy
        }
    }

    fn readmit(&self, now: Timestamp) {
        self.group.readmit(&self.cell, now);
    }
}

impl fmt::Debug for OutlierMember {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("OutlierMember").field(&self.cell).finish()
    }
}
