//! Our pickers, through a snapshot, as a balancer uses them.

use std::hint::black_box;
use std::sync::Arc;

use arc_swap::ArcSwap;
use criterion::BenchmarkGroup;
use criterion::measurement::WallTime;
use evenkeel_stats::{Clock, Outcome, RealClock, Timestamp};
use evenkeel_strategy::{BuildContext, LoadBalancingStrategy, LoadCell, Member, PickContext, Picker};

/// What a balancer swaps as one.
struct Snapshot {
    picker: Arc<dyn Picker>,
    cells: Vec<Arc<LoadCell>>,
}

pub(crate) fn members(size: usize, weight: impl Fn(usize) -> u32) -> Vec<Member> {
    (0..size)
        .map(|index| {
            Member::new(format!("10.0.{}.{}:4317", index / 256, index % 256)).with_weight(weight(index))
        })
        .collect()
}

/// Weights 1 to 5 where a strategy has a use for them.
fn weight_for(name: &str) -> fn(usize) -> u32 {
    if name.starts_with("weighted") || name == "dynamic_weights" {
        |index| index as u32 % 5 + 1
    } else {
        |_| 1
    }
}

fn snapshot(name: &str, size: usize) -> Option<ArcSwap<Snapshot>> {
    let members = members(size, weight_for(name));
    let strategy = name.parse::<LoadBalancingStrategy>().ok()?.build().ok()?;
    let picker = strategy.build(&BuildContext::new(&members).with_seed(7)).ok()?;
    let cells = members.iter().map(|member| Arc::clone(member.load())).collect();
    Some(ArcSwap::from_pointee(Snapshot { picker, cells }))
}

fn pick(snapshot: &ArcSwap<Snapshot>) {
    let snapshot = snapshot.load();
    let context = PickContext::new(Timestamp::ZERO, fastrand::u64(..));
    if let Some(cell) = snapshot
        .picker
        .pick(&context)
        .ok()
        .and_then(|index| snapshot.cells.get(index))
    {
        cell.begin();
        black_box(cell).release();
    }
}

fn guard(snapshot: &ArcSwap<Snapshot>) {
    let owned = {
        let snapshot = snapshot.load();
        let context = PickContext::new(Timestamp::ZERO, fastrand::u64(..));
        let index = snapshot.picker.pick(&context);
        index.ok().and_then(|index| snapshot.cells.get(index)).cloned()
    };
    if let Some(cell) = owned {
        cell.begin();
        black_box(&cell).release();
    }
}

fn outcome(snapshot: &ArcSwap<Snapshot>, clock: &RealClock) {
    let snapshot = snapshot.load();
    let begun = clock.now();
    let context = PickContext::new(begun, fastrand::u64(..));
    if let Some(cell) = snapshot
        .picker
        .pick(&context)
        .ok()
        .and_then(|index| snapshot.cells.get(index))
    {
        cell.begin();
        let ended = clock.now();
        black_box(cell).finish(Outcome::Success, ended.since(begun), ended);
    }
}

pub(crate) fn picks(group: &mut BenchmarkGroup<'_, WallTime>, size: usize) {
    for name in LoadBalancingStrategy::NAMES {
        if let Some(snapshot) = snapshot(name, size) {
            group.bench_function(*name, |bencher| bencher.iter(|| pick(&snapshot)));
        }
    }
}

pub(crate) fn outcomes(group: &mut BenchmarkGroup<'_, WallTime>, size: usize) {
    let clock = RealClock::new();
    for name in ["round_robin", "power_of_two", "peak_ewma"] {
        if let Some(snapshot) = snapshot(name, size) {
            group.bench_function(name, |bencher| bencher.iter(|| outcome(&snapshot, &clock)));
        }
    }
}

pub(crate) fn guards(group: &mut BenchmarkGroup<'_, WallTime>, size: usize) {
    for name in ["round_robin", "power_of_two"] {
        if let Some(snapshot) = snapshot(name, size) {
            group.bench_function(name, |bencher| bencher.iter(|| guard(&snapshot)));
        }
    }
}

pub(crate) fn two_threads(group: &mut BenchmarkGroup<'_, WallTime>, size: usize) {
    for name in [
        "round_robin",
        "weighted_round_robin",
        "random",
        "power_of_two",
        "maglev",
    ] {
        if let Some(snapshot) = snapshot(name, size) {
            group.bench_function(name, |bencher| {
                bencher.iter_custom(|iterations| crate::threads::timed(iterations, || pick(&snapshot)));
            });
        }
    }
}
