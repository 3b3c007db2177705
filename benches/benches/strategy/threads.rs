//! The same work on two threads at once.

use std::sync::Barrier;
use std::time::Duration;

use evenkeel_stats::{Clock, RealClock};

/// The time in which each of two threads does `work` so often, both at once: the mean of the two.
pub(crate) fn timed(iterations: u64, work: impl Fn() + Sync) -> Duration {
    let clock = RealClock::new();
    let start = Barrier::new(2);
    let run = || {
        start.wait();
        let begun = clock.now();
        for _ in 0..iterations {
            work();
        }
        clock.now().since(begun)
    };
    std::thread::scope(|scope| {
        let other = scope.spawn(run);
        let here = run();
        // A thread that panicked has told so itself.
        let there = other.join().unwrap_or(here);
        (here + there) / 2
    })
}
