//! What the runner says on its standard output: one [`Event`] per line, as JSON.
//!
//! The first line of a run is the plan, the last is `done`; a run whose last line is anything else was cut
//! short. A step that fails is an event, not the end of the run.
//!
//! ```
//! use evenkeel_benches::protocol::Event;
//!
//! let line = Event::Done.to_line()?;
//! assert_eq!(line, r#"{"event":"done"}"#);
//! # Ok::<(), evenkeel_benches::Error>(())
//! ```

use serde::{Deserialize, Serialize};

use crate::{Error, Metrics};

/// One line of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "lowercase")]
#[non_exhaustive]
pub enum Event {
    /// What the run will do. The first line.
    Plan {
        /// The scenarios, in the order they run.
        scenarios: Vec<Planned>,
    },
    /// A step starts.
    Step {
        /// Its scenario.
        scenario: String,
        /// Its contender.
        contender: String,
        /// Which repeat, from 0.
        repeat: u32,
        /// What the contender is.
        about: String,
    },
    /// A step ended well.
    Sample {
        /// Its scenario.
        scenario: String,
        /// Its contender.
        contender: String,
        /// Which repeat, from 0.
        repeat: u32,
        /// What was measured: `metrics`, and with them `distributions` and `series` where there are any.
        #[serde(flatten)]
        metrics: Metrics,
    },
    /// A step failed; the run goes on.
    Failed {
        /// Its scenario.
        scenario: String,
        /// Its contender.
        contender: String,
        /// Which repeat, from 0.
        repeat: u32,
        /// Why.
        error: String,
    },
    /// Something a reader of the results must know.
    Note {
        /// The scenario it is about.
        scenario: String,
        /// The text.
        text: String,
    },
    /// The run is complete. The last line.
    Done,
}

/// A scenario in the plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Planned {
    /// Its name, as on the command line.
    pub name: String,
    /// What it answers.
    pub question: String,
    /// Who takes part.
    pub contenders: Vec<Contender>,
    /// Whom the others are compared with.
    pub baseline: String,
    /// Whether it needs the binary `evenkeel`.
    #[serde(default)]
    pub needs_evenkeel: bool,
    /// What is measured.
    pub metrics: Vec<Metric>,
    /// What is followed over time.
    pub series: Vec<Followed>,
    /// Metrics to draw as bars; the reader chooses when there are none.
    pub bars: Vec<String>,
    /// Metrics to draw as a curve over a size.
    pub scaling: Vec<Scaling>,
    /// The numbers of the size that runs.
    pub size: String,
    /// How often each contender runs.
    pub repeats: u32,
    /// How many steps there will be: repeats times contenders.
    pub steps: u32,
}

/// Who takes part in a scenario.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Contender {
    /// Its name.
    pub name: String,
    /// What it is, and what is particular about its figures.
    pub about: String,
    /// On which side it is.
    #[serde(default)]
    pub role: Role,
    /// The program that it is, if it is none of ours: without it the contender does not take part.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub program: Option<String>,
    /// How to install that program.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub install: Option<String>,
}

/// On which side a contender is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// A crate of this workspace.
    Ours,
    /// What people do who have none of this: what the report compares with.
    Naive,
    /// What people use today.
    #[default]
    Peer,
}

/// Something that is followed over time, by milliseconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Followed {
    /// Its name in a sample.
    pub name: String,
    /// The unit of its values.
    pub unit: String,
    /// What exactly it is.
    pub about: String,
}

/// Metrics that are the same figure at several sizes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scaling {
    /// What grows: `threads`.
    pub over: String,
    /// The figure, for a person.
    pub about: String,
    /// Size and metric.
    pub points: Vec<(f64, String)>,
}

/// Something that is measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Metric {
    /// Its name in a sample.
    pub name: String,
    /// The unit of its values.
    pub unit: String,
    /// Which way is better.
    pub better: Better,
    /// What exactly is measured, and between which moments.
    pub about: String,
}

/// Which way a metric is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Better {
    /// Less is better.
    Lower,
    /// More is better.
    Higher,
    /// Neither: a figure for orientation.
    Neither,
}

impl Event {
    /// The line, without its end.
    ///
    /// # Errors
    /// When the event cannot be written as JSON.
    pub fn to_line(&self) -> Result<String, Error> {
        serde_json::to_string(self).map_err(|e| Error::Child(format!("cannot write an event: {e}")))
    }

    /// Reads one line.
    ///
    /// # Errors
    /// When the line is not an event.
    pub fn from_line(line: &str) -> Result<Self, Error> {
        serde_json::from_str(line).map_err(|e| Error::Child(format!("not an event ({e}): {line}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn there_and_back(event: &Event) -> String {
        let line = event.to_line().unwrap();
        assert_eq!(&Event::from_line(&line).unwrap(), event);
        assert!(!line.contains('\n'));
        line
    }

    #[test]
    fn every_event_survives_its_line() {
        let metric = Metric {
            name: "p50".into(),
            unit: "us".into(),
            better: Better::Lower,
            about: "time".into(),
        };
        let planned = Planned {
            name: "io".into(),
            question: "how much?".into(),
            contenders: vec![Contender {
                name: "a".into(),
                about: "it".into(),
                role: Role::Ours,
                program: Some("sh".into()),
                install: None,
            }],
            baseline: "a".into(),
            needs_evenkeel: false,
            metrics: vec![metric],
            series: vec![Followed {
                name: "open".into(),
                unit: "count".into(),
                about: "connections".into(),
            }],
            bars: vec!["p50".into()],
            scaling: vec![Scaling {
                over: "threads".into(),
                about: "time".into(),
                points: vec![(1.0, "p50".into())],
            }],
            size: "connections=1000".into(),
            repeats: 2,
            steps: 2,
        };
        let line = there_and_back(&Event::Plan {
            scenarios: vec![planned],
        });
        assert!(
            line.starts_with(r#"{"event":"plan","scenarios":[{"name":"io""#),
            "{line}"
        );
        assert!(line.contains(r#""better":"lower""#), "{line}");

        let (scenario, contender) = (String::from("io"), String::from("a"));
        there_and_back(&Event::Step {
            scenario: scenario.clone(),
            contender: contender.clone(),
            repeat: 0,
            about: "x".into(),
        });
        let mut metrics = Metrics::default();
        metrics.set("p50", 812.0);
        let line = there_and_back(&Event::Sample {
            scenario: scenario.clone(),
            contender: contender.clone(),
            repeat: 0,
            metrics,
        });
        assert_eq!(
            line,
            r#"{"event":"sample","scenario":"io","contender":"a","repeat":0,"metrics":{"p50":812.0}}"#
        );
        there_and_back(&Event::Failed {
            scenario: scenario.clone(),
            contender,
            repeat: 1,
            error: "two\nlines".into(),
        });
        there_and_back(&Event::Note {
            scenario,
            text: "less".into(),
        });
        assert_eq!(there_and_back(&Event::Done), r#"{"event":"done"}"#);
    }

    #[test]
    fn nonsense_is_an_error() {
        assert!(Event::from_line("{}").is_err());
        assert!(Event::from_line("hello").is_err());
        assert!(Event::from_line(r#"{"event":"party"}"#).is_err());
    }
}
