//! What a whole request costs at the balancer: pick, count, learn, finish; beside tower's.
//!
//! `cargo bench -p evenkeel-benches --bench balancer`. Names are `balancer/<operation>/<contender>`.
//! Ours has statistics, circuit breaker, outlier detection, readiness and slow start on, as by default;
//! tower has none of these.
//!
//! - `request-<n>`: pick among n backends, and finish with a success.
//! - `request-<n>-2-threads`: the same on two threads at once; the time is that of one request on one.
//! - `buffer-<n>`: tower's way to share a balancer, `Buffer`, on a tokio runtime of one thread.

#[path = "../strategy/tower_peer.rs"]
mod tower_peer;

#[path = "../strategy/threads.rs"]
mod threads;

mod buffer;
mod ours;

use criterion::{Criterion, criterion_group, criterion_main};

const SIZES: [usize; 3] = [10, 100, 1000];

fn requests(criterion: &mut Criterion) {
    for size in SIZES {
        let mut group = criterion.benchmark_group(format!("balancer/request-{size}"));
        ours::requests(&mut group, size);
        tower_peer::pending(&mut group, size);
        tower_peer::peak_ewma(&mut group, size);
        group.finish();
    }
}

fn two_threads(criterion: &mut Criterion) {
    for size in SIZES {
        let mut group = criterion.benchmark_group(format!("balancer/request-{size}-2-threads"));
        ours::two_threads(&mut group, size);
        group.finish();
    }
}

fn buffered(criterion: &mut Criterion) {
    for size in SIZES {
        let mut group = criterion.benchmark_group(format!("balancer/buffer-{size}"));
        buffer::tower(&mut group, size);
        group.finish();
    }
}

criterion_group!(benches, requests, two_threads, buffered);
criterion_main!(benches);
