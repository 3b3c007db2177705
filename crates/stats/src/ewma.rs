//! Moving averages over time that are read without being changed.

use std::time::Duration;

use crate::decay::{Decaying, Rise};
use crate::{SettingError, Timestamp};

/// An exponentially weighted moving average over time, in one atomic word.
///
/// A sample at a time `dt` after the one before it gets the weight `1 - e^(-dt/tau)`, so what counts
/// is how long something was so, not how often it was reported. Reading with the time `now` gives
/// `value * e^(-dt/tau)`: an average nobody feeds fades to zero, so that a backend which was slow is
/// tried again some day. Reading changes nothing. [`last`](Self::last) reads without fading.
///
/// The unit is the caller's: nanoseconds, requests in flight, anything that is not negative.
///
/// # Resolution and range
/// - Time is told apart in ticks of `tau / 8192` to `tau / 4096` (1 ns at the least). Of several
///   samples in one tick the first is weighted and the others cost one load: their weight would be zero.
/// - Values are kept as `f32`, to seven digits. NaN is ignored, a negative sample counts as zero, one
///   above `f32::MAX` as that.
/// - A time before the last sample's, up to `2048 * tau`, counts as the last sample's: nothing fades,
///   nothing is rewound.
/// - An average that gets no sample for longer than `524 288 * tau` (6 days for 1 s) is taken for
///   younger by that much. Feed it, [reset](Self::reset) it, or do not keep it that long.
///
/// # Concurrency
/// One compare-and-swap a sample, repeated if another thread was quicker; every sample is applied to
/// the newest value. No locks, no allocation, relaxed ordering.
///
/// ```
/// use std::time::Duration;
/// use evenkeel_stats::{Ewma, Timestamp};
///
/// let at = |secs: u64| Timestamp::from_nanos(secs * 1_000_000_000);
/// let average = Ewma::new(Duration::from_secs(10))?;
/// assert_eq!(average.value(at(1)), None);
/// average.record(100.0, at(1));
/// average.record(200.0, at(11));
/// // 100 * 0.368 + 200 * 0.632
/// assert!((average.value(at(11)).unwrap() - 163.2).abs() < 0.1);
/// # Ok::<(), evenkeel_stats::SettingError>(())
/// ```
#[derive(Debug)]
pub struct Ewma(Decaying);

impl Ewma {
    /// An average without history. After `tau` without samples a value has faded to 37 %.
    ///
    /// # Errors
    /// [`SettingError::Zero`] if `tau` is zero.
    pub fn new(tau: Duration) -> Result<Self, SettingError> {
        Decaying::new(tau).map(Self)
    }

    /// Takes in a sample. The first becomes the value.
    #[inline]
    pub fn record(&self, sample: f64, now: Timestamp) {
        self.0.record(sample, now, Rise::Weighted);
    }

    /// The average as of `now`, faded since the last sample; `None` without history.
    #[must_use]
    #[inline]
    pub fn value(&self, now: Timestamp) -> Option<f64> {
        self.0.value(now)
    }

    /// The average as of the last sample that was weighted, however long ago; `None` without history.
    #[must_use]
    #[inline]
    pub fn last(&self) -> Option<f64> {
        self.0.last()
    }

    /// Forgets the history.
    pub fn reset(&self) {
        self.0.reset();
    }
}

/// An [`Ewma`] that rises at once: a sample above the average becomes the average.
///
/// It is quick to believe that a backend got slow and slow to believe that it recovered, which is what
/// balancing by latency wants. The rule is that of Finagle's `PeakEwma` (also tower's and linkerd's):
/// a sample above the stored value replaces it, any other is weighted as in a plain average. So the
/// value is never below that of an `Ewma` fed the same, and a greater sample never gives a smaller one.
///
/// A peak is taken in at any time, also within one tick and when time stepped back. All else is as for
/// [`Ewma`].
///
/// ```
/// use std::time::Duration;
/// use evenkeel_stats::{PeakEwma, Timestamp};
///
/// let at = |millis: u64| Timestamp::from_nanos(millis * 1_000_000);
/// let latency = PeakEwma::new(Duration::from_secs(10))?;
/// latency.record(1.0, at(0));
/// latency.record(50.0, at(1));
/// assert_eq!(latency.value(at(1)), Some(50.0));
/// latency.record(1.0, at(2));
/// assert!(latency.value(at(2)).unwrap() > 49.9);
/// # Ok::<(), evenkeel_stats::SettingError>(())
/// ```
#[derive(Debug)]
pub struct PeakEwma(Decaying);

impl PeakEwma {
    /// An average without history. After `tau` without samples a value has faded to 37 %.
    ///
    /// # Errors
    /// [`SettingError::Zero`] if `tau` is zero.
    pub fn new(tau: Duration) -> Result<Self, SettingError> {
        Decaying::new(tau).map(Self)
    }

    /// Takes in a sample. The first becomes the value, and so does one above it.
    #[inline]
    pub fn record(&self, sample: f64, now: Timestamp) {
        self.0.record(sample, now, Rise::AtOnce);
    }

    /// The average as of `now`, faded since the last sample; `None` without history.
    #[must_use]
    #[inline]
    pub fn value(&self, now: Timestamp) -> Option<f64> {
        self.0.value(now)
    }

    /// The average as of the last sample that changed it, however long ago; `None` without history.
    #[must_use]
    #[inline]
    pub fn last(&self) -> Option<f64> {
        self.0.last()
    }

    /// Forgets the history.
    pub fn reset(&self) {
        self.0.reset();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_nanos(millis * 1_000_000)
    }

    #[test]
    fn a_zero_time_constant_is_refused_by_name() {
        let error = Ewma::new(Duration::ZERO).unwrap_err();
        assert_eq!(error.to_string(), "`tau` must not be zero");
        assert!(PeakEwma::new(Duration::ZERO).is_err());
    }

    #[test]
    fn reading_changes_nothing() {
        let average = PeakEwma::new(Duration::from_secs(1)).unwrap();
        average.record(10.0, at(0));
        for _ in 0..10 {
            assert_eq!(average.value(at(1000)), average.value(at(1000)));
        }
        assert_eq!(average.last(), Some(10.0));
        assert_eq!(average.value(at(0)), Some(10.0));
    }

    #[test]
    fn samples_that_are_no_numbers_poison_nothing() {
        let average = Ewma::new(Duration::from_millis(1)).unwrap();
        average.record(f64::NAN, at(0));
        assert_eq!(average.value(at(0)), None);
        average.record(5.0, at(1));
        average.record(f64::NAN, at(2));
        assert_eq!(average.last(), Some(5.0));
        average.record(f64::INFINITY, at(1_000));
        average.record(f64::NEG_INFINITY, at(2_000));
        let value = average.value(at(2_000)).unwrap();
        assert!(value.is_finite() && value >= 0.0, "{value}");
    }

    #[test]
    fn a_peak_counts_within_one_tick_and_a_valley_does_not() {
        let average = PeakEwma::new(Duration::from_secs(10)).unwrap();
        average.record(5.0, at(100));
        average.record(7.0, at(100));
        average.record(1.0, at(100));
        assert_eq!(average.value(at(100)), Some(7.0));
    }

    #[test]
    fn after_a_reset_the_first_sample_is_the_value_again() {
        let average = Ewma::new(Duration::from_secs(10)).unwrap();
        average.record(500.0, at(0));
        average.reset();
        assert_eq!(average.value(at(1)), None);
        average.record(3.0, at(2));
        assert_eq!(average.value(at(2)), Some(3.0));
    }

    #[test]
    fn a_steady_input_holds_the_average_at_any_rate() {
        for gap in [1, 7, 100, 3_000] {
            let average = Ewma::new(Duration::from_secs(1)).unwrap();
            for i in 0..5_000 {
                average.record(42.0, at(i * gap));
            }
            assert_eq!(average.last(), Some(42.0), "{gap}");
        }
    }
}
