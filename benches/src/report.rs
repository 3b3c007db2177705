//! What a contender's process hands back to the runner.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{Error, quantile};

/// Measured values by the metric's name. A metric that makes no sense for a contender is left out.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Metrics(BTreeMap<String, f64>);

impl Metrics {
    /// Notes one value, to three places after the point: nothing here is known better than that.
    pub fn set(&mut self, name: &str, value: f64) {
        self.0.insert(name.to_owned(), (value * 1e3).round() / 1e3);
    }

    /// Notes the median and the 99th percentile of durations in nanoseconds, as microseconds, under
    /// `<name>_p50` and `<name>_p99`. Without durations it notes nothing.
    pub fn set_latencies(&mut self, name: &str, nanos: &mut [f64]) {
        for (suffix, q) in [("p50", 0.5), ("p99", 0.99)] {
            if let Some(value) = quantile(nanos, q) {
                self.set(&format!("{name}_{suffix}"), value / 1e3);
            }
        }
    }

    /// Notes how many there were of something per second.
    pub fn set_rate(&mut self, name: &str, count: usize, within: Duration) {
        self.set(name, count as f64 / within.as_secs_f64().max(1e-9));
    }

    /// Notes a duration shared among `count`, in microseconds.
    pub fn set_share(&mut self, name: &str, of: Duration, count: usize) {
        self.set(name, of.as_secs_f64() * 1e6 / count.max(1) as f64);
    }

    /// One value.
    pub fn value(&self, name: &str) -> Option<f64> {
        self.0.get(name).copied()
    }

    /// All values, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, f64)> {
        self.0.iter().map(|(name, value)| (name.as_str(), *value))
    }
}

/// The one line of JSON a contender's process prints.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Report {
    /// What was measured, by contender: one, or all of them where they share a process.
    pub samples: BTreeMap<String, Metrics>,
    /// What a reader must know of this run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

impl Report {
    /// The report of one contender.
    pub fn of(contender: &str, metrics: Metrics) -> Self {
        Self {
            samples: BTreeMap::from([(contender.to_owned(), metrics)]),
            notes: Vec::new(),
        }
    }

    /// The line, without its end.
    ///
    /// # Errors
    /// When the report cannot be written as JSON.
    pub fn to_line(&self) -> Result<String, Error> {
        serde_json::to_string(self).map_err(|e| Error::Child(format!("cannot write a report: {e}")))
    }
}
