//! pingora-load-balancing's `select`, with static backends and no health check.

use std::hint::black_box;

use criterion::BenchmarkGroup;
use criterion::measurement::WallTime;
use pingora_load_balancing::LoadBalancer;
use pingora_load_balancing::selection::{Random, RoundRobin};

/// How many candidates it may look at; its documentation's number.
const LOOKS: usize = 256;

fn addresses(size: usize) -> Vec<String> {
    (0..size)
        .map(|index| format!("10.0.{}.{}:4317", index / 256, index % 256))
        .collect()
}

/// It counts no requests in flight: what is measured is `select` alone.
fn selects(size: usize) -> Vec<(&'static str, Box<dyn Fn() + Sync>)> {
    let mut all: Vec<(_, Box<dyn Fn() + Sync>)> = Vec::new();
    if let Ok(balancer) = LoadBalancer::<RoundRobin>::try_from_iter(addresses(size)) {
        all.push((
            "pingora_round_robin",
            Box::new(move || {
                black_box(balancer.select(b"", LOOKS));
            }),
        ));
    }
    if let Ok(balancer) = LoadBalancer::<Random>::try_from_iter(addresses(size)) {
        all.push((
            "pingora_random",
            Box::new(move || {
                black_box(balancer.select(b"", LOOKS));
            }),
        ));
    }
    all
}

pub(crate) fn picks(group: &mut BenchmarkGroup<'_, WallTime>, size: usize) {
    for (name, select) in selects(size) {
        group.bench_function(name, |bencher| bencher.iter(&select));
    }
}

pub(crate) fn two_threads(group: &mut BenchmarkGroup<'_, WallTime>, size: usize) {
    for (name, select) in selects(size) {
        group.bench_function(name, |bencher| {
            bencher.iter_custom(|iterations| crate::threads::timed(iterations, &select));
        });
    }
}
