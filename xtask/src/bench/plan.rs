//! What there is to run, in words, and whether what was asked for is among it.

use std::fmt::Write as _;

use super::micro;
use super::protocol::Plan;
use crate::cli::BenchArgs;
use crate::record::{Role, Scenario};

/// A name on the command line that is none.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no {what} `{name}`; there are: {}", known.join(", "))]
pub(super) struct UnknownName {
    /// What it should have been.
    what: &'static str,
    /// The name.
    name: String,
    /// The right ones.
    known: Vec<String>,
}

impl Plan {
    /// Whether a scenario that will run needs the binary `evenkeel`.
    pub(super) fn needs_evenkeel(&self, args: &BenchArgs) -> bool {
        let runs =
            |scenario: &&Scenario| args.scenarios.is_empty() || args.scenarios.contains(&scenario.name);
        // Those that talk to a server elsewhere are others.
        args.connect.is_none()
            && self
                .scenarios
                .iter()
                .filter(runs)
                .any(|scenario| scenario.needs_evenkeel)
    }
}

/// Finds the first wrong name; `micro` is a scenario that the runner does not know.
pub(super) fn check(plan: &Plan, args: &BenchArgs) -> Result<(), UnknownName> {
    let names = plan.scenarios.iter().map(|scenario| scenario.name.as_str());
    find("scenario", &args.scenarios, names.chain([micro::NAME]))?;
    let chosen = || {
        let chosen = plan
            .scenarios
            .iter()
            .filter(|scenario| args.scenarios.is_empty() || args.scenarios.contains(&scenario.name));
        chosen.flat_map(|scenario| &scenario.contenders)
    };
    find(
        "contender",
        &args.contenders,
        chosen().map(|contender| contender.name.as_str()),
    )?;
    let peers = chosen().filter(|contender| contender.role == Role::Peer);
    let named: Vec<String> = match args.peers.as_str() {
        "all" | "none" => Vec::new(),
        names => names.split(',').map(|name| name.trim().to_owned()).collect(),
    };
    find("peer", &named, peers.map(|contender| contender.name.as_str()))
}

/// The first of `names` that is not in `known`.
fn find<'a>(
    what: &'static str,
    names: &[String],
    known: impl Iterator<Item = &'a str>,
) -> Result<(), UnknownName> {
    let mut all: Vec<&str> = Vec::new();
    for name in known {
        if !all.contains(&name) {
            all.push(name);
        }
    }
    match names.iter().find(|name| !all.contains(&name.as_str())) {
        Some(name) => Err(UnknownName {
            what,
            name: name.clone(),
            known: all.into_iter().map(str::to_owned).collect(),
        }),
        None => Ok(()),
    }
}

/// The answer to `--list`.
pub(super) fn describe(plan: &Plan) -> String {
    let mut text = String::new();
    for scenario in &plan.scenarios {
        let baseline = scenario
            .baseline
            .as_deref()
            .map(|name| format!("; compared with {name}"))
            .unwrap_or_default();
        let metrics: Vec<&str> = scenario
            .metrics
            .iter()
            .map(|metric| metric.name.as_str())
            .collect();
        // Writing to a string does not fail.
        let _ = writeln!(
            text,
            "{}\n  {}\n  contenders: {}{baseline}\n  measures: {}\n  repeats: {}",
            scenario.name,
            scenario.question,
            scenario.contender_names().join(", "),
            metrics.join(", "),
            scenario.repeats,
        );
    }
    let _ = writeln!(text, "{}\n  {}", micro::NAME, micro::ABOUT);
    text
}

#[cfg(test)]
mod tests {
    use super::super::results::tests::after;
    use super::*;

    fn checked(scenarios: &[&str], contenders: &[&str], peers: &str) -> Result<(), String> {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let args = BenchArgs {
            scenarios: owned(scenarios),
            contenders: owned(contenders),
            peers: peers.to_owned(),
            ..BenchArgs::default()
        };
        check(&after(1).plan, &args).map_err(|error| error.to_string())
    }

    #[test]
    fn a_wrong_name_lists_the_right_ones() {
        assert_eq!(checked(&["io", "micro"], &["evenkeel"], "all"), Ok(()));
        assert_eq!(checked(&[], &[], "raw-tokio"), Ok(()));
        for (wrong, says) in [
            (
                checked(&["io", "oi"], &[], "all"),
                "there is no scenario `oi`; there are: io, micro",
            ),
            (
                checked(&[], &["tokio"], "none"),
                "there is no contender `tokio`; there are: evenkeel, raw-tokio",
            ),
            (
                checked(&[], &[], "raw-tokio,evenkeel"),
                "there is no peer `evenkeel`; there are: raw-tokio",
            ),
        ] {
            assert_eq!(wrong, Err(says.to_owned()));
        }
    }

    #[test]
    fn the_list_says_what_each_scenario_answers() {
        let text = describe(&after(1).plan);
        for part in [
            "io\n",
            "How fast?",
            "evenkeel, raw-tokio; compared with raw-tokio",
            "p50, rate",
            "repeats: 3",
        ] {
            assert!(text.contains(part), "{part} is not in {text}");
        }
    }
}
