//! Who may be picked, for every strategy and any state of the members.

use std::sync::Arc;

use evenkeel_stats::Timestamp;
use evenkeel_strategy::{
    BuildContext, BuildError, LoadCell, Member, PickContext, PickError, Picker, Readiness, Strategy,
};
use proptest::prelude::*;
use proptest::strategy::Strategy as _;
use proptest::test_runner::RngSeed;

use crate::all::{Words, members, wrapped};

const NOW: Timestamp = Timestamp::from_nanos(1_000_000_000);

#[derive(Clone, Debug)]
struct State {
    weight: u32,
    readiness: Readiness,
    ejected: bool,
    tried: bool,
    born: bool,
    zone: &'static str,
    priority: u32,
    in_flight: u32,
}

impl State {
    fn healthy(&self) -> bool {
        !self.ejected && matches!(self.readiness, Readiness::Ready | Readiness::Degraded)
    }

    fn eligible(&self) -> bool {
        self.healthy() && !self.tried && self.weight > 0
    }
}

fn state() -> impl proptest::strategy::Strategy<Value = State> {
    let readiness = prop::sample::select(vec![
        Readiness::Ready,
        Readiness::Ready,
        Readiness::Ready,
        Readiness::Degraded,
        Readiness::Draining,
        Readiness::Unhealthy,
        Readiness::Ejected,
    ]);
    let weight = prop::sample::select(vec![0_u32, 1, 1, 2, 7, u32::MAX]);
    let zone = prop::sample::select(vec!["a", "b", ""]);
    (
        weight,
        readiness,
        prop::bool::weighted(0.2),
        prop::bool::weighted(0.2),
        any::<bool>(),
        zone,
        0_u32..3,
        0_u32..5,
    )
        .prop_map(
            |(weight, readiness, ejected, tried, born, zone, priority, in_flight)| State {
                weight,
                readiness,
                ejected,
                tried,
                born,
                zone,
                priority,
                in_flight,
            },
        )
}

fn describe(states: &[State]) -> Vec<Member> {
    (0..)
        .zip(states)
        .map(|(index, state): (u32, _)| {
            let member = Member::new(index.to_string())
                .with_weight(state.weight)
                .with_priority(state.priority);
            match state.zone {
                "" => member,
                zone => member.with_zone(zone),
            }
        })
        .collect()
}

/// Brings the cells to their state: after the build, as in life.
fn bring_about(states: &[State], members: &[Member]) {
    for (state, member) in states.iter().zip(members) {
        let cell = member.load();
        cell.set_readiness(state.readiness);
        if state.ejected {
            cell.eject_until(Timestamp::MAX);
        }
        if state.born {
            cell.mark_born(NOW);
        }
        for _ in 0..state.in_flight {
            cell.begin();
        }
    }
}

fn build(strategy: &dyn Strategy, members: &[Member]) -> Result<Arc<dyn Picker>, BuildError> {
    strategy.build(&BuildContext::new(members).with_now(NOW).with_seed(3))
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 96,
        rng_seed: RngSeed::Fixed(4),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn the_tried_and_the_sick_are_not_picked_while_another_is_eligible(
        states in prop::collection::vec(state(), 1..12),
        rebuilt in any::<bool>(),
        seed in any::<u64>(),
    ) {
        for (name, strategy) in wrapped() {
            let members = describe(&states);
            let mut built = build(&strategy, &members);
            bring_about(&states, &members);
            if states.iter().all(|state| state.weight == 0) {
                prop_assert!(matches!(built, Err(BuildError::AllWeightsZero { .. })), "{}", name);
                continue;
            }
            if rebuilt {
                let before = built.unwrap();
                let context = BuildContext::new(&members).with_now(NOW).with_previous(&before);
                built = strategy.build(&context);
            }
            let picker = built.unwrap();
            let tried: Vec<&LoadCell> = states
                .iter()
                .zip(&members)
                .filter(|(state, _)| state.tried)
                .map(|(_, member)| &**member.load())
                .collect();
            let anyone = states.iter().any(State::eligible);
            let standing_by = states.iter().any(|state| state.healthy() && !state.tried);
            let mut words = Words(seed);
            for k in 0..24 {
                let mut context = PickContext::new(NOW, words.next()).with_tried(&tried);
                if k % 2 == 0 {
                    context = context.with_hash(words.next());
                }
                let picked = picker.pick(&context);
                let index = picked.map_err(|error| TestCaseError::fail(format!("{name}: {error}")))?;
                if anyone {
                    prop_assert!(states[index].eligible(), "{} picked {} of {:?}", name, index, states);
                    prop_assert!(states[picker.pick(&context.strict()).unwrap()].eligible(), "{}", name);
                } else if standing_by {
                    prop_assert!(states[index].healthy() && !states[index].tried, "{}", name);
                } else {
                    prop_assert_eq!(picker.pick(&context.strict()), Err(PickError::NoneEligible));
                }
                if states[index].readiness == Readiness::Draining && !states[index].ejected {
                    let all_draining = states
                        .iter()
                        .all(|state| state.readiness == Readiness::Draining && !state.ejected);
                    prop_assert!(all_draining, "{} picked one that drains of {:?}", name, states);
                }
            }
        }
    }
}

#[test]
fn zero_members_is_an_error_and_never_a_panic() {
    for (name, strategy) in wrapped() {
        let picker = build(&strategy, &[]).unwrap();
        for context in [
            PickContext::new(NOW, u64::MAX),
            PickContext::new(NOW, 0).with_hash(u64::MAX).strict(),
            PickContext::new(NOW, 7).ignoring_readiness(),
        ] {
            assert_eq!(picker.pick(&context), Err(PickError::Empty), "{name}");
        }
    }
}

#[test]
fn a_single_member_is_picked_whatever_its_state() {
    for (name, strategy) in wrapped() {
        for readiness in [Readiness::Ready, Readiness::Draining, Readiness::Ejected] {
            let members = members(&[1]);
            members[0].load().set_readiness(readiness);
            let tried = [&**members[0].load()];
            let picker = build(&strategy, &members).unwrap();
            assert_eq!(picker.pick(&PickContext::new(NOW, 5)), Ok(0), "{name}");
            assert_eq!(
                picker.pick(&PickContext::new(NOW, 5).with_tried(&tried)),
                Ok(0),
                "{name}"
            );
        }
    }
}

#[test]
fn when_all_are_sick_requests_spread_over_all() {
    for (name, strategy) in wrapped() {
        let members = members(&[1; 6]);
        for member in &members {
            member.load().set_readiness(Readiness::Unhealthy);
        }
        let picker = build(&strategy, &members).unwrap();
        let mut counts = [0; 6];
        let mut words = Words(8);
        for _ in 0..3_000 {
            let context = PickContext::new(NOW, words.next()).with_hash(words.next());
            counts[picker.pick(&context).unwrap()] += 1;
        }
        assert!(counts.iter().all(|&count| count > 100), "{name}: {counts:?}");
    }
}

#[test]
fn a_trip_counts_from_the_very_next_pick() {
    for (name, strategy) in wrapped() {
        let members = members(&[1; 3]);
        let picker = build(&strategy, &members).unwrap();
        let mut words = Words(9);
        for _ in 0..20 {
            let context = PickContext::new(NOW, words.next()).with_hash(words.next());
            let first = picker.pick(&context).unwrap();
            members[first].load().eject_until(Timestamp::MAX);
            assert_ne!(picker.pick(&context), Ok(first), "{name}");
            members[first].load().end_ejection();
        }
    }
}

#[test]
fn everything_can_be_shared_between_threads() {
    fn shared<T: Send + Sync + 'static>() {}
    shared::<Arc<dyn Strategy>>();
    shared::<Arc<dyn Picker>>();
    shared::<Member>();
    shared::<LoadCell>();
    shared::<PickContext<'static>>();
    shared::<BuildContext<'static>>();
    shared::<evenkeel_strategy::MemberSet>();
    shared::<evenkeel_strategy::ProbePool>();
    shared::<evenkeel_strategy::LoadBalancingStrategy>();
    shared::<(BuildError, PickError, evenkeel_strategy::ConfigError)>();
}
