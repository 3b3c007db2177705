//! What constructors and snapshots refuse.

use std::fmt;

use crate::Precision;

/// A setting that makes no sense, named as the constructor's argument is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SettingError {
    /// Zero where something is needed.
    #[error("`{field}` must not be zero")]
    Zero {
        /// The argument.
        field: &'static str,
    },
    /// Beyond what the type can hold or tell apart.
    #[error("`{field}` is {given}, and must be from {least} to {most}")]
    OutOfRange {
        /// The argument.
        field: &'static str,
        /// What was given.
        given: String,
        /// The least that is allowed.
        least: String,
        /// The most that is allowed.
        most: String,
    },
}

impl SettingError {
    pub(crate) fn out_of_range(
        field: &'static str,
        given: impl fmt::Debug,
        least: impl fmt::Debug,
        most: impl fmt::Debug,
    ) -> Self {
        Self::OutOfRange {
            field,
            given: format!("{given:?}"),
            least: format!("{least:?}"),
            most: format!("{most:?}"),
        }
    }
}

/// Two snapshots that do not belong together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SnapshotError {
    /// Their buckets lie differently.
    #[error("snapshots of different precision: {left:?} and {right:?}")]
    PrecisionMismatch {
        /// The precision of the snapshot the method was called on.
        left: Precision,
        /// The precision of the other.
        right: Precision,
    },
    /// The one to subtract holds more than the one it is subtracted from.
    #[error("the snapshot to subtract is not an earlier one of the same histogram")]
    NotEarlier,
}
