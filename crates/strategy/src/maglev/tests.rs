use proptest::prelude::*;
use proptest::strategy::Strategy as _;

use super::*;
use crate::testing::{counts, members};
use crate::{Member, Strategy};

fn table_of(members: &[Member], size: u32) -> Vec<u32> {
    fill(members, &MemberSet::new(members).unwrap(), size)
}

fn table(members: &[Member]) -> Vec<u32> {
    table_of(members, 65_537)
}

fn shares(table: &[u32], count: usize) -> Vec<u32> {
    let mut shares = vec![0; count];
    for &index in table {
        shares[index as usize] += 1;
    }
    shares
}

#[test]
fn equal_members_hold_equal_shares_to_within_one_entry() {
    let shares = shares(&table(&members(&[1; 100])), 100);
    assert!(
        shares.iter().all(|share| (655..=656).contains(share)),
        "{shares:?}"
    );
}

#[test]
fn unequal_members_hold_shares_by_weight() {
    let shares = shares(&table(&members(&[1, 2, 0, 5])), 4);
    for (share, expected) in shares.iter().zip([8_192_u32, 16_384, 0, 40_961]) {
        assert!(share.abs_diff(expected) <= 2, "{shares:?}");
    }
}

#[test]
fn the_lightest_beside_the_heaviest_still_holds_an_entry() {
    let shares = shares(&table(&members(&[1, u32::MAX, 0])), 3);
    assert_eq!(shares, [1, 65_536, 0]);
}

#[test]
fn one_giant_among_many_does_not_make_every_round_ask_everybody() {
    // Asking a thousand in each of a million rounds would take this test a minute.
    let mut weights = [1; 1_000];
    weights[500] = u32::MAX;
    let shares = shares(&table_of(&members(&weights), 1_000_003), 1_000);
    for (index, &share) in shares.iter().enumerate() {
        assert_eq!(share, if index == 500 { 999_004 } else { 1 }, "{index}");
    }
}

#[test]
fn a_light_member_has_its_turns_between_those_of_the_heavy_and_not_after_them() {
    let weights = [1_u32, 3, 2];
    let shares = |size| shares(&table_of(&members(&weights), size), 3);
    // Two rounds in, and many rounds in: everyone has its share, give or take the first turn.
    for size in [7_u32, 61, 601, 6_007] {
        for (share, weight) in shares(size).iter().zip(weights) {
            assert!(
                share.abs_diff(size * weight / 6) <= 1,
                "{size}: {:?}",
                shares(size)
            );
        }
    }
}

#[test]
fn the_order_of_discovery_changes_nothing() {
    let forward = members(&[1; 20]);
    let backward: Vec<Member> = forward.iter().rev().cloned().collect();
    let (a, b) = (table(&forward), table(&backward));
    assert!(a.iter().zip(&b).all(|(a, b)| *a == 19 - *b));
}

#[test]
fn a_table_that_is_no_prime_is_refused_by_name() {
    for table_size in [0, 65_536, 65_539 * 2, u32::MAX] {
        let config = MaglevConfig {
            table_size,
            ..MaglevConfig::default()
        };
        let error = Maglev::new(config).unwrap_err();
        assert!(error.to_string().contains("table_size"), "{error}");
    }
    let config = MaglevConfig {
        table_size: 5_000_011,
        ..MaglevConfig::default()
    };
    assert!(Maglev::new(config).is_ok());
}

#[test]
fn more_members_than_entries_is_an_error() {
    let config = MaglevConfig {
        table_size: 251,
        ..MaglevConfig::default()
    };
    let strategy = Maglev::new(config).unwrap();
    let error = strategy
        .build(&BuildContext::new(&members(&[1; 252])))
        .unwrap_err();
    assert!(matches!(error, BuildError::TooManyMembers { limit: 251, .. }));
}

#[test]
fn keys_spread_as_the_table_says() {
    let counts = counts(&Maglev::default(), &members(&[1, 3]), 40_000);
    assert!((9_600..=10_400).contains(&counts[0]), "{counts:?}");
}

/// Tables, each built upon the one before, while members come, go and change their weights.
fn history(keep_previous: bool, stages: &[Vec<u32>]) -> Vec<(Vec<Member>, Arc<dyn Picker>)> {
    let config = MaglevConfig {
        table_size: 1_021,
        keep_previous,
    };
    let strategy = Maglev::new(config).unwrap();
    let mut history: Vec<(Vec<Member>, Arc<dyn Picker>)> = Vec::new();
    for weights in stages {
        // Who has no weight has left.
        let mut members = members(weights);
        members.retain(|member| member.weight() > 0);
        let context = BuildContext::new(&members);
        let context = match history.last() {
            Some((_, previous)) => context.with_previous(previous),
            None => context,
        };
        let picker = strategy.build(&context).unwrap();
        history.push((members, picker));
    }
    history
}

/// Who holds each entry.
fn holders((members, picker): &(Vec<Member>, Arc<dyn Picker>)) -> Vec<BackendId> {
    let picker: &dyn std::any::Any = &**picker;
    let table = &picker.downcast_ref::<MaglevPicker>().unwrap().table;
    let id = |&index: &u32| members[index as usize].id().clone();
    table.iter().map(id).collect()
}

fn count<'a>(holders: impl IntoIterator<Item = &'a BackendId>, id: &BackendId) -> usize {
    holders.into_iter().filter(|holder| *holder == id).count()
}

fn stages() -> impl proptest::strategy::Strategy<Value = Vec<Vec<u32>>> {
    let weight = prop::sample::select(vec![0_u32, 0, 1, 1, 1, 2, 7, 1_000]);
    let weights = prop::collection::vec(weight, 1..30);
    let anybody = |weights: &Vec<u32>| weights.iter().any(|&weight| weight > 0);
    prop::collection::vec(weights.prop_filter("nobody", anybody), 2..5)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn with_the_previous_table_only_what_must_moves_and_shares_stay_those_of_a_new_one(stages in stages()) {
        let history = history(true, &stages);
        for pair in history.windows(2) {
            let (before, after) = (holders(&pair[0]), holders(&pair[1]));
            let fresh = Maglev::new(MaglevConfig { table_size: 1_021, keep_previous: false }).unwrap();
            let fresh = fresh.build(&BuildContext::new(&pair[1].0)).unwrap();
            let fresh = holders(&(pair[1].0.clone(), fresh));
            let mut could_stay = 0;
            for member in &pair[1].0 {
                let due = count(&fresh, member.id());
                prop_assert_eq!(count(&after, member.id()), due);
                could_stay += due.min(count(&before, member.id()));
            }
            let stayed = before.iter().zip(&after).filter(|(a, b)| a == b).count();
            prop_assert_eq!(stayed, could_stay);
        }
    }

    #[test]
    fn clients_with_different_pasts_agree_unless_told_otherwise(stages in stages()) {
        let last = stages.last().cloned();
        let long = history(false, &stages);
        let short = history(false, last.as_slice());
        prop_assert_eq!(long.last().map(holders), short.last().map(holders));
    }
}

#[test]
fn a_rebuild_for_the_same_members_takes_the_table_over_and_for_others_does_not() {
    let tables = |stages: &[Vec<u32>]| {
        let history = history(false, stages);
        let table = |(_, picker): &(_, Arc<dyn Picker>)| {
            let picker: &dyn std::any::Any = &**picker;
            Arc::clone(&picker.downcast_ref::<MaglevPicker>().unwrap().table)
        };
        history.iter().map(table).collect::<Vec<_>>()
    };
    let same = tables(&[vec![1, 2, 3], vec![1, 2, 3]]);
    assert!(Arc::ptr_eq(&same[0], &same[1]));
    let other_weight = tables(&[vec![1, 2, 3], vec![1, 2, 4]]);
    assert_ne!(other_weight[0], other_weight[1]);
    let other_member = tables(&[vec![1, 1, 0], vec![1, 0, 1]]);
    assert_ne!(other_member[0], other_member[1]);
}

#[test]
fn a_table_of_another_size_is_not_taken_over() {
    let members = members(&[1; 5]);
    let with_size = |table_size| {
        Maglev::new(MaglevConfig {
            table_size,
            keep_previous: true,
        })
        .unwrap()
    };
    let small = with_size(251).build(&BuildContext::new(&members)).unwrap();
    let context = BuildContext::new(&members).with_previous(&small);
    let large = with_size(65_537).build(&context).unwrap();
    assert_eq!(holders(&(members, large)).len(), 65_537);
}
