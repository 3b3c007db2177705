//! Scenarios as data: which question, at which sizes, among whom, and what is measured.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::Deserialize;

use crate::Error;
use crate::protocol::{Contender, Followed, Metric, Planned, Role, Scaling};
use crate::server::ServerKind;

/// The files, built into the program so that it runs from any folder.
const FILES: [(&str, &str); 16] = [
    ("io.toml", include_str!("../scenarios/io.toml")),
    ("io-10k.toml", include_str!("../scenarios/io-10k.toml")),
    ("io-pair.toml", include_str!("../scenarios/io-pair.toml")),
    ("pool.toml", include_str!("../scenarios/pool.toml")),
    ("pool-spike.toml", include_str!("../scenarios/pool-spike.toml")),
    (
        "pool-checkout.toml",
        include_str!("../scenarios/pool-checkout.toml"),
    ),
    ("balancer.toml", include_str!("../scenarios/balancer.toml")),
    (
        "balancer-1000.toml",
        include_str!("../scenarios/balancer-1000.toml"),
    ),
    ("concurrency.toml", include_str!("../scenarios/concurrency.toml")),
    ("failover.toml", include_str!("../scenarios/failover.toml")),
    ("stats.toml", include_str!("../scenarios/stats.toml")),
    ("gateway.toml", include_str!("../scenarios/gateway.toml")),
    (
        "gateway-route.toml",
        include_str!("../scenarios/gateway-route.toml"),
    ),
    (
        "gateway-faults.toml",
        include_str!("../scenarios/gateway-faults.toml"),
    ),
    (
        "gateway-serial.toml",
        include_str!("../scenarios/gateway-serial.toml"),
    ),
    (
        "gateway-kill.toml",
        include_str!("../scenarios/gateway-kill.toml"),
    ),
];

/// One scenario, as its file has it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// Its name on the command line and in the results.
    pub name: String,
    /// The question it answers, for a person.
    pub question: String,
    /// The contender the others are compared with.
    pub baseline: String,
    /// The scenario whose code it runs at sizes of its own, and whose contenders it chooses among; its own if none.
    #[serde(default)]
    workload: Option<String>,
    /// The server its contenders talk to, if any.
    pub server: Option<ServerKind>,
    /// It starts the binary `evenkeel`, which the command line says where to find.
    #[serde(default)]
    pub needs_evenkeel: bool,
    /// All contenders take turns in one process, instead of one process each.
    #[serde(default)]
    pub together: bool,
    /// What a reader of the results must know in any case.
    #[serde(default)]
    pub notes: Vec<String>,
    /// The size that gives the figures.
    pub full: Size,
    /// A size that ends in seconds.
    pub quick: Size,
    /// Who takes part.
    pub contenders: Vec<Contender>,
    /// What is measured.
    pub metrics: Vec<Metric>,
    /// What is followed over time.
    #[serde(default)]
    pub series: Vec<Followed>,
    /// Metrics to draw as bars; the reader chooses when none is named.
    #[serde(default)]
    pub bars: Vec<String>,
    /// Metrics to draw as a curve over a size.
    #[serde(default)]
    pub scaling: Vec<Scaling>,
}

/// One size of a scenario.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Size {
    /// How often each contender runs, unless the command line says otherwise.
    pub repeats: u32,
    /// A child that runs longer than this is ended.
    pub limit_seconds: u64,
    /// The numbers the workload asks for.
    pub params: Params,
}

impl Size {
    /// The time one child may take.
    pub fn limit(&self) -> Duration {
        Duration::from_secs(self.limit_seconds)
    }
}

/// The numbers that make a size, by name; written `connections=1000,rounds=20` on a child's command line.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Params(BTreeMap<String, u64>);

impl Params {
    /// One number.
    ///
    /// # Errors
    /// When the size does not have it.
    pub fn required(&self, name: &str) -> Result<usize, Error> {
        let value = self.optional(name);
        let value = value.ok_or_else(|| Error::unknown("parameter", name, self.0.keys().map(String::as_str)));
        usize::try_from(value?).map_err(|e| Error::Usage(format!("parameter {name}: {e}")))
    }

    /// One number, if the size has it.
    pub fn optional(&self, name: &str) -> Option<u64> {
        self.0.get(name).copied()
    }

    /// All numbers, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, u64)> {
        self.0.iter().map(|(name, value)| (name.as_str(), *value))
    }

    /// Sets one number.
    pub fn set(&mut self, name: &str, value: u64) {
        self.0.insert(name.to_owned(), value);
    }
}

impl fmt::Display for Params {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, (name, value)) in self.0.iter().enumerate() {
            let comma = if i == 0 { "" } else { "," };
            write!(f, "{comma}{name}={value}")?;
        }
        Ok(())
    }
}

impl FromStr for Params {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let mut params = Self::default();
        for part in text.split(',').filter(|part| !part.is_empty()) {
            let pair = part
                .split_once('=')
                .and_then(|(name, value)| Some((name, value.parse().ok()?)));
            let (name, value) = pair.ok_or_else(|| {
                Error::Usage(format!("a size is name=number,name=number; this is not: {part}"))
            })?;
            params.set(name, value);
        }
        Ok(params)
    }
}

impl Scenario {
    /// Reads and checks one file.
    ///
    /// # Errors
    /// When it is not TOML of this form, or contradicts itself.
    pub fn parse(file: &'static str, text: &str) -> Result<Self, Error> {
        let wrong = |problem: String| Error::Scenario { file, problem };
        let scenario: Self = toml::from_str(text).map_err(|e| wrong(e.to_string()))?;
        scenario.check().map_err(wrong)?;
        Ok(scenario)
    }

    fn check(&self) -> Result<(), String> {
        if self.contender(&self.baseline).is_none() {
            return Err(format!(
                "the baseline '{}' is none of the contenders",
                self.baseline
            ));
        }
        for (what, names) in [
            ("contender", self.contender_names()),
            ("metric", self.metric_names()),
        ] {
            let mut sorted = names.clone();
            sorted.sort_unstable();
            sorted.dedup();
            if sorted.len() != names.len() || names.is_empty() {
                return Err(format!(
                    "there must be at least one {what}, and no two of the same name"
                ));
            }
        }
        if !self.contenders.iter().any(|c| c.role == Role::Ours) {
            return Err("no contender has the role 'ours'".to_owned());
        }
        let drawn = self
            .scaling
            .iter()
            .flat_map(|s| s.points.iter().map(|(_, metric)| metric));
        if let Some(wrong) = drawn
            .chain(&self.bars)
            .find(|name| !self.metric_names().contains(&name.as_str()))
        {
            return Err(format!("'{wrong}' is to be drawn and is none of the metrics"));
        }
        for (which, size) in [("full", &self.full), ("quick", &self.quick)] {
            if size.repeats == 0 || size.limit_seconds == 0 {
                return Err(format!(
                    "size '{which}': repeats and limit_seconds must be above zero"
                ));
            }
        }
        Ok(())
    }

    /// The name of the code behind it.
    pub fn workload(&self) -> &str {
        self.workload.as_deref().unwrap_or(&self.name)
    }

    /// One of the two sizes.
    pub fn size(&self, quick: bool) -> &Size {
        if quick { &self.quick } else { &self.full }
    }

    /// The contender of that name.
    pub fn contender(&self, name: &str) -> Option<&Contender> {
        self.contenders.iter().find(|c| c.name == name)
    }

    /// Names of all contenders.
    pub fn contender_names(&self) -> Vec<&str> {
        self.contenders.iter().map(|c| c.name.as_str()).collect()
    }

    /// Names of all metrics.
    pub fn metric_names(&self) -> Vec<&str> {
        self.metrics.iter().map(|m| m.name.as_str()).collect()
    }

    /// What the plan says of it.
    pub fn planned(&self, quick: bool, repeats: u32) -> Planned {
        let contenders = u32::try_from(self.contenders.len()).unwrap_or(u32::MAX);
        let steps = repeats.saturating_mul(contenders);
        Planned {
            name: self.name.clone(),
            question: self.question.clone(),
            contenders: self.contenders.clone(),
            baseline: self.baseline.clone(),
            needs_evenkeel: self.needs_evenkeel,
            metrics: self.metrics.clone(),
            series: self.series.clone(),
            bars: self.bars.clone(),
            scaling: self.scaling.clone(),
            size: self.size(quick).params.to_string(),
            repeats,
            steps,
        }
    }
}

/// All scenarios, in the order they are listed and run.
///
/// # Errors
/// When a file is not in order.
pub fn all() -> Result<Vec<Scenario>, Error> {
    FILES
        .iter()
        .map(|(file, text)| Scenario::parse(file, text))
        .collect()
}

/// The scenario of that name.
///
/// # Errors
/// When there is none, with the names there are.
pub fn named(name: &str) -> Result<Scenario, Error> {
    let mut all = all()?;
    let Some(at) = all.iter().position(|s| s.name == name) else {
        return Err(Error::unknown(
            "scenario",
            name,
            all.iter().map(|s| s.name.as_str()),
        ));
    };
    Ok(all.swap_remove(at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(feature = "peers")]
    #[test]
    fn every_file_is_in_order_and_its_contenders_are_known() {
        let all = all().unwrap();
        for (scenario, (file, _)) in all.iter().zip(FILES) {
            let workload = crate::workload::named(scenario.workload()).unwrap();
            let mut listed = scenario.contender_names();
            let mut known = workload.contenders().to_vec();
            listed.sort_unstable();
            known.sort_unstable();
            if scenario.workload.is_some() {
                known.retain(|name| listed.contains(name));
            }
            assert_eq!(listed, known, "{file} and its workload name the same contenders");
        }
    }

    #[test]
    fn every_file_has_its_own_name_and_asks_a_question() {
        for (scenario, (file, _)) in all().unwrap().iter().zip(FILES) {
            assert_eq!(format!("{}.toml", scenario.name), file);
            assert!(scenario.question.ends_with('?'), "{file} asks a question");
        }
    }

    #[test]
    fn no_file_is_forgotten() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/scenarios");
        let found = std::fs::read_dir(folder).unwrap().count();
        assert_eq!(found, FILES.len());
    }

    #[test]
    fn a_wrong_name_lists_the_right_ones() {
        let error = named("oi").unwrap_err().to_string();
        assert!(error.contains("'oi'") && error.contains("io-pair"), "{error}");
    }

    #[test]
    fn params_survive_the_command_line() {
        let params: Params = "connections=1000,rounds=20".parse().unwrap();
        assert_eq!(params.to_string(), "connections=1000,rounds=20");
        assert_eq!(params.required("rounds").unwrap(), 20);
        assert!(
            params
                .required("tasks")
                .unwrap_err()
                .to_string()
                .contains("connections, rounds")
        );
        assert!("connections".parse::<Params>().is_err());
        assert!("connections=many".parse::<Params>().is_err());
    }

    #[test]
    fn contradictions_are_errors() {
        let good = FILES[0].1;
        let parse = |text: &str| Scenario::parse("x.toml", text).map_err(|e| e.to_string());
        assert!(parse(good).is_ok());
        let no_baseline = good.replace("baseline = \"raw-tokio\"", "baseline = \"nobody\"");
        assert!(parse(&no_baseline).unwrap_err().contains("'nobody'"));
        let twice = good.replace("name = \"hyper-util\"", "name = \"naive\"");
        assert!(parse(&twice).unwrap_err().contains("same name"));
        let nobody = good.replace("role = \"ours\"", "");
        assert!(parse(&nobody).unwrap_err().contains("'ours'"));
        let undrawn = good.replace("bars = [\"connect_rate\"", "bars = [\"charm\"");
        assert!(parse(&undrawn).unwrap_err().contains("'charm'"));
        let never = good.replace("repeats = 8", "repeats = 0");
        assert!(parse(&never).unwrap_err().contains("repeats"));
    }
}
