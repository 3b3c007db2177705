//! The time a tokio runtime goes by.

use tokio::time::Instant;

use crate::{Clock, Timestamp};

/// tokio's clock, so that a test that pauses or advances tokio's time moves this one too.
///
/// Its origin is its creation; clones share it. Each read is a `std::time::Instant::now` (and under
/// tokio's `test-util` a lock), so outside of tests a [`RealClock`](crate::RealClock) is the better one.
///
/// Paused time belongs to one runtime: create and read the clock within it. Outside of any runtime it
/// reads the machine's time.
///
/// ```
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() {
/// use std::time::Duration;
/// use evenkeel_stats::{Clock, Timestamp, TokioClock};
///
/// let clock = TokioClock::new();
/// tokio::time::sleep(Duration::from_secs(3600)).await;
/// assert_eq!(clock.now(), Timestamp::from_nanos(3_600_000_000_000));
/// # }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct TokioClock {
    origin: Instant,
}

impl TokioClock {
    /// A clock that starts at zero now.
    #[must_use]
    pub fn new() -> Self {
        Self {
            origin: Instant::now(),
        }
    }
}

impl Default for TokioClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for TokioClock {
    #[inline]
    fn now(&self) -> Timestamp {
        // Saturates at zero should the origin be of a runtime whose time runs ahead.
        Timestamp::ZERO.saturating_add(Instant::now().saturating_duration_since(self.origin))
    }
}
