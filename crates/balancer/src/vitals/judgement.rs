//! What judges, checks and the operator say of a backend, and what follows from it.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use evenkeel_health::{OperatorWord, ReadinessChange, ReadinessReason, ReadinessTracker, Verdict};
use evenkeel_stats::{Readiness, Timestamp};
use evenkeel_strategy::LoadCell;

use super::{Diverts, Vitals};

impl Vitals {
    #[inline]
    pub(super) fn heed(&self, verdict: Verdict, now: Timestamp) {
        if verdict != Verdict::Healthy || self.signals.is_judged() {
            self.reconcile(now);
        }
    }

    /// Asks the judges anew and brings the load cell in line with what they say, so that the very next
    /// pick sees it. Whoever comes last has the newest: see [`ReadinessTracker`].
    #[cold]
    pub(crate) fn reconcile(&self, now: Timestamp) {
        if let Some(change) = self.tracker.refresh(now) {
            self.follow(&change, now);
        }
    }

    /// What a change means beside the load cell.
    fn follow(&self, change: &ReadinessChange, now: Timestamp) {
        let to = change.report.readiness;
        if to == Readiness::Ejected && change.from != to {
            let sign = self.signals.take_sign().unwrap_or(now);
            self.diverts.record(now.since(sign));
        }
        self.control.ask_rebuild();
    }

    /// Before a sweep of the outlier detection: hands in what was counted since the last.
    pub(crate) fn before_sweep(&self) {
        if let Some(outlier) = &self.outlier {
            outlier.hand_in(&self.cell().totals());
        }
    }

    /// Sets what health checks, or whoever else watches the backend from outside, say of it, and why if
    /// they say no.
    pub(crate) fn set_check(&self, healthy: bool, error: Option<Arc<str>>, now: Timestamp) {
        if let Some(change) = self.tracker.set_check(Some(healthy), error, now) {
            if change.from == Readiness::Unhealthy {
                // What came before is no news any more.
                self.signals.take_sign();
            }
            self.follow(&change, now);
        }
    }

    /// Sets what the operator says of it.
    pub(crate) fn set_operator(&self, word: OperatorWord, now: Timestamp) {
        self.orders.fetch_add(1, Ordering::Relaxed);
        // Who calls this swaps the snapshot: there is nothing to ask for.
        let _ = self.tracker.set_operator(word, now);
    }

    /// How often the operator has spoken: an earlier drain knows by it that it is not the last.
    pub(crate) fn orders(&self) -> u64 {
        self.orders.load(Ordering::Relaxed)
    }

    pub(crate) fn operator(&self) -> OperatorWord {
        self.tracker.operator()
    }

    pub(crate) const fn tracker(&self) -> &ReadinessTracker {
        &self.tracker
    }

    pub(crate) const fn diverts(&self) -> &Diverts {
        &self.diverts
    }

    /// When an ejection that is under way ends; if it has ended, the judges are asked anew.
    pub(crate) fn returns_at(&self, now: Timestamp) -> Option<Timestamp> {
        self.reconcile(now);
        match self.tracker.report().reason {
            ReadinessReason::Ejected { until } => Some(until),
            _ => None,
        }
    }
}

/// Writes a change into the load cell. Called under the tracker's lock, so changes come in order.
///
/// A backend on trial is ready to pickers: its breaker lets through as many as it wants, and one that
/// was called degraded would be passed over while others are ready, and never have its trial.
pub(super) fn mirror(cell: &LoadCell, change: &ReadinessChange) {
    let report = &change.report;
    if let ReadinessReason::Ejected { until } = report.reason {
        cell.eject_until(until);
    } else {
        cell.end_ejection();
    }
    cell.set_readiness(match report.readiness {
        unwanted @ (Readiness::Draining | Readiness::Unhealthy) => unwanted,
        _ => Readiness::Ready,
    });
    if change.is_return() {
        cell.mark_born(report.since);
    }
}
