//! What moves when a member goes, for the hashing strategies.

use evenkeel_stats::Timestamp;
use evenkeel_strategy::{
    BuildContext, Maglev, Member, PickContext, Readiness, Rendezvous, RingHash, Strategy,
};

use crate::all::{Words, members};

/// For each of so many keys, the id it goes to.
fn homes(strategy: &dyn Strategy, members: &[Member], keys: u64) -> Vec<String> {
    let picker = strategy.build(&BuildContext::new(members)).unwrap();
    let mut words = Words(0);
    (0..keys)
        .map(|k| {
            let context = PickContext::new(Timestamp::ZERO, k).with_hash(words.next());
            members[picker.pick(&context).unwrap()].id().to_string()
        })
        .collect()
}

/// Of the keys, how many move though their member stays; and how many move in all.
fn moved(strategy: &dyn Strategy, count: usize, gone: usize) -> (f64, f64) {
    const KEYS: u64 = 40_000;
    let all = members(&vec![1; count]);
    let before = homes(strategy, &all, KEYS);
    let lost = all[gone].id().to_string();
    let mut rest = all.clone();
    // Not at the end: what counts is the name and not the index.
    rest.swap_remove(gone);
    let after = homes(strategy, &rest, KEYS);
    let pairs = || before.iter().zip(&after);
    let needlessly = pairs().filter(|(a, b)| a != b && **a != lost).count();
    let together = pairs().filter(|(a, b)| a != b).count();
    (needlessly as f64 / KEYS as f64, together as f64 / KEYS as f64)
}

#[test]
fn on_a_ring_only_the_keys_of_the_one_that_went_move() {
    for count in [10, 100] {
        for gone in [0, count / 2] {
            let (needlessly, together) = moved(&RingHash::default(), count, gone);
            assert_eq!(needlessly, 0.0);
            assert!(together <= 2.0 / count as f64, "{together} of {count}");
        }
    }
}

#[test]
fn under_rendezvous_exactly_one_share_moves() {
    for gone in [0, 13] {
        let (needlessly, together) = moved(&Rendezvous, 20, gone);
        assert_eq!(needlessly, 0.0);
        assert!((together - 0.05).abs() < 0.005, "{together}");
    }
}

#[test]
fn maglev_keeps_all_but_twice_a_share() {
    for count in [10, 100] {
        for gone in [0, count / 2] {
            let (_, together) = moved(&Maglev::default(), count, gone);
            assert!(together <= 2.0 / count as f64, "{together} of {count}");
        }
    }
}

#[test]
fn a_thousand_members_keep_their_keys() {
    let (_, together) = moved(&RingHash::default(), 1_000, 500);
    assert!(together <= 2.0 / 1_000.0, "{together}");
    // Maglev has few entries for so many; its docs say how many shares move.
    let (_, together) = moved(&Maglev::default(), 1_000, 500);
    assert!(together <= 8.0 / 1_000.0, "{together}");
}

#[test]
fn a_sick_members_keys_go_to_the_same_place_each_time_and_come_back() {
    let strategies: [&dyn Strategy; 3] = [&RingHash::default(), &Maglev::default(), &Rendezvous];
    for strategy in strategies {
        let members = members(&[1; 8]);
        let before = homes(strategy, &members, 2_000);
        members[3].load().set_readiness(Readiness::Ejected);
        let during = homes(strategy, &members, 2_000);
        assert_eq!(during, homes(strategy, &members, 2_000));
        for (a, b) in before.iter().zip(&during) {
            assert!(
                a == b || a == "3",
                "{strategy:?} moved a key of {a}, which is well"
            );
        }
        members[3].load().set_readiness(Readiness::Ready);
        assert_eq!(before, homes(strategy, &members, 2_000));
    }
}
