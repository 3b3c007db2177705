//! Sessions that stay where they began.

use std::collections::HashMap;
use std::time::Duration;

use evenkeel_balancer::{LoadBalancer, LoadBalancerConfig, Outcome, RequestContext, Tried};
use tokio::time::advance;

use crate::{balancer, quick};

fn sticky() -> LoadBalancerConfig {
    LoadBalancerConfig {
        sticky_sessions: true,
        session_timeout: Duration::from_secs(60),
        max_sessions: 640,
        ..quick()
    }
}

fn visit(balancer: &LoadBalancer<usize>, session: &str) -> usize {
    let request = RequestContext::new().with_session(session.as_bytes());
    let pick = balancer.pick(&request).unwrap();
    let backend = *pick;
    pick.finish_after(Outcome::Success, Duration::from_millis(1));
    backend
}

fn homes(balancer: &LoadBalancer<usize>, count: usize) -> HashMap<String, usize> {
    (0..count)
        .map(|session| session.to_string())
        .map(|session| (session.clone(), visit(balancer, &session)))
        .collect()
}

#[tokio::test(start_paused = true)]
async fn a_session_stays_and_its_start_is_the_same_in_every_process() {
    let (one, other) = (balancer(4, sticky()), balancer(4, sticky()));
    let homes_of_one = homes(&one, 100);
    assert_eq!(homes_of_one, homes(&other, 100));
    assert_eq!(homes_of_one, homes(&one, 100));
    let used: std::collections::HashSet<_> = homes_of_one.values().collect();
    assert_eq!(used.len(), 4);
}

#[tokio::test(start_paused = true)]
async fn sessions_stay_when_members_come_and_those_of_a_member_that_goes_move() {
    let balancer = balancer(4, sticky());
    let before = homes(&balancer, 100);
    balancer
        .add(evenkeel_balancer::BackendServer::new("e", 4))
        .unwrap();
    assert_eq!(
        homes(&balancer, 100),
        before,
        "a hash alone would have moved a fifth"
    );
    balancer.remove("b").unwrap();
    for (session, home) in homes(&balancer, 100) {
        let was = before[&session];
        assert!(home == was || was == 1 && home != 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_moves_when_its_backend_is_not_ready_and_stays_there() {
    let balancer = balancer(4, sticky());
    let home = visit(&balancer, "me");
    let id = crate::name(home);
    balancer.set_health(&id, false).unwrap();
    let next = visit(&balancer, "me");
    assert_ne!(next, home);
    balancer.set_health(&id, true).unwrap();
    assert_eq!(visit(&balancer, "me"), next, "its new home knows it now");
}

#[tokio::test(start_paused = true)]
async fn one_failed_request_does_not_move_a_session() {
    let balancer = balancer(4, sticky());
    let home = visit(&balancer, "me");
    let mut tried = Tried::new();
    tried.add(&balancer.backend(&crate::name(home)).unwrap());
    let again = RequestContext::new().with_session(b"me").with_tried(&tried);
    assert_ne!(*balancer.pick(&again).unwrap(), home);
    assert_eq!(visit(&balancer, "me"), home);
}

#[tokio::test(start_paused = true)]
async fn use_keeps_a_session_and_rest_ends_it() {
    let balancer = balancer(4, sticky());
    let home = visit(&balancer, "me");
    balancer.set_health(&crate::name(home), false).unwrap();
    let moved = visit(&balancer, "me");
    balancer.set_health(&crate::name(home), true).unwrap();
    for _ in 0..5 {
        advance(Duration::from_secs(50)).await;
        assert_eq!(visit(&balancer, "me"), moved);
    }
    advance(Duration::from_secs(60)).await;
    assert_eq!(
        visit(&balancer, "me"),
        home,
        "forgotten, it starts where the hash says"
    );
}

#[tokio::test(start_paused = true)]
async fn the_table_never_grows_past_its_limit() {
    let balancer = balancer(4, sticky());
    homes(&balancer, 20_000);
    let stats = balancer.stats();
    assert!(stats.sessions <= 640, "{}", stats.sessions);
    assert!(stats.sessions_evicted >= 19_000);
}

#[tokio::test(start_paused = true)]
async fn without_sticky_sessions_a_session_is_a_routing_key() {
    let config = LoadBalancerConfig {
        strategy: "rendezvous".parse().unwrap(),
        ..quick()
    };
    let balancer = balancer(4, config);
    assert_eq!(homes(&balancer, 100), homes(&balancer, 100));
    assert_eq!(balancer.stats().sessions, 0);
}

#[tokio::test(start_paused = true)]
async fn below_the_limit_nobody_is_put_out() {
    for max_sessions in [64, 1_000, 5_000, 65_536] {
        let config = LoadBalancerConfig {
            max_sessions,
            ..sticky()
        };
        let balancer = balancer(2, config);
        homes(&balancer, max_sessions);
        let stats = balancer.stats();
        assert_eq!((stats.sessions, stats.sessions_evicted), (max_sessions, 0));
    }
}
