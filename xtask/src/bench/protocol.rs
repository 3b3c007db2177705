//! What the runner says, one JSON object a line.
//!
//! First a [`Plan`], then for each step a [`Step`] and either a [`Sample`] or a [`Failed`], in between
//! [`Note`]s, and last `{"event":"done"}`. Fields that are not known here are passed over, so a newer
//! runner may say more; an event that is not known is nonsense.

use serde::{Deserialize, Serialize};

use crate::record::{Failed, Note, Sample, Scenario};

/// One line.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(super) enum Event {
    /// What is going to be run.
    Plan(Plan),
    /// A step begins.
    Step(Step),
    /// A step ended with figures.
    Sample(Sample),
    /// A step ended without.
    Failed(Failed),
    /// Something a reader of the figures must know.
    Note(Note),
    /// That was all.
    Done,
}

/// The first line.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Plan {
    /// The scenarios, in the order they run.
    pub(super) scenarios: Vec<Scenario>,
}

/// One contender, once.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Step {
    /// The scenario's name.
    pub(super) scenario: String,
    /// Who.
    pub(super) contender: String,
    /// The how-manieth time, from 0. Equal numbers ran next to each other and are compared in pairs.
    pub(super) repeat: u32,
    /// What is being done, for the progress line.
    #[serde(default)]
    pub(super) about: String,
}

/// Reads a line.
///
/// # Errors
///
/// Says what is wrong with the line when it is no event.
pub(super) fn read(line: &str) -> Result<Event, serde_json::Error> {
    serde_json::from_str(line)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Better, Role};

    #[test]
    fn every_event_of_the_agreed_text_is_read() {
        let plan = r#"{"event":"plan","scenarios":[{"name":"io","question":"?","contenders":[{"name":"evenkeel","about":"it","role":"ours"},{"name":"raw-tokio"}],"baseline":"raw-tokio","metrics":[{"name":"connect_p50","unit":"us","better":"lower","about":"a"}],"repeats":5,"steps":25}]}"#;
        let Ok(Event::Plan(plan)) = read(plan) else {
            panic!("no plan")
        };
        assert_eq!(plan.scenarios[0].baseline.as_deref(), Some("raw-tokio"));
        assert_eq!(plan.scenarios[0].metrics[0].better, Better::Lower);
        let roles: Vec<Role> = plan.scenarios[0].contenders.iter().map(|one| one.role).collect();
        assert_eq!(roles, [Role::Ours, Role::Peer]);
        let step =
            r#"{"event":"step","scenario":"io","contender":"evenkeel","repeat":0,"about":"connecting"}"#;
        assert!(matches!(read(step), Ok(Event::Step(Step { repeat: 0, .. }))));
        let sample = r#"{"event":"sample","scenario":"io","contender":"evenkeel","repeat":0,"metrics":{"connect_p50":812.0}}"#;
        let Ok(Event::Sample(sample)) = read(sample) else {
            panic!("no sample")
        };
        assert_eq!(sample.metrics["connect_p50"], Some(812.0));
        let failed = r#"{"event":"failed","scenario":"io","contender":"naive","repeat":0,"error":"refused"}"#;
        assert!(matches!(read(failed), Ok(Event::Failed(_))));
        assert!(matches!(
            read(r#"{"event":"note","scenario":"io","text":"fewer"}"#),
            Ok(Event::Note(_))
        ));
        assert_eq!(read(r#"{"event":"done"}"#).ok(), Some(Event::Done));
    }

    #[test]
    fn a_figure_that_could_not_be_taken_is_null_and_more_fields_are_no_harm() {
        let line =
            r#"{"event":"sample","scenario":"io","contender":"a","repeat":1,"metrics":{"x":null},"new":1}"#;
        let Ok(Event::Sample(sample)) = read(line) else {
            panic!("no sample")
        };
        assert_eq!(sample.metrics["x"], None);
    }

    #[test]
    fn nonsense_is_told_from_events() {
        for line in [
            "",
            "listening on 8080",
            "{}",
            r#"{"event":"party"}"#,
            r#"{"event":"sample"}"#,
            "[1]",
        ] {
            assert!(read(line).is_err(), "{line}");
        }
    }
}
