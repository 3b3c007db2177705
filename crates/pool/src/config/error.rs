//! What a wrong field is told.

use std::time::Duration;

/// Longest wait that is taken for meant: a year. Beyond it, timers would overflow.
const MAX_WAIT: Duration = Duration::from_secs(365 * 24 * 3600);

/// A field whose value makes no sense.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field} = {value}: {reason}")]
#[non_exhaustive]
pub struct ConfigError {
    /// The field, as it is written in code and in files.
    pub field: &'static str,
    /// The value it had.
    pub value: String,
    /// What it must be.
    pub reason: &'static str,
}

impl ConfigError {
    pub(crate) fn require(
        holds: bool,
        field: &'static str,
        value: impl ToString,
        reason: &'static str,
    ) -> Result<(), Self> {
        if holds {
            return Ok(());
        }
        Err(Self {
            field,
            value: value.to_string(),
            reason,
        })
    }

    pub(crate) fn at_least_one(field: &'static str, value: usize) -> Result<(), Self> {
        Self::require(value > 0, field, value, "must be at least 1")
    }

    pub(crate) fn wait(field: &'static str, value: Duration) -> Result<(), Self> {
        let shown = format!("{value:?}");
        Self::require(
            value >= Duration::from_millis(1),
            field,
            shown,
            "must be at least 1ms",
        )?;
        Self::not_absurd(field, value)
    }

    pub(crate) fn not_absurd(field: &'static str, value: Duration) -> Result<(), Self> {
        Self::require(
            value <= MAX_WAIT,
            field,
            format!("{value:?}"),
            "must not exceed a year",
        )
    }
}
