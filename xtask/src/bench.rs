//! `cargo xtask bench`: builds the runner, watches it run, and prints what it measured.
//!
//! The measuring itself is in `benches/`, a program of its own: it is built with optimisation, knows
//! our crates and their peers, and talks in lines of JSON ([`protocol`]). This side needs none of
//! that, and outlives whatever happens over there: a runner that dies, hangs or talks nonsense costs
//! the figures it has not given yet, never those it has.

pub(crate) mod build;
mod child;
mod drive;
mod micro;
mod outputs;
mod pace;
mod plan;
mod progress;
mod protocol;
mod results;
mod table;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::cli::BenchArgs;
use crate::record::{Record, file};
use crate::stopwatch::Stopwatch;
use crate::{claims, performance, say, workspace};
use child::Child;
use drive::{Patience, Seen, Stop, drive};
use outputs::Outputs;
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
    /// A file to read or to write.
    #[error(transparent)]
    File(#[from] file::Error),
    /// The claims cannot be read.
    #[error(transparent)]
    Claims(#[from] claims::Error),
    /// The folder for `--report`.
    #[error("cannot make the folder {}: {source}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// The page of figures.
    #[error(transparent)]
    Performance(#[from] performance::Error),
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
    let root = workspace::root();
    let outputs = Outputs::prepare(args)?;
    if let Some(path) = &args.from {
        let record = file::read_record(path)?;
        say::out(table::print(&record, table::width()).trim_end());
        return outputs.write(&root, args, &record, ExitCode::SUCCESS);
    }
    if let Some(address) = args.listen {
        return serve(&build::program(&root, build::RUNNER)?, address);
    }
    let runner = match &args.runner {
        Some(path) => path.clone(),
        None => build::program(&root, build::RUNNER)?,
    };
    if with_micro(args) && !args.list {
        build::benchmarks(&root)?;
    }
    // Not earlier: while cargo builds, Ctrl-C should do what it always does.
    ctrlc::set_handler(|| INTERRUPT.store(true, Ordering::Relaxed))?;
    let mut list = Command::new(&runner);
    list.arg("list");
    if args.quick {
        list.arg("--quick");
    }
    let (listed, stop) = watch(&mut list, &mut progress::Silent)?;
    if let Some(failure) = stop {
        return Err(Error::List(failure));
    }
    if args.list {
        say::out(plan::describe(&listed.plan).trim_end());
        return Ok(ExitCode::SUCCESS);
    }
    plan::check(&listed.plan, args)?;
    let evenkeel = if listed.plan.needs_evenkeel(args) {
        Some(build::program(&root, build::EVENKEEL)?)
    } else {
        None
    };
    let (record, code) = measure(&root, &runner, evenkeel.as_deref(), args)?;
    outputs.write(&root, args, &record, code)
}

/// Serves another machine until Ctrl-C.
fn serve(runner: &Path, address: SocketAddr) -> Result<ExitCode, Error> {
    let start = |source| child::Error::Start {
        program: runner.display().to_string(),
        source,
    };
    // It ends when its standard input does, which is when we do.
    let mut server = Command::new(runner)
        .args(["serve", "echo", "--listen", &address.to_string()])
        .stdin(Stdio::piped())
        .spawn()
        .map_err(start)?;
    let held = server.stdin.take();
    let status = server.wait().map_err(start)?;
    drop(held);
    Ok(if status.success() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Runs what was asked for, prints the tables, and says how it went.
fn measure(
    root: &Path,
    runner: &PathBuf,
    evenkeel: Option<&Path>,
    args: &BenchArgs,
) -> Result<(Record, ExitCode), Error> {
    let mut record = Record::begin(root, args.quick);
    let begun = Stopwatch::default();
    let names: Vec<String> = args
        .scenarios
        .iter()
        .filter(|name| *name != micro::NAME)
        .cloned()
        .collect();
    let mut failure = None;
    if args.scenarios.is_empty() || !names.is_empty() {
        let mut command = command(runner, args, &names);
        if let Some(evenkeel) = evenkeel {
            command.arg("--evenkeel").arg(evenkeel);
        }
        let (results, stopped) = watch(&mut command, progress::fitting().as_mut())?;
        record.scenarios = results.into_parts();
        failure = stopped.map(|stopped| (stopped.stop == Stop::Interrupted, stopped.to_string()));
    }
    if failure.is_none() && with_micro(args) {
        let (parts, stopped) = micro::run(root, args.quick, || INTERRUPT.load(Ordering::Relaxed));
        record.scenarios.extend(parts);
        failure = stopped.map(|why| (matches!(why, micro::Error::Interrupted), why.to_string()));
    }
    record.complete = failure.is_none();
    record.error = failure.as_ref().map(|(_, why)| why.clone());
    record.end(begun.seconds());
    say::out(table::print(&record, table::width()).trim_end());
    let failed: usize = record.scenarios.iter().map(|part| part.failed.len()).sum();
    let code = match failure {
        Some((true, _)) => {
            say::err("bench: interrupted; what is above was complete");
            ExitCode::from(INTERRUPTED)
        }
        Some((false, why)) => {
            say::err(&format!("bench: {why}"));
            ExitCode::FAILURE
        }
        None if failed > 0 => {
            say::err(&format!("bench: {failed} steps failed"));
            ExitCode::FAILURE
        }
        None => ExitCode::SUCCESS,
    };
    Ok((record, code))
}

/// Criterion runs when it is named, and in a full run of everything.
fn with_micro(args: &BenchArgs) -> bool {
    let everything = args.scenarios.is_empty()
        && args.contenders.is_empty()
        && args.peers == "all"
        && args.runner.is_none()
        && args.connect.is_none()
        && !args.quick;
    everything || args.scenarios.iter().any(|name| name == micro::NAME)
}

/// The runner's command line for what was asked.
fn command(runner: &PathBuf, args: &BenchArgs, names: &[String]) -> Command {
    let mut command = Command::new(runner);
    command.arg("run").args(names).arg("--peers").arg(&args.peers);
    if args.quick {
        command.arg("--quick");
    }
    if let Some(repeat) = args.repeat {
        command.arg("--repeat").arg(repeat.to_string());
    }
    if let Some(connect) = args.connect {
        command.arg("--connect").arg(connect.to_string());
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
