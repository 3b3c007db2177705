use evenkeel_stats::Outcome;

use super::*;
use crate::WeightedRoundRobin;
use crate::testing::{context, members};

/// Members that answer as told, and the picker over them, rebuilt every second.
struct Fleet {
    strategy: DynamicWeights<WeightedRoundRobin>,
    members: Vec<Member>,
    picker: Arc<dyn Picker>,
    now: Timestamp,
}

impl Fleet {
    fn new(weights: &[u32]) -> Self {
        let strategy =
            DynamicWeights::new(WeightedRoundRobin::default(), DynamicWeightsConfig::default()).unwrap();
        let members = members(weights);
        let now = Timestamp::from_nanos(1);
        let picker = strategy
            .build(&BuildContext::new(&members).with_now(now))
            .unwrap();
        Self {
            strategy,
            members,
            picker,
            now,
        }
    }

    /// Seconds in which each member serves 100 requests as `answer` says of it.
    fn run(&mut self, seconds: u64, answer: impl Fn(usize) -> Option<(Outcome, Duration)>) {
        for _ in 0..seconds {
            for (index, member) in self.members.iter().enumerate() {
                if let Some((outcome, latency)) = answer(index) {
                    for _ in 0..100 {
                        member.load().record(outcome, latency, self.now);
                    }
                }
            }
            self.now = self.now.saturating_add(Duration::from_secs(1));
            self.rebuild();
        }
    }

    fn rebuild(&mut self) {
        let build = BuildContext::new(&self.members).with_now(self.now);
        self.picker = self.strategy.build(&build.with_previous(&self.picker)).unwrap();
    }

    /// Shares in per cent.
    fn shares(&self) -> Vec<f64> {
        let mut counts = vec![0.0; self.members.len()];
        for k in 0..20_000 {
            counts[self.picker.pick(&context(k)).unwrap()] += 100.0 / 20_000.0;
        }
        counts
    }
}

fn close(shares: &[f64], expected: &[f64]) -> bool {
    shares.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1.0)
}

const fn success(millis: u64) -> Option<(Outcome, Duration)> {
    Some((Outcome::Success, Duration::from_millis(millis)))
}

#[test]
fn a_member_twice_as_fast_gets_twice_the_weight_after_the_blackout() {
    let mut fleet = Fleet::new(&[1, 1, 1]);
    fleet.run(9, |index| success(if index == 0 { 5 } else { 10 }));
    let shares = fleet.shares();
    assert!(close(&shares, &[33.3, 33.3, 33.3]), "{shares:?}");
    fleet.run(2, |index| success(if index == 0 { 5 } else { 10 }));
    let shares = fleet.shares();
    assert!(close(&shares, &[50.0, 25.0, 25.0]), "{shares:?}");
}

#[test]
fn one_that_fails_fast_gets_next_to_nothing() {
    let mut fleet = Fleet::new(&[1, 1, 1]);
    fleet.run(12, |index| match index {
        0 => Some((Outcome::Failure, Duration::from_micros(10))),
        _ => success(10),
    });
    let shares = fleet.shares();
    assert!(shares[0] < 1.0, "{shares:?}");
}

#[test]
fn failing_at_once_does_not_look_like_having_time_to_spare() {
    // Of 10 requests so many fail at once at member 0; the members are alike otherwise.
    for (failures, part) in [(1_u64, 0.9 / 1.1), (5, 0.5 / 1.5), (9, 0.1 / 1.9)] {
        let mut fleet = Fleet::new(&[1, 1, 1]);
        for _ in 0..12 {
            for k in 0..10 {
                let at_once = (Outcome::Failure, Duration::from_micros(1));
                let (outcome, took) = if k < failures {
                    at_once
                } else {
                    success(10).unwrap()
                };
                fleet.members[0].load().record(outcome, took, fleet.now);
            }
            fleet.run(1, |index| if index == 0 { None } else { success(10) });
        }
        let shares = fleet.shares();
        let of_others = 100.0 / (2.0 + part);
        let expected = [part * of_others, of_others, of_others];
        assert!(close(&shares, &expected), "{failures} of 10 fail: {shares:?}");
    }
}

#[test]
fn a_slow_failure_counts_for_the_time_it_took() {
    let mut fleet = Fleet::new(&[1, 1]);
    for _ in 0..12 {
        let cell = fleet.members[0].load();
        cell.record(Outcome::Success, Duration::from_millis(10), fleet.now);
        cell.record(Outcome::Failure, Duration::from_millis(90), fleet.now);
        fleet.run(1, |index| if index == 0 { None } else { success(10) });
    }
    // A success in 100 ms where the other has ten, and half again for the errors.
    let part = 0.1 / 1.5;
    let expected = [100.0 * part / (1.0 + part), 100.0 / (1.0 + part)];
    let shares = fleet.shares();
    assert!(close(&shares, &expected), "{shares:?}");
}

#[test]
fn a_newcomer_gets_the_mean() {
    let mut fleet = Fleet::new(&[1, 1]);
    fleet.run(12, |index| success([10, 30][index]));
    fleet.members.push(Member::new("new"));
    fleet.rebuild();
    let shares = fleet.shares();
    assert!(close(&shares, &[50.0, 16.7, 33.3]), "{shares:?}");
}

#[test]
fn a_weight_that_nobody_confirms_is_forgotten() {
    let mut fleet = Fleet::new(&[1, 1, 1]);
    fleet.run(12, |index| success([10, 10, 100][index]));
    let before = fleet.shares();
    assert!(before[2] < 10.0, "{before:?}");
    fleet.run(181, |index| if index == 2 { None } else { success(10) });
    let shares = fleet.shares();
    assert!(close(&shares, &[33.3, 33.3, 33.3]), "{shares:?}");
}

#[test]
fn a_rebuild_between_two_updates_changes_nothing() {
    let mut fleet = Fleet::new(&[1, 1]);
    fleet.run(12, |index| success([10, 30][index]));
    fleet.members[1]
        .load()
        .record(Outcome::Success, Duration::from_nanos(1), fleet.now);
    fleet.rebuild();
    let shares = fleet.shares();
    assert!(close(&shares, &[75.0, 25.0]), "{shares:?}");
}

#[test]
fn a_weight_set_by_hand_wins() {
    let mut fleet = Fleet::new(&[2, 2, 2]);
    fleet.run(12, |_| success(10));
    fleet.members[0].load().set_weight(Some(0));
    fleet.rebuild();
    let shares = fleet.shares();
    assert!(close(&shares, &[0.0, 50.0, 50.0]), "{shares:?}");
}

#[test]
fn a_weight_set_by_hand_counts_against_what_members_were_described_with_and_not_against_itself() {
    let mut fleet = Fleet::new(&[1, 1]);
    fleet.run(12, |_| success(10));
    fleet.members[0].load().set_weight(Some(100));
    fleet.rebuild();
    let shares = fleet.shares();
    assert!((98.5..99.5).contains(&shares[0]), "{shares:?}");
}

#[test]
fn a_new_cell_under_an_old_name_is_unknown_and_not_infinitely_good() {
    let mut fleet = Fleet::new(&[1, 1, 1]);
    fleet.run(12, |_| success(10));
    fleet.members[0] = Member::new(fleet.members[0].id().clone());
    fleet.run(1, |index| if index == 0 { None } else { success(10) });
    let shares = fleet.shares();
    assert!(close(&shares, &[33.3, 33.3, 33.3]), "{shares:?}");
}

#[test]
fn nonsense_in_the_config_is_named() {
    let refused = |config| {
        DynamicWeights::new(WeightedRoundRobin::default(), config)
            .unwrap_err()
            .to_string()
    };
    let base = DynamicWeightsConfig::default;
    let update_period = Duration::ZERO;
    assert!(
        refused(DynamicWeightsConfig {
            update_period,
            ..base()
        })
        .contains("update_period")
    );
    let expiry = Duration::from_secs(1);
    assert!(refused(DynamicWeightsConfig { expiry, ..base() }).contains("expiry"));
    let error_penalty = -1.0;
    assert!(
        refused(DynamicWeightsConfig {
            error_penalty,
            ..base()
        })
        .contains("error_penalty")
    );
}
