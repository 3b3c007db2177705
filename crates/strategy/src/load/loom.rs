//! Every interleaving of two threads at one cell.

use std::sync::Arc;

use ::loom::{model, thread};

use super::*;

const NOW: Timestamp = Timestamp::ZERO;
const LATER: Timestamp = Timestamp::from_nanos(1_000);

#[test]
fn loom_no_request_is_counted_twice_or_lost() {
    model(|| {
        let cell = Arc::new(LoadCell::new());
        let other = {
            let cell = Arc::clone(&cell);
            thread::spawn(move || {
                cell.begin();
                cell.release();
            })
        };
        cell.begin();
        other.join().unwrap();
        assert_eq!(cell.in_flight(), 1);
        cell.release();
        assert_eq!(cell.in_flight(), 0);
    });
}

#[test]
fn loom_an_end_too_many_hurts_nobody_else_for_long() {
    model(|| {
        let cell = Arc::new(LoadCell::new());
        let other = {
            let cell = Arc::clone(&cell);
            thread::spawn(move || cell.release())
        };
        cell.begin();
        other.join().unwrap();
        // It took the other's count, or none; never did it leave 2^32.
        assert!(cell.in_flight() <= 1);
    });
}

#[test]
fn loom_two_ends_too_many_at_once_leave_no_count_behind() {
    model(|| {
        let cell = Arc::new(LoadCell::new());
        let others = [0, 1].map(|_| {
            let cell = Arc::clone(&cell);
            thread::spawn(move || cell.release())
        });
        // Nobody ever sees more in flight than has begun.
        assert_eq!(cell.in_flight(), 0);
        for other in others {
            other.join().unwrap();
        }
        assert_eq!(cell.in_flight(), 0);
    });
}

#[test]
fn loom_an_end_too_many_beside_a_whole_request_leaves_no_request_behind() {
    model(|| {
        let cell = Arc::new(LoadCell::new());
        let other = {
            let cell = Arc::clone(&cell);
            thread::spawn(move || cell.release())
        };
        cell.begin();
        cell.release();
        other.join().unwrap();
        assert_eq!(cell.in_flight(), 0);
    });
}

#[test]
fn loom_a_probe_and_an_ejection_at_once_both_stay() {
    model(|| {
        let cell = Arc::new(LoadCell::new());
        let other = {
            let cell = Arc::clone(&cell);
            thread::spawn(move || cell.set_readiness(Readiness::Degraded))
        };
        cell.eject_until(LATER);
        other.join().unwrap();
        assert_eq!(cell.readiness(NOW), Readiness::Ejected);
        assert_eq!(cell.readiness(LATER), Readiness::Degraded);
    });
}

#[test]
fn loom_of_two_ejections_the_longer_holds() {
    model(|| {
        let cell = Arc::new(LoadCell::new());
        let other = {
            let cell = Arc::clone(&cell);
            thread::spawn(move || cell.eject_until(LATER))
        };
        cell.eject_until(Timestamp::from_nanos(16));
        other.join().unwrap();
        assert_eq!(cell.readiness(Timestamp::from_nanos(900)), Readiness::Ejected);
    });
}

#[test]
fn loom_a_success_is_counted_once_beside_whatever_begins_and_ends() {
    model(|| {
        let cell = Arc::new(LoadCell::new());
        cell.begin();
        let others = [
            {
                let cell = Arc::clone(&cell);
                thread::spawn(move || cell.succeed(5, NOW))
            },
            {
                let cell = Arc::clone(&cell);
                thread::spawn(move || {
                    cell.begin();
                    cell.succeed(5, NOW)
                })
            },
        ];
        assert!(cell.in_flight() <= 2);
        let mut counts = others.map(|other| other.join().unwrap());
        counts.sort_unstable();
        assert_eq!(counts, [1, 2], "each success has a number of its own");
        assert_eq!((cell.in_flight(), cell.successes()), (0, 2));
    });
}
