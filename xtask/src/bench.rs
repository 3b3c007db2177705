//! `cargo xtask bench`: builds the runner, watches it run, and prints what it measured.
//!
//! The measuring itself is in `benches/`, a program of its own: it is built with optimisation, knows
//! our crates and their peers, and talks in lines of JSON ([`protocol`]). This side needs none of
//! that, and outlives whatever happens over there: a runner that dies, hangs or talks nonsense costs
//! the figures it has not given yet, never those it has.

mod build;
mod child;
mod drive;
mod file;
mod machine;
mod number;
mod plan;
mod progress;
mod protocol;
mod results;
mod statistics;
mod table;

use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::cli::BenchArgs;
use crate::{say, workspace};
use child::Child;
use drive::{Patience, Seen, Stop, drive};
use results::Results;

/// What a shell reports for a program ended by Ctrl-C.
const INTERRUPTED: u8 = 130;

/// How long a runner may say nothing. Its longest step takes a few seconds.
const PATIENCE: Patience = Patience {
    silence: Duration::from_secs(120),
    poll: Duration::from_millis(200),
};

/// Set by Ctrl-C, or a polite request to end.
static INTERRUPT: AtomicBool = AtomicBool::new(false);

/// What can stop the command before or after the run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
enum Error {
    /// Cargo or the file system.
    #[error(transparent)]
    Workspace(#[from] workspace::Error),
    /// The runner did not build.
    #[error(transparent)]
    Build(#[from] build::Error),
    /// The runner did not start.
    #[error(transparent)]
    Child(#[from] child::Error),
    /// A name on the command line.
    #[error(transparent)]
    Name(#[from] plan::UnknownName),
    /// The file for `--json`.
    #[error(transparent)]
    File(#[from] file::Error),
    /// The runner would not list its scenarios.
    #[error("the runner did not list its scenarios: {0}")]
    List(Failure),
    /// Ctrl-C could not be watched for.
    #[error("cannot watch for Ctrl-C: {0}")]
    Signal(#[from] ctrlc::Error),
}

/// Why a run is not whole: what was seen, and how the runner ended.
#[derive(Debug, thiserror::Error)]
#[error("{stop}\n  the runner ended with {ended}{}", excerpt(.last_lines))]
struct Failure {
    /// What was seen.
    stop: Stop,
    /// Its exit status, or how it was ended.
    ended: String,
    /// The end of its standard error.
    last_lines: Vec<String>,
}

/// The last lines of a runner, indented; nothing when there are none.
fn excerpt(lines: &[String]) -> String {
    if lines.is_empty() {
        String::new()
    } else {
        format!("; its last complaints:\n    {}", lines.join("\n    "))
    }
}

/// The command.
pub(crate) fn run(args: &BenchArgs) -> ExitCode {
    match run_inner(args) {
        Ok(code) => code,
        Err(error) => {
            say::err(&format!("bench: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn run_inner(args: &BenchArgs) -> Result<ExitCode, Error> {
    // Found out now, not after minutes of measuring.
    if let Some(path) = &args.json {
        file::probe(path)?;
    }
    let runner = match &args.runner {
        Some(path) => path.clone(),
        None => build::runner(&workspace::root())?,
    };
    // Not earlier: while cargo builds, Ctrl-C should do what it always does.
    ctrlc::set_handler(|| INTERRUPT.store(true, Ordering::Relaxed))?;
    let (listed, stop) = watch(Command::new(&runner).arg("list"), &mut progress::Silent)?;
    if let Some(failure) = stop {
        return Err(Error::List(failure));
    }
    if args.list {
        say::out(plan::describe(&listed.plan).trim_end());
        return Ok(ExitCode::SUCCESS);
    }
    plan::check(&listed.plan, &args.scenarios, &args.contenders)?;

    let machine = machine::Machine::read(&workspace::root());
    let (results, failure) = watch(&mut command(&runner, args), progress::fitting().as_mut())?;
    say::out(table::print(&results, args.quick, table::width()).trim_end());
    let written = match &args.json {
        Some(path) => file::write(
            path,
            &file::Document::new(&results, &machine, args, failure.as_ref()),
        ),
        None => Ok(()),
    };
    let code = match &failure {
        Some(Failure {
            stop: Stop::Interrupted,
            ..
        }) => {
            say::err("bench: interrupted; what is above was complete");
            ExitCode::from(INTERRUPTED)
        }
        Some(failure) => {
            say::err(&format!("bench: {failure}"));
            ExitCode::FAILURE
        }
        None if !results.failed.is_empty() => {
            say::err(&format!("bench: {} steps failed", results.failed.len()));
            ExitCode::FAILURE
        }
        None => ExitCode::SUCCESS,
    };
    written?;
    Ok(code)
}

/// The runner's command line for what was asked.
fn command(runner: &PathBuf, args: &BenchArgs) -> Command {
    let mut command = Command::new(runner);
    command.arg("run").args(&args.scenarios);
    if args.quick {
        command.arg("--quick");
    }
    if let Some(repeat) = args.repeat {
        command.arg("--repeat").arg(repeat.to_string());
    }
    for contender in &args.contenders {
        command.arg("--contender").arg(contender);
    }
    command
}

/// Runs the runner to its end, however that comes, and leaves no process behind.
fn watch(
    command: &mut Command,
    progress: &mut dyn progress::Progress,
) -> Result<(Results, Option<Failure>), Error> {
    let (mut child, lines) = Child::start(command)?;
    let mut results = Results::default();
    let mut last_lines = Vec::new();
    let stopped = drive(
        &lines,
        PATIENCE,
        &mut || look(&mut child),
        &mut results,
        &mut last_lines,
        progress,
    );
    let (stop, ended) = match stopped {
        Ok(()) => (Stop::BadEnd, child.finish()),
        Err(stop @ Stop::Ended { .. }) => (stop, child.finish()),
        Err(stop) => (stop, child.stop()),
    };
    // After nonsense the rest cannot be trusted either.
    if !matches!(stop, Stop::Nonsense { .. }) {
        drive::rest(&lines, PATIENCE, &mut results, &mut last_lines, progress);
    }
    progress.end();
    let whole = stop == Stop::BadEnd && ended.fine;
    Ok((
        results,
        (!whole).then_some(Failure {
            stop,
            ended: ended.text,
            last_lines,
        }),
    ))
}

/// Looks up from the lines.
fn look(child: &mut Child) -> Seen {
    if INTERRUPT.load(Ordering::Relaxed) {
        Seen::Interrupted
    } else if child.has_exited() {
        Seen::Exited
    } else {
        Seen::Running
    }
}
