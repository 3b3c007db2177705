#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use evenkeel_strategy::{RoundRobin, WeightedRoundRobin, WeightedRoundRobinConfig};

use super::*;

const RETRY: Retry = Retry {
    attempts: 1,
    backoff: Backoff {
        first: Duration::from_millis(100),
        longest: Duration::from_secs(1),
    },
};

fn targets(count: u16) -> Vec<Target> {
    (1..=count)
        .map(|port| Target::from(std::net::SocketAddr::from(([127, 0, 0, 1], port))))
        .collect()
}

fn book(count: u16, per_address: Option<usize>) -> AddressBook {
    let mut book = AddressBook::new(Arc::new(RoundRobin), per_address, RETRY);
    book.replace(targets(count), &[], Timestamp::ZERO, 0).unwrap();
    book
}

fn dial(book: &mut AddressBook, now: Timestamp) -> Chosen {
    match book.select_address(now, 7) {
        Choice::Dial(chosen) => chosen,
        other => panic!("{other:?}"),
    }
}

fn fail(book: &mut AddressBook, chosen: &Chosen, now: Timestamp) -> bool {
    book.failed(chosen, Duration::ZERO, now, &mut fastrand::Rng::with_seed(1))
}

#[test]
fn an_address_at_its_limit_is_passed_over() {
    let mut book = book(2, Some(1));
    let first = dial(&mut book, Timestamp::ZERO);
    let second = dial(&mut book, Timestamp::ZERO);
    assert_ne!(first.address.target, second.address.target);
    assert!(matches!(book.select_address(Timestamp::ZERO, 7), Choice::Nowhere));
    book.given_up(&first);
    assert_eq!(
        dial(&mut book, Timestamp::ZERO).address.target,
        first.address.target
    );
}

#[test]
fn a_failing_address_pauses_and_is_then_probed_one_at_a_time() {
    let mut book = book(1, None);
    let chosen = dial(&mut book, Timestamp::ZERO);
    assert!(!fail(&mut book, &chosen, Timestamp::ZERO));
    let Choice::Later(at) = book.select_address(Timestamp::ZERO, 7) else {
        panic!("no pause after a failure");
    };
    let probe = dial(&mut book, at);
    assert!(
        matches!(book.select_address(at, 7), Choice::Nowhere),
        "a second probe"
    );
    assert!(
        fail(&mut book, &probe, at),
        "two failures with one retry prove it dead"
    );
    assert!(book.all_dead());
}

#[test]
fn dials_that_fail_together_are_one_failure() {
    let mut book = book(1, None);
    let dials: Vec<_> = (0..5).map(|_| dial(&mut book, Timestamp::ZERO)).collect();
    for chosen in &dials {
        assert!(!fail(&mut book, chosen, Timestamp::ZERO));
    }
    assert!(!book.all_dead(), "one outage was counted five times");
}

#[test]
fn one_dead_address_of_two_is_no_outage_and_the_other_is_dialled_at_once() {
    let mut book = book(2, None);
    let dead = dial(&mut book, Timestamp::ZERO);
    fail(&mut book, &dead, Timestamp::ZERO);
    for _ in 0..4 {
        assert_ne!(
            dial(&mut book, Timestamp::ZERO).address.target,
            dead.address.target
        );
    }
    assert!(!book.all_dead());
}

#[test]
fn a_success_ends_the_pause() {
    let mut book = book(1, None);
    let (slow, quick) = (dial(&mut book, Timestamp::ZERO), dial(&mut book, Timestamp::ZERO));
    fail(&mut book, &quick, Timestamp::ZERO);
    assert_eq!(
        book.opened(&slow, Duration::ZERO, Timestamp::ZERO),
        (true, 0),
        "it had been failing"
    );
    dial(&mut book, Timestamp::ZERO);
}

#[test]
fn weights_are_followed() {
    let mut book = AddressBook::new(
        Arc::new(WeightedRoundRobin::new(WeightedRoundRobinConfig::default()).unwrap()),
        None,
        RETRY,
    );
    book.replace(targets(2), &[3, 1], Timestamp::ZERO, 0).unwrap();
    for _ in 0..40 {
        dial(&mut book, Timestamp::ZERO);
    }
    let counts: Vec<_> = book.counts().map(|(_, connections)| connections).collect();
    assert_eq!(counts, [30, 10]);
}

#[test]
fn what_stays_keeps_its_counts_and_what_goes_is_told() {
    let mut book = book(2, None);
    let dials = [dial(&mut book, Timestamp::ZERO), dial(&mut book, Timestamp::ZERO)];
    let stays = dials
        .iter()
        .find(|chosen| chosen.address.target == targets(1)[0])
        .unwrap();
    let goes = dials
        .iter()
        .find(|chosen| chosen.address.target != targets(1)[0])
        .unwrap();
    book.replace(targets(1), &[], Timestamp::ZERO, 0).unwrap();
    assert_eq!(book.counts().map(|(_, n)| n).collect::<Vec<_>>(), [1]);
    assert_eq!(book.standing(&stays.address, stays.generation), Standing::Good);
    assert_eq!(book.standing(&goes.address, goes.generation), Standing::Removed);
    assert!(book.invalidate(&stays.address.target));
    assert_eq!(
        book.standing(&stays.address, stays.generation),
        Standing::Invalidated
    );
}

#[test]
fn bad_addresses_are_refused_by_name_and_change_nothing() {
    let mut book = book(2, None);
    let twice = [targets(1), targets(1)].concat();
    let no_port = Target::from(std::net::SocketAddr::from(([127, 0, 0, 1], 0)));
    let cases: [(Vec<Target>, &[u32], &str); 5] = [
        (Vec::new(), &[], "addresses"),
        (twice, &[], "addresses"),
        (vec![no_port], &[], "addresses"),
        (targets(2), &[1], "weights"),
        (targets(2), &[0, 0], "weights"),
    ];
    for (targets, weights, field) in cases {
        let error = book.replace(targets, weights, Timestamp::ZERO, 0).unwrap_err();
        assert!(error.to_string().starts_with(field), "{error}");
        assert_eq!(book.counts().count(), 2);
    }
}
