//! Every order in which two or three threads can meet in the hand-written atomics.
//!
//! `RUSTFLAGS="--cfg evenkeel_loom" cargo test -p evenkeel-stats --release --lib loom`

use std::time::Duration;

use loom::sync::Arc;
use loom::thread;

use crate::extremes::Extremes;
use crate::{Ewma, PeakEwma, Timestamp, WindowCounter};

fn at(millis: u64) -> Timestamp {
    Timestamp::from_nanos(millis * 1_000_000)
}

/// Runs `first` and `second` in threads of their own and `third` here, in every order.
fn race<T: Send + Sync + 'static>(
    new: impl Fn() -> T + Send + Sync + 'static,
    first: fn(&T),
    second: fn(&T),
    third: fn(&T),
    check: fn(&T),
) {
    loom::model(move || {
        let shared = Arc::new(new());
        let threads = [first, second].map(|run| {
            let shared = Arc::clone(&shared);
            thread::spawn(move || run(&shared))
        });
        third(&shared);
        for thread in threads {
            thread.join().unwrap();
        }
        check(&shared);
    });
}

fn nothing<T>(_: &T) {}

#[test]
fn a_peak_is_never_overwritten_by_what_it_tops() {
    race(
        || PeakEwma::new(Duration::from_secs(10)).unwrap(),
        |average| average.record(7.0, at(5)),
        |average| average.record(10.0, at(5)),
        |average| average.record(3.0, at(5)),
        |average| assert_eq!(average.value(at(5)), Some(10.0)),
    );
}

#[test]
fn an_average_is_that_of_some_order_of_its_samples() {
    fn new() -> Ewma {
        let average = Ewma::new(Duration::from_millis(1)).unwrap();
        average.record(8.0, at(1));
        average
    }
    race(
        new,
        |average| average.record(2.0, at(2)),
        |average| average.record(4.0, at(3)),
        |average| {
            let value = average.last().unwrap();
            assert!((2.0..=8.0).contains(&value), "torn: {value}");
        },
        |average| {
            let weight = 1.0 - (-1.0_f64).exp();
            let two = 8.0 + (2.0 - 8.0) * weight;
            let both = two + (4.0 - two) * weight;
            // The sample of time 2 after that of time 3 has no weight any more.
            let four = 8.0 + (4.0 - 8.0) * (1.0 - (-2.0_f64).exp());
            let value = average.last().unwrap();
            assert!([both, four].iter().any(|v| (v - value).abs() < 1e-2), "{value}");
        },
    );
}

#[test]
fn the_first_sample_is_one_of_those_that_race_to_be_it() {
    race(
        || Ewma::new(Duration::from_secs(1)).unwrap(),
        |average| average.record(2.0, at(1)),
        |average| average.record(4.0, at(1)),
        |average| assert!([None, Some(2.0), Some(4.0)].contains(&average.last())),
        |average| assert!([Some(2.0), Some(4.0)].contains(&average.last())),
    );
}

#[test]
fn a_reset_leaves_nothing_of_before_mixed_with_after() {
    race(
        || {
            let average = PeakEwma::new(Duration::from_secs(1)).unwrap();
            average.record(100.0, at(1));
            average
        },
        PeakEwma::reset,
        |average| average.record(200.0, at(1)),
        nothing,
        |average| assert!([None, Some(200.0)].contains(&average.last())),
    );
}

fn used_window() -> WindowCounter {
    let counter = WindowCounter::new(Duration::from_millis(2), 2).unwrap();
    counter.add(100, at(0));
    counter.add(100, at(1));
    counter
}

#[test]
fn no_count_is_lost_when_several_begin_a_slot() {
    race(
        used_window,
        |counter| counter.add(1, at(2)),
        |counter| counter.add(2, at(2)),
        |counter| counter.add(4, at(2)),
        // The slot of time 1 is still in the window.
        |counter| assert_eq!(counter.total(at(2)), 107),
    );
}

#[test]
fn no_count_is_lost_when_two_slots_begin_at_once() {
    race(
        used_window,
        |counter| counter.add(1, at(2)),
        |counter| counter.add(2, at(3)),
        |counter| counter.add(4, at(2)),
        |counter| assert_eq!(counter.total(at(3)), 7),
    );
}

#[test]
fn a_reader_never_sees_the_counts_of_an_older_round() {
    race(
        used_window,
        |counter| counter.add(1, at(2)),
        |counter| counter.add(2, at(2)),
        |counter| {
            let total = counter.total(at(2));
            assert!([100, 101, 102, 103].contains(&total), "{total}");
        },
        |counter| assert_eq!(counter.total(at(2)), 103),
    );
}

#[test]
fn a_straggler_of_the_last_round_takes_no_count_from_this_one() {
    race(
        used_window,
        // Looks at the slot of time 0 and may be held up until another has begun it anew.
        |counter| counter.add(1, at(0)),
        |counter| counter.add(2, at(2)),
        nothing,
        |counter| {
            let total = counter.total(at(2));
            assert!([102, 103].contains(&total), "{total}");
        },
    );
}

#[test]
fn the_first_counts_of_all_agree_on_when_it_began() {
    race(
        || WindowCounter::new(Duration::from_millis(20), 2).unwrap(),
        |counter| counter.add(1, at(10)),
        |counter| counter.add(1, at(20)),
        nothing,
        |counter| {
            assert_eq!(counter.total(at(25)), 2);
            assert_eq!(counter.covered(at(25)), Duration::from_millis(15));
        },
    );
}

#[test]
fn an_extreme_is_never_missed() {
    race(
        || {
            let extremes = Extremes::new();
            extremes.record(50);
            extremes
        },
        |extremes| {
            extremes.record(60);
            extremes.record(40);
        },
        |extremes| {
            extremes.record(30);
            extremes.record(70);
        },
        nothing,
        |extremes| assert_eq!((extremes.min(), extremes.max()), (30, 70)),
    );
}
