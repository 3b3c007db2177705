//! Lower bounds: the atomics that a pick can not do without, and nothing else.

use std::hint::black_box;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use arc_swap::ArcSwap;
use criterion::BenchmarkGroup;
use criterion::measurement::WallTime;
use crossbeam_utils::CachePadded;

struct Bare {
    snapshot: ArcSwap<Vec<CachePadded<AtomicU32>>>,
    turn: CachePadded<AtomicUsize>,
}

impl Bare {
    fn new(size: usize) -> Self {
        Self {
            snapshot: ArcSwap::from_pointee((0..size).map(|_| CachePadded::default()).collect()),
            turn: CachePadded::default(),
        }
    }

    /// Count up and down at a random member.
    fn count(&self) {
        let counts = self.snapshot.load();
        up_and_down(&counts, fastrand::usize(..counts.len()));
    }

    fn turn(&self) {
        let counts = self.snapshot.load();
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        up_and_down(&counts, turn % counts.len());
    }

    fn two_choices(&self) {
        let counts = self.snapshot.load();
        let first = fastrand::usize(..counts.len());
        let second = fastrand::usize(..counts.len());
        let load = |index: usize| counts.get(index).map(|count| count.load(Ordering::Relaxed));
        up_and_down(&counts, if load(first) < load(second) { first } else { second });
    }
}

fn up_and_down(counts: &[CachePadded<AtomicU32>], index: usize) {
    if let Some(count) = counts.get(black_box(index)) {
        count.fetch_add(1, Ordering::Relaxed);
        count.fetch_sub(1, Ordering::Relaxed);
    }
}

type Kind = (&'static str, fn(&Bare));

const KINDS: [Kind; 3] = [
    ("bare_count", Bare::count),
    ("bare_turn", Bare::turn),
    ("bare_two_choices", Bare::two_choices),
];

pub(crate) fn picks(group: &mut BenchmarkGroup<'_, WallTime>, size: usize) {
    let bare = Bare::new(size);
    for (name, work) in KINDS {
        group.bench_function(name, |bencher| bencher.iter(|| work(&bare)));
    }
}

pub(crate) fn two_threads(group: &mut BenchmarkGroup<'_, WallTime>, size: usize) {
    let bare = Bare::new(size);
    for (name, work) in KINDS {
        group.bench_function(name, |bencher| {
            bencher.iter_custom(|iterations| crate::threads::timed(iterations, || work(&bare)));
        });
    }
}
