//! A point on a monotonic clock, as nanoseconds.

use std::fmt;
use std::time::Duration;

/// A point in time: nanoseconds since the origin of the [`Clock`](crate::Clock) that gave it.
///
/// It is a plain number, so it fits in an atomic and costs nothing to copy. Timestamps of two clocks
/// with different origins do not compare; every type of this crate that takes one says so by taking
/// all of them from the same caller.
///
/// Subtraction never wraps: an *earlier* timestamp that is in fact later gives zero, so a clock that
/// steps back a little can not turn into an age of centuries.
///
/// ```
/// use std::time::Duration;
/// use evenkeel_stats::Timestamp;
///
/// let start = Timestamp::from_nanos(1_000);
/// let end = start.saturating_add(Duration::from_micros(2));
/// assert_eq!(end.nanos_since(start), 2_000);
/// assert_eq!(start.since(end), Duration::ZERO);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(u64);

impl Timestamp {
    /// The clock's origin.
    pub const ZERO: Self = Self(0);

    /// The last point a clock can give: 584 years after its origin.
    pub const MAX: Self = Self(u64::MAX);

    /// A timestamp from nanoseconds since the clock's origin.
    #[must_use]
    #[inline]
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds since the clock's origin.
    #[must_use]
    #[inline]
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// Nanoseconds from `earlier` to this one; zero if `earlier` is later.
    #[must_use]
    #[inline]
    pub const fn nanos_since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }

    /// Time from `earlier` to this one; zero if `earlier` is later.
    #[must_use]
    #[inline]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.nanos_since(earlier))
    }

    /// This point moved later by `by`, stopping at [`Timestamp::MAX`].
    #[must_use]
    #[inline]
    pub const fn saturating_add(self, by: Duration) -> Self {
        Self(self.0.saturating_add(saturating_nanos(by)))
    }

    /// This point moved earlier by `by`, stopping at the clock's origin.
    #[must_use]
    #[inline]
    pub const fn saturating_sub(self, by: Duration) -> Self {
        Self(self.0.saturating_sub(saturating_nanos(by)))
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", Duration::from_nanos(self.0))
    }
}

/// A duration as nanoseconds, stopping at `u64::MAX` (584 years).
#[must_use]
#[inline]
pub(crate) const fn saturating_nanos(duration: Duration) -> u64 {
    let nanos = duration.as_nanos();
    if nanos > u64::MAX as u128 {
        u64::MAX
    } else {
        nanos as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_steps_back_gives_zero_not_centuries() {
        let earlier = Timestamp::from_nanos(5);
        let later = Timestamp::from_nanos(7);
        assert_eq!(earlier.nanos_since(later), 0);
        assert_eq!(later.nanos_since(earlier), 2);
    }

    #[test]
    fn absurd_durations_stop_at_the_ends() {
        assert_eq!(Timestamp::ZERO.saturating_add(Duration::MAX), Timestamp::MAX);
        assert_eq!(Timestamp::MAX.saturating_sub(Duration::MAX), Timestamp::ZERO);
    }
}
