//! Shares converge to the weights, for every strategy that promises it.

use evenkeel_stats::Timestamp;
use evenkeel_strategy::{
    BuildContext, LoadBalancingStrategy, PickContext, RingHash, RingHashConfig, Strategy, WeightedRoundRobin,
};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use crate::all::{Words, built_in, members};

fn counts(strategy: &dyn Strategy, weights: &[u32], picks: u64) -> Vec<f64> {
    let members = members(weights);
    let picker = strategy.build(&BuildContext::new(&members)).unwrap();
    let mut counts = vec![0.0; weights.len()];
    let mut words = Words(1);
    for _ in 0..picks {
        let context = PickContext::new(Timestamp::ZERO, words.next()).with_hash(words.next());
        counts[picker.pick(&context).unwrap()] += 1.0;
    }
    counts
}

/// Whether each count is within five standard deviations, and a part of itself, of what it should be.
fn agree(counts: &[f64], weights: &[u32], slack: f64) -> bool {
    let picks: f64 = counts.iter().sum();
    let total: f64 = weights.iter().map(|&weight| f64::from(weight)).sum();
    counts.iter().zip(weights).all(|(&count, &weight)| {
        let expected = picks * f64::from(weight) / total;
        (count - expected).abs() <= 5.0 * expected.sqrt() + slack * expected + 1.0
    })
}

/// Strategies that look at weights, with the slack of their own construction.
fn by_weight() -> Vec<(&'static str, std::sync::Arc<dyn Strategy>, f64)> {
    built_in()
        .into_iter()
        .filter_map(|(name, strategy)| match name {
            "weighted_round_robin"
            | "weighted_random"
            | "weighted_least_connections"
            | "power_of_two"
            | "peak_ewma"
            | "least_response_time"
            | "rendezvous"
            | "dynamic_weights"
            | "prequal" => Some((name, strategy, 0.0)),
            "maglev" => Some((name, strategy, 0.02)),
            // A ring is as even as its points are many.
            "ring_hash" => {
                let config = RingHashConfig {
                    virtual_nodes: 1_000,
                    ..RingHashConfig::default()
                };
                Some((name, std::sync::Arc::new(RingHash::new(config).unwrap()), 0.35))
            }
            _ => None,
        })
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 12,
        rng_seed: RngSeed::Fixed(5),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn shares_converge_to_the_weights(weights in prop::collection::vec(0_u32..20, 1..9)) {
        prop_assume!(weights.iter().any(|&weight| weight > 0));
        for (name, strategy, slack) in by_weight() {
            let counts = counts(&strategy, &weights, 8_000);
            prop_assert!(agree(&counts, &weights, slack), "{}: {:?} for {:?}", name, counts, weights);
        }
    }

    #[test]
    fn where_weights_do_not_count_shares_are_even(count in 1_usize..12) {
        for name in ["round_robin", "random", "least_connections"] {
            let strategy = name.parse::<LoadBalancingStrategy>().unwrap().build().unwrap();
            let weights: Vec<u32> = (1..).take(count).collect();
            let counts = counts(&strategy, &weights, 6_000);
            prop_assert!(agree(&counts, &vec![1; count], 0.0), "{}: {:?}", name, counts);
        }
    }

    #[test]
    fn no_prefix_of_the_smooth_order_gives_more_than_the_share_and_one(
        weights in prop::collection::vec(0_u32..40, 1..12),
    ) {
        let total: u64 = weights.iter().map(|&weight| u64::from(weight)).sum();
        prop_assume!(total > 0);
        let members = members(&weights);
        let picker = WeightedRoundRobin::default().build(&BuildContext::new(&members)).unwrap();
        let mut seen = vec![0_u64; weights.len()];
        for k in 1..=2 * total {
            seen[picker.pick(&PickContext::new(Timestamp::ZERO, k)).unwrap()] += 1;
            for (&seen, &weight) in seen.iter().zip(&weights) {
                prop_assert!(seen * total < k * u64::from(weight) + total);
            }
        }
    }
}

#[test]
fn weights_zero_one_and_the_greatest_stand_together() {
    for (name, strategy) in built_in() {
        let counts = counts(&strategy, &[0, 1, u32::MAX, 1], 4_000);
        assert_eq!(counts[0], 0.0, "{name}: {counts:?}");
        // On a ring everyone has a point at least.
        if name != "ring_hash" && by_weight().iter().any(|&(weighted, ..)| weighted == name) {
            assert!(counts[1] + counts[3] <= 4.0, "{name}: {counts:?}");
        }
    }
}
