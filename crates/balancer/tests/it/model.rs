//! Any sequence of changes, picks and ends, against a table of what there must be.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use evenkeel_balancer::{
    BackendRef, BackendServer, Drained, LoadBalancer, LoadBalancerConfig, Outcome, Pick, PickError,
    RequestContext, Tried,
};
use evenkeel_stats::TokioClock;
use proptest::prelude::*;
use tokio::time::{advance, sleep};

#[derive(Clone, Debug)]
enum Step {
    Add(usize, u32),
    Remove(usize),
    Weigh(usize, u32),
    Disable(usize),
    Enable(usize),
    Drain(usize, u64),
    Health(usize, bool),
    Pick(Option<u8>),
    PickAgain,
    End(usize, Option<Outcome>),
    Overtaken(usize),
    Pass(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let id = 0_usize..6;
    let outcome = prop_oneof![
        3 => Just(Outcome::Success),
        3 => Just(Outcome::Failure),
        1 => Just(Outcome::Overload { retry_after: Some(Duration::from_secs(1)) }),
        1 => Just(Outcome::Cancelled),
    ];
    let step = prop_oneof![
        3 => (id.clone(), 0_u32..4).prop_map(|(id, weight)| Step::Add(id, weight)),
        1 => id.clone().prop_map(Step::Remove),
        1 => (id.clone(), 0_u32..4).prop_map(|(id, weight)| Step::Weigh(id, weight)),
        1 => id.clone().prop_map(Step::Disable),
        1 => id.clone().prop_map(Step::Enable),
        1 => (id.clone(), 1_u64..3_000).prop_map(|(id, within)| Step::Drain(id, within)),
        2 => (id, any::<bool>()).prop_map(|(id, health)| Step::Health(id, health)),
        12 => prop::option::of(0_u8..8).prop_map(Step::Pick),
        2 => Just(Step::PickAgain),
        10 => (any::<usize>(), prop::option::of(outcome)).prop_map(|(at, how)| Step::End(at, how)),
        1 => any::<usize>().prop_map(Step::Overtaken),
        4 => (1_u64..2_000).prop_map(Step::Pass),
    ];
    prop::collection::vec(step, 1..120)
}

/// What there must be: the members by id, and whether each may be picked.
#[derive(Default)]
struct Model {
    members: BTreeMap<usize, bool>,
}

impl Model {
    fn enabled(&self) -> usize {
        self.members.values().filter(|enabled| **enabled).count()
    }
}

async fn run(steps: Vec<Step>, config: LoadBalancerConfig) -> Result<(), TestCaseError> {
    let balancer: LoadBalancer<usize> = LoadBalancer::builder()
        .config(config)
        .clock(Arc::new(TokioClock::new()))
        .build()
        .unwrap();
    let mut model = Model::default();
    let mut picks: Vec<Pick<usize>> = Vec::new();
    let mut known: Vec<BackendRef<usize>> = Vec::new();
    let mut drains = Vec::new();
    for step in steps {
        match step {
            Step::Add(id, weight) => {
                let server = BackendServer::new(id.to_string(), id).with_weight(weight);
                if let Ok(backend) = balancer.add(server) {
                    prop_assert!(model.members.insert(id, true).is_none());
                    known.push(backend);
                }
            }
            Step::Remove(id) => {
                let removed = balancer.remove(&id.to_string()).is_ok();
                prop_assert_eq!(removed, model.members.remove(&id).is_some());
            }
            Step::Weigh(id, weight) => drop(balancer.set_weight(&id.to_string(), weight)),
            Step::Disable(id) => {
                if balancer.disable(&id.to_string()).is_ok() {
                    model.members.insert(id, false);
                }
            }
            Step::Enable(id) => {
                if balancer.enable(&id.to_string()).is_ok() {
                    model.members.insert(id, true);
                }
            }
            Step::Drain(id, within) => {
                if let Ok(drain) = balancer.drain(&id.to_string(), Duration::from_millis(within)) {
                    model.members.insert(id, false);
                    drains.push((id, tokio::spawn(drain.finish())));
                }
            }
            Step::Health(id, health) => drop(balancer.set_health(&id.to_string(), health)),
            Step::Pick(session) => {
                let key = session.map(|session| [session]);
                let mut request = RequestContext::new();
                if let Some(key) = &key {
                    request = request.with_session(key);
                }
                check_pick(&balancer, &model, &request, &mut picks)?;
            }
            Step::PickAgain => {
                let mut tried = Tried::new();
                let distinct = model.enabled();
                let mut seen = Vec::new();
                for _ in 0..distinct {
                    let request = RequestContext::new().with_tried(&tried);
                    let Ok(pick) = balancer.pick(&request) else { break };
                    tried.add(&pick.backend());
                    seen.push(*pick);
                }
                // Nobody twice while there is another that is ready; at worst all are sick alike.
                prop_assert!(seen.iter().all(|id| model.members.get(id) == Some(&true)));
            }
            Step::End(at, how) if !picks.is_empty() => {
                let pick = picks.swap_remove(at % picks.len());
                match how {
                    Some(outcome) => pick.finish(outcome),
                    None => drop(pick),
                }
            }
            Step::Overtaken(at) if !picks.is_empty() => {
                picks
                    .swap_remove(at % picks.len())
                    .overtaken(Some(Duration::ZERO));
            }
            Step::End(..) | Step::Overtaken(_) => {}
            Step::Pass(millis) => {
                advance(Duration::from_millis(millis)).await;
                sleep(Duration::from_millis(15)).await;
            }
        }
        // Drains that have ended have removed their backend, unless it was enabled or removed first.
        let mut going = Vec::new();
        for (id, drain) in drains {
            if drain.is_finished() {
                if drain.await.unwrap() != Drained::Overtaken {
                    prop_assert_eq!(model.members.remove(&id), Some(false));
                }
            } else {
                going.push((id, drain));
            }
        }
        drains = going;
        check_counts(&picks, &known)?;
    }
    // Every drain ends by its deadline, whatever is in flight.
    sleep(Duration::from_secs(4)).await;
    for (_, drain) in drains {
        prop_assert!(drain.is_finished());
    }
    drop(picks);
    prop_assert!(known.iter().all(|backend| backend.in_flight() == 0));
    prop_assert_eq!(balancer.stats().requests.in_flight, 0);
    Ok(())
}

fn check_pick(
    balancer: &LoadBalancer<usize>,
    model: &Model,
    request: &RequestContext<'_>,
    picks: &mut Vec<Pick<usize>>,
) -> Result<(), TestCaseError> {
    let members = model.members.len();
    match (balancer.pick(request), model.enabled()) {
        (Ok(pick), _) => {
            prop_assert_eq!(model.members.get(&*pick), Some(&true), "{:?}", pick);
            picks.push(pick);
        }
        (Err(PickError::NoBackends), 0) => prop_assert_eq!(members, 0),
        (Err(PickError::NoneEnabled { members: told }), 0) => prop_assert_eq!(told, members),
        (Err(error), enabled) => prop_assert!(false, "{error} with {enabled} enabled"),
    }
    Ok(())
}

fn check_counts(picks: &[Pick<usize>], known: &[BackendRef<usize>]) -> Result<(), TestCaseError> {
    for backend in known {
        let held = picks
            .iter()
            .filter(|pick| std::ptr::eq(pick.payload(), backend.payload()));
        prop_assert_eq!(backend.in_flight() as usize, held.count());
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_nothing_leaks_and_nobody_is_picked_who_must_not_be(
        steps in steps(),
        strategy in prop::sample::select(evenkeel_balancer::LoadBalancingStrategy::NAMES),
        sticky_sessions in any::<bool>(),
        panic_threshold in prop::sample::select(&[0.0, 0.5][..]),
    ) {
        let config = LoadBalancerConfig {
            strategy: strategy.parse().unwrap(),
            sticky_sessions,
            panic_threshold,
            circuit_breaker_threshold: 2,
            ..LoadBalancerConfig::default()
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(run(steps, config))?;
    }
}
