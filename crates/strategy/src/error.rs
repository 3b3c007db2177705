//! What can be wrong with a configuration, a set of members, or a pick.

use thiserror::Error;

/// A configuration that makes no sense, found when it is built.
#[derive(Clone, Debug, PartialEq, Error)]
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
    /// No strategy has this name.
    #[error("no strategy is called `{name}`; known are {}", known.join(", "))]
    UnknownStrategy {
        /// The name that was asked for.
        name: String,
        /// Every name there is.
        known: &'static [&'static str],
    },
}

impl ConfigError {
    pub(crate) fn out_of_range(
        config: &'static str,
        field: &'static str,
        value: impl ToString,
        expected: &'static str,
    ) -> Self {
        Self::OutOfRange {
            config,
            field,
            value: value.to_string(),
            expected,
        }
    }

    /// An error unless `ok`.
    pub(crate) fn check(
        ok: bool,
        config: &'static str,
        field: &'static str,
        value: impl ToString,
        expected: &'static str,
    ) -> Result<(), Self> {
        if ok {
            Ok(())
        } else {
            Err(Self::out_of_range(config, field, value, expected))
        }
    }
}

/// Why no picker could be built. The picker in use stays as it is.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum BuildError {
    /// There are members, and each has weight 0: nobody may take requests.
    #[error("all {members} members have weight 0")]
    AllWeightsZero {
        /// How many there are.
        members: usize,
    },
    /// More members than the strategy can tell apart.
    #[error("{members} members, but {strategy} can hold {limit}")]
    TooManyMembers {
        /// The strategy.
        strategy: &'static str,
        /// How many there are.
        members: usize,
        /// How many it can hold.
        limit: usize,
    },
    /// A strategy of one's own has a reason of its own.
    #[error("{0}")]
    Other(String),
}

/// Why a picker named nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
#[non_exhaustive]
pub enum PickError {
    /// There are no members.
    #[error("no members to pick from")]
    Empty,
    /// There are members, but none is eligible, and the context forbids panic mode
    /// ([`PickContext::strict`](crate::PickContext::strict)).
    #[error("no eligible member")]
    NoneEligible,
    /// The strategy refuses this request on purpose, to protect the backends.
    #[error("request shed")]
    Shed,
}
