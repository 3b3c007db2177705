//! A pick and its guard.

use std::time::Duration;

use evenkeel_balancer::{
    LoadBalancerConfig, LoadBalancingStrategy, Outcome, PickError, RequestContext, Tried,
};
use tokio::time::advance;

use crate::{balancer, in_flight, quick, shares};

#[tokio::test(start_paused = true)]
async fn a_guard_that_is_dropped_leaves_nothing_in_flight() {
    let balancer = balancer(2, quick());
    let picks: Vec<_> = (0..10)
        .map(|_| balancer.pick(&RequestContext::new()).unwrap())
        .collect();
    assert_eq!(in_flight(&balancer), 10);
    drop(picks);
    let stats = balancer.stats();
    assert_eq!((stats.requests.in_flight, stats.requests.cancelled), (0, 10));
    assert_eq!(
        stats.requests.success_rate(),
        None,
        "it says nothing of the backends"
    );
}

#[tokio::test(start_paused = true)]
async fn a_guard_may_end_on_another_thread_after_the_balancer_is_gone() {
    let balancer = balancer(1, quick());
    let pick = balancer.pick(&RequestContext::new()).unwrap();
    let backend = pick.backend();
    drop(balancer);
    std::thread::spawn(move || pick.finish(Outcome::Success))
        .join()
        .unwrap();
    assert_eq!(backend.in_flight(), 0);
}

#[tokio::test(start_paused = true)]
async fn what_was_tried_is_not_picked_while_there_is_another() {
    let balancer = balancer(3, quick());
    for _ in 0..100 {
        let mut tried = Tried::new();
        let mut seen = Vec::new();
        for _ in 0..3 {
            let pick = balancer.pick(&RequestContext::new().with_tried(&tried)).unwrap();
            tried.add(&pick.backend());
            seen.push(*pick);
            pick.finish(Outcome::Success);
        }
        seen.sort_unstable();
        assert_eq!(seen, [0, 1, 2]);
        // All were: somebody is asked all the same.
        drop(balancer.pick(&RequestContext::new().with_tried(&tried)).unwrap());
    }
}

#[tokio::test(start_paused = true)]
async fn a_backend_that_fails_at_once_gets_less_and_not_more() {
    let config = LoadBalancerConfig {
        circuit_breaker_threshold: usize::MAX >> 33,
        circuit_breaker_min_success_rate: 0.0,
        outlier_detection: None,
        ..quick()
    };
    let balancer = balancer(2, config);
    let mut to_failing = 0;
    for _ in 0..1_000 {
        let pick = balancer.pick(&RequestContext::new()).unwrap();
        if *pick == 0 {
            to_failing += 1;
            pick.finish(Outcome::Failure); // in no time at all
        } else {
            advance(Duration::from_millis(5)).await;
            pick.finish(Outcome::Success);
        }
    }
    assert!(to_failing < 20, "{to_failing} of 1000");
}

#[tokio::test(start_paused = true)]
async fn a_key_keeps_to_its_backend_where_the_strategy_routes_by_keys() {
    let balancer = balancer(
        5,
        LoadBalancerConfig {
            strategy: LoadBalancingStrategy::Maglev(Default::default()),
            ..quick()
        },
    );
    for key in 0..50_u32 {
        let request = RequestContext::new().with_key(&key.to_le_bytes());
        let first = *balancer.pick(&request).unwrap();
        assert!((0..20).all(|_| *balancer.pick(&request).unwrap() == first));
    }
}

#[tokio::test(start_paused = true)]
async fn weights_are_kept() {
    let balancer = balancer(
        2,
        LoadBalancerConfig {
            strategy: "weighted_round_robin".parse().unwrap(),
            ..quick()
        },
    );
    balancer.set_weight("a", 3).unwrap();
    assert_eq!(shares(&balancer, 2, 400), [300, 100]);
}

#[tokio::test(start_paused = true)]
async fn without_members_the_error_says_so() {
    let balancer = balancer(0, quick());
    let none = balancer.pick(&RequestContext::new()).unwrap_err();
    assert_eq!(none, PickError::NoBackends);
}

#[tokio::test(start_paused = true)]
async fn a_preview_goes_where_the_pick_goes_and_counts_nothing() {
    for strategy in ["ring_hash", "maglev", "rendezvous"] {
        let config = LoadBalancerConfig {
            strategy: strategy.parse().unwrap(),
            ..quick()
        };
        let balancer = balancer(5, config);
        balancer.set_health("c", false).unwrap();
        let preview = balancer.preview();
        let mut places = Vec::new();
        for hash in (0..200_u64).map(|n| n.wrapping_mul(0x9e37_79b9_7f4a_7c15)) {
            let place = preview.place_of(hash).unwrap();
            let expected = preview.backend(place).unwrap();
            assert_eq!(balancer.stats().requests.in_flight, 0);
            let pick = balancer.pick(&RequestContext::new().with_hash(hash)).unwrap();
            assert_eq!(pick.id(), expected.id(), "{strategy}");
            pick.finish(Outcome::Success);
            places.push(place);
        }
        assert_eq!(balancer.stats().requests.requests, 200, "{strategy}");
        places.sort_unstable();
        places.dedup();
        assert!(places.len() >= 4, "{strategy}: {places:?}");
    }
}
