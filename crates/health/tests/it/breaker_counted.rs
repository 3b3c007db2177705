//! A breaker that counts successes itself and one that is shown a count decide alike.

use std::time::Duration;

use evenkeel_health::{CircuitBreaker, CircuitBreakerConfig, Detector, Observation};
use evenkeel_stats::{Outcome, Timestamp};
use proptest::collection::vec;
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Step {
    /// So many requests that end so, each sent so long ago.
    End(Outcome, u32, Duration),
    Wait(Duration),
    Reset,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let ago = prop_oneof![Just(0), 0_u64..3_000].prop_map(Duration::from_millis);
    let outcome = prop_oneof![
        3 => Just(Outcome::Success),
        3 => Just(Outcome::Failure),
        1 => Just(Outcome::Overload { retry_after: None }),
        1 => Just(Outcome::Cancelled),
    ];
    let wait = prop_oneof![3 => 0_u64..300, 1 => 0_u64..15_000].prop_map(Duration::from_millis);
    vec(
        prop_oneof![
            6 => (outcome, 1_u32..30, ago).prop_map(|(outcome, times, ago)| Step::End(outcome, times, ago)),
            4 => wait.prop_map(Step::Wait),
            1 => Just(Step::Reset),
        ],
        1..200,
    )
}

proptest! {
    #[test]
    fn who_counts_the_successes_makes_no_difference(steps in steps(), before in any::<u64>(), bits in 40_u32..=64) {
        let config = CircuitBreakerConfig {
            circuit_breaker_threshold: 20,
            min_samples: 10,
            ..CircuitBreakerConfig::default()
        };
        let own = CircuitBreaker::with_seed(config.clone(), 1).unwrap();
        let shown = CircuitBreaker::with_seed(config, 1).unwrap();
        let mask = u64::MAX >> (64 - bits);
        let (mut now, mut successes) = (Timestamp::from_nanos(1_000_000_000_000), before & mask);
        for step in steps {
            match step {
                Step::End(outcome, times, ago) => {
                    for _ in 0..times {
                        let started = now.saturating_sub(ago);
                        let observation = Observation { outcome, started, now };
                        successes = successes.wrapping_add(u64::from(outcome.is_success())) & mask;
                        let verdict = own.observe(&observation);
                        prop_assert_eq!(verdict, shown.observe_counted(&observation, successes));
                        prop_assert_eq!(own.stats(), shown.stats());
                    }
                }
                Step::Wait(time) => now = now.saturating_add(time),
                Step::Reset => {
                    own.reset(now);
                    shown.reset(now);
                }
            }
        }
    }
}
