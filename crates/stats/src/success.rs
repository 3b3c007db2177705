//! The success rate over the last while.

use std::time::Duration;

use crate::{SettingError, Timestamp, WindowCounter};

/// How many of the last requests succeeded: two [`WindowCounter`]s.
///
/// Exact within the window, so it can be held against a threshold and a least number of samples, as
/// breakers and outlier detectors do.
///
/// ```
/// use std::time::Duration;
/// use evenkeel_stats::{SuccessWindow, Timestamp};
///
/// let now = Timestamp::from_nanos(1);
/// let window = SuccessWindow::new(Duration::from_secs(10), 10)?;
/// assert_eq!(window.success_rate(now), None);
/// for ok in [true, true, true, false] {
///     window.record(ok, now);
/// }
/// assert_eq!(window.success_rate(now), Some(0.75));
/// assert_eq!(window.samples(now), 4);
/// # Ok::<(), evenkeel_stats::SettingError>(())
/// ```
#[derive(Debug)]
pub struct SuccessWindow {
    successes: WindowCounter,
    failures: WindowCounter,
}

impl SuccessWindow {
    /// A window of `window`, cut into `slots`; see [`WindowCounter::new`].
    ///
    /// # Errors
    /// As `WindowCounter::new`.
    pub fn new(window: Duration, slots: usize) -> Result<Self, SettingError> {
        Ok(Self {
            successes: WindowCounter::new(window, slots)?,
            failures: WindowCounter::new(window, slots)?,
        })
    }

    /// Counts one success or failure: one atomic addition.
    #[inline]
    pub fn record(&self, ok: bool, now: Timestamp) {
        let counter = if ok { &self.successes } else { &self.failures };
        counter.add(1, now);
    }

    /// Forgets everything, for a judge that begins anew.
    pub fn clear(&self) {
        self.successes.clear();
        self.failures.clear();
    }

    /// The share of successes, 0 to 1; `None` if nothing happened within the window.
    ///
    /// The two counts are read one after the other; what is recorded in between may be in one only.
    #[must_use]
    pub fn success_rate(&self, now: Timestamp) -> Option<f64> {
        let (successes, failures) = (self.successes(now), self.failures(now));
        let samples = successes + failures;
        (samples > 0).then(|| successes as f64 / samples as f64)
    }

    /// Successes and failures together.
    #[must_use]
    pub fn samples(&self, now: Timestamp) -> u64 {
        self.successes(now) + self.failures(now)
    }

    /// The length of one slot.
    #[must_use]
    pub const fn slot(&self) -> Duration {
        self.successes.slot()
    }

    /// The successes within the window.
    #[must_use]
    pub fn successes(&self, now: Timestamp) -> u64 {
        self.successes.total(now)
    }

    /// The failures within the window.
    #[must_use]
    pub fn failures(&self, now: Timestamp) -> u64 {
        self.failures.total(now)
    }
}
