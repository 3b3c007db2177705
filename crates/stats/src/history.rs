//! The last windows of a histogram, one beside the other.

use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

use crate::{HistogramSnapshot, LatencySummary, SettingError, SnapshotError, Timestamp, Trend};

/// The last windows of one histogram, for "how was it a minute ago, and where is it going".
///
/// A histogram only accumulates. Whoever owns a tick (a reporter, a scraper) takes a snapshot at each
/// and [rolls](Self::roll) it in; what lies between two ticks is one window. The windows are as long
/// as the ticks are apart; nothing here reads a clock.
///
/// It keeps the differences whole, not only their summaries, so percentiles over several windows are
/// those of the values and not an average of percentiles, which would mean nothing. Memory is bounded:
/// one snapshot for each window and one more, allocated as the ring fills and then reused.
///
/// ```
/// use std::time::Duration;
/// use evenkeel_stats::{Histogram, History, Timestamp};
///
/// let latency = Histogram::default();
/// let mut history = History::new(60)?;
/// for second in 0..=5_u64 {
///     history.roll(&latency.snapshot(), Timestamp::from_nanos(second * 1_000_000_000))?;
///     latency.record_duration(Duration::from_millis(10 + second));
/// }
/// assert_eq!(history.windows().len(), 5);
/// assert_eq!(history.merged(5).count(), 5);
/// let trend = history.latency_trend(|summary| summary.p99).unwrap();
/// assert!((trend.slope_per_second - 0.001).abs() < 0.0001);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct History {
    capacity: usize,
    /// What the next window starts from.
    last: Option<(HistogramSnapshot, Timestamp)>,
    windows: VecDeque<(HistoryWindow, HistogramSnapshot)>,
}

/// What was recorded between two ticks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HistoryWindow {
    /// The tick it begins with.
    pub start: Timestamp,
    /// The tick it ends with.
    pub end: Timestamp,
    /// What was recorded in between.
    pub summary: LatencySummary,
}

impl HistoryWindow {
    /// How many were recorded a second; zero if the ticks are at the same time.
    #[must_use]
    pub fn per_second(&self) -> f64 {
        let seconds = self.end.since(self.start).as_secs_f64();
        if seconds > 0.0 {
            self.summary.count as f64 / seconds
        } else {
            0.0
        }
    }
}

impl History {
    /// A history of the last `windows` windows.
    ///
    /// # Errors
    /// [`SettingError::Zero`] if `windows` is zero.
    pub fn new(windows: usize) -> Result<Self, SettingError> {
        if windows == 0 {
            return Err(SettingError::Zero { field: "windows" });
        }
        Ok(Self {
            capacity: windows,
            last: None,
            windows: VecDeque::new(),
        })
    }

    /// Ends a window with a cumulative snapshot taken `now`, and drops the oldest window if there are
    /// too many. Gives the window; `None` for the first snapshot, which only begins one.
    ///
    /// # Errors
    /// [`SnapshotError::PrecisionMismatch`] if the snapshot is of another precision than the one before;
    /// nothing is changed. [`SnapshotError::NotEarlier`] if it holds less than the one before, so that
    /// it is of another histogram: the next window begins with it, and what was kept stays.
    pub fn roll(
        &mut self,
        snapshot: &HistogramSnapshot,
        now: Timestamp,
    ) -> Result<Option<HistoryWindow>, SnapshotError> {
        let Some((last, start)) = &mut self.last else {
            self.last = Some((snapshot.clone(), now));
            return Ok(None);
        };
        last.check_precision(snapshot)?;
        let start = std::mem::replace(start, now);
        if !last.is_earlier_than(snapshot) {
            last.copy_from(snapshot);
            return Err(SnapshotError::NotEarlier);
        }
        let full = self.windows.len() == self.capacity;
        let mut delta = match full.then(|| self.windows.pop_front()).flatten() {
            Some((_, mut oldest)) => {
                oldest.copy_from(snapshot);
                oldest
            }
            None => snapshot.clone(),
        };
        delta.subtract(last)?;
        last.copy_from(snapshot);
        let window = HistoryWindow {
            start,
            end: now.max(start),
            summary: delta.summary(),
        };
        self.windows.push_back((window, delta));
        Ok(Some(window))
    }

    /// The windows that are kept, oldest first.
    pub fn windows(&self) -> impl ExactSizeIterator<Item = &HistoryWindow> + DoubleEndedIterator {
        self.windows.iter().map(|(window, _)| window)
    }

    /// The last `windows` windows as one, or as many as there are. Empty if there are none.
    #[must_use]
    pub fn merged(&self, windows: usize) -> HistogramSnapshot {
        let skip = self.windows.len().saturating_sub(windows);
        let mut deltas = self.windows.iter().skip(skip).map(|(_, delta)| delta);
        let Some(first) = deltas.next() else {
            let precision = self.last.as_ref().map(|(last, _)| last.precision());
            return HistogramSnapshot::new(precision.unwrap_or_default());
        };
        let mut merged = first.clone();
        for delta in deltas {
            // Never fails: `roll` admits one precision only.
            let _ = merged.merge(delta);
        }
        merged
    }

    /// Where a latency is going, in seconds (per second), over the windows in which anything was
    /// recorded. `None` with fewer than four of them.
    #[must_use]
    pub fn latency_trend(&self, of: impl Fn(&LatencySummary) -> Duration) -> Option<Trend> {
        self.trend(|window| (window.summary.count > 0).then(|| of(&window.summary).as_secs_f64()))
    }

    /// Where the rate per second is going. `None` with fewer than four windows.
    #[must_use]
    pub fn rate_trend(&self) -> Option<Trend> {
        self.trend(|window| Some(window.per_second()))
    }

    /// A window's figure belongs to its middle.
    fn trend(&self, of: impl Fn(&HistoryWindow) -> Option<f64>) -> Option<Trend> {
        let origin = self.windows().next()?.start;
        let middle = |window: &HistoryWindow| {
            let (start, end) = (window.start.since(origin), window.end.since(origin));
            (start + end).as_secs_f64() / 2.0
        };
        let figures: Vec<_> = self
            .windows()
            .filter_map(|window| Some((middle(window), of(window)?)))
            .collect();
        Trend::of(&figures)
    }
}

impl fmt::Debug for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.windows()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Histogram, Precision};

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_nanos(seconds * 1_000_000_000)
    }

    #[test]
    fn no_windows_are_refused_by_name() {
        assert_eq!(
            History::new(0).unwrap_err().to_string(),
            "`windows` must not be zero"
        );
    }

    #[test]
    fn a_window_holds_only_what_fell_into_it() {
        let histogram = Histogram::new(Precision::Compact);
        let mut history = History::new(3).unwrap();
        histogram.record(50);
        assert_eq!(history.roll(&histogram.snapshot(), at(1)), Ok(None));
        for n in 1..=5 {
            for _ in 0..n {
                histogram.record(n);
            }
            let window = history.roll(&histogram.snapshot(), at(1 + n)).unwrap().unwrap();
            assert_eq!(window.summary.count, n);
            assert_eq!(window.summary.p50, Duration::from_nanos(n));
            assert_eq!(window.per_second(), n as f64);
        }
        let starts: Vec<_> = history.windows().map(|window| window.start).collect();
        assert_eq!(starts, [at(3), at(4), at(5)]);
        assert_eq!(history.merged(2).count(), 9);
        assert_eq!(history.merged(99).count(), 12);
        assert!(history.merged(0).is_empty());
    }

    #[test]
    fn idle_windows_pull_no_latency_to_zero_but_count_for_the_rate() {
        let histogram = Histogram::new(Precision::Compact);
        let mut history = History::new(10).unwrap();
        for second in 0..=8 {
            history.roll(&histogram.snapshot(), at(second)).unwrap();
            if second < 4 {
                histogram.record(10);
            }
        }
        let latency = history.latency_trend(|summary| summary.mean).unwrap();
        assert_eq!((latency.earlier, latency.recent), (1e-8, 1e-8));
        let rate = history.rate_trend().unwrap();
        assert_eq!((rate.earlier, rate.recent), (1.0, 0.0));
        assert_eq!(rate.change(), Some(-1.0));
    }

    #[test]
    fn a_histogram_that_was_replaced_begins_anew_and_loses_no_history() {
        let mut history = History::new(10).unwrap();
        let old = Histogram::new(Precision::Compact);
        history.roll(&old.snapshot(), at(0)).unwrap();
        old.record(1);
        history.roll(&old.snapshot(), at(1)).unwrap();
        let new = Histogram::new(Precision::Compact);
        assert_eq!(
            history.roll(&new.snapshot(), at(2)),
            Err(SnapshotError::NotEarlier)
        );
        new.record(2);
        let window = history.roll(&new.snapshot(), at(3)).unwrap().unwrap();
        assert_eq!((window.start, window.summary.count), (at(2), 1));
        assert_eq!(history.windows().len(), 2);
    }

    #[test]
    fn another_precision_is_refused_and_changes_nothing() {
        let mut history = History::new(2).unwrap();
        let compact = Histogram::new(Precision::Compact);
        history.roll(&compact.snapshot(), at(0)).unwrap();
        assert!(matches!(
            history.roll(&Histogram::new(Precision::Fine).snapshot(), at(1)),
            Err(SnapshotError::PrecisionMismatch { .. })
        ));
        let window = history.roll(&compact.snapshot(), at(2)).unwrap().unwrap();
        assert_eq!(window.start, at(0));
    }
}
