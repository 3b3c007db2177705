//! `cargo xtask icount`: how many instructions each operation of a hot path takes, by callgrind.
//!
//! Counts repeat where times do not, so they are what a regression check can stand on. An operation runs twice,
//! with two numbers of rounds; the difference is the rounds' alone. What counts leave out is waiting: for memory,
//! for a lock, for another thread. They depend on the compiler, so the stored ones name theirs, and a check against
//! another compiler's is skipped and says so.

mod stored;

use std::path::Path;
use std::process::{Command, ExitCode};

use crate::bench::build;
use crate::cli::IcountArgs;
use crate::record::{Role, file};
use crate::{number, say, workspace};
pub(crate) use stored::Stored;

/// Rounds of the two runs.
const ROUNDS: [u64; 2] = [200, 2200];

/// The function that is counted, by callgrind's pattern: `icount::counted` of the benchmarks.
const REGION: &str = "--toggle-collect=*icount*counted*";

/// The most that an operation of ours may grow by.
const MOST_GROWTH: f64 = 0.05;

/// Growth by fewer instructions than this is none: so many come and go with how the compiler cuts the rest
/// of the program up.
const SLACK: f64 = 8.0;

/// What can go wrong.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum Error {
    /// There is no valgrind.
    #[error("valgrind is not there, so nothing was counted; install it with your system's packages")]
    NoValgrind,
    /// Cargo, or the program under valgrind.
    #[error(transparent)]
    Workspace(#[from] workspace::Error),
    /// The counting program did not build.
    #[error(transparent)]
    Build(#[from] build::Error),
    /// Valgrind ran and told no count.
    #[error("valgrind told no count of `{0}`")]
    NoCount(String),
    /// No operation of that name.
    #[error("no operation has `{part}` in its name; there are: {}", known.join(", "))]
    Unknown {
        /// What was asked for.
        part: String,
        /// The names.
        known: Vec<String>,
    },
    /// The stored counts.
    #[error(transparent)]
    File(#[from] file::Error),
    /// The stored counts cannot be read.
    #[error("benches/icount.json: {0}")]
    Stored(#[from] serde_json::Error),
    /// There are none to check against.
    #[error("there are no stored counts; `cargo xtask icount --record` makes them")]
    NothingStored,
}

/// The command.
pub(crate) fn run(args: &IcountArgs) -> ExitCode {
    match run_inner(&workspace::root(), args) {
        Ok(code) => code,
        Err(error) => {
            say::err(&format!("icount: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn run_inner(root: &Path, args: &IcountArgs) -> Result<ExitCode, Error> {
    workspace::output(Command::new("valgrind").arg("--version")).map_err(|_| Error::NoValgrind)?;
    let rustc = rustc(root)?;
    let stored = Stored::read(root)?;
    if args.check {
        match &stored {
            None => return Err(Error::NothingStored),
            Some(stored) if stored.rustc != rustc => {
                say::out(&format!(
                    "icount: NOT CHECKED: the stored counts are of {}, this is {rustc}; `cargo xtask icount --record` \
                     makes them anew",
                    stored.rustc
                ));
                return Ok(ExitCode::SUCCESS);
            }
            Some(_) => {}
        }
    }
    let program = build::program(root, build::ICOUNT)?;
    let names = names(&program, args)?;
    let mut counts = Stored {
        rustc,
        ..Stored::default()
    };
    let mut grown = Vec::new();
    for name in &names {
        let count = count(&program, name)?;
        let before = stored
            .as_ref()
            .and_then(|stored| stored.counts.get(name).copied());
        say::out(&line(name, count, before));
        if is_ours(name) && before.is_some_and(|before| has_grown(count, before)) {
            grown.push(name.as_str());
        }
        counts.counts.insert(name.clone(), count);
    }
    if args.record {
        counts.write(root)?;
        say::out("icount: stored in benches/icount.json");
    } else if args.check && !grown.is_empty() {
        say::err(&format!(
            "icount: over {} % more than stored: {}",
            MOST_GROWTH * 100.0,
            grown.join(", ")
        ));
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}

/// The compiler that the program is built with.
fn rustc(root: &Path) -> Result<String, Error> {
    let said = workspace::output(Command::new("rustc").current_dir(root).arg("-vV"))?;
    let line = |start: &str| {
        said.lines()
            .find(|line| line.starts_with(start))
            .unwrap_or_default()
            .to_owned()
    };
    Ok(format!(
        "{}, {}",
        line("rustc "),
        line("host: ").trim_start_matches("host: ")
    ))
}

/// The operations that were asked for; a check is of ours alone.
fn names(program: &Path, args: &IcountArgs) -> Result<Vec<String>, Error> {
    let listed = workspace::output(Command::new(program).arg("list"))?;
    let all: Vec<String> = listed.lines().map(str::to_owned).collect();
    let part = args.part.as_deref().unwrap_or_default();
    let wanted = |name: &&String| name.contains(part) && (!args.check || is_ours(name));
    let names: Vec<String> = all.iter().filter(wanted).cloned().collect();
    if names.is_empty() {
        return Err(Error::Unknown {
            part: part.to_owned(),
            known: all,
        });
    }
    Ok(names)
}

/// Whether the contender at the end of `crate/operation/contender` is ours.
fn is_ours(name: &str) -> bool {
    let contender = name.rsplit('/').next().unwrap_or(name);
    Role::of_name(contender) == Role::Ours
}

/// Instructions of one round.
fn count(program: &Path, name: &str) -> Result<f64, Error> {
    let [few, many] = ROUNDS;
    let total = |rounds: u64| {
        let mut command = Command::new("valgrind");
        command.args(["--tool=callgrind", "--callgrind-out-file=/dev/null", REGION]);
        command.arg(program).arg(name).arg(rounds.to_string());
        let said = workspace::complaints(&mut command)?;
        collected(&said).ok_or_else(|| Error::NoCount(name.to_owned()))
    };
    let (few_total, many_total) = (total(few)?, total(many)?);
    let tenths = (many_total - few_total) / (many - few) as f64 * 10.0;
    Ok(tenths.round() / 10.0)
}

/// The number behind callgrind's word for it: `==7== Collected : 1234`.
fn collected(said: &str) -> Option<f64> {
    let line = said.lines().rev().find(|line| line.contains("Collected :"))?;
    line.rsplit(':').next()?.trim().parse().ok()
}

fn has_grown(count: f64, before: f64) -> bool {
    count > before * (1.0 + MOST_GROWTH) && count - before > SLACK
}

/// A line of the table.
fn line(name: &str, count: f64, before: Option<f64>) -> String {
    let change = before.map_or(String::new(), |before| {
        let percent = (count / before - 1.0) * 100.0;
        format!("  ({} stored, {percent:+.1} %)", number::figure(before))
    });
    format!("{name:<50} {:>9}{change}", number::figure(count))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_count_is_found_in_what_callgrind_says() {
        let said = "==7== Callgrind\n==7== Events    : Ir\n==7== Collected : 123456\n==7== \n";
        assert_eq!(collected(said), Some(123_456.0));
        assert_eq!(collected("==7== Callgrind\n"), None);
    }

    #[test]
    fn five_percent_is_allowed_and_more_is_not() {
        assert!(!has_grown(420.0, 400.0));
        assert!(has_grown(420.4, 400.0));
        assert!(!has_grown(50.0, 100.0));
        // A few instructions come and go with how the compiler cuts the program up.
        assert!(!has_grown(44.0, 39.0));
    }

    #[test]
    fn peers_are_told_from_ours_by_the_contender_alone() {
        for ours in ["pool/checkout/evenkeel", "strategy/select-100/round_robin"] {
            assert!(is_ours(ours), "{ours}");
        }
        for peer in [
            "pool/checkout/bb8-unchecked",
            "io-core/ready-pair-1KiB/raw-tokio",
            "health/breaker/failsafe",
        ] {
            assert!(!is_ours(peer), "{peer}");
        }
    }

    #[test]
    fn a_line_says_what_changed() {
        assert!(line("a/b/c", 110.0, Some(100.0)).contains("(100 stored, +10.0 %)"));
        assert!(line("a/b/c", 110.0, None).ends_with("110"));
    }
}
