//! Backends that finish what they have.

use std::time::Duration;

use evenkeel_balancer::{Drained, Outcome, RequestContext};
use tokio::time::{Instant, sleep};

use crate::{balancer, quick, shares};

#[tokio::test(start_paused = true)]
async fn a_drain_waits_for_what_is_in_flight_and_no_longer() {
    let balancer = balancer(2, quick());
    let picks: Vec<_> = (0..10)
        .map(|_| balancer.pick(&RequestContext::new()).unwrap())
        .collect();
    let drain = balancer.drain("a", Duration::from_secs(60)).unwrap();
    assert_eq!(shares(&balancer, 2, 100), [0, 100], "nothing new goes there");
    tokio::spawn(async move {
        for pick in picks {
            sleep(Duration::from_millis(100)).await;
            pick.finish(Outcome::Success);
        }
    });
    let started = Instant::now();
    assert_eq!(drain.finish().await, Drained::Idle);
    assert!(
        started.elapsed() <= Duration::from_millis(1_010),
        "{:?}",
        started.elapsed()
    );
    assert_eq!(balancer.ids().len(), 1);
    assert!(balancer.backend("a").is_none());
}

#[tokio::test(start_paused = true)]
async fn a_request_that_never_ends_does_not_hold_a_drain_for_ever() {
    let balancer = balancer(1, quick());
    let stuck = balancer.pick(&RequestContext::new()).unwrap();
    let drain = balancer.drain("a", Duration::from_secs(5)).unwrap();
    assert_eq!(drain.finish().await, Drained::TimedOut { in_flight: 1 });
    assert!(balancer.ids().is_empty());
    drop(stuck);
}

#[tokio::test(start_paused = true)]
async fn a_drain_that_is_dropped_leaves_the_backend_draining() {
    let balancer = balancer(2, quick());
    drop(balancer.drain("a", Duration::from_secs(5)).unwrap());
    assert_eq!(shares(&balancer, 2, 100), [0, 100]);
    balancer.enable("a").unwrap();
    assert!(shares(&balancer, 2, 100)[0] > 0);
}

#[tokio::test(start_paused = true)]
async fn who_is_enabled_while_draining_stays() {
    let balancer = balancer(2, quick());
    let pick = balancer.pick(&RequestContext::new()).unwrap();
    let id = pick.id().as_str().to_owned();
    let drain = balancer.drain(&id, Duration::from_secs(5)).unwrap();
    let ended = tokio::spawn(drain.finish());
    sleep(Duration::from_secs(1)).await;
    balancer.enable(&id).unwrap();
    drop(pick);
    assert_eq!(ended.await.unwrap(), Drained::Overtaken);
    assert_eq!(balancer.ids().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn an_earlier_drain_does_not_end_a_later_one() {
    let balancer = balancer(1, quick());
    let pick = balancer.pick(&RequestContext::new()).unwrap();
    let first = tokio::spawn(balancer.drain("a", Duration::from_secs(1)).unwrap().finish());
    sleep(Duration::from_millis(100)).await;
    balancer.enable("a").unwrap();
    let second = tokio::spawn(balancer.drain("a", Duration::from_secs(60)).unwrap().finish());
    sleep(Duration::from_secs(2)).await;
    assert_eq!(first.await.unwrap(), Drained::Overtaken);
    assert!(balancer.backend("a").is_some(), "removed 58 s before its time");
    drop(pick);
    assert_eq!(second.await.unwrap(), Drained::Idle);
}
