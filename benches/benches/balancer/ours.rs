//! Ours, with everything on.

use std::hint::black_box;

use criterion::BenchmarkGroup;
use criterion::measurement::WallTime;
use evenkeel_balancer::{BackendServer, LoadBalancer, LoadBalancerConfig, Outcome, RequestContext};

use crate::threads;

/// The default, and what costs least of those that look at the load.
const STRATEGIES: [&str; 3] = ["peak_ewma", "power_of_two", "round_robin"];

fn balancer(strategy: &str, size: usize) -> Option<LoadBalancer<usize>> {
    let config = LoadBalancerConfig {
        strategy: strategy.parse().ok()?,
        ..LoadBalancerConfig::default()
    };
    let servers = (0..size)
        .map(|index| BackendServer::new(format!("10.0.{}.{}:4317", index / 256, index % 256), index));
    let built = LoadBalancer::builder()
        .config(config)
        .backends(servers)
        .build_parts();
    built.ok().map(|(balancer, _)| balancer)
}

fn request(balancer: &LoadBalancer<usize>) {
    if let Ok(pick) = balancer.pick(&RequestContext::new()) {
        black_box(*pick);
        pick.finish(Outcome::Success);
    }
}

pub(crate) fn requests(group: &mut BenchmarkGroup<'_, WallTime>, size: usize) {
    for strategy in STRATEGIES {
        let Some(balancer) = balancer(strategy, size) else {
            continue;
        };
        group.bench_function(format!("evenkeel_{strategy}"), |bencher| {
            bencher.iter(|| request(&balancer));
        });
    }
}

pub(crate) fn two_threads(group: &mut BenchmarkGroup<'_, WallTime>, size: usize) {
    for strategy in STRATEGIES {
        let Some(balancer) = balancer(strategy, size) else {
            continue;
        };
        group.bench_function(format!("evenkeel_{strategy}"), |bencher| {
            bencher.iter_custom(|iterations| threads::timed(iterations, || request(&balancer)));
        });
    }
}
