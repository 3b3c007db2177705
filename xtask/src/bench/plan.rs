//! What there is to run, in words, and whether what was asked for is among it.

use std::fmt::Write as _;

use super::protocol::Plan;

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

/// Finds the first wrong name.
pub(super) fn check(plan: &Plan, scenarios: &[String], contenders: &[String]) -> Result<(), UnknownName> {
    let all: Vec<&String> = plan.scenarios.iter().map(|scenario| &scenario.name).collect();
    find("scenario", scenarios, &all)?;
    let chosen = plan
        .scenarios
        .iter()
        .filter(|scenario| scenarios.is_empty() || scenarios.contains(&scenario.name));
    let mut taking_part: Vec<&String> = chosen.flat_map(|scenario| &scenario.contenders).collect();
    taking_part.sort_unstable();
    taking_part.dedup();
    find("contender", contenders, &taking_part)
}

/// The first of `names` that is not in `known`.
fn find(what: &'static str, names: &[String], known: &[&String]) -> Result<(), UnknownName> {
    match names.iter().find(|name| !known.contains(name)) {
        Some(name) => Err(UnknownName {
            what,
            name: name.clone(),
            known: known.iter().map(ToString::to_string).collect(),
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
            scenario.contenders.join(", "),
            metrics.join(", "),
            scenario.repeats,
        );
    }
    if text.is_empty() {
        "the runner has no scenarios".to_owned()
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::super::results::tests::after;
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn a_wrong_name_lists_the_right_ones() {
        let plan = after(1).plan;
        assert_eq!(check(&plan, &names(&["io"]), &names(&["evenkeel"])), Ok(()));
        let error = check(&plan, &names(&["io", "oi"]), &[])
            .expect_err("`oi` is none")
            .to_string();
        assert_eq!(error, "there is no scenario `oi`; there are: io");
        let error = check(&plan, &[], &names(&["tokio"]))
            .expect_err("`tokio` is none")
            .to_string();
        assert_eq!(
            error,
            "there is no contender `tokio`; there are: evenkeel, raw-tokio"
        );
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
