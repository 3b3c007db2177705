//! What was going to be measured: scenarios, who takes part, and what their figures mean.

use serde::{Deserialize, Serialize};

/// One scenario.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Scenario {
    /// Its name on the command line.
    pub(crate) name: String,
    /// What it answers.
    pub(crate) question: String,
    /// Who takes part, in the order they are shown.
    pub(crate) contenders: Vec<Contender>,
    /// The contender that the others are compared with, if any.
    #[serde(default)]
    pub(crate) baseline: Option<String>,
    /// Whether it needs the binary `evenkeel`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) needs_evenkeel: bool,
    /// What is measured, in the order it is shown.
    pub(crate) metrics: Vec<Metric>,
    /// What is followed over time.
    #[serde(default)]
    pub(crate) series: Vec<Followed>,
    /// Metrics to draw as bars.
    #[serde(default)]
    pub(crate) bars: Vec<String>,
    /// Metrics to draw as a curve over a size.
    #[serde(default)]
    pub(crate) scaling: Vec<Scaling>,
    /// The numbers of the size that ran.
    #[serde(default)]
    pub(crate) size: String,
    /// How often each contender runs.
    pub(crate) repeats: u32,
    /// How many steps that makes.
    pub(crate) steps: u64,
}

impl Scenario {
    /// The contender of that name.
    pub(crate) fn contender(&self, name: &str) -> Option<&Contender> {
        self.contenders.iter().find(|contender| contender.name == name)
    }

    /// The metric of that name.
    pub(crate) fn metric(&self, name: &str) -> Option<&Metric> {
        self.metrics.iter().find(|metric| metric.name == name)
    }

    /// The names of all contenders.
    pub(crate) fn contender_names(&self) -> Vec<&str> {
        self.contenders
            .iter()
            .map(|contender| contender.name.as_str())
            .collect()
    }
}

/// Who takes part.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Contender {
    /// Its name in samples.
    pub(crate) name: String,
    /// What it is.
    #[serde(default)]
    pub(crate) about: String,
    /// On which side it is.
    #[serde(default)]
    pub(crate) role: Role,
}

/// On which side a contender is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Role {
    /// A crate of this workspace.
    Ours,
    /// What people do who have none of this.
    Naive,
    /// What people use today.
    #[default]
    Peer,
}

impl Role {
    /// By the name alone, where there is nothing else: peers are named by their crate, ours also by strategy.
    pub(crate) fn of_name(name: &str) -> Self {
        const PEERS: [&str; 15] = [
            "bare",
            "bb8",
            "deadpool",
            "failsafe",
            "hdrhistogram",
            "hyper",
            "metrics",
            "mutex",
            "pingora",
            "prometheus",
            "quanta",
            "raw",
            "std",
            "tokio",
            "tower",
        ];
        if name.starts_with("naive") {
            Self::Naive
        } else if PEERS.iter().any(|peer| name.starts_with(peer)) {
            Self::Peer
        } else {
            Self::Ours
        }
    }
}

/// One figure of a scenario.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Metric {
    /// Its name in samples.
    pub(crate) name: String,
    /// Its unit, as printed.
    #[serde(default)]
    pub(crate) unit: String,
    /// Which way is good.
    #[serde(default)]
    pub(crate) better: Better,
    /// What it is, in words.
    #[serde(default)]
    pub(crate) about: String,
}

/// Which way is good.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Better {
    /// Less is better.
    Lower,
    /// More is better.
    Higher,
    /// Neither: a figure for orientation.
    #[default]
    #[serde(other)]
    Neither,
}

/// Something that is followed over time, by milliseconds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Followed {
    /// Its name in samples.
    pub(crate) name: String,
    /// The unit of its values.
    #[serde(default)]
    pub(crate) unit: String,
    /// What it is, in words.
    #[serde(default)]
    pub(crate) about: String,
}

/// Metrics that are the same figure at several sizes.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Scaling {
    /// What grows.
    pub(crate) over: String,
    /// The figure, in words.
    pub(crate) about: String,
    /// Size and metric.
    pub(crate) points: Vec<(f64, String)>,
}
