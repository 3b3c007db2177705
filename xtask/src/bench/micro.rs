//! `micro`: the hot paths under criterion, and what criterion measured.
//!
//! Each group (`crate/operation`) becomes a scenario of one metric, so that everything that reads a run reads
//! these too. Criterion measures contenders one after the other: samples of the same number did not run next to
//! each other, and are not compared in pairs.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;

use serde::Deserialize;

use super::child::{self, Child};
use super::drive::Heard;
use crate::record::{Better, Contender, Metric, Part, Role, Sample, Scenario};
use crate::{say, workspace};

/// Its name on the command line.
pub(super) const NAME: &str = "micro";

/// What it is.
pub(super) const ABOUT: &str = "What does each hot path cost by itself? Every group of the criterion benchmarks, shortly. \
     Not part of a quick run unless it is named.";

/// The one metric of each group.
const METRIC: &str = "time";

/// Criterion's settings: short, for there are many.
const SHORT: [&str; 6] = [
    "--warm-up-time",
    "0.05",
    "--measurement-time",
    "0.15",
    "--sample-size",
    "10",
];

/// The same for a quick run: shows that everything works.
const SHORTER: [&str; 6] = [
    "--warm-up-time",
    "0.02",
    "--measurement-time",
    "0.05",
    "--sample-size",
    "10",
];

/// A build may be silent for long.
const SILENCE: Duration = Duration::from_secs(600);

/// How often to look up.
const POLL: Duration = Duration::from_millis(200);

/// What can go wrong.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(super) enum Error {
    /// Cargo did not start.
    #[error(transparent)]
    Child(#[from] child::Error),
    /// It did not end well.
    #[error("the criterion benchmarks failed ({ended}): {last}")]
    Failed {
        /// How it ended.
        ended: String,
        /// The last it said.
        last: String,
    },
    /// The folder for the figures.
    #[error("cannot use {}: {source}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// Ctrl-C.
    #[error("interrupted")]
    Interrupted,
}

/// Runs the benchmarks; hands back what was complete, and why it is not all.
pub(super) fn run(root: &Path, quick: bool, interrupted: impl Fn() -> bool) -> (Vec<Part>, Option<Error>) {
    // Of its own, so that nothing of an earlier run is taken for this one's.
    let folder = std::env::temp_dir().join(format!("evenkeel-criterion-{}", std::process::id()));
    let failed = measure(root, &folder, quick, &interrupted).err();
    let parts = read(&folder);
    // What is left of it harms nobody.
    let _ = std::fs::remove_dir_all(&folder);
    (parts, failed)
}

fn measure(root: &Path, folder: &Path, quick: bool, interrupted: &dyn Fn() -> bool) -> Result<(), Error> {
    std::fs::create_dir_all(folder).map_err(|source| Error::Folder {
        path: folder.to_owned(),
        source,
    })?;
    let mut command = workspace::cargo();
    command
        .current_dir(root)
        .env("CRITERION_HOME", folder)
        .args([
            "bench",
            "--package",
            "evenkeel-benches",
            "--features",
            "peers",
            "--benches",
            "--",
        ])
        .args(if quick { SHORTER } else { SHORT });
    watch(&mut command, interrupted)
}

/// Watches it to its end.
fn watch(command: &mut Command, interrupted: &dyn Fn() -> bool) -> Result<(), Error> {
    let (mut child, lines) = Child::start(command)?;
    let (mut last, mut silent) = (String::new(), Duration::ZERO);
    loop {
        if interrupted() {
            child.stop();
            return Err(Error::Interrupted);
        }
        match lines.recv_timeout(POLL) {
            Ok(Heard::Line(line) | Heard::Complaint(line)) => {
                silent = Duration::ZERO;
                if let Some(name) = line
                    .strip_prefix("Benchmarking ")
                    .filter(|name| !name.contains(": "))
                {
                    say::err(&format!("{NAME}: {name}"));
                } else if line.starts_with("error") {
                    say::err(&line);
                }
                if !line.trim().is_empty() {
                    last = line;
                }
            }
            Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) => {
                silent += POLL;
                if silent >= SILENCE {
                    child.stop();
                    let ended = format!("it said nothing for {} s", SILENCE.as_secs());
                    return Err(Error::Failed { ended, last });
                }
            }
        }
    }
    let ended = child.finish();
    if ended.fine {
        Ok(())
    } else {
        let ended = ended.text;
        Err(Error::Failed { ended, last })
    }
}

/// The name of a benchmark, as criterion keeps it.
#[derive(Debug, Deserialize)]
struct Id {
    group_id: String,
    function_id: Option<String>,
}

/// Its samples: how often it ran in each, and how long that took in nanoseconds.
#[derive(Debug, Deserialize)]
struct Samples {
    iters: Vec<f64>,
    times: Vec<f64>,
}

/// Everything criterion left below a folder, by group. What it had not finished is not there.
fn read(folder: &Path) -> Vec<Part> {
    let mut groups: BTreeMap<String, Vec<(String, Vec<f64>)>> = BTreeMap::new();
    for (id, samples) in benchmarks(folder) {
        let each = samples
            .times
            .iter()
            .zip(&samples.iters)
            .map(|(time, count)| time / count);
        let each = each.filter(|nanos| nanos.is_finite()).collect();
        let name = id.function_id.unwrap_or_else(|| id.group_id.clone());
        groups.entry(id.group_id).or_default().push((name, each));
    }
    groups
        .into_iter()
        .map(|(group, found)| part(&group, found))
        .collect()
}

fn benchmarks(folder: &Path) -> Vec<(Id, Samples)> {
    let below = |folder: &Path| {
        let entries = std::fs::read_dir(folder).into_iter().flatten();
        let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
        paths.sort_unstable();
        paths
    };
    let all = below(folder).into_iter().flat_map(|group| below(&group));
    all.filter_map(|benchmark| {
        let text = |name: &str| std::fs::read_to_string(benchmark.join("new").join(name)).ok();
        let id = serde_json::from_str(&text("benchmark.json")?).ok()?;
        Some((id, serde_json::from_str(&text("sample.json")?).ok()?))
    })
    .collect()
}

/// One group as a scenario.
fn part(group: &str, mut found: Vec<(String, Vec<f64>)>) -> Part {
    // In the order of the code they would be best; criterion does not keep it. Ours first, then by name.
    found.sort_by_key(|(name, _)| (Role::of_name(name) != Role::Ours, name.clone()));
    let scenario = format!("{NAME}/{group}");
    let repeats = found.iter().map(|(_, each)| each.len()).max().unwrap_or(0);
    let mut samples = Vec::new();
    for (name, each) in &found {
        for (repeat, nanos) in (0..).zip(each) {
            samples.push(Sample {
                scenario: scenario.clone(),
                contender: name.clone(),
                repeat,
                metrics: [(METRIC.to_owned(), Some(*nanos))].into(),
                ..Sample::default()
            });
        }
    }
    let contenders = found.iter().map(|(name, _)| Contender {
        name: name.clone(),
        about: String::new(),
        role: Role::of_name(name),
    });
    Part {
        plan: Scenario {
            name: scenario,
            question: format!("What does {group} cost by itself?"),
            contenders: contenders.collect(),
            metrics: vec![Metric {
                name: METRIC.to_owned(),
                unit: "ns".to_owned(),
                better: Better::Lower,
                about: String::new(),
            }],
            bars: vec![METRIC.to_owned()],
            repeats: u32::try_from(repeats).unwrap_or(u32::MAX),
            steps: samples.len() as u64,
            ..Scenario::default()
        },
        samples,
        ..Part::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder as criterion leaves it, gone when dropped.
    struct Place(PathBuf);

    impl Place {
        fn new(name: &str) -> Self {
            let folder = std::env::temp_dir().join(format!("xtask-micro-{}-{name}", std::process::id()));
            std::fs::create_dir_all(&folder).expect("a folder");
            Self(folder)
        }

        fn benchmark(&self, group: &str, name: &str, sample: &str) {
            let folder = self.0.join(group.replace('/', "_")).join(name).join("new");
            std::fs::create_dir_all(&folder).expect("a folder");
            let id = format!(r#"{{"group_id":"{group}","function_id":"{name}","value_str":null}}"#);
            std::fs::write(folder.join("benchmark.json"), id).expect("written");
            std::fs::write(folder.join("sample.json"), sample).expect("written");
        }
    }

    impl Drop for Place {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn what_criterion_left_is_read_by_group() {
        let place = Place::new("read");
        let sample = r#"{"sampling_mode":"Flat","iters":[10.0,20.0],"times":[100.0,400.0]}"#;
        place.benchmark("pool/alone", "deadpool", sample);
        place.benchmark("pool/alone", "evenkeel", sample);
        place.benchmark("stats/record", "evenkeel", sample);
        // Cut off in the middle: left out, and the rest is kept.
        place.benchmark("stats/record", "metrics", r#"{"iters":[1"#);
        let parts = read(&place.0);
        let names: Vec<&str> = parts.iter().map(|part| part.plan.name.as_str()).collect();
        assert_eq!(names, ["micro/pool/alone", "micro/stats/record"]);
        assert_eq!(parts[0].plan.contender_names(), ["evenkeel", "deadpool"]);
        assert_eq!(parts[0].plan.contenders[1].role, Role::Peer);
        let summary = parts[0].summary("deadpool", METRIC).expect("two samples");
        assert_eq!((summary.min, summary.max), (10.0, 20.0));
        assert_eq!(parts[1].plan.contender_names(), ["evenkeel"]);
    }

    #[test]
    fn a_folder_that_is_not_there_has_nothing() {
        assert_eq!(read(Path::new("/nonexistent")), Vec::new());
    }

    #[cfg(unix)]
    #[test]
    fn benchmarks_that_fail_say_how_and_ctrl_c_ends_them() {
        let shell = |script: &str| {
            let mut command = Command::new("sh");
            command.args(["-c", script]);
            command
        };
        let error = watch(&mut shell("echo 'no luck' >&2; exit 3"), &|| false).expect_err("it failed");
        assert!(
            error.to_string().contains("no luck") && error.to_string().contains('3'),
            "{error}"
        );
        assert!(watch(&mut shell("echo fine"), &|| false).is_ok());
        let error = watch(&mut shell("sleep 1000"), &|| true).expect_err("interrupted");
        assert!(matches!(error, Error::Interrupted));
    }
}
