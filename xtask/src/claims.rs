//! The report's claims, and the gateway's own bars, held against a run.
//!
//! `benches/claims.toml` says for each claim which scenario and metric show it, against whom, and what must come
//! out. A claim holds when the whole interval of the ratio is on its side, fails when the whole interval is on
//! the other, and else is open: the run does not tell.

mod judge;

use serde::Deserialize;

pub(crate) use judge::{Claimed, Side, Verdict, judge};

/// The file, built in, so that a run needs nothing beside itself.
const FILE: &str = include_str!("../../benches/claims.toml");

/// What can be wrong with the file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum Error {
    /// It is not TOML of this form.
    #[error("benches/claims.toml: {0}")]
    Form(#[from] toml::de::Error),
    /// It contradicts itself.
    #[error("benches/claims.toml: claim `{claim}`: {why}")]
    Claim {
        /// The claim.
        claim: String,
        /// What is wrong.
        why: &'static str,
    },
}

/// The whole file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    claims: Vec<Claim>,
    #[serde(default)]
    bars: Vec<Claim>,
}

/// One claim.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Claim {
    /// Its name in the table.
    pub(crate) name: String,
    /// What the report says; of a bar, what is asked for.
    pub(crate) text: String,
    /// A bar that the project sets itself, no claim of the report.
    #[serde(skip)]
    own: bool,
    /// What shows it, if anything does.
    scenario: Option<String>,
    metric: Option<String>,
    ours: Option<String>,
    naive: Option<String>,
    #[serde(default)]
    peers: Vec<String>,
    expect: Option<Expect>,
    /// Why nothing shows it.
    missing: Option<String>,
}

/// What must come out.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Expect {
    /// Ours over the naive one is at least this.
    RatioLeast(f64),
    /// Ours over the naive one is at most this.
    RatioMost(f64),
    /// Ours over the best peer is at least this.
    PeerLeast(f64),
    /// Ours is at least this.
    ValueLeast(f64),
    /// Ours is at most this, in every single repeat: for what must never be, and for limits.
    ValueMost(f64),
}

/// Where a claim is shown, when all of it is there.
#[derive(Debug, Clone, Copy)]
struct Shown<'a> {
    scenario: &'a str,
    metric: &'a str,
    ours: &'a str,
    naive: Option<&'a str>,
    expect: Expect,
}

impl Claim {
    /// Where it is shown; otherwise why it is not.
    fn shown(&self) -> Result<Shown<'_>, &'static str> {
        let place = (&self.scenario, &self.metric, &self.ours, self.expect);
        let (Some(scenario), Some(metric), Some(ours), Some(expect)) = place else {
            return Err("it needs scenario, metric, ours and expect, or says what is missing");
        };
        let naive = self.naive.as_deref();
        match expect {
            Expect::RatioLeast(_) | Expect::RatioMost(_) if naive.is_none() => {
                return Err("a ratio needs a naive contender");
            }
            Expect::PeerLeast(_) if self.peers.is_empty() => return Err("a ratio needs peers"),
            _ => {}
        }
        Ok(Shown {
            scenario,
            metric,
            ours,
            naive,
            expect,
        })
    }
}

/// All claims, and behind them the bars, checked.
pub(crate) fn all() -> Result<Vec<Claim>, Error> {
    parse(FILE)
}

fn parse(text: &str) -> Result<Vec<Claim>, Error> {
    let mut file: File = toml::from_str(text)?;
    for bar in &mut file.bars {
        bar.own = true;
    }
    file.claims.append(&mut file.bars);
    for claim in &file.claims {
        let wrong = match (&claim.missing, claim.shown()) {
            (Some(_), Ok(_)) => Some("it is shown, and says that something is missing"),
            (None, Err(why)) => Some(why),
            _ => None,
        };
        if let Some(why) = wrong {
            return Err(Error::Claim {
                claim: claim.name.clone(),
                why,
            });
        }
    }
    Ok(file.claims)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The part of a scenario's file that a claim names.
    #[derive(Deserialize)]
    struct Scenario {
        contenders: Vec<Named>,
        metrics: Vec<Named>,
    }

    #[derive(Deserialize)]
    struct Named {
        name: String,
    }

    #[test]
    fn every_claim_names_a_scenario_its_metric_and_its_contenders() {
        let claims = all().expect("the file is in order");
        assert!(claims.len() >= 13);
        for claim in claims {
            let Ok(shown) = claim.shown() else {
                assert!(claim.missing.is_some(), "{}", claim.name);
                continue;
            };
            let path = format!("benches/scenarios/{}.toml", shown.scenario);
            let text =
                std::fs::read_to_string(crate::workspace::root().join(&path)).expect("a scenario's file");
            let scenario: Scenario = toml::from_str(&text).expect("a scenario");
            let has = |names: &[Named], name: &str| names.iter().any(|one| one.name == name);
            assert!(
                has(&scenario.metrics, shown.metric),
                "{path} has no metric {}",
                shown.metric
            );
            let contenders = claim.peers.iter().map(String::as_str).chain(shown.naive);
            for name in contenders.chain([shown.ours]) {
                assert!(has(&scenario.contenders, name), "{path} has no contender {name}");
            }
        }
    }

    #[test]
    fn a_claim_that_contradicts_itself_is_named() {
        let claim = |rest: &str| parse(&format!("[[claims]]\nname = \"speed\"\ntext = \"fast\"\n{rest}"));
        assert!(claim("missing = \"time\"").is_ok());
        for (rest, says) in [
            ("", "says what is missing"),
            (
                "scenario = \"io\"\nmetric = \"a\"\nours = \"b\"\nexpect = { ratio_least = 2.0 }",
                "naive",
            ),
            (
                "scenario = \"io\"\nmetric = \"a\"\nours = \"b\"\nexpect = { value_least = 2.0 }\nmissing = \"time\"",
                "is shown, and",
            ),
            (
                "scenario = \"io\"\nmetric = \"a\"\nours = \"b\"\nexpect = { peer_least = 1.0 }",
                "needs peers",
            ),
            ("speed = 3", "unknown field"),
            ("expect = { ratio_about = 1.0 }", "unknown variant"),
        ] {
            let error = claim(rest).expect_err(rest).to_string();
            assert!(error.contains(says), "{error}");
        }
    }
}
