//! What a pick costs: every strategy, tower's balancer, and the bare atomics beneath.
//!
//! `cargo bench -p evenkeel-benches --features peers --bench strategy`. Names are `strategy/<operation>/<contender>`;
//! an operation's contenders are measured one after another and do the same work:
//!
//! - `pick-<n>`: load the snapshot of n members, pick, count up, count down.
//! - `pick-<n>-2-threads`: the same on two threads at once; the time is that of one pick on one of them.
//! - `outcome-<n>`: the same with two clock reads, and the latency recorded.
//! - `guard-<n>`: the same as `pick`, with an owned reference to the member, as a guard has.
//! - `build-1000`: build a picker of 1000 members.
//!
//! With feature `pingora`, `pingora_*` joins the picks; its build needs cmake.

use criterion::{Criterion, criterion_group, criterion_main};

mod bare;
mod build;
mod ours;
#[cfg(feature = "pingora")]
mod pingora;
mod threads;
mod tower_peer;

const SIZES: [usize; 3] = [10, 100, 1000];

fn picks(criterion: &mut Criterion) {
    for size in SIZES {
        let mut group = criterion.benchmark_group(format!("strategy/pick-{size}"));
        bare::picks(&mut group, size);
        ours::picks(&mut group, size);
        tower_peer::pending(&mut group, size);
        #[cfg(feature = "pingora")]
        pingora::picks(&mut group, size);
        group.finish();
    }
}

fn outcomes(criterion: &mut Criterion) {
    for size in SIZES {
        let mut group = criterion.benchmark_group(format!("strategy/outcome-{size}"));
        ours::outcomes(&mut group, size);
        tower_peer::peak_ewma(&mut group, size);
        group.finish();
    }
}

fn guards(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("strategy/guard-100");
    ours::guards(&mut group, 100);
    group.finish();
}

fn two_threads(criterion: &mut Criterion) {
    for size in SIZES {
        let mut group = criterion.benchmark_group(format!("strategy/pick-{size}-2-threads"));
        bare::two_threads(&mut group, size);
        ours::two_threads(&mut group, size);
        #[cfg(feature = "pingora")]
        pingora::two_threads(&mut group, size);
        group.finish();
    }
}

fn builds(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("strategy/build-1000");
    build::all(&mut group);
    group.finish();
}

criterion_group!(benches, picks, outcomes, guards, two_threads, builds);
criterion_main!(benches);
