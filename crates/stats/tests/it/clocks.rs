//! The clocks from outside.

use std::sync::Arc;
use std::time::Duration;

use evenkeel_stats::{Clock, CoarseClock, ManualClock, RealClock, Timestamp};

#[test]
fn no_clock_goes_back() {
    let manual = ManualClock::new();
    let clocks: [Arc<dyn Clock>; 3] = [
        Arc::new(RealClock::new()),
        Arc::new(CoarseClock::new()),
        Arc::new(manual.clone()),
    ];
    for clock in clocks {
        let mut last = clock.now();
        for _ in 0..10_000 {
            let now = clock.now();
            assert!(now >= last, "{clock:?}");
            last = now;
            manual.advance(Duration::from_nanos(1));
        }
    }
}

#[test]
fn clocks_of_one_process_share_their_origin() {
    let first = RealClock::new();
    let before = first.now();
    let second = RealClock::new();
    assert!(second.now() >= before);
    assert!(first.now() >= second.now().saturating_sub(Duration::from_secs(60)));
}

#[test]
fn a_clock_that_is_set_back_stays() {
    let clock = ManualClock::new();
    clock.advance_to(Timestamp::from_nanos(10));
    clock.advance_to(Timestamp::from_nanos(5));
    assert_eq!(clock.now(), Timestamp::from_nanos(10));
    clock.advance(Duration::MAX);
    assert_eq!(clock.now(), Timestamp::MAX);
}

#[cfg(feature = "tokio")]
#[tokio::test(start_paused = true)]
async fn tokios_paused_time_is_followed_exactly() {
    let clock = evenkeel_stats::TokioClock::new();
    assert_eq!(clock.now(), Timestamp::ZERO);
    tokio::time::advance(Duration::from_millis(1_500)).await;
    assert_eq!(clock.now(), Timestamp::from_nanos(1_500_000_000));
    let copy = clock;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(copy.now(), Timestamp::from_nanos(2_000_000_000));
}
