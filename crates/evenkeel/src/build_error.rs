//! [`BuildError`].

use thiserror::Error;

/// Why a client could not be built, or a backend not be added.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum BuildError {
    /// A field of `io` makes no sense.
    #[error("io: {0}")]
    Io(#[from] evenkeel_io_core::ConfigError),
    /// A field of `pool` makes no sense, or there is no runtime.
    #[error("backend {backend}: pool: {source}")]
    Pool {
        /// Whose pool.
        backend: String,
        /// Why.
        source: evenkeel_pool::BuildError,
    },
    /// A field of `balancer` makes no sense, or the backends do not.
    #[error("balancer: {0}")]
    Balancer(#[from] evenkeel_balancer::BuildError),
    /// A backend can not be a member.
    #[error(transparent)]
    Member(#[from] evenkeel_balancer::MemberError),
}
