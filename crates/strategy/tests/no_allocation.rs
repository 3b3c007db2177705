//! A pick allocates nothing. In a program of its own, because it counts every allocation there is.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::sync::Arc;
use std::time::Duration;

use evenkeel_stats::{Outcome, Timestamp};
use evenkeel_strategy::{
    BoundedLoad, BoundedLoadConfig, BuildContext, LoadBalancingStrategy, LoadCell, Maglev, Member,
    PanicThreshold, PanicThresholdConfig, PickContext, PowerOfTwo, Prequal, PrequalConfig, PriorityLevels,
    PriorityLevelsConfig, ProbeReply, Readiness, RoundRobin, SlowStart, SlowStartConfig, Strategy, Subset,
    SubsetConfig, ZonePreference, ZonePreferenceConfig,
};

const NOW: Timestamp = Timestamp::from_nanos(1_000_000_000);

fn strategies() -> Vec<Arc<dyn Strategy>> {
    let wrappers: [Arc<dyn Strategy>; 6] = [
        Arc::new(SlowStart::new(RoundRobin, SlowStartConfig::default()).unwrap()),
        Arc::new(ZonePreference::new(PowerOfTwo::in_flight(), ZonePreferenceConfig::new("a")).unwrap()),
        Arc::new(PriorityLevels::new(RoundRobin, PriorityLevelsConfig::default()).unwrap()),
        Arc::new(Subset::new(PowerOfTwo::peak_ewma(), SubsetConfig::new("client")).unwrap()),
        Arc::new(PanicThreshold::new(RoundRobin, PanicThresholdConfig::default()).unwrap()),
        Arc::new(BoundedLoad::new(Maglev::default(), BoundedLoadConfig::default()).unwrap()),
    ];
    LoadBalancingStrategy::NAMES
        .iter()
        .map(|name| name.parse::<LoadBalancingStrategy>().unwrap().build().unwrap())
        .chain(wrappers)
        .collect()
}

fn members() -> Vec<Member> {
    (0..20_u32)
        .map(|index| {
            Member::new(index.to_string())
                .with_weight(index % 4)
                .with_priority(index % 2)
                .with_zone(if index % 3 == 0 { "a" } else { "b" })
        })
        .collect()
}

/// A thousand picks with all that belongs to them, in good times and bad.
fn use_it(strategy: &dyn Strategy) -> u64 {
    let members = members();
    let picker = strategy
        .build(&BuildContext::new(&members).with_now(NOW))
        .unwrap();
    let tried: Vec<&LoadCell> = members[..2].iter().map(|member| &**member.load()).collect();
    let mut picked = 0;
    let counted = allocation_counter::measure(|| {
        for k in 0..1_000_u64 {
            let sick = &members[(k % 20) as usize];
            sick.load().set_readiness(Readiness::Unhealthy);
            members[(k % 7) as usize].load().mark_born(NOW);
            let context = PickContext::new(NOW, k.wrapping_mul(0x9e37_79b9_7f4a_7c15))
                .with_hash(k)
                .with_tried(&tried);
            if let Ok(index) = picker.pick(&context) {
                members[index].load().begin();
                members[index]
                    .load()
                    .finish(Outcome::Failure, Duration::from_millis(1), NOW);
                picked += 1;
            }
        }
    });
    assert_eq!(counted.count_total, 0, "{strategy:?} allocates");
    picked
}

#[test]
fn the_counter_counts() {
    let counted = allocation_counter::measure(|| drop(std::hint::black_box(Box::new(1))));
    assert_eq!(counted.count_total, 1);
}

#[test]
fn no_pick_allocates() {
    for strategy in strategies() {
        assert_eq!(use_it(&strategy), 1_000, "{strategy:?}");
    }
}

#[test]
fn no_pick_by_probes_allocates() {
    let members = members();
    let strategy = Prequal::new(PrequalConfig::default()).unwrap();
    let picker = strategy.build(&BuildContext::new(&members)).unwrap();
    for (in_flight, member) in (0..).zip(&members) {
        let latency = Duration::from_millis(5);
        strategy
            .probes()
            .record(member.load(), ProbeReply { in_flight, latency }, NOW);
    }
    let counted = allocation_counter::measure(|| {
        for k in 0..20 {
            assert!(picker.pick(&PickContext::new(NOW, k)).is_ok());
        }
    });
    assert_eq!(counted.count_total, 0);
}
