//! What can be wrong with a configuration, and why a request is not let through.

use std::time::Duration;

use evenkeel_stats::WindowCounter;
use thiserror::Error;

/// A configuration that makes no sense, found when it is built.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A field is outside its range.
    #[error("{config}.{field} is {value}, must be {expected}")]
    OutOfRange {
        /// The configuration's type.
        config: &'static str,
        /// The field's name.
        field: &'static str,
        /// What it was.
        value: String,
        /// What it may be.
        expected: &'static str,
    },
}

/// Checks the fields of one configuration, with its name in the errors.
#[derive(Clone, Copy)]
pub(crate) struct Check(pub(crate) &'static str);

impl Check {
    /// An error unless `ok`.
    pub(crate) fn that(
        self,
        ok: bool,
        field: &'static str,
        value: impl ToString,
        expected: &'static str,
    ) -> Result<(), ConfigError> {
        if ok {
            return Ok(());
        }
        Err(self.out_of_range(field, value, expected))
    }

    pub(crate) fn out_of_range(
        self,
        field: &'static str,
        value: impl ToString,
        expected: &'static str,
    ) -> ConfigError {
        ConfigError::OutOfRange {
            config: self.0,
            field,
            value: value.to_string(),
            expected,
        }
    }

    /// An error unless `value` is above zero.
    pub(crate) fn above_zero(self, field: &'static str, value: Duration) -> Result<(), ConfigError> {
        self.that(!value.is_zero(), field, format!("{value:?}"), "above zero")
    }

    /// An error unless `value` is at least 1.
    pub(crate) fn at_least_one(self, field: &'static str, value: impl Into<u64>) -> Result<(), ConfigError> {
        let value = value.into();
        self.that(value >= 1, field, value, "at least 1")
    }

    /// An error unless `value` is at least `least`.
    pub(crate) fn at_least(
        self,
        field: &'static str,
        value: Duration,
        least: Duration,
        expected: &'static str,
    ) -> Result<(), ConfigError> {
        self.that(value >= least, field, format!("{value:?}"), expected)
    }

    /// A window as long as `field` says.
    pub(crate) fn window(
        self,
        field: &'static str,
        value: Duration,
        slots: usize,
    ) -> Result<WindowCounter, ConfigError> {
        let expected = "at least a nanosecond to each slot";
        WindowCounter::new(value, slots).map_err(|_| self.out_of_range(field, format!("{value:?}"), expected))
    }

    /// An error unless `value` is a share: 0 to 1. Not a number is none.
    pub(crate) fn share(self, field: &'static str, value: f64) -> Result<(), ConfigError> {
        self.that((0.0..=1.0).contains(&value), field, value, "from 0 to 1")
    }
}

/// Why a circuit breaker did not let a request through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
#[non_exhaustive]
pub enum Rejected {
    /// The breaker is open.
    #[error("circuit open, next trial in {retry_after:?}")]
    Open {
        /// When the next trial begins, from the time of asking.
        retry_after: Duration,
    },
    /// A trial is under way and all of its permits are taken.
    #[error("circuit on trial, all permits taken")]
    OnTrial,
    /// The breaker was opened by hand.
    #[error("circuit forced open")]
    ForcedOpen,
}

/// How a call through a circuit breaker failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CallError<E> {
    /// The breaker did not let it through: nothing was sent.
    #[error(transparent)]
    Rejected(#[from] Rejected),
    /// It was let through and failed.
    #[error("{0}")]
    Failed(#[source] E),
}
