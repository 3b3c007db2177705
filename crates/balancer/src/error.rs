//! What can go wrong with building, picking and changing members.

use evenkeel_strategy::BackendId;
use thiserror::Error;

use crate::ConfigError;

/// Why a balancer could not be built.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum BuildError {
    /// A field of the config makes no sense.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A backend can not be a member.
    #[error(transparent)]
    Member(#[from] MemberError),
    /// There is no tokio runtime for the background task; within one, or with
    /// [`build_parts`](crate::LoadBalancerBuilder::build_parts), there is no such error.
    #[error("no tokio runtime to run the background task on")]
    NoRuntime,
}

/// Why members could not be changed. Nothing was.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum MemberError {
    /// There is a backend of this id already.
    #[error("backend {id}: there is one of this id already")]
    Duplicate {
        /// The id.
        id: BackendId,
    },
    /// There is no backend of this id.
    #[error("backend {id}: there is none of this id")]
    Unknown {
        /// The id.
        id: BackendId,
    },
    /// The id is empty.
    #[error("a backend's id is empty")]
    EmptyId,
    /// A discovery names no backends at all, which is taken for its mistake.
    #[error("the discovery names no backends; those there are stay")]
    Nobody,
    /// There are as many backends as there may be.
    #[error("backend {id}: there are {limit} backends already, as max_backends says")]
    TooMany {
        /// The one that is too many.
        id: BackendId,
        /// [`max_backends`](crate::LoadBalancerConfig::max_backends).
        limit: usize,
    },
    /// All backends would have weight 0: nobody could be given requests while things are normal.
    #[error("backend {id}: all backends would have weight 0")]
    AllWeightsZero {
        /// The one whose change would have led there.
        id: BackendId,
    },
    /// A field of the config makes no sense; found when the balancer is built, so never after.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The strategy can not work with these members.
    #[error("backend {id}: {source}")]
    Strategy {
        /// The one whose change would have led there.
        id: BackendId,
        /// Why.
        source: evenkeel_strategy::BuildError,
    },
}

/// Why nobody was picked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
#[non_exhaustive]
pub enum PickError {
    /// There are no backends.
    #[error("there are no backends")]
    NoBackends,
    /// There are backends, and each is disabled or draining.
    #[error("all {members} backends are disabled or draining")]
    NoneEnabled {
        /// How many there are.
        members: usize,
    },
    /// The strategy refuses this request on purpose, to protect the backends.
    #[error("the strategy sheds the request")]
    Shed,
    /// The strategy, one of the user's own, broke its contract.
    #[error("the strategy names member {index} of {members}, or none without need")]
    Strategy {
        /// The index it gave; the number of members if it gave none.
        index: usize,
        /// How many members there are.
        members: usize,
    },
}
