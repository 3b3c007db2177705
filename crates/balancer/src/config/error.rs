//! What a wrong field is told.

use thiserror::Error;

/// A field of [`LoadBalancerConfig`](crate::LoadBalancerConfig) whose value makes no sense, found when
/// the balancer is built.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("LoadBalancerConfig.{field} is {value}, must be {expected}")]
#[non_exhaustive]
pub struct ConfigError {
    /// The field, as it is written in code and in files; in a table, with a dot between the two.
    pub field: String,
    /// The value it had.
    pub value: String,
    /// What it must be.
    pub expected: String,
}

impl ConfigError {
    pub(crate) fn out_of_range(
        field: impl Into<String>,
        value: impl ToString,
        expected: impl Into<String>,
    ) -> Self {
        Self {
            field: field.into(),
            value: value.to_string(),
            expected: expected.into(),
        }
    }

    /// An error unless `ok`.
    pub(crate) fn check(
        ok: bool,
        field: &'static str,
        value: impl ToString,
        expected: &'static str,
    ) -> Result<(), Self> {
        if ok {
            Ok(())
        } else {
            Err(Self::out_of_range(field, value, expected))
        }
    }

    /// What the health crate found in the table `under`, which has a dot at its end.
    pub(crate) fn health(under: &str, error: evenkeel_health::ConfigError) -> Self {
        match error {
            evenkeel_health::ConfigError::OutOfRange {
                field,
                value,
                expected,
                ..
            } => Self::out_of_range(format!("{under}{field}"), value, expected),
            other => Self::out_of_range(under, "wrong", other.to_string()),
        }
    }

    /// What the strategy crate found in the table `under`, which has a dot at its end.
    pub(crate) fn strategy(under: &str, error: evenkeel_strategy::ConfigError) -> Self {
        match error {
            evenkeel_strategy::ConfigError::OutOfRange {
                field,
                value,
                expected,
                ..
            } => Self::out_of_range(format!("{under}{field}"), value, expected),
            other => Self::out_of_range(under, "wrong", other.to_string()),
        }
    }
}
