//! [`ReadinessWatch`], and the checks' way into a tracker: what needs tokio.

use evenkeel_stats::Clock;
use tokio::sync::watch;

use super::{ReadinessReport, ReadinessTracker};
use crate::{CheckReport, HealthWatch};

/// A subscription to the reports of a [`ReadinessTracker`]. Clones each see every report that is still
/// the newest when they look.
#[derive(Clone, Debug)]
pub struct ReadinessWatch(watch::Receiver<ReadinessReport>);

impl ReadinessWatch {
    /// What holds now.
    #[must_use]
    pub fn report(&self) -> ReadinessReport {
        self.0.borrow().clone()
    }

    /// Waits until the report changes, and returns it; `None` once the tracker is gone.
    ///
    /// # Cancel safety
    /// Dropped, nothing is missed: the next call returns the change.
    pub async fn changed(&mut self) -> Option<ReadinessReport> {
        self.0.changed().await.ok()?;
        Some(self.0.borrow_and_update().clone())
    }
}

impl ReadinessTracker {
    /// A subscription: for balancers, operators and tests.
    #[must_use]
    pub fn subscribe(&self) -> ReadinessWatch {
        ReadinessWatch(self.publish.subscribe())
    }

    /// Hands what the checks say to the tracker, stamped by `clock`, the one that drives the tracker,
    /// until the checks end; then nothing is known of them.
    ///
    /// # Cancel safety
    /// Dropped, the tracker keeps what the checks said last.
    pub async fn follow(&self, checks: &mut HealthWatch, clock: &impl Clock) {
        let mut report = Some(checks.seen());
        while let Some(CheckReport { healthy, error, .. }) = report {
            self.set_check(healthy, error, clock.now());
            report = checks.changed().await;
        }
        self.set_check(None, None, clock.now());
    }
}
