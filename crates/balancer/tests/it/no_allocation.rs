//! The path of a request.

use evenkeel_balancer::{BackendServer, LoadBalancer, LoadBalancerConfig, Outcome, RequestContext, Tried};

#[test]
fn a_pick_and_its_end_allocate_nothing() {
    for strategy in evenkeel_balancer::LoadBalancingStrategy::NAMES {
        let config = LoadBalancerConfig {
            strategy: strategy.parse().unwrap(),
            sticky_sessions: true,
            ..LoadBalancerConfig::default()
        };
        let servers = (0..100).map(|index| BackendServer::new(format!("{index}"), index));
        let parts = LoadBalancer::builder()
            .config(config)
            .backends(servers)
            .build_parts();
        let (balancer, _maintenance) = parts.unwrap();
        let mut tried = Tried::new();
        tried.add(&balancer.backend("7").unwrap());
        let plain = RequestContext::new();
        let again = plain.with_tried(&tried);
        let session = plain.with_session(b"somebody");
        // Threads' own state, and the session, are made by the first of each.
        for request in [plain, again, session] {
            balancer.pick(&request).unwrap().finish(Outcome::Success);
        }
        let counted = allocation_counter::measure(|| {
            for request in [plain, again, session] {
                for outcome in [Outcome::Success, Outcome::Failure, Outcome::Cancelled] {
                    balancer.pick(&request).unwrap().finish(outcome);
                }
                drop(balancer.pick(&request).unwrap());
            }
        });
        assert_eq!(counted.count_total, 0, "{strategy}");
    }
}
