//! A cheaper clock for those who can do with milliseconds.

use std::time::Duration;

use crate::{Clock, Timestamp};

/// A clock that is cheaper to read than [`RealClock`](crate::RealClock) and moves in steps.
///
/// On Linux it is `CLOCK_MONOTONIC_COARSE`, the time of the kernel's last timer tick: a read costs
/// less than half of `RealClock`'s, and the time lags by up to [`resolution`](Self::resolution), 1 to 10 ms (4
/// on most machines). Right for idle time-outs, windows and averages over seconds; useless for the
/// latency of a request. Its origin is the machine's start, so its times do not compare with another
/// clock's; [`Clock::coarse`] of a `RealClock` gives the same time from that clock's origin.
///
/// Elsewhere it is a `RealClock`.
///
/// ```
/// use std::time::Duration;
/// use evenkeel_stats::{Clock, CoarseClock};
///
/// let clock = CoarseClock::new();
/// let opened = clock.now();
/// assert!(clock.now().since(opened) < Duration::from_secs(60));
/// ```
#[derive(Clone, Debug, Default)]
pub struct CoarseClock {
    #[cfg(not(target_os = "linux"))]
    real: crate::RealClock,
}

impl CoarseClock {
    /// The machine's coarse clock. Costs nothing on Linux, so no one needs to share it.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

#[cfg(target_os = "linux")]
mod linux {
    use nix::sys::time::TimeSpec;
    use nix::time::ClockId;

    use super::{Clock, CoarseClock, Duration, Timestamp};

    const COARSE: ClockId = ClockId::CLOCK_MONOTONIC_COARSE;

    impl CoarseClock {
        /// How long a step is: the kernel's timer tick.
        #[must_use]
        pub fn resolution(&self) -> Duration {
            Duration::from_nanos(COARSE.res().map_or(0, nanos))
        }
    }

    impl Clock for CoarseClock {
        #[inline]
        fn now(&self) -> Timestamp {
            // Never fails: every Linux since 2.6.32 has this clock.
            Timestamp::from_nanos(COARSE.now().map_or(0, nanos))
        }
    }

    /// A monotonic clock is never negative and reaches 2^64 ns after 584 years.
    #[inline]
    fn nanos(time: TimeSpec) -> u64 {
        (time.tv_sec() as u64)
            .wrapping_mul(1_000_000_000)
            .wrapping_add(time.tv_nsec() as u64)
    }
}

#[cfg(not(target_os = "linux"))]
mod elsewhere {
    use super::{Clock, CoarseClock, Duration, Timestamp};

    impl CoarseClock {
        /// How long a step is.
        #[must_use]
        pub fn resolution(&self) -> Duration {
            Duration::from_nanos(1)
        }
    }

    impl Clock for CoarseClock {
        #[inline]
        fn now(&self) -> Timestamp {
            self.real.now()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_moves_in_steps_of_its_resolution_and_never_back() {
        let clock = CoarseClock::new();
        assert!(clock.resolution() > Duration::ZERO);
        let mut last = clock.now();
        // Until it has moved, however loaded the machine is.
        let start = last;
        while last.nanos_since(start) < 2 * clock.resolution().as_nanos() as u64 {
            let now = clock.now();
            assert!(now >= last);
            last = now;
        }
    }
}
