//! Where the time comes from: handed in, never read behind the caller's back.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::timestamp::saturating_nanos;
use crate::{CoarseClock, Timestamp};

/// A monotonic clock.
///
/// Everything in evenkeel that needs the time takes it from one of these, so that tests, simulations
/// and benchmarks can set it. Object-safe: types that keep a clock keep an `Arc<dyn Clock>`.
pub trait Clock: Send + Sync + fmt::Debug {
    /// The time now. Never goes back between two calls from one thread.
    fn now(&self) -> Timestamp;

    /// The time now to within some milliseconds, if that is cheaper: for idle times and ages, not for
    /// latencies. It has the origin of [`now`](Self::now), but comes from another source, which may run
    /// apart from it by parts in a million: compare coarse times with coarse times.
    #[inline]
    fn coarse(&self) -> Timestamp {
        self.now()
    }
}

impl<C: Clock + ?Sized> Clock for Arc<C> {
    #[inline]
    fn now(&self) -> Timestamp {
        (**self).now()
    }

    #[inline]
    fn coarse(&self) -> Timestamp {
        (**self).coarse()
    }
}

impl<C: Clock + ?Sized> Clock for &C {
    #[inline]
    fn now(&self) -> Timestamp {
        (**self).now()
    }

    #[inline]
    fn coarse(&self) -> Timestamp {
        (**self).coarse()
    }
}

/// The machine's own clock, by its cycle counter where that is stable (`quanta`).
///
/// A call costs about 10 ns where `std::time::Instant::now` costs 23. The first clock of a process
/// calibrates the counter, which takes up to 200 ms, usually 10; later ones are free, and all of them
/// share one origin. Its coarse time is that of
/// [`CoarseClock`].
#[derive(Clone, Debug)]
pub struct RealClock {
    source: quanta::Clock,
    origin: u64,
    coarse: CoarseClock,
}

impl RealClock {
    /// The process's clock.
    #[must_use]
    pub fn new() -> Self {
        static CLOCK: std::sync::OnceLock<RealClock> = std::sync::OnceLock::new();
        CLOCK
            .get_or_init(|| {
                let source = quanta::Clock::new();
                Self {
                    origin: source.raw(),
                    source,
                    coarse: CoarseClock::starting_now(),
                }
            })
            .clone()
    }
}

impl Default for RealClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for RealClock {
    #[inline]
    fn now(&self) -> Timestamp {
        Timestamp::from_nanos(self.source.delta_as_nanos(self.origin, self.source.raw()))
    }

    #[inline]
    fn coarse(&self) -> Timestamp {
        self.coarse.now()
    }
}

/// A clock that stands still until it is moved: for tests and simulations.
///
/// Clones share the time.
///
/// ```
/// use std::time::Duration;
/// use evenkeel_stats::{Clock, ManualClock, Timestamp};
///
/// let clock = ManualClock::new();
/// clock.advance(Duration::from_millis(3));
/// assert_eq!(clock.now(), Timestamp::from_nanos(3_000_000));
/// ```
#[derive(Clone, Debug, Default)]
pub struct ManualClock {
    nanos: Arc<AtomicU64>,
}

impl ManualClock {
    /// A clock at its origin.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Moves the time forward by `by`, stopping at [`Timestamp::MAX`].
    pub fn advance(&self, by: Duration) {
        let by = saturating_nanos(by);
        // Never fails: the closure always gives a value.
        let _ = self
            .nanos
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |now| {
                Some(now.saturating_add(by))
            });
    }

    /// Moves the time to `to`; a time that has passed already is left alone, since no clock goes back.
    pub fn advance_to(&self, to: Timestamp) {
        self.nanos.fetch_max(to.as_nanos(), Ordering::Relaxed);
    }
}

impl Clock for ManualClock {
    #[inline]
    fn now(&self) -> Timestamp {
        Timestamp::from_nanos(self.nanos.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_coarse_time_has_the_origin_of_the_fine_one() {
        let clock = RealClock::new();
        // Far more than a delayed tick, far less than the age of the machine, which an origin that was
        // forgotten would give.
        let slack = Duration::from_secs(5);
        let before = clock.now();
        let coarse = clock.coarse();
        let after = clock.now();
        assert!(
            coarse.saturating_add(slack) >= before,
            "{coarse:?} is behind {before:?}"
        );
        assert!(
            coarse <= after.saturating_add(slack),
            "{coarse:?} is ahead of {after:?}"
        );
    }
}
