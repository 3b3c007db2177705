//! Building pickers.

use std::hint::black_box;

use criterion::BenchmarkGroup;
use criterion::measurement::WallTime;
use evenkeel_strategy::{BuildContext, LoadBalancingStrategy};

pub(crate) fn all(group: &mut BenchmarkGroup<'_, WallTime>) {
    let members = crate::ours::members(1000, |index| index as u32 % 5 + 1);
    let context = BuildContext::new(&members);
    for name in LoadBalancingStrategy::NAMES {
        let Some(strategy) = name
            .parse::<LoadBalancingStrategy>()
            .ok()
            .and_then(|named| named.build().ok())
        else {
            continue;
        };
        group.bench_function(*name, |bencher| {
            bencher.iter(|| black_box(strategy.build(&context)));
        });
    }
}
