//! Members come and go.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use evenkeel_balancer::{
    BackendServer, LoadBalancer, LoadBalancerConfig, MemberError, Outcome, PickError, RequestContext,
};

use crate::{balancer, quick, shares};

#[tokio::test(start_paused = true)]
async fn who_was_removed_is_never_picked_again() {
    let balancer = balancer(3, quick());
    let kept = balancer.pick(&RequestContext::new()).unwrap();
    balancer.remove("b").unwrap();
    assert_eq!(shares(&balancer, 3, 1_000)[1], 0);
    assert_eq!(balancer.ids().len(), 2);
    drop(kept);
    assert!(matches!(balancer.remove("b"), Err(MemberError::Unknown { id }) if id.as_str() == "b"));
}

#[tokio::test(start_paused = true)]
async fn what_a_removed_backend_carries_lives_as_long_as_its_last_request() {
    let payload = Arc::new(());
    let alive: Weak<()> = Arc::downgrade(&payload);
    let balancer =
        LoadBalancer::new([BackendServer::new("a", payload)], LoadBalancerConfig::default()).unwrap();
    let pick = balancer.pick(&RequestContext::new()).unwrap();
    drop(balancer.remove("a").unwrap());
    assert!(alive.upgrade().is_some());
    pick.finish(Outcome::Success);
    assert!(alive.upgrade().is_none());
    assert_eq!(
        balancer.pick(&RequestContext::new()).unwrap_err(),
        PickError::NoBackends
    );
}

#[tokio::test(start_paused = true)]
async fn an_id_that_comes_back_starts_anew() {
    let balancer = balancer(2, quick());
    let old = balancer.backend("a").unwrap();
    for _ in 0..3 {
        balancer
            .record_request_result("a", false, Duration::from_millis(1))
            .unwrap();
    }
    let in_flight: Vec<_> = (0..10)
        .map(|_| balancer.pick(&RequestContext::new()).unwrap())
        .collect();
    balancer.remove("a").unwrap();
    let new = balancer.add(BackendServer::new("a", 0)).unwrap();
    drop(in_flight);
    assert_eq!((old.in_flight(), new.in_flight()), (0, 0));
    let stats = balancer.stats();
    assert_eq!(stats.backends[1].requests.requests, 0);
    assert_eq!(stats.backends[1].readiness, evenkeel_balancer::Readiness::Ready);
    assert_eq!(stats.requests.failures, 3, "the whole forgets nothing");
}

#[tokio::test(start_paused = true)]
async fn a_rebuild_loses_no_count_and_no_breaker() {
    let balancer = balancer(2, quick());
    let picks: Vec<_> = (0..6)
        .map(|_| balancer.pick(&RequestContext::new()).unwrap())
        .collect();
    let before: Vec<_> = balancer
        .stats()
        .backends
        .iter()
        .map(|b| b.requests.in_flight)
        .collect();
    for _ in 0..3 {
        balancer
            .record_request_result("a", false, Duration::from_millis(1))
            .unwrap();
    }
    balancer.add(BackendServer::new("c", 2)).unwrap();
    balancer.remove("c").unwrap();
    let after: Vec<_> = balancer
        .stats()
        .backends
        .iter()
        .map(|b| b.requests.in_flight)
        .collect();
    assert_eq!(before, after);
    assert_eq!(shares(&balancer, 2, 50)[0], 0, "its breaker is open still");
    drop(picks);
}

#[tokio::test(start_paused = true)]
async fn a_disabled_backend_gets_nothing_and_comes_back_when_it_is_enabled() {
    let balancer = balancer(2, quick());
    balancer.disable("a").unwrap();
    assert_eq!(shares(&balancer, 2, 100), [0, 100]);
    balancer.disable("b").unwrap();
    let none = balancer.pick(&RequestContext::new()).unwrap_err();
    assert_eq!(none, PickError::NoneEnabled { members: 2 });
    balancer.enable("a").unwrap();
    assert_eq!(shares(&balancer, 2, 100), [100, 0]);
}

#[tokio::test(start_paused = true)]
async fn a_stand_by_takes_over_when_the_others_are_gone() {
    let balancer = balancer(2, quick());
    balancer
        .add(BackendServer::new("spare", 2).with_weight(0))
        .unwrap();
    assert_eq!(shares(&balancer, 3, 100)[2], 0);
    balancer.disable("a").unwrap();
    balancer.remove("b").unwrap();
    assert_eq!(shares(&balancer, 3, 100)[2], 100);
}

#[tokio::test(start_paused = true)]
async fn the_background_task_ends_with_the_balancer() {
    let (balancer, maintenance) = LoadBalancer::<usize>::builder()
        .config(quick())
        .build_parts()
        .unwrap();
    let task = tokio::spawn(maintenance.run());
    tokio::task::yield_now().await;
    assert!(!task.is_finished());
    drop(balancer.clone());
    tokio::task::yield_now().await;
    assert!(!task.is_finished());
    drop(balancer);
    // At once, and not when its next tick comes: tokio's time stands still here.
    let ended = Arc::new(AtomicBool::new(false));
    let told = ended.clone();
    tokio::spawn(async move {
        task.await.unwrap();
        told.store(true, Ordering::SeqCst);
    });
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
    assert!(ended.load(Ordering::SeqCst));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn totals_never_fall_while_members_come_and_go() {
    let balancer = balancer(1, quick());
    let (reader, stop) = (balancer.clone(), Arc::new(AtomicBool::new(false)));
    let stopped = stop.clone();
    let readings = std::thread::spawn(move || {
        let mut last = 0;
        while !stopped.load(Ordering::Relaxed) {
            let now = reader.stats().requests.successes;
            assert!(now >= last, "{last} fell to {now}");
            last = now;
        }
        last
    });
    for round in 0..300 {
        let id = round.to_string();
        balancer.add(BackendServer::new(id.as_str(), 1)).unwrap();
        for _ in 0..20 {
            balancer.record_request_result(&id, true, Duration::ZERO).unwrap();
        }
        balancer.remove(&id).unwrap();
    }
    stop.store(true, Ordering::Relaxed);
    assert!(readings.join().unwrap() <= 6_000);
    assert_eq!(balancer.stats().requests.successes, 6_000);
}
