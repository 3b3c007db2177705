//! `cargo xtask compare A.json B.json`: what changed between two runs beyond the noise, as markdown.
//!
//! A figure is compared as its ratio to the scenario's baseline, repeat by repeat, where both runs have one: what
//! slows the whole machine slows both. Groups that have no baseline at all (criterion's) are left out. A figure has changed when the 99 % interval of the quotient of the medians
//! leaves out 1, and the medians differ by more than [`LEAST_CHANGE`]: with hundreds of figures a 95 % interval
//! would call a dozen changed that did not.
//!
//! It also says which ratios changed sides of 1 though the first run had shown them on one beyond its interval.
//!
//! Exit status: 0 when nothing of ours got worse, 1 when something did, 2 when the runs cannot be compared.

mod across;

use std::fmt::Write as _;
use std::process::ExitCode;

use across::Across;

use crate::cli::CompareArgs;
use crate::record::{Better, Metric, Part, Record, Role, file, interval};
use crate::{number, say};

/// How sure a change must be.
const CONFIDENCE: f64 = 0.99;

/// Less is not worth a line, however sure.
const LEAST_CHANGE: f64 = 0.03;

/// What a comparison found.
#[derive(Debug, Default)]
pub(crate) struct Comparison {
    changes: Vec<Change>,
    /// Figures that both runs have enough samples of.
    compared: usize,
    /// What could not be compared, and why.
    left_out: Vec<String>,
    /// Ratios that changed sides of 1.
    across: Across,
}

/// One figure that changed.
#[derive(Debug, PartialEq)]
struct Change {
    figure: String,
    role: Role,
    /// New over old.
    quotient: f64,
    interval: [f64; 2],
    /// Nothing for a figure that has no better.
    better: Option<bool>,
    /// Whether it is the ratio to the baseline that was compared.
    relative: bool,
}

impl Comparison {
    /// Whether something of ours got worse.
    pub(crate) fn ours_got_worse(&self) -> bool {
        self.changes
            .iter()
            .any(|change| change.role == Role::Ours && change.better == Some(false))
    }

    /// As markdown.
    pub(crate) fn markdown(&self) -> String {
        let mut text = String::new();
        for (title, kind) in [
            ("Worse", Some(false)),
            ("Better", Some(true)),
            ("Different", None),
        ] {
            let changes: Vec<&Change> = self
                .changes
                .iter()
                .filter(|change| change.better == kind)
                .collect();
            if changes.is_empty() {
                continue;
            }
            // Writing to a string does not fail.
            let _ = writeln!(
                text,
                "## {title}\n\n| figure | whose | new / old | 99 % interval | compared |\n|---|---|---|---|---|"
            );
            for change in changes {
                let whose = match change.role {
                    Role::Ours => "ours",
                    Role::Peer => "peer",
                    Role::Naive => "naive",
                };
                let how = if change.relative {
                    "ratio to the baseline"
                } else {
                    "as it is"
                };
                let [low, high] = change.interval.map(number::ratio);
                let quotient = number::ratio(change.quotient);
                let _ = writeln!(
                    text,
                    "| {} | {whose} | {quotient} | {low} .. {high} | {how} |",
                    change.figure
                );
            }
            text.push('\n');
        }
        text.push_str(&self.across.markdown());
        let _ = writeln!(
            text,
            "{} of {} figures changed beyond the noise.",
            self.changes.len(),
            self.compared
        );
        for left_out in &self.left_out {
            let _ = writeln!(text, "- not compared: {left_out}");
        }
        text
    }
}

/// The command.
pub(crate) fn run(args: &CompareArgs) -> ExitCode {
    let read = |path| file::read_record(path);
    match read(&args.old).and_then(|old| Ok((old, read(&args.new)?))) {
        Ok((old, new)) => {
            let found = compare(&old, &new);
            say::out(found.markdown().trim_end());
            if found.compared == 0 {
                say::err("compare: the two runs have nothing in common that has repeats enough");
                ExitCode::from(2)
            } else if found.ours_got_worse() {
                ExitCode::FAILURE
            } else {
                ExitCode::SUCCESS
            }
        }
        Err(error) => {
            say::err(&format!("compare: {error}"));
            ExitCode::from(2)
        }
    }
}

/// Everything both runs have.
pub(crate) fn compare(old: &Record, new: &Record) -> Comparison {
    let mut found = Comparison {
        across: Across::of(old, new),
        ..Comparison::default()
    };
    if old.machine != new.machine {
        let (before, after) = (old.machine.line(), new.machine.line());
        found.left_out.push(format!(
            "nothing, but the surroundings differ: {before}; then {after}"
        ));
    }
    let (compared, alone): (Vec<&Part>, Vec<&Part>) = new
        .scenarios
        .iter()
        .partition(|part| part.plan.baseline.is_some());
    if !alone.is_empty() {
        found.left_out.push(format!(
            "{} groups without a baseline that ran beside them (criterion's): their times are those of the moment; \
             `cargo xtask icount` tells what changed there",
            alone.len()
        ));
    }
    for part in compared {
        let name = &part.plan.name;
        let Some(earlier) = old.part(name) else {
            found.left_out.push(format!("`{name}`: only the new run has it"));
            continue;
        };
        if earlier.plan.size != part.plan.size || old.quick != new.quick {
            found.left_out.push(format!("`{name}`: the sizes differ"));
            continue;
        }
        for contender in &part.plan.contenders {
            for metric in &part.plan.metrics {
                found.figure(earlier, part, &contender.name, contender.role, metric);
            }
        }
    }
    found
}

impl Comparison {
    fn figure(&mut self, old: &Part, new: &Part, contender: &str, role: Role, metric: &Metric) {
        let baseline = |part: &Part| {
            part.plan
                .baseline
                .clone()
                .filter(|baseline| baseline != contender)
        };
        let shared = baseline(new).filter(|name| baseline(old).as_ref() == Some(name));
        // The ratio, repeat by repeat, unless one of the runs lacks the baseline's figures.
        let ratios = |part: &Part| {
            let (ours, theirs) = (
                part.series(contender, &metric.name),
                part.series(shared.as_deref()?, &metric.name),
            );
            let ratio = |(repeat, value): (&u32, &f64)| Some(value / theirs.get(repeat)?);
            let ratios: Vec<f64> = ours
                .iter()
                .filter_map(ratio)
                .filter(|ratio| ratio.is_finite())
                .collect();
            (ratios.len() >= interval::LEAST).then_some(ratios)
        };
        let plain = |part: &Part| {
            part.series(contender, &metric.name)
                .into_values()
                .collect::<Vec<f64>>()
        };
        let (relative, mut before, mut after) = match (ratios(old), ratios(new)) {
            (Some(before), Some(after)) => (true, before, after),
            _ => (false, plain(old), plain(new)),
        };
        let Some(interval) = interval::of_quotient(&after, &before, CONFIDENCE) else {
            return;
        };
        self.compared += 1;
        let quotient = interval::middle(&mut after) / interval::middle(&mut before);
        if (interval[0] <= 1.0 && 1.0 <= interval[1]) || (quotient - 1.0).abs() <= LEAST_CHANGE {
            return;
        }
        self.changes.push(Change {
            figure: format!("{} {contender} {}", new.plan.name, metric.name),
            role,
            quotient,
            interval,
            better: match metric.better {
                Better::Lower => Some(quotient < 1.0),
                Better::Higher => Some(quotient > 1.0),
                Better::Neither => None,
            },
            relative,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::fixture::record;

    fn figures(found: &Comparison) -> Vec<(&str, Option<bool>)> {
        let changes = found.changes.iter();
        changes
            .map(|change| (change.figure.as_str(), change.better))
            .collect()
    }

    #[test]
    fn the_same_run_has_not_changed() {
        let found = compare(&record(9.0), &record(9.0));
        assert_eq!(figures(&found), []);
        assert_eq!(found.compared, 9);
        assert!(!found.ours_got_worse());
        assert!(found.markdown().contains("0 of 9 figures changed"));
    }

    #[test]
    fn what_got_worse_is_told_from_what_got_better() {
        let worse = compare(&record(9.0), &record(12.0));
        assert_eq!(
            figures(&worse),
            [
                ("io evenkeel wait_p50", Some(false)),
                ("io evenkeel rate", Some(false)),
                ("io evenkeel rate_4", Some(false)),
            ]
        );
        assert!(worse.ours_got_worse() && worse.markdown().starts_with("## Worse"));
        let better = compare(&record(12.0), &record(9.0));
        assert!(!better.ours_got_worse() && better.markdown().starts_with("## Better"));
    }

    #[test]
    fn a_slower_machine_is_no_change_of_ours() {
        let mut slow = record(9.0);
        for sample in &mut slow.scenarios[0].samples {
            for value in sample.metrics.values_mut().flatten() {
                *value *= 3.0;
            }
        }
        let found = compare(&record(9.0), &slow);
        // Only the baseline itself has nothing to be held against.
        assert!(
            found
                .changes
                .iter()
                .all(|change| change.figure.contains("raw-tokio")),
            "{found:?}"
        );
    }

    #[test]
    fn a_change_within_the_noise_is_none() {
        assert_eq!(figures(&compare(&record(9.0), &record(9.1))), []);
    }

    #[test]
    fn what_cannot_be_compared_is_said() {
        let mut few = record(9.0);
        few.scenarios[0].samples.retain(|sample| sample.repeat < 4);
        assert_eq!(compare(&few, &record(9.0)).compared, 0);
        let mut small = record(9.0);
        small.scenarios[0].plan.size = "connections=5".to_owned();
        assert!(
            compare(&small, &record(9.0))
                .markdown()
                .contains("`io`: the sizes differ")
        );
        let mut other = record(9.0);
        other.scenarios[0].plan.name = "pool".to_owned();
        assert!(
            compare(&record(9.0), &other)
                .markdown()
                .contains("`pool`: only the new run")
        );
        other.scenarios[0].plan.baseline = None;
        assert!(
            compare(&other, &other)
                .markdown()
                .contains("1 groups without a baseline")
        );
        assert_eq!(compare(&other, &other).compared, 0);
        other.machine.cores = 64;
        assert!(
            compare(&record(9.0), &other)
                .markdown()
                .contains("surroundings differ")
        );
    }
}
