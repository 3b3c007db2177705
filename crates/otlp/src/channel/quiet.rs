//! [`Quiet`]: leaves a collector alone for as long as it asked.
//!
//! The balancer moves the load away by itself, but not all of it: a strategy in turns comes by again, one request
//! a second finds out whether a slow backend is well, and when all look sick all are asked. The specification
//! says that what a server asked for MUST be honoured.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use evenkeel::balancer::{Classification, Outcome, Retry};
use tokio::time::Instant;

use super::attempt::{AttemptError, Kind};

/// The most that is believed, so that a collector's mistake does not silence us for ever.
const MOST: Duration = Duration::from_secs(300);

/// Until when a collector wants no requests.
#[derive(Debug)]
pub(super) struct Quiet {
    began: Instant,
    /// In microseconds since then; zero if it never asked.
    until: AtomicU64,
}

impl Quiet {
    pub(super) fn new() -> Self {
        Self {
            began: Instant::now(),
            until: AtomicU64::new(0),
        }
    }

    /// It asks to be left alone for so long from now on.
    pub(super) fn begin(&self, asked: Duration) {
        let until = self.began.elapsed() + asked.min(MOST);
        self.until.fetch_max(micros(until), Ordering::Relaxed);
    }

    /// How long it still wants to be left alone.
    pub(super) fn left(&self) -> Option<Duration> {
        let until = self.until.load(Ordering::Relaxed);
        // The clock is read only for who has ever asked.
        let left = (until > 0).then(|| until.checked_sub(micros(self.began.elapsed())))??;
        (left > 0).then(|| Duration::from_micros(left))
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// Why a request was not sent, in words.
pub(crate) const QUIET: &str = "it has asked to be left alone";

/// The request is not sent; another collector may have it.
pub(super) fn refused(left: Duration) -> Box<AttemptError> {
    let verdict = Classification::new(Outcome::Cancelled, Retry::Unsent);
    AttemptError::new(Kind::Quiet(left), verdict)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_ends_when_it_was_to_end_and_the_longest_counts() {
        let quiet = Quiet::new();
        assert_eq!(quiet.left(), None);
        tokio::time::advance(Duration::from_secs(5)).await;
        quiet.begin(Duration::from_secs(10));
        quiet.begin(Duration::from_secs(2));
        assert_eq!(quiet.left(), Some(Duration::from_secs(10)));
        tokio::time::advance(Duration::from_millis(9_999)).await;
        assert_eq!(quiet.left(), Some(Duration::from_millis(1)));
        tokio::time::advance(Duration::from_millis(1)).await;
        assert_eq!(quiet.left(), None);
        quiet.begin(Duration::MAX);
        assert_eq!(quiet.left(), Some(MOST));
    }
}
