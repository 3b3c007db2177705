//! How a load cell judges latency.

use std::time::Duration;

use crate::ConfigError;

/// How a [`LoadCell`](crate::LoadCell) judges latency.
///
/// The defaults are linkerd's, which balances with them in production.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(default, deny_unknown_fields)
)]
pub struct LoadConfig {
    /// How fast the latency average forgets: after this time a past peak counts for 1/e. Above zero;
    /// 10 s by default: long enough to remember a slow backend between two of its turns, short enough
    /// to try it again within the minute.
    #[cfg_attr(feature = "serde", serde(with = "humantime_serde"))]
    pub decay: Duration,
    /// The least latency that a failure is recorded with. Above zero; 5 s by default, more than any
    /// healthy answer takes, so that failing fast never looks like being fast.
    #[cfg_attr(feature = "serde", serde(with = "humantime_serde"))]
    pub failure_penalty: Duration,
    /// The most that a `retry_after` is believed. At least `failure_penalty`; 300 s by default.
    #[cfg_attr(feature = "serde", serde(with = "humantime_serde"))]
    pub max_retry_after: Duration,
}

impl Default for LoadConfig {
    fn default() -> Self {
        Self {
            decay: Duration::from_secs(10),
            failure_penalty: Duration::from_secs(5),
            max_retry_after: Duration::from_secs(300),
        }
    }
}

impl LoadConfig {
    /// Whether every field is in its range.
    ///
    /// # Errors
    /// Names the field that is not.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let above_zero = |field, value: Duration| {
            ConfigError::check(
                value > Duration::ZERO,
                "LoadConfig",
                field,
                format!("{value:?}"),
                "above zero",
            )
        };
        above_zero("decay", self.decay)?;
        above_zero("failure_penalty", self.failure_penalty)?;
        ConfigError::check(
            self.max_retry_after >= self.failure_penalty,
            "LoadConfig",
            "max_retry_after",
            format!("{:?}", self.max_retry_after),
            "at least failure_penalty",
        )
    }
}
