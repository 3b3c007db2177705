//! Sliding windows against a queue of everything that happened.

use std::collections::VecDeque;
use std::time::Duration;

use evenkeel_stats::{SuccessWindow, Timestamp, WindowCounter};
use proptest::prelude::*;

fn at(nanos: u64) -> Timestamp {
    Timestamp::from_nanos(nanos)
}

/// Everything that happened, by slot.
#[derive(Default)]
struct Model(VecDeque<(u64, u64)>);

impl Model {
    fn total(&self, now: u64, slot: u64, slots: u64) -> u64 {
        let last = now / slot;
        let within = |number: u64| number <= last && number + slots > last;
        self.0
            .iter()
            .filter(|(number, _)| within(*number))
            .map(|(_, count)| count)
            .sum()
    }
}

proptest! {
    #[test]
    fn totals_are_those_of_a_queue(
        slots in 2..20_u64,
        slot in 1..50_000_u64,
        start in 0..u64::MAX / 2,
        steps in prop::collection::vec((0..3_u64, 0..100_000_u64, 0..1_000_u64), 1..200),
    ) {
        let window = Duration::from_nanos(slot * slots);
        let counter = WindowCounter::new(window, slots as usize).unwrap();
        let mut model = Model::default();
        let mut now = start;
        for (factor, gap, count) in steps {
            // None, within a slot or two, or past the whole window.
            now += gap * factor * factor;
            counter.add(count, at(now));
            model.0.push_back((now / slot, count));
            let total = model.total(now, slot, slots);
            prop_assert_eq!(counter.total(at(now)), total);
            prop_assert_eq!(counter.series(at(now)).count(), slots as usize);
            let covered = counter.covered(at(now)).as_nanos() as u64;
            prop_assert!(slot <= covered && covered <= slot * slots, "{covered}");
            let rate = counter.per_second(at(now));
            prop_assert!((rate * covered as f64 * 1e-9 - total as f64).abs() <= total as f64 * 1e-9);
        }
        prop_assert_eq!(counter.total(at(now + slot * slots)), 0);
    }

    #[test]
    fn times_out_of_order_count_where_they_belong_or_not_at_all(
        slots in 2..10_u64,
        times in prop::collection::vec(0..5_000_u64, 1..100),
    ) {
        let slot = 100;
        let counter = WindowCounter::new(Duration::from_nanos(slot * slots), slots as usize).unwrap();
        let mut model = Model::default();
        for time in &times {
            counter.add(1, at(*time));
            model.0.push_back((time / slot, 1));
        }
        // From the newest on; what is older than its window was dropped.
        let newest = times.iter().max().copied().unwrap_or(0);
        for later in 0..=slots {
            let now = newest + later * slot;
            prop_assert_eq!(counter.total(at(now)), model.total(now, slot, slots));
        }
    }

    #[test]
    fn the_rate_is_that_of_the_outcomes_within_the_window(
        outcomes in prop::collection::vec((0..400_000_000_u64, any::<bool>()), 1..200),
    ) {
        let slot = 100_000_000;
        let window = SuccessWindow::new(Duration::from_secs(1), 10).unwrap();
        let (mut successes, mut failures) = (Model::default(), Model::default());
        let mut now = 0;
        for (gap, ok) in outcomes {
            now += gap;
            window.record(ok, at(now));
            let model = if ok { &mut successes } else { &mut failures };
            model.0.push_back((now / slot, 1));
            let (good, bad) = (successes.total(now, slot, 10), failures.total(now, slot, 10));
            prop_assert_eq!((window.successes(at(now)), window.failures(at(now))), (good, bad));
            prop_assert_eq!(window.samples(at(now)), good + bad);
            prop_assert_eq!(window.success_rate(at(now)), Some(good as f64 / (good + bad) as f64));
        }
        prop_assert_eq!(window.success_rate(at(now + 2_000_000_000)), None);
    }
}

const SECOND: u64 = 1_000_000_000;

fn ten_seconds() -> WindowCounter {
    WindowCounter::new(Duration::from_secs(10), 10).unwrap()
}

#[test]
fn settings_that_make_no_window_are_refused_by_name() {
    let refused = |window, slots| WindowCounter::new(window, slots).unwrap_err().to_string();
    assert_eq!(refused(Duration::ZERO, 10), "`window` must not be zero");
    assert_eq!(
        refused(Duration::from_secs(1), 0),
        "`slots` is 0, and must be from 2 to 1024"
    );
    assert_eq!(
        refused(Duration::from_secs(1), 1),
        "`slots` is 1, and must be from 2 to 1024"
    );
    assert!(refused(Duration::from_secs(1), 1025).starts_with("`slots` is 1025"));
    assert!(refused(Duration::from_nanos(9), 10).starts_with("`window` is 9ns, and must be from 10ns"));
    assert!(SuccessWindow::new(Duration::ZERO, 10).is_err());
}

#[test]
fn a_window_as_long_as_time_itself_works() {
    let counter = WindowCounter::new(Duration::MAX, 1024).unwrap();
    counter.add(1, Timestamp::ZERO);
    counter.add(1, Timestamp::MAX);
    assert!(counter.total(Timestamp::MAX) >= 1);
    assert!(counter.per_second(Timestamp::MAX).is_finite());
}

#[test]
fn a_count_beyond_the_slot_stops_there_and_spoils_no_neighbour() {
    let counter = ten_seconds();
    let most = (1 << 40) - 1;
    counter.add(u64::MAX, at(0));
    counter.add(5, at(1));
    counter.add(most, at(2));
    counter.add(7, at(SECOND));
    assert_eq!(counter.series(at(SECOND)).last(), Some(7));
    assert_eq!(counter.total(at(SECOND)), most + 7);
    // The slot is clean in the next round.
    counter.add(1, at(10 * SECOND));
    assert_eq!(counter.series(at(10 * SECOND)).last(), Some(1));
}

#[test]
fn an_idle_time_of_many_windows_leaves_nothing_behind() {
    for windows in [1, 2, 3, 1 << 12, (1 << 12) + 1, 1 << 20, (1 << 24) - (1 << 13)] {
        let counter = ten_seconds();
        counter.add(3, at(0));
        let later = windows * 10 * SECOND;
        assert_eq!(counter.total(at(later)), 0, "{windows}");
        counter.add(1, at(later));
        assert_eq!(counter.total(at(later)), 1, "{windows}");
    }
}

#[test]
fn a_cleared_window_holds_nothing_and_covers_what_comes_after() {
    let window = ten_seconds();
    window.add(5, at(3_000_000_000));
    window.add(5, at(8_000_000_000));
    window.clear();
    assert_eq!(window.total(at(8_000_000_000)), 0);
    window.add(2, at(8_500_000_000));
    assert_eq!(window.total(at(9_000_000_000)), 2);
    assert_eq!(window.covered(at(10_000_000_000)), Duration::from_secs(2));
}

#[test]
fn a_clock_that_starts_anywhere_loses_no_first_count() {
    for round in [0, 1, (1 << 24) - 1, 1 << 24, (1 << 24) - (1 << 11), (1 << 23) + 5] {
        let counter = ten_seconds();
        counter.add(2, at(round * 10 * SECOND));
        assert_eq!(counter.total(at(round * 10 * SECOND)), 2, "{round}");
    }
}

#[test]
fn a_rate_is_right_before_the_first_window_is_full() {
    let counter = ten_seconds();
    let start = 1_000_000 * SECOND;
    for i in 0..30 {
        counter.add(1, at(start + i * SECOND / 10));
    }
    assert_eq!(counter.per_second(at(start + 3 * SECOND)), 10.0);
    // Over less than a slot a rate would be noise.
    let young = ten_seconds();
    young.add(1, at(start));
    assert_eq!(young.per_second(at(start + 1)), 1.0);
}

#[test]
fn a_trend_takes_neither_the_slot_under_way_nor_the_one_it_began_in() {
    let counter = ten_seconds();
    // Half a second of 10 a second, then 10, 20, 30 … a second.
    counter.add(5, at(SECOND / 2));
    for second in 1..6 {
        counter.add(10 * second, at(second * SECOND));
        let trend = counter.trend(at(second * SECOND));
        assert_eq!(trend.is_some(), second >= 5, "{second}");
    }
    let trend = counter.trend(at(5 * SECOND + 1)).unwrap();
    assert!((trend.slope_per_second - 10.0).abs() < 1e-9, "{trend:?}");
    assert_eq!((trend.earlier, trend.recent), (15.0, 35.0));
    assert_eq!(ten_seconds().trend(at(SECOND)), None);
}

#[test]
fn no_count_is_lost_between_threads_over_many_slots() {
    let counter = WindowCounter::new(Duration::from_secs(1), 100).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for i in 0..9_000_u64 {
                    counter.add(1, at(i * 100_000));
                }
            });
        }
    });
    assert_eq!(counter.total(at(899_999_999)), 36_000);
}
