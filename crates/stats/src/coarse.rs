//! A cheaper clock for those who can do with milliseconds.

use std::sync::OnceLock;

use coarsetime::Instant;

use crate::{Clock, Timestamp};

/// A clock that is cheaper to read than [`RealClock`](crate::RealClock) and moves in steps.
///
/// It is the time of the kernel's last timer tick (`CLOCK_MONOTONIC_COARSE` on Linux, its like
/// elsewhere): a read costs about half of `RealClock`'s, and the time lags by up to a tick, 1 to 10 ms,
/// 4 on most machines. Right for idle time-outs, windows and averages over seconds, useless for the
/// latency of a request.
///
/// All of a process's coarse clocks share one origin, which is not `RealClock`'s;
/// [`Clock::coarse`] of a `RealClock` gives the same time from that clock's origin.
///
/// ```
/// use std::time::Duration;
/// use evenkeel_stats::{Clock, CoarseClock};
///
/// let clock = CoarseClock::new();
/// let opened = clock.now();
/// assert!(clock.now().since(opened) < Duration::from_secs(60));
/// ```
#[derive(Clone, Debug)]
pub struct CoarseClock {
    origin: Instant,
}

impl CoarseClock {
    /// The process's coarse clock.
    #[must_use]
    pub fn new() -> Self {
        static CLOCK: OnceLock<CoarseClock> = OnceLock::new();
        CLOCK.get_or_init(Self::starting_now).clone()
    }

    /// One whose origin is this moment.
    pub(crate) fn starting_now() -> Self {
        Self {
            origin: Instant::now_without_cache_update(),
        }
    }
}

impl Default for CoarseClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for CoarseClock {
    #[inline]
    fn now(&self) -> Timestamp {
        let since = Instant::now_without_cache_update().duration_since(self.origin);
        Timestamp::from_nanos(since.as_nanos())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_moves_and_never_back() {
        let clock = CoarseClock::new();
        let start = clock.now();
        let mut last = start;
        // Two steps, however long the machine takes for them.
        for _ in 0..2 {
            let before = last;
            while last == before {
                let now = clock.now();
                assert!(now >= last);
                last = now;
            }
        }
    }
}
