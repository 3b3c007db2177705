//! How much time is left, from how long the steps took so far.

use super::protocol::Plan;

/// The steps of one scenario.
#[derive(Debug)]
struct Steps {
    scenario: String,
    all: u64,
    done: u64,
    seconds: f64,
}

/// What is done of a plan. Pure: it is told the time, in seconds from the begin.
#[derive(Debug, Default)]
pub(super) struct Pace {
    steps: Vec<Steps>,
    last: f64,
}

impl Pace {
    /// Nothing done yet.
    pub(super) fn of(plan: &Plan) -> Self {
        let steps = plan.scenarios.iter().map(|scenario| Steps {
            scenario: scenario.name.clone(),
            all: scenario.steps,
            done: 0,
            seconds: 0.0,
        });
        Self {
            steps: steps.collect(),
            last: 0.0,
        }
    }

    /// A step of this scenario has ended.
    pub(super) fn done(&mut self, scenario: &str, now: f64) {
        let took = (now - self.last).max(0.0);
        self.last = now;
        if let Some(steps) = self.steps.iter_mut().find(|steps| steps.scenario == scenario) {
            steps.done += 1;
            steps.seconds += took;
        }
    }

    /// Seconds left: each scenario at its own pace so far, one not begun at the mean of all. Nothing before the
    /// first step is done.
    pub(super) fn left(&self) -> Option<f64> {
        let done: u64 = self.steps.iter().map(|steps| steps.done).sum();
        if done == 0 {
            return None;
        }
        let mean = self.last / done as f64;
        let left = self.steps.iter().map(|steps| {
            let each = if steps.done == 0 {
                mean
            } else {
                steps.seconds / steps.done as f64
            };
            each * steps.all.saturating_sub(steps.done) as f64
        });
        Some(left.sum())
    }

    /// The same in words: `2 min 10 s left`.
    pub(super) fn words(&self) -> String {
        let Some(left) = self.left() else {
            return "time left not known yet".to_owned();
        };
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "some seconds"
        )]
        let seconds = left.round() as u64;
        match seconds / 60 {
            0 => format!("{seconds} s left"),
            minutes => format!("{minutes} min {} s left", seconds % 60),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Scenario;

    fn plan(steps: &[(&str, u64)]) -> Plan {
        let scenario = |(name, steps): &(&str, u64)| Scenario {
            name: (*name).to_owned(),
            steps: *steps,
            ..Scenario::default()
        };
        Plan {
            scenarios: steps.iter().map(scenario).collect(),
        }
    }

    #[test]
    fn each_scenario_goes_at_its_own_pace() {
        let mut pace = Pace::of(&plan(&[("slow", 3), ("fast", 10)]));
        assert_eq!(
            (pace.left(), pace.words().as_str()),
            (None, "time left not known yet")
        );
        pace.done("slow", 10.0);
        // Two more of ten seconds; nothing known of the fast ones yet.
        assert_eq!(pace.left(), Some(120.0));
        assert_eq!(pace.words(), "2 min 0 s left");
        pace.done("fast", 11.0);
        assert_eq!(pace.left(), Some(20.0 + 9.0));
        pace.done("nobody", 12.0);
        for now in 13..=21 {
            pace.done("fast", f64::from(now));
        }
        pace.done("slow", 31.0);
        pace.done("slow", 41.0);
        assert_eq!(pace.words(), "0 s left");
    }
}
