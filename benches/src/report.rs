//! What a contender's process hands back to the runner.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{Error, quantile};

/// The quantiles by which a distribution is handed on: enough to draw it, few enough to keep.
const QUANTILES: [f64; 15] = [
    0.0, 0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.995, 0.999, 0.9995, 0.9999, 1.0,
];

/// A point on a curve: where, and how much.
pub type Point = [f64; 2];

/// What was measured, by name. A metric that makes no sense for a contender is left out.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Metrics {
    #[serde(rename = "metrics")]
    values: BTreeMap<String, f64>,
    /// Of latencies: `[quantile, value]`, in the unit of the metric `<name>_p50`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    distributions: BTreeMap<String, Vec<Point>>,
    /// What changed over time: `[milliseconds, value]`, in the unit that the scenario gives the series.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    series: BTreeMap<String, Vec<Point>>,
}

impl Metrics {
    /// Notes one value, to three places after the point: nothing here is known better than that.
    pub fn set(&mut self, name: &str, value: f64) {
        self.values.insert(name.to_owned(), rounded(value));
    }

    /// Notes the median and the 99th percentile of durations in nanoseconds, as microseconds, under
    /// `<name>_p50` and `<name>_p99`, and their whole distribution under `<name>`. Without durations it
    /// notes nothing.
    pub fn set_latencies(&mut self, name: &str, nanos: &mut [f64]) {
        for (suffix, q) in [("p50", 0.5), ("p99", 0.99)] {
            if let Some(value) = quantile(nanos, q) {
                self.set(&format!("{name}_{suffix}"), value / 1e3);
            }
        }
        self.set_distribution(name, nanos, 1e3);
    }

    /// Notes a distribution, each value divided by `unit`. Without values it notes nothing.
    pub fn set_distribution(&mut self, name: &str, values: &mut [f64], unit: f64) {
        let point = |q| Some([q, rounded(quantile(values, q)? / unit)]);
        if let Some(points) = QUANTILES.into_iter().map(point).collect() {
            self.distributions.insert(name.to_owned(), points);
        }
    }

    /// Notes what changed over time: `[milliseconds, value]`, in the order of time.
    pub fn set_series(&mut self, name: &str, points: impl IntoIterator<Item = Point>) {
        let points = points.into_iter().map(|point| point.map(rounded)).collect();
        self.series.insert(name.to_owned(), points);
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
        self.values.get(name).copied()
    }

    /// The names of all series.
    pub fn series(&self) -> impl Iterator<Item = &str> {
        self.series.keys().map(String::as_str)
    }

    /// Whether every number of the distributions and series is one.
    pub fn curves_are_finite(&self) -> bool {
        let curves = self.distributions.values().chain(self.series.values());
        curves.flatten().flatten().all(|value| value.is_finite())
    }

    /// All values, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, f64)> {
        self.values.iter().map(|(name, value)| (name.as_str(), *value))
    }
}

/// To three places after the point.
fn rounded(value: f64) -> f64 {
    (value * 1e3).round() / 1e3
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latencies_come_with_their_distribution_from_least_to_most() {
        let mut metrics = Metrics::default();
        let mut nanos: Vec<f64> = (1..=10_000).rev().map(|n| f64::from(n) * 1e3).collect();
        metrics.set_latencies("wait", &mut nanos);
        assert_eq!(metrics.value("wait_p99"), Some(9_900.0));
        let points = &metrics.distributions["wait"];
        assert_eq!(
            (points[0], points[QUANTILES.len() - 1]),
            ([0.0, 1.0], [1.0, 10_000.0])
        );
        assert!(points.is_sorted_by(|a, b| a[1] <= b[1]));
        assert!(metrics.curves_are_finite());
        metrics.set_latencies("none", &mut []);
        assert!(!metrics.distributions.contains_key("none") && metrics.value("none_p50").is_none());
    }

    #[test]
    fn a_report_survives_its_line() {
        let mut metrics = Metrics::default();
        metrics.set("rate", 12.0);
        metrics.set_series("open", [[0.0, 5.0], [0.25, f64::NAN]]);
        assert!(!metrics.curves_are_finite());
        metrics.set_series("open", [[0.0, 5.0], [0.25, 6.0]]);
        let report = Report::of("a", metrics);
        let line = report.to_line().unwrap();
        assert_eq!(
            line,
            r#"{"samples":{"a":{"metrics":{"rate":12.0},"series":{"open":[[0.0,5.0],[0.25,6.0]]}}}}"#
        );
        assert_eq!(serde_json::from_str::<Report>(&line).unwrap(), report);
    }
}
