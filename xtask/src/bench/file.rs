//! The file for `--json`: every sample and the summaries, replaced whole or not at all.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::Failure;
use super::machine::Machine;
use super::protocol::{Failed, Note, Sample, Scenario};
use super::results::Results;
use super::statistics::Summary;
use crate::cli::BenchArgs;

/// The number of this layout; it goes up when a reader of the old one would be misled.
const FORMAT: u32 = 1;

/// What can go wrong.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(super) enum Error {
    /// Found out before anything is run.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A name that leads to no file.
    #[error("cannot write {}: it is a folder", .0.display())]
    Folder(PathBuf),
    /// The figures cannot be put down as JSON.
    #[error("cannot put the results down: {0}")]
    Json(#[from] serde_json::Error),
}

/// What is in the file.
#[derive(Debug, Serialize)]
pub(super) struct Document<'a> {
    format: u32,
    /// What was typed after `cargo xtask bench`.
    command: Vec<String>,
    quick: bool,
    machine: &'a Machine,
    /// Whether the runner came to its end.
    complete: bool,
    /// Why not.
    error: Option<String>,
    scenarios: Vec<Part<'a>>,
}

/// One scenario.
#[derive(Debug, Serialize)]
struct Part<'a> {
    #[serde(flatten)]
    plan: &'a Scenario,
    summaries: Vec<Row<'a>>,
    samples: Vec<&'a Sample>,
    failed: Vec<&'a Failed>,
    notes: Vec<&'a Note>,
}

/// One metric of one contender.
#[derive(Debug, Serialize)]
struct Row<'a> {
    contender: &'a str,
    metric: &'a str,
    #[serde(flatten)]
    summary: Summary,
    /// Against the baseline, repeat by repeat.
    ratio: Option<Summary>,
}

impl<'a> Document<'a> {
    /// All that is known after a run.
    pub(super) fn new(
        results: &'a Results,
        machine: &'a Machine,
        args: &BenchArgs,
        failure: Option<&Failure>,
    ) -> Self {
        Self {
            format: FORMAT,
            command: std::env::args().skip(1).collect(),
            quick: args.quick,
            machine,
            complete: failure.is_none(),
            error: failure.map(ToString::to_string),
            scenarios: results
                .plan
                .scenarios
                .iter()
                .map(|scenario| Part::new(results, scenario))
                .collect(),
        }
    }
}

impl<'a> Part<'a> {
    fn new(results: &'a Results, plan: &'a Scenario) -> Self {
        let mut summaries = Vec::new();
        for contender in &plan.contenders {
            for metric in &plan.metrics {
                if let Some(summary) = results.summary(&plan.name, contender, &metric.name) {
                    let ratio = results.ratio(plan, contender, &metric.name);
                    summaries.push(Row {
                        contender,
                        metric: &metric.name,
                        summary,
                        ratio,
                    });
                }
            }
        }
        Self {
            plan,
            summaries,
            samples: results
                .samples
                .iter()
                .filter(|sample| sample.scenario == plan.name)
                .collect(),
            failed: results
                .failed
                .iter()
                .filter(|failed| failed.scenario == plan.name)
                .collect(),
            notes: results
                .notes
                .iter()
                .filter(|note| note.scenario == plan.name)
                .collect(),
        }
    }
}

/// Finds out whether the file can be written, leaving what is there as it is.
pub(super) fn probe(path: &Path) -> Result<(), Error> {
    let error = |source| Error::Write {
        path: path.to_owned(),
        source,
    };
    if path.is_dir() {
        return Err(Error::Folder(path.to_owned()));
    }
    if path.exists() {
        OpenOptions::new().append(true).open(path).map_err(error)?;
    }
    if is_plain(path) {
        // The file is replaced by a new one beside it, so that is what must be possible.
        let beside = beside(path);
        fs::File::create(&beside).map_err(error)?;
        fs::remove_file(&beside).map_err(error)?;
    }
    Ok(())
}

/// Writes the document: beside the old file first, so that a full disk does not cost the old one too.
pub(super) fn write(path: &Path, document: &Document<'_>) -> Result<(), Error> {
    let mut text = serde_json::to_string_pretty(document)?;
    text.push('\n');
    put(path, &text).map_err(|source| Error::Write {
        path: path.to_owned(),
        source,
    })
}

fn put(path: &Path, text: &str) -> io::Result<()> {
    if !is_plain(path) {
        return OpenOptions::new()
            .write(true)
            .open(path)?
            .write_all(text.as_bytes());
    }
    let beside = beside(path);
    let written = fs::write(&beside, text).and_then(|()| fs::rename(&beside, path));
    if written.is_err() {
        // Half a file is of no use to anybody; whether it can be removed changes nothing.
        let _ = fs::remove_file(&beside);
    }
    written
}

/// Whether it is a file like others, or none yet: a pipe or a device must not be replaced.
fn is_plain(path: &Path) -> bool {
    path.metadata().map_or(true, |metadata| metadata.is_file())
}

/// The name it is written under until it is whole.
fn beside(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".partial");
    path.with_file_name(name)
}

#[cfg(test)]
mod tests {
    use super::super::drive::Stop;
    use super::super::results::tests::{LINES, after};
    use super::*;

    /// A folder of its own for each test, below cargo's for such things.
    fn folder(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("xtask-bench-{}-{name}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder");
        folder
    }

    fn document<'a>(results: &'a Results, machine: &'a Machine, failure: Option<&Failure>) -> Document<'a> {
        Document::new(results, machine, &BenchArgs::default(), failure)
    }

    #[test]
    fn what_cannot_be_written_is_found_out_before_the_run() {
        let folder = folder("probe");
        assert!(matches!(probe(&folder), Err(Error::Folder(_))));
        let error = probe(&folder.join("absent/run.json"))
            .expect_err("no such folder")
            .to_string();
        assert!(error.contains("run.json"), "{error}");
        assert!(probe(&folder.join("run.json")).is_ok());
        assert_eq!(
            fs::read_dir(&folder).expect("the folder").count(),
            0,
            "a probe leaves nothing"
        );
        fs::remove_dir_all(folder).expect("removed");
    }

    #[test]
    fn an_old_file_survives_the_probe_and_is_replaced_whole() {
        let folder = folder("write");
        let path = folder.join("run.json");
        fs::write(&path, "old").expect("written");
        probe(&path).expect("it can be written");
        assert_eq!(fs::read_to_string(&path).expect("there"), "old");

        let machine = Machine::read(&folder);
        let results = after(LINES.len());
        write(&path, &document(&results, &machine, None)).expect("written");
        let text = fs::read_to_string(&path).expect("there");
        let read: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(read["complete"], true);
        let scenario = &read["scenarios"][0];
        assert_eq!(scenario["name"], "io");
        assert_eq!(scenario["samples"].as_array().map(Vec::len), Some(5));
        assert_eq!(scenario["summaries"][0]["median"], 8.5);
        assert_eq!(scenario["summaries"][0]["ratio"]["min"], 0.8);
        assert_eq!(fs::read_dir(&folder).expect("the folder").count(), 1);
        fs::remove_dir_all(folder).expect("removed");
    }

    #[test]
    fn a_run_that_broke_off_says_so_in_the_file() {
        let machine = Machine::read(Path::new("/"));
        let failure = Failure {
            stop: Stop::Interrupted,
            ended: "signal: 15 (SIGTERM)".to_owned(),
            last_lines: Vec::new(),
        };
        let results = after(4);
        let value = serde_json::to_value(document(&results, &machine, Some(&failure))).expect("JSON");
        assert_eq!(value["complete"], false);
        assert!(
            value["error"]
                .as_str()
                .is_some_and(|error| error.contains("interrupted")),
            "{value}"
        );
        assert_eq!(value["scenarios"][0]["samples"].as_array().map(Vec::len), Some(2));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_disk_is_an_error_not_a_panic() {
        let error = put(Path::new("/dev/full"), "text").expect_err("the device is always full");
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    }
}
