//! What moves when a member goes, for the hashing strategies.

use std::sync::Arc;

use evenkeel_stats::Timestamp;
use evenkeel_strategy::{
    BuildContext, Maglev, MaglevConfig, Member, PickContext, Picker, Readiness, Rendezvous, RingHash,
    RingHashConfig, Strategy,
};

use crate::all::{Words, members};

/// For each of so many keys, the id it goes to; and the picker, for the next build.
fn homes_after(
    previous: Option<&Arc<dyn Picker>>,
    strategy: &dyn Strategy,
    members: &[Member],
    keys: u64,
) -> (Vec<String>, Arc<dyn Picker>) {
    let context = BuildContext::new(members);
    let context = previous.map_or(context, |previous| context.with_previous(previous));
    let picker = strategy.build(&context).unwrap();
    let mut words = Words(0);
    let homes = (0..keys)
        .map(|k| {
            let context = PickContext::new(Timestamp::ZERO, k).with_hash(words.next());
            members[picker.pick(&context).unwrap()].id().to_string()
        })
        .collect();
    (homes, picker)
}

fn homes(strategy: &dyn Strategy, members: &[Member], keys: u64) -> Vec<String> {
    homes_after(None, strategy, members, keys).0
}

const KEYS: u64 = 40_000;

/// Of the keys, how many move though neither the member they leave nor the one they go to has changed;
/// and how many move in all.
fn moved(strategy: &dyn Strategy, before: &[Member], after: &[Member]) -> (f64, f64) {
    let (from, picker) = homes_after(None, strategy, before, KEYS);
    let (to, _) = homes_after(Some(&picker), strategy, after, KEYS);
    let weight = |members: &[Member], id: &str| {
        let found = members.iter().find(|member| member.id().as_str() == id);
        found.map_or(0, Member::weight)
    };
    let has_changed = |id: &String| weight(before, id) != weight(after, id);
    let pairs = || from.iter().zip(&to).filter(|(a, b)| a != b);
    let needlessly = pairs()
        .filter(|(a, b)| !has_changed(a) && !has_changed(b))
        .count();
    (
        needlessly as f64 / KEYS as f64,
        pairs().count() as f64 / KEYS as f64,
    )
}

/// So many members, and the same without one.
fn one_goes(count: usize, gone: usize) -> (Vec<Member>, Vec<Member>) {
    let all = members(&vec![1; count]);
    let mut rest = all.clone();
    // Not at the end: what counts is the name and not the index.
    rest.swap_remove(gone);
    (all, rest)
}

#[test]
fn on_a_ring_only_the_keys_of_the_one_that_went_move() {
    for (count, gone) in [(10, 0), (10, 5), (100, 0), (100, 50), (1_000, 500)] {
        let (all, rest) = one_goes(count, gone);
        for (before, after) in [(&all, &rest), (&rest, &all)] {
            let (needlessly, together) = moved(&RingHash::default(), before, after);
            assert_eq!(needlessly, 0.0);
            assert!(together <= 2.0 / count as f64, "{together} of {count}");
        }
    }
}

#[test]
fn a_change_of_one_weight_on_a_ring_moves_what_must_or_about_twice_that() {
    let config = RingHashConfig {
        unit: Some(1),
        ..RingHashConfig::default()
    };
    let with_unit = RingHash::new(config).unwrap();
    let weights: Vec<u32> = (0..40).map(|k| k % 4 + 1).collect();
    // The heaviest goes, a light one gets heavy, a heavy one gets light; of 100 in all.
    for (index, weight) in [(3, 0), (4, 5), (7, 1)] {
        let mut changed = weights.clone();
        changed[index] = weight;
        let (before, after) = (members(&weights), members(&changed));
        let must = f64::from(weights[index].abs_diff(weight)) / 100.0;
        let (needlessly, together) = moved(&with_unit, &before, &after);
        assert_eq!(needlessly, 0.0);
        assert!(together <= 1.5 * must, "{together} for {must}");
        let (_, together) = moved(&RingHash::default(), &before, &after);
        assert!(together <= 2.5 * must, "by the mean {together} for {must}");
    }
}

#[test]
fn under_rendezvous_exactly_one_share_moves() {
    for gone in [0, 13] {
        let (all, rest) = one_goes(20, gone);
        for (before, after) in [(&all, &rest), (&rest, &all)] {
            let (needlessly, together) = moved(&Rendezvous, before, after);
            assert_eq!(needlessly, 0.0);
            assert!((together - 0.05).abs() < 0.005, "{together}");
        }
    }
}

#[test]
fn a_new_maglev_table_keeps_all_but_twice_a_share_of_a_hundred() {
    for (count, gone) in [(10, 0), (10, 5), (100, 0), (100, 50)] {
        let (all, rest) = one_goes(count, gone);
        let (_, together) = moved(&Maglev::default(), &all, &rest);
        assert!(together <= 2.0 / count as f64, "{together} of {count}");
    }
    // A thousand have few entries each; the docs say how many shares move.
    let (all, rest) = one_goes(1_000, 500);
    let (_, together) = moved(&Maglev::default(), &all, &rest);
    assert!(together <= 8.0 / 1_000.0, "{together}");
}

#[test]
fn a_maglev_table_that_keeps_the_previous_one_moves_one_share_of_any_number() {
    let strategy = Maglev::new(MaglevConfig {
        keep_previous: true,
        ..MaglevConfig::default()
    });
    let strategy = strategy.unwrap();
    for (count, gone) in [(10, 5), (100, 50), (1_000, 0), (1_000, 500)] {
        let (all, rest) = one_goes(count, gone);
        for (before, after) in [(&all, &rest), (&rest, &all)] {
            let (_, together) = moved(&strategy, before, after);
            assert!(together <= 1.5 / count as f64, "{together} of {count}");
        }
    }
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
