//! A run as data: every sample, and where, when and with what it was made.
//!
//! One form for all that reads a run: the tables, the report, the comparison of two runs, the claims and the page
//! of figures. What can be worked out from samples (medians, ratios, intervals) is written into the file for other
//! programs, and worked out anew when the file is read.

pub(crate) mod file;
pub(crate) mod interval;
pub(crate) mod machine;
pub(crate) mod plan;
pub(crate) mod sample;
pub(crate) mod statistics;
mod versions;

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

pub(crate) use machine::Machine;
#[cfg(test)]
use plan::Followed;
pub(crate) use plan::{Better, Contender, Metric, Role, Scaling, Scenario};
pub(crate) use sample::{Failed, Note, Point, Sample};
use statistics::{Series, Summary};

/// The number of this layout; it goes up when a reader of the old one would be misled.
pub(crate) const FORMAT: u32 = 2;

/// A run.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Record {
    /// [`FORMAT`].
    pub(crate) format: u32,
    /// What was typed.
    pub(crate) command: String,
    /// When it began, in UTC: `2026-11-23T17:00:00Z`.
    pub(crate) date: String,
    /// How long it took, in seconds.
    pub(crate) seconds: f64,
    /// Small sizes: shows that everything works, not what it can do.
    pub(crate) quick: bool,
    /// Where.
    pub(crate) machine: Machine,
    /// How many others wanted the processor, at the begin and at the end: the mean of a minute.
    #[serde(default)]
    pub(crate) load: Option<[f64; 2]>,
    /// What share of the processors' time the host gave to other machines meanwhile, if this one is virtual.
    #[serde(default)]
    pub(crate) stolen: Option<f64>,
    /// The processors' time at the begin.
    #[serde(skip)]
    pub(crate) begun: Option<machine::ProcessorTime>,
    /// Versions of what was measured, from the lock file.
    pub(crate) versions: BTreeMap<String, String>,
    /// Whether it came to its end.
    pub(crate) complete: bool,
    /// Why not.
    pub(crate) error: Option<String>,
    /// What was measured.
    pub(crate) scenarios: Vec<Part>,
}

/// One scenario of a run.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Part {
    /// What was going to be run.
    #[serde(flatten)]
    pub(crate) plan: Scenario,
    /// Figures, in the order they came.
    pub(crate) samples: Vec<Sample>,
    /// Steps without figures.
    pub(crate) failed: Vec<Failed>,
    /// What a reader must know.
    pub(crate) notes: Vec<Note>,
    /// For other programs; not read back.
    #[serde(default, skip_deserializing)]
    pub(crate) summaries: Vec<Row>,
}

/// One metric of one contender, summed up.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Row {
    contender: String,
    metric: String,
    #[serde(flatten)]
    summary: Summary,
    /// Against the baseline, repeat by repeat.
    ratio: Option<Summary>,
}

impl Record {
    /// An empty record of a run that begins now.
    pub(crate) fn begin(root: &Path, quick: bool) -> Self {
        #[expect(clippy::disallowed_methods, reason = "the date of a record is wall time")]
        let now = std::time::SystemTime::now();
        Self {
            format: FORMAT,
            command: typed(std::env::args().skip(1)),
            date: humantime::format_rfc3339_seconds(now).to_string(),
            quick,
            machine: Machine::read(root),
            load: machine::load().map(|load| [load, load]),
            begun: machine::ProcessorTime::now(),
            versions: versions::measured(root),
            ..Self::default()
        }
    }

    /// The scenario of that name.
    pub(crate) fn part(&self, name: &str) -> Option<&Part> {
        self.scenarios.iter().find(|part| part.plan.name == name)
    }

    /// The run has ended.
    pub(crate) fn end(&mut self, seconds: f64) {
        self.seconds = seconds.round();
        self.load = self
            .load
            .zip(machine::load())
            .map(|([begin, _], end)| [begin, end]);
        self.stolen = self
            .begun
            .zip(machine::ProcessorTime::now())
            .and_then(|(begin, end)| end.stolen_since(begin));
        self.sum_up();
    }

    /// How busy the machine was with other work, in words.
    pub(crate) fn busy(&self) -> Option<String> {
        let [begin, end] = self.load?.map(crate::number::figure);
        let cores = self.machine.cores;
        let mut text = format!("load {begin} at the begin, {end} at the end, on {cores} cores");
        if let Some(stolen) = self.stolen {
            let percent = crate::number::figure(100.0 * stolen);
            text.push_str(&format!("; {percent} % of their time went to other machines"));
        }
        Some(text)
    }

    /// Works out the summaries for other programs.
    fn sum_up(&mut self) {
        for part in &mut self.scenarios {
            part.summaries = part.rows();
        }
    }
}

/// A command line as it is worth keeping: paths without their folders, which are of one machine.
fn typed(args: impl Iterator<Item = String>) -> String {
    let short = |arg: String| match arg.rsplit_once('/') {
        Some((_, name)) if !name.is_empty() => name.to_owned(),
        _ => arg,
    };
    let words = ["cargo".to_owned(), "xtask".to_owned()]
        .into_iter()
        .chain(args.map(short));
    words.collect::<Vec<_>>().join(" ")
}

impl Part {
    /// The samples of one metric of one contender, by repeat.
    pub(crate) fn series(&self, contender: &str, metric: &str) -> Series {
        let samples = self.samples.iter().filter(|sample| sample.contender == contender);
        samples
            .filter_map(|sample| Some((sample.repeat, (*sample.metrics.get(metric)?)?)))
            .collect()
    }

    /// The summary of one metric of one contender.
    pub(crate) fn summary(&self, contender: &str, metric: &str) -> Option<Summary> {
        statistics::summary(self.series(contender, metric).into_values())
    }

    /// The same against the baseline; nothing for the baseline itself.
    pub(crate) fn ratio(&self, contender: &str, metric: &str) -> Option<Summary> {
        let baseline = self.plan.baseline.as_deref()?;
        if baseline == contender {
            return None;
        }
        self.ratio_to(contender, baseline, metric)
    }

    /// The same against anybody.
    pub(crate) fn ratio_to(&self, contender: &str, other: &str, metric: &str) -> Option<Summary> {
        statistics::paired_ratio(&self.series(contender, metric), &self.series(other, metric))
    }

    fn rows(&self) -> Vec<Row> {
        let mut rows = Vec::new();
        for contender in &self.plan.contenders {
            for metric in &self.plan.metrics {
                if let Some(summary) = self.summary(&contender.name, &metric.name) {
                    rows.push(Row {
                        contender: contender.name.clone(),
                        metric: metric.name.clone(),
                        summary,
                        ratio: self.ratio(&contender.name, &metric.name),
                    });
                }
            }
        }
        rows
    }
}

#[cfg(test)]
pub(crate) mod fixture {
    //! Made-up runs for the tests of whatever reads one.

    use super::*;

    /// A contender.
    pub(crate) fn contender(name: &str, role: Role) -> Contender {
        Contender {
            name: name.to_owned(),
            about: format!("what {name} is"),
            role,
        }
    }

    /// A scenario `io` of three contenders: a latency, a rate, a series, a figure at two sizes.
    pub(crate) fn scenario() -> Scenario {
        let metric = |name: &str, unit: &str, better| Metric {
            name: name.to_owned(),
            unit: unit.to_owned(),
            better,
            about: format!("what {name} is"),
        };
        Scenario {
            name: "io".to_owned(),
            question: "How fast?".to_owned(),
            contenders: vec![
                contender("evenkeel", Role::Ours),
                contender("raw-tokio", Role::Peer),
                contender("naive", Role::Naive),
            ],
            baseline: Some("raw-tokio".to_owned()),
            needs_evenkeel: false,
            metrics: vec![
                metric("wait_p50", "us", Better::Lower),
                metric("rate", "1/s", Better::Higher),
                metric("rate_4", "1/s", Better::Higher),
            ],
            series: vec![Followed {
                name: "open".to_owned(),
                unit: "count".to_owned(),
                about: "connections <open>".to_owned(),
            }],
            bars: Vec::new(),
            scaling: vec![Scaling {
                over: "threads".to_owned(),
                about: "rate".to_owned(),
                points: vec![(1.0, "rate".to_owned()), (4.0, "rate_4".to_owned())],
            }],
            size: "connections=10".to_owned(),
            repeats: 6,
            steps: 18,
        }
    }

    /// A sample of `scenario`, with figures that differ a little from repeat to repeat.
    fn sample(contender: &str, repeat: u32, wait: f64, rate: f64) -> Sample {
        let drift = 1.0 + f64::from(repeat % 3) / 100.0;
        let figures = [
            ("wait_p50", wait * drift),
            ("rate", rate / drift),
            ("rate_4", rate * 3.0),
        ];
        let quantiles = [(0.0, 0.5), (0.5, 1.0), (0.9, 2.0), (0.99, 10.0), (1.0, 30.0)];
        Sample {
            scenario: "io".to_owned(),
            contender: contender.to_owned(),
            repeat,
            metrics: figures
                .iter()
                .map(|(name, value)| ((*name).to_owned(), Some(*value)))
                .collect(),
            distributions: [(
                "wait".to_owned(),
                quantiles.map(|(q, times)| [q, wait * times * drift]).to_vec(),
            )]
            .into(),
            series: [(
                "open".to_owned(),
                vec![[0.0, 5.0], [10.0, 20.0 * drift], [20.0, 7.0]],
            )]
            .into(),
        }
    }

    /// A whole run of [`scenario`]; ours takes `wait` where raw-tokio takes 10 us and naive 100.
    pub(crate) fn record(wait: f64) -> Record {
        let samples = (0..6).flat_map(|repeat| {
            [
                sample("evenkeel", repeat, wait, 9e4 / wait),
                sample("raw-tokio", repeat, 10.0, 1e4),
                sample("naive", repeat, 100.0, 1e3),
            ]
        });
        Record {
            format: FORMAT,
            command: "cargo xtask bench".to_owned(),
            date: "2026-11-23T17:00:00Z".to_owned(),
            seconds: 12.0,
            load: Some([0.25, 3.5]),
            machine: Machine {
                os: "linux".to_owned(),
                cores: 2,
                ..Machine::default()
            },
            versions: [("tokio".to_owned(), "1.47.0".to_owned())].into(),
            complete: true,
            scenarios: vec![Part {
                plan: scenario(),
                samples: samples.collect(),
                notes: vec![Note {
                    scenario: "io".to_owned(),
                    text: "fewer & faster".to_owned(),
                }],
                ..Part::default()
            }],
            ..Record::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_survives_its_file_and_its_summaries_are_worked_out_anew() {
        let mut record = fixture::record(9.0);
        record.sum_up();
        let text = serde_json::to_string(&record).expect("JSON");
        assert!(text.contains(r#""ratio":{"median":0.9"#), "{text}");
        let read: Record = serde_json::from_str(&text).expect("the same form");
        assert_eq!(read, fixture::record(9.0));
    }

    #[test]
    fn a_command_is_kept_without_the_folders_of_a_machine() {
        let args = ["bench", "io", "--json", "/home/me/run.json", "--report", "out/"];
        let kept = typed(args.into_iter().map(str::to_owned));
        assert_eq!(kept, "cargo xtask bench io --json run.json --report out/");
    }

    #[test]
    fn ratios_are_to_the_baseline_or_to_anybody_and_never_to_oneself() {
        let record = fixture::record(9.0);
        let part = record.part("io").expect("there");
        let close = |ratio: Option<Summary>, to: f64| (ratio.expect("samples").median - to).abs() < 1e-9;
        assert!(close(part.ratio("evenkeel", "wait_p50"), 0.9));
        assert!(close(part.ratio_to("evenkeel", "naive", "wait_p50"), 0.09));
        assert_eq!(part.ratio("raw-tokio", "wait_p50"), None);
        assert_eq!(part.ratio("evenkeel", "no such metric"), None);
        assert!(
            part.ratio("evenkeel", "wait_p50")
                .expect("samples")
                .interval
                .is_some()
        );
    }
}
