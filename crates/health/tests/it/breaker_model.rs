//! The breaker against a slow reference: any order of asking, answering, giving up and forcing.

use std::time::Duration;

use evenkeel_health::{CircuitBreaker, CircuitBreakerConfig, CircuitState, Detector, Permit, Rejected};
use evenkeel_stats::{Outcome, Timestamp};
use proptest::prelude::*;

const MILLI: u64 = 1_000_000;

#[derive(Clone, Debug)]
enum Step {
    Wait(u64),
    Ask,
    Answer(usize, Outcome),
    GiveUp(usize),
    Readmit,
    ForceOpen,
    ForceClose,
    Reset,
}

fn outcome() -> impl Strategy<Value = Outcome> {
    let overload = |millis: Option<u64>| Outcome::Overload {
        retry_after: millis.map(Duration::from_millis),
    };
    prop_oneof![
        3 => Just(Outcome::Success),
        6 => Just(Outcome::Failure),
        1 => proptest::option::of(0_u64..5_000).prop_map(overload),
        1 => Just(Outcome::Cancelled),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0_u64..400).prop_map(Step::Wait),
        1 => (0_u64..20_000).prop_map(Step::Wait),
        20 => Just(Step::Ask),
        20 => (any::<usize>(), outcome()).prop_map(|(which, outcome)| Step::Answer(which, outcome)),
        2 => any::<usize>().prop_map(Step::GiveUp),
        1 => Just(Step::Readmit),
        1 => prop_oneof![Just(Step::ForceOpen), Just(Step::ForceClose), Just(Step::Reset)],
    ]
}

fn config() -> impl Strategy<Value = CircuitBreakerConfig> {
    let numbers = (1_u32..5, 1_u32..4, 1_u32..8, 0..3_u8, 0_u32..5);
    numbers.prop_map(
        |(threshold, permits, min_samples, rate, excess)| CircuitBreakerConfig {
            max_excess_failures: excess,
            circuit_breaker_threshold: threshold,
            circuit_breaker_timeout: Duration::from_millis(300),
            max_timeout: Duration::from_millis(2_000),
            jitter: 0.0,
            forgive_after: Duration::from_millis(1_500),
            min_success_rate: f64::from(rate) * 0.4,
            min_samples,
            window: Duration::from_millis(1_000),
            window_slots: 5,
            trial_permits: permits,
            trial_timeout: Duration::from_millis(900),
        },
    )
}

/// Everything that ever happened in the state under way, looked through anew at each question.
struct Reference {
    config: CircuitBreakerConfig,
    state: CircuitState,
    entered: u64,
    until: u64,
    doublings: u32,
    /// Counts the states, to know whose answer comes.
    turn: u64,
    answers: Vec<(u64, Outcome)>,
    out: u32,
    out_since: u64,
}

impl Reference {
    fn enter(&mut self, state: CircuitState, now: u64) {
        self.state = state;
        self.entered = now;
        self.turn += 1;
        self.answers.clear();
        self.out = 0;
    }

    fn open(&mut self, outcome: Outcome, now: u64) {
        if self.state == CircuitState::Closed {
            let forgiven = (now - self.entered) / 1_500;
            self.doublings = self.doublings.saturating_sub(forgiven as u32);
        }
        let time = (0..self.doublings).fold(300, |time, _| time * 2);
        let asked = match outcome {
            Outcome::Overload {
                retry_after: Some(asked),
            } => asked.as_millis() as u64,
            _ => 0,
        };
        if time < 2_000 {
            self.doublings += 1;
        }
        self.until = now + time.max(asked).min(2_000);
        self.enter(CircuitState::Open, now);
    }

    fn successes(&self) -> usize {
        self.answers
            .iter()
            .filter(|(_, o)| *o == Outcome::Success)
            .count()
    }

    /// The turn in which it was let through.
    fn ask(&mut self, now: u64) -> Result<u64, Rejected> {
        if self.state == CircuitState::Open && now >= self.until {
            self.enter(CircuitState::HalfOpen, now);
        }
        if self.state == CircuitState::HalfOpen && self.out > 0 && now - self.out_since >= 900 {
            self.open(Outcome::Failure, now);
        }
        match self.state {
            CircuitState::ForcedOpen => Err(Rejected::ForcedOpen),
            CircuitState::Open => Err(Rejected::Open {
                retry_after: Duration::from_millis(self.until - now),
            }),
            CircuitState::HalfOpen if self.out + self.successes() as u32 >= self.config.trial_permits => {
                Err(Rejected::OnTrial)
            }
            CircuitState::HalfOpen => {
                if self.out == 0 {
                    self.out_since = now;
                }
                self.out += 1;
                Ok(self.turn)
            }
            _ => Ok(self.turn),
        }
    }

    fn answer(&mut self, turn: u64, outcome: Outcome, now: u64) {
        if turn != self.turn {
            return;
        }
        self.out = self.out.saturating_sub(1);
        if outcome == Outcome::Cancelled {
            return;
        }
        self.answers.push((now, outcome));
        let failed = outcome != Outcome::Success;
        match self.state {
            CircuitState::Closed if failed && (self.run_is_long(outcome) || self.rate_is_low(now)) => {
                self.open(outcome, now);
            }
            CircuitState::HalfOpen if failed => self.open(outcome, now),
            CircuitState::HalfOpen if self.successes() as u32 == self.config.trial_permits => {
                self.enter(CircuitState::Closed, now);
            }
            _ => {}
        }
    }

    fn run_is_long(&self, last: Outcome) -> bool {
        let since_success = self
            .answers
            .iter()
            .rev()
            .take_while(|(_, o)| *o != Outcome::Success);
        let run = since_success.filter(|(_, o)| *o == Outcome::Failure).count();
        last == Outcome::Failure && run >= self.config.circuit_breaker_threshold as usize
    }

    fn rate_is_low(&self, now: u64) -> bool {
        // Slots of 200 ms: the one under way and the four before it.
        let inside = |at: u64| at / 200 + 5 > now / 200;
        let all = self.answers.iter().filter(|(at, _)| inside(*at)).count();
        let good = self
            .answers
            .iter()
            .filter(|(at, o)| inside(*at) && *o == Outcome::Success)
            .count();
        let low = (good as f64) < self.config.min_success_rate * all as f64;
        all >= self.config.min_samples as usize && (low || self.excess_is_high())
    }

    /// Looked through in fifths of a failure, which the rates of these configs are whole numbers of.
    fn excess_is_high(&self) -> bool {
        let most = i64::from(self.config.max_excess_failures) * 5;
        let charge = (self.config.min_success_rate * 5.0).round() as i64;
        let excess = self.answers.iter().fold(0, |excess, (_, outcome)| match outcome {
            Outcome::Success => (excess - (5 - charge)).max(0),
            _ => (excess + charge).min(most),
        });
        charge > 0 && most > 0 && excess == most
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    #[test]
    fn it_does_what_the_reference_does(config in config(), steps in proptest::collection::vec(step(), 1..200)) {
        let breaker = CircuitBreaker::with_seed(config.clone(), 1)?;
        let mut reference = Reference {
            config,
            state: CircuitState::Closed,
            entered: 0,
            until: 0,
            doublings: 0,
            turn: 0,
            answers: Vec::new(),
            out: 0,
            out_since: 0,
        };
        let mut permits: Vec<(Permit<&CircuitBreaker>, u64)> = Vec::new();
        let mut millis = 0;
        for step in steps {
            let now = Timestamp::from_nanos(millis * MILLI);
            match step {
                Step::Wait(more) => millis += more,
                Step::Ask => match (breaker.permit(now), reference.ask(millis)) {
                    (Ok(permit), Ok(turn)) => permits.push((permit, turn)),
                    (ours, theirs) => prop_assert_eq!(ours.err(), theirs.err()),
                },
                Step::Answer(which, outcome) if !permits.is_empty() => {
                    let (permit, turn) = permits.swap_remove(which % permits.len());
                    let before = reference.turn;
                    reference.answer(turn, outcome, millis);
                    prop_assert_eq!(permit.finish(outcome, now), reference.turn != before);
                }
                Step::GiveUp(which) if !permits.is_empty() => {
                    let (permit, turn) = permits.swap_remove(which % permits.len());
                    drop(permit);
                    reference.answer(turn, Outcome::Cancelled, millis);
                }
                Step::Answer(..) | Step::GiveUp(_) => {}
                Step::Readmit => {
                    breaker.readmit(now);
                    if reference.state == CircuitState::Open {
                        reference.enter(CircuitState::HalfOpen, millis);
                    }
                }
                Step::ForceOpen => {
                    breaker.force_open(now);
                    if reference.state != CircuitState::ForcedOpen {
                        reference.enter(CircuitState::ForcedOpen, millis);
                    }
                }
                Step::ForceClose => {
                    breaker.force_close(now);
                    if reference.state != CircuitState::ForcedClosed {
                        reference.enter(CircuitState::ForcedClosed, millis);
                    }
                }
                Step::Reset => {
                    breaker.reset(now);
                    reference.doublings = 0;
                    reference.enter(CircuitState::Closed, millis);
                }
            }
            prop_assert_eq!(breaker.state(), reference.state);
        }
    }
}
