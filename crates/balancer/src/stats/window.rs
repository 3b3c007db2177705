//! [`StatsWindow`]: what ended between two ticks.

use std::time::Duration;

use evenkeel_stats::{Timestamp, Trend};

/// What ended within one window of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StatsWindow {
    /// When it began.
    pub start: Timestamp,
    /// When it ended.
    pub end: Timestamp,
    /// Requests that ended well.
    pub successes: u64,
    /// Requests that failed, overloads among them.
    pub failures: u64,
    /// The mean time of all of these; `None` if there were none.
    pub mean: Option<Duration>,
    /// What 99 % of the successes did not exceed; of the whole only, and `None` if there were none.
    pub p99: Option<Duration>,
}

impl StatsWindow {
    /// The share of successes, 0 to 1; `None` if nothing ended.
    #[must_use]
    pub fn success_rate(&self) -> Option<f64> {
        let ended = self.successes + self.failures;
        (ended > 0).then(|| self.successes as f64 / ended as f64)
    }

    /// How many ended a second; zero for a window of no length.
    #[must_use]
    pub fn per_second(&self) -> f64 {
        let seconds = self.end.since(self.start).as_secs_f64();
        if seconds > 0.0 {
            (self.successes + self.failures) as f64 / seconds
        } else {
            0.0
        }
    }
}

/// The trend of a figure over the windows that have it.
pub(super) fn trend(windows: &[StatsWindow], figure: impl Fn(&StatsWindow) -> Option<f64>) -> Option<Trend> {
    let seconds = |at: Timestamp| Duration::from_nanos(at.as_nanos()).as_secs_f64();
    let figures: Vec<_> = windows
        .iter()
        .filter_map(|window| Some((seconds(window.end), figure(window)?)))
        .collect();
    Trend::of(&figures)
}
