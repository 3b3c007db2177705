//! What the runner has given so far.

use super::protocol::{Event, Plan};
use crate::record::{Failed, Note, Part, Sample};

/// The plan and everything that came after it.
#[derive(Debug, Default)]
pub(super) struct Results {
    /// What was going to be run.
    pub(super) plan: Plan,
    /// Figures, in the order they came.
    pub(super) samples: Vec<Sample>,
    /// Steps without figures.
    pub(super) failed: Vec<Failed>,
    /// What a reader must know.
    pub(super) notes: Vec<Note>,
    /// Whether a plan has come.
    planned: bool,
}

/// What came of taking an event.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// There is more to come.
    More,
    /// That was the last.
    Done,
    /// It does not fit in, and why.
    Misfit(String),
}

impl Results {
    /// Takes in an event, unless it does not fit what came before.
    pub(super) fn take(&mut self, event: &Event) -> Taken {
        if let Err(why) = self.fits(event) {
            return Taken::Misfit(why);
        }
        match event {
            Event::Plan(plan) => {
                self.plan = plan.clone();
                self.planned = true;
            }
            Event::Step(_) => {}
            Event::Sample(sample) => self.samples.push(sample.clone()),
            Event::Failed(failed) => self.failed.push(failed.clone()),
            Event::Note(note) => self.notes.push(note.clone()),
            Event::Done => return Taken::Done,
        }
        Taken::More
    }

    /// Whether the event names what the plan named. Figures under an unknown name would be lost silently.
    fn fits(&self, event: &Event) -> Result<(), String> {
        let (scenario, contender, metrics) = match event {
            Event::Plan(_) if self.planned => return Err("a second plan".to_owned()),
            Event::Plan(_) => return Ok(()),
            _ if !self.planned => return Err("the first line is not the plan".to_owned()),
            Event::Done => return Ok(()),
            Event::Step(step) => (&step.scenario, Some(&step.contender), None),
            Event::Sample(sample) => (&sample.scenario, Some(&sample.contender), Some(&sample.metrics)),
            Event::Failed(failed) => (&failed.scenario, Some(&failed.contender), None),
            Event::Note(note) => (&note.scenario, None, None),
        };
        let planned = self
            .plan
            .scenarios
            .iter()
            .find(|planned| planned.name == *scenario);
        let planned = planned.ok_or_else(|| format!("scenario `{scenario}` is not in the plan"))?;
        if let Some(contender) = contender.filter(|name| planned.contender(name).is_none()) {
            return Err(format!(
                "contender `{contender}` is not in the plan of `{scenario}`"
            ));
        }
        let known = |name: &String| planned.metrics.iter().any(|metric| metric.name == *name);
        match metrics.and_then(|metrics| metrics.keys().find(|name| !known(name))) {
            Some(name) => Err(format!("metric `{name}` is not in the plan of `{scenario}`")),
            None => Ok(()),
        }
    }

    /// What belongs to each scenario, in the order of the plan.
    pub(super) fn into_parts(self) -> Vec<Part> {
        let part = |plan: crate::record::Scenario| {
            let name = plan.name.clone();
            Part {
                samples: self
                    .samples
                    .iter()
                    .filter(|one| one.scenario == name)
                    .cloned()
                    .collect(),
                failed: self
                    .failed
                    .iter()
                    .filter(|one| one.scenario == name)
                    .cloned()
                    .collect(),
                notes: self
                    .notes
                    .iter()
                    .filter(|one| one.scenario == name)
                    .cloned()
                    .collect(),
                plan,
                ..Part::default()
            }
        };
        self.plan.scenarios.iter().cloned().map(part).collect()
    }

    /// How many steps of a scenario gave figures.
    #[cfg(test)]
    pub(super) fn complete(&self, scenario: &str) -> usize {
        self.samples
            .iter()
            .filter(|sample| sample.scenario == scenario)
            .count()
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::protocol::read;
    use super::*;

    /// Two contenders, one metric, three repeats; the third has only the baseline.
    pub(in super::super) const LINES: [&str; 10] = [
        r#"{"event":"plan","scenarios":[{"name":"io","question":"How fast?","contenders":[{"name":"evenkeel","role":"ours"},{"name":"raw-tokio"}],"baseline":"raw-tokio","metrics":[{"name":"p50","unit":"us","better":"lower","about":"half are faster"},{"name":"rate","unit":"1/s","better":"higher","about":""}],"repeats":3,"steps":6}]}"#,
        r#"{"event":"step","scenario":"io","contender":"evenkeel","repeat":0,"about":"connecting"}"#,
        r#"{"event":"sample","scenario":"io","contender":"evenkeel","repeat":0,"metrics":{"p50":8.0,"rate":12345.0}}"#,
        r#"{"event":"sample","scenario":"io","contender":"raw-tokio","repeat":0,"metrics":{"p50":10.0,"rate":12000.0}}"#,
        r#"{"event":"note","scenario":"io","text":"only 500 connections: the limit on descriptors"}"#,
        r#"{"event":"sample","scenario":"io","contender":"evenkeel","repeat":1,"metrics":{"p50":9.0,"rate":null}}"#,
        r#"{"event":"sample","scenario":"io","contender":"raw-tokio","repeat":1,"metrics":{"p50":10.0,"rate":11000.0}}"#,
        r#"{"event":"failed","scenario":"io","contender":"evenkeel","repeat":2,"error":"refused"}"#,
        r#"{"event":"sample","scenario":"io","contender":"raw-tokio","repeat":2,"metrics":{"p50":1.0,"rate":10000.0}}"#,
        r#"{"event":"done"}"#,
    ];

    /// The results of the first lines of [`LINES`].
    pub(in super::super) fn after(lines: usize) -> Results {
        let mut results = Results::default();
        for line in &LINES[..lines] {
            let taken = results.take(&read(line).expect("an event"));
            assert!(matches!(taken, Taken::More | Taken::Done), "{taken:?}");
        }
        results
    }

    #[test]
    fn a_repeat_that_failed_is_missing_from_summary_and_ratio() {
        let results = after(LINES.len());
        let parts = results.into_parts();
        let part = &parts[0];
        let summary = part.summary("evenkeel", "p50").expect("two samples");
        assert_eq!((summary.median, summary.samples), (8.5, 2));
        let ratio = part.ratio("evenkeel", "p50").expect("two pairs");
        assert_eq!((ratio.min, ratio.max, ratio.samples), (0.8, 0.9, 2));
        assert_eq!(part.summary("evenkeel", "rate").map(|s| s.samples), Some(1));
        assert_eq!(part.ratio("raw-tokio", "p50"), None);
        assert_eq!(
            (part.samples.len(), part.failed.len(), part.notes.len()),
            (5, 1, 1)
        );
    }

    #[test]
    fn what_the_plan_does_not_name_is_not_swallowed() {
        for (line, why) in [
            (r#"{"event":"note","scenario":"oi","text":""}"#, "scenario `oi`"),
            (
                r#"{"event":"step","scenario":"io","contender":"x","repeat":0}"#,
                "contender `x`",
            ),
            (
                r#"{"event":"sample","scenario":"io","contender":"evenkeel","repeat":0,"metrics":{"p51":1}}"#,
                "metric `p51`",
            ),
            (LINES[0], "a second plan"),
        ] {
            let Taken::Misfit(said) = after(1).take(&read(line).expect("an event")) else {
                panic!("{line} was taken")
            };
            assert!(said.contains(why), "{said}");
        }
        let early = Results::default().take(&Event::Done);
        assert_eq!(early, Taken::Misfit("the first line is not the plan".to_owned()));
    }
}
