//! What came of the steps of a run.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A point on a curve: where, and how much.
pub(crate) type Point = [f64; 2];

/// What a step measured.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Sample {
    /// The scenario's name.
    pub(crate) scenario: String,
    /// Who.
    pub(crate) contender: String,
    /// The how-manieth time, from 0. Equal numbers ran next to each other and are compared in pairs.
    pub(crate) repeat: u32,
    /// The figures; null for one that could not be taken.
    pub(crate) metrics: BTreeMap<String, Option<f64>>,
    /// Of latencies: `[quantile, value]`, in the unit of the metric `<name>_p50`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) distributions: BTreeMap<String, Vec<Point>>,
    /// What changed over time: `[milliseconds, value]`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) series: BTreeMap<String, Vec<Point>>,
}

/// A step that failed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Failed {
    /// The scenario's name.
    pub(crate) scenario: String,
    /// Who.
    pub(crate) contender: String,
    /// The how-manieth time, from 0.
    pub(crate) repeat: u32,
    /// Why.
    pub(crate) error: String,
}

/// Something a reader of the figures must know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Note {
    /// The scenario's name.
    pub(crate) scenario: String,
    /// What.
    pub(crate) text: String,
}
