use evenkeel_stats::Outcome;

use super::*;
use crate::testing::{context, members};
use crate::{Member, Readiness};

const NOW: Timestamp = Timestamp::ZERO;

fn reply(in_flight: u32, millis: u64) -> ProbeReply {
    ProbeReply {
        in_flight,
        latency: Duration::from_millis(millis),
    }
}

/// A picker over members of which each has replied so.
fn picker(config: PrequalConfig, replies: &[(u32, u64)]) -> (Vec<Member>, ProbePool, Arc<dyn Picker>) {
    let members = members(&vec![1; replies.len()]);
    let strategy = Prequal::new(config).unwrap();
    let picker = strategy.build(&BuildContext::new(&members)).unwrap();
    for (member, &(in_flight, millis)) in members.iter().zip(replies) {
        strategy
            .probes()
            .record(member.load(), reply(in_flight, millis), NOW);
    }
    (members, strategy.probes(), picker)
}

#[test]
fn the_fastest_of_the_cold_goes_before_a_faster_hot_one() {
    let config = PrequalConfig {
        hot_quantile: 0.6,
        ..PrequalConfig::default()
    };
    // The quantile is 4: the last is hot, and would be the fastest.
    let (_, _, picker) = picker(config, &[(1, 30), (2, 20), (3, 10), (4, 40), (90, 1)]);
    assert_eq!(picker.pick(&context(0)), Ok(2));
}

#[test]
fn of_the_hot_the_one_with_the_fewest_in_flight() {
    let config = PrequalConfig {
        hot_quantile: 0.0,
        ..PrequalConfig::default()
    };
    let (members, pool, picker) = picker(config, &[(9, 1), (8, 1), (7, 1)]);
    // Far below: now all of the three are hot.
    pool.record(members[2].load(), reply(9, 1), NOW);
    pool.record(&Arc::default(), reply(0, 1), NOW);
    assert_eq!(picker.pick(&context(0)), Ok(1));
}

#[test]
fn each_use_adds_a_request_so_one_idle_backend_is_not_overrun() {
    let config = PrequalConfig {
        removals_per_pick: 0.0,
        hot_quantile: 0.0,
        probes_per_pick: 0.1,
        ..PrequalConfig::default()
    };
    let (_, _, picker) = picker(config, &[(0, 10), (0, 10), (0, 10)]);
    let mut counts = [0; 3];
    for k in 0..30 {
        counts[picker.pick(&context(k)).unwrap()] += 1;
    }
    assert_eq!(counts, [10, 10, 10]);
}

#[test]
fn what_is_old_is_not_believed() {
    let (_, pool, _) = picker(PrequalConfig::default(), &[(0, 10), (0, 10)]);
    let later = NOW.saturating_add(Duration::from_millis(1_001));
    assert_eq!(pool.len(NOW), 2);
    assert!(pool.is_empty(later));
}

#[test]
fn the_sick_the_tried_and_the_gone_are_passed_over() {
    let (members, pool, picker) = picker(PrequalConfig::default(), &[(0, 1), (0, 2), (0, 3), (0, 4)]);
    pool.record(&Arc::default(), reply(0, 0), NOW);
    members[0].load().set_readiness(Readiness::Ejected);
    let tried = [&**members[1].load()];
    assert_eq!(picker.pick(&context(0).with_tried(&tried)), Ok(2));
}

#[test]
fn a_backend_that_fails_fast_and_looks_idle_is_no_sink() {
    let (members, _, picker) = picker(PrequalConfig::default(), &[(0, 1), (5, 20), (6, 20)]);
    members[0]
        .load()
        .record(Outcome::Failure, Duration::from_micros(5), NOW);
    assert_eq!(picker.pick(&context(0)), Ok(1));
}

#[test]
fn without_probes_it_still_picks() {
    let (_, pool, picker) = picker(PrequalConfig::default(), &[(0, 1)]);
    assert_eq!(picker.pick(&context(0)), Ok(0));
    let held = pool.0.lock();
    assert_eq!(picker.pick(&context(0)), Ok(0));
    drop(held);
}

#[test]
fn the_pool_never_outgrows_its_size() {
    let members = members(&[1; 40]);
    let strategy = Prequal::new(PrequalConfig::default()).unwrap();
    for member in &members {
        strategy.probes().record(member.load(), reply(1, 1), NOW);
    }
    assert_eq!(strategy.probes().len(NOW), 16);
}

#[test]
fn nonsense_in_the_config_is_named() {
    let base = PrequalConfig::default;
    let refused = |config| Prequal::new(config).unwrap_err().to_string();
    let pool_size = 1;
    assert!(refused(PrequalConfig { pool_size, ..base() }).contains("pool_size"));
    let max_age = Duration::ZERO;
    assert!(refused(PrequalConfig { max_age, ..base() }).contains("max_age"));
    let hot_quantile = f64::NAN;
    assert!(
        refused(PrequalConfig {
            hot_quantile,
            ..base()
        })
        .contains("hot_quantile")
    );
    let probes_per_pick = 0.0;
    assert!(
        refused(PrequalConfig {
            probes_per_pick,
            ..base()
        })
        .contains("probes_per_pick")
    );
    let removals_per_pick = -1.0;
    assert!(
        refused(PrequalConfig {
            removals_per_pick,
            ..base()
        })
        .contains("removals_per_pick")
    );
}
