//! [`Series`]: the windows of the whole and of each backend.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use evenkeel_stats::{HistogramSnapshot, Precision, Timestamp};
use evenkeel_strategy::LoadTotals;

use super::{Retired, StatsWindow};
use crate::vitals::Vitals;

/// Rolled by the background task, under a lock that no request takes.
#[derive(Debug)]
pub(crate) struct Series {
    capacity: usize,
    start: Timestamp,
    whole: VecDeque<StatsWindow>,
    /// The latencies of all successes up to `start`.
    latency: HistogramSnapshot,
    backends: HashMap<u64, One>,
}

#[derive(Debug, Default)]
struct One {
    last: LoadTotals,
    windows: VecDeque<StatsWindow>,
}

impl Series {
    pub(crate) fn new(capacity: usize, now: Timestamp) -> Self {
        Self {
            capacity,
            start: now,
            whole: VecDeque::new(),
            latency: HistogramSnapshot::new(Precision::Compact),
            backends: HashMap::new(),
        }
    }

    /// Ends a window of the whole and of each of these backends; forgets those that are none of them.
    pub(crate) fn roll<'a>(
        &mut self,
        members: impl Iterator<Item = (u64, &'a Vitals)>,
        retired: Retired,
        now: Timestamp,
    ) {
        let start = std::mem::replace(&mut self.start, now);
        let mut latency = retired.latency;
        let mut sum = LoadTotals::default();
        let mut kept = HashMap::new();
        for (serial, vitals) in members {
            // The precisions are the same.
            let _ = latency.merge(&vitals.tally().latency().snapshot());
            let mut one = self.backends.remove(&serial).unwrap_or_default();
            let totals = vitals.cell().totals();
            let window = window(start, now, &totals.since(&one.last));
            one.last = totals;
            push(&mut one.windows, window, self.capacity);
            sum.successes += window.successes;
            sum.failures += window.failures;
            let ended = window.successes + window.failures;
            let mean = window.mean.unwrap_or_default().as_nanos() as u64;
            sum.busy_nanos = sum.busy_nanos.saturating_add(mean.saturating_mul(ended));
            kept.insert(serial, one);
        }
        self.backends = kept;
        let mut whole = window(start, now, &sum);
        if let Ok(recent) = latency.since(&self.latency) {
            whole.p99 = recent.percentile(99.0);
        }
        self.latency = latency;
        push(&mut self.whole, whole, self.capacity);
    }

    pub(super) fn whole(&self) -> Vec<StatsWindow> {
        self.whole.iter().copied().collect()
    }

    pub(super) fn of(&self, serial: u64) -> Vec<StatsWindow> {
        let windows = self.backends.get(&serial).map(|one| one.windows.iter().copied());
        windows.map(Iterator::collect).unwrap_or_default()
    }
}

fn push(windows: &mut VecDeque<StatsWindow>, window: StatsWindow, capacity: usize) {
    if windows.len() >= capacity {
        windows.pop_front();
    }
    windows.push_back(window);
}

fn window(start: Timestamp, end: Timestamp, totals: &LoadTotals) -> StatsWindow {
    let ended = totals.successes + totals.failures;
    StatsWindow {
        start,
        end,
        successes: totals.successes,
        failures: totals.failures,
        mean: (ended > 0).then(|| Duration::from_nanos(totals.busy_nanos / ended)),
        p99: None,
    }
}
