//! What can go wrong: one enum for opening a connection, one for using it.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use evenkeel_stats::{Failure, FailureKind, Phase};

use crate::happy_eyeballs::Progress;
use crate::{Target, TargetError};

/// Why there is no connection. Names the target, the phase it ended in, and keeps the source.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// What was given names nobody to connect to.
    #[error(transparent)]
    Target(#[from] TargetError),

    /// No turn at a limit came within the connect time-out.
    #[error("{target}: no turn at {limit} within {waited:?}")]
    Limit {
        /// Who was to be dialled.
        target: Target,
        /// Which limit.
        limit: Limit,
        /// How long the caller waited.
        waited: Duration,
    },

    /// The name could not be resolved.
    #[error("{target}: resolve: {source}")]
    Resolve {
        /// Who was to be dialled.
        target: Target,
        /// What the resolver said.
        source: io::Error,
    },

    /// The name is known and has no address.
    #[error("{target}: resolve: the name has no address")]
    NoAddress {
        /// Who was to be dialled.
        target: Target,
    },

    /// There are addresses, but none that can be reached from `bind_address`.
    #[error("{target}: resolve: no {family} address, and bind_address is one")]
    WrongFamily {
        /// Who was to be dialled.
        target: Target,
        /// The family of `bind_address`: `IPv4` or `IPv6`.
        family: &'static str,
    },

    /// Every address failed.
    #[error("{target}: connect: {attempts}")]
    Connect {
        /// Who was dialled.
        target: Target,
        /// Each address and how it failed, in the order they were started.
        #[source]
        attempts: Attempts,
    },

    /// The connect time-out passed.
    #[error("{target}: {phase}: not done within {after:?}{}", attempts.as_suffix())]
    Timeout {
        /// Who was dialled.
        target: Target,
        /// What it was doing then.
        phase: Phase,
        /// The time-out.
        after: Duration,
        /// The addresses tried by then; those under way are among them as `no answer`.
        attempts: Attempts,
    },

    /// TLS could not be agreed on.
    #[error("{target}: handshake with {peer}: {source}")]
    Handshake {
        /// Who was dialled.
        target: Target,
        /// The address that answered.
        peer: Target,
        /// What TLS said.
        source: io::Error,
    },

    /// [`AsyncIoManager::shutdown`](crate::AsyncIoManager::shutdown) has begun.
    #[error("{target}: the connection manager is shutting down")]
    ShuttingDown {
        /// Who was to be dialled.
        target: Target,
    },
}

impl ConnectError {
    /// The phase it ended in and its kind, as the statistics count it.
    #[must_use]
    pub fn failure(&self) -> Failure {
        let (phase, kind) = match self {
            Self::Target(_) | Self::Resolve { .. } | Self::NoAddress { .. } | Self::WrongFamily { .. } => {
                (Phase::Resolve, FailureKind::Resolve)
            }
            Self::Limit { .. } => (Phase::Queue, FailureKind::Limit),
            Self::Connect { attempts, .. } => (Phase::Connect, attempts.kind()),
            Self::Timeout { phase, .. } => (*phase, FailureKind::Timeout),
            Self::Handshake { source, .. } => (Phase::Handshake, handshake_kind(source)),
            Self::ShuttingDown { .. } => (Phase::Queue, FailureKind::Closed),
        };
        Failure { phase, kind }
    }
}

/// A handshake that broke off below TLS is counted as what broke it.
fn handshake_kind(source: &io::Error) -> FailureKind {
    match FailureKind::of_io(source) {
        FailureKind::Other => FailureKind::Tls,
        kind => kind,
    }
}

impl From<ConnectError> for io::Error {
    fn from(error: ConnectError) -> Self {
        let kind = match &error {
            ConnectError::Target(_) | ConnectError::WrongFamily { .. } => io::ErrorKind::InvalidInput,
            ConnectError::Limit { .. } | ConnectError::Timeout { .. } => io::ErrorKind::TimedOut,
            ConnectError::NoAddress { .. } => io::ErrorKind::NotFound,
            ConnectError::ShuttingDown { .. } => io::ErrorKind::ConnectionAborted,
            ConnectError::Resolve { source, .. } | ConnectError::Handshake { source, .. } => source.kind(),
            ConnectError::Connect { attempts, .. } => attempts
                .0
                .last()
                .map_or(io::ErrorKind::Other, |attempt| attempt.error.kind()),
        };
        Self::new(kind, error)
    }
}

impl From<std::convert::Infallible> for ConnectError {
    fn from(never: std::convert::Infallible) -> Self {
        match never {}
    }
}

/// The addresses that were tried and how each failed. Its [`source`](std::error::Error::source) is the
/// error of the one that was started last.
#[derive(Debug, Default)]
pub struct Attempts(pub(crate) Vec<Attempt>);

impl Attempts {
    pub(crate) fn failed(failures: Vec<(SocketAddr, io::Error)>) -> Self {
        Self(
            failures
                .into_iter()
                .map(|(address, error)| Attempt {
                    address: address.into(),
                    error,
                })
                .collect(),
        )
    }

    /// What a connect that was cut off had tried; addresses that had not answered count as such.
    pub(crate) fn cut_off(progress: &mut Progress) -> Self {
        let unanswered: Vec<_> = progress
            .tried()
            .iter()
            .filter(|attempt| attempt.error.is_none())
            .map(|attempt| (attempt.addr, io::Error::new(io::ErrorKind::TimedOut, "no answer")))
            .collect();
        let mut attempts = Self::failed(progress.take_failures());
        attempts.0.extend(Self::failed(unanswered).0);
        attempts
    }

    /// The attempts, in the order they were started.
    pub fn iter(&self) -> std::slice::Iter<'_, Attempt> {
        self.0.iter()
    }

    /// The kind of the last attempt's failure: nothing was left to try after it.
    fn kind(&self) -> FailureKind {
        self.0
            .last()
            .map_or(FailureKind::Other, |attempt| FailureKind::of_io(&attempt.error))
    }

    fn as_suffix(&self) -> String {
        if self.0.is_empty() {
            String::new()
        } else {
            format!(" (tried {self})")
        }
    }
}

impl<'a> IntoIterator for &'a Attempts {
    type Item = &'a Attempt;
    type IntoIter = std::slice::Iter<'a, Attempt>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl fmt::Display for Attempts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, attempt) in self.0.iter().enumerate() {
            let comma = if i == 0 { "" } else { ", " };
            write!(f, "{comma}{}: {}", attempt.address, attempt.error)?;
        }
        Ok(())
    }
}

impl std::error::Error for Attempts {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.last().map(|attempt| &attempt.error as _)
    }
}

/// One address and how it failed.
#[derive(Debug)]
#[non_exhaustive]
pub struct Attempt {
    /// The address that was tried.
    pub address: Target,
    /// What the operating system said.
    pub error: io::Error,
}

/// A limit of [`AsyncIoConfig`](crate::AsyncIoConfig), displayed as the field that sets it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Limit {
    /// `max_connections`.
    Connections,
    /// `max_connections_per_host`.
    ConnectionsPerHost,
    /// `max_pending_operations`.
    PendingOperations,
    /// `max_waiting_connects`.
    WaitingConnects,
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connections => "max_connections",
            Self::ConnectionsPerHost => "max_connections_per_host",
            Self::PendingOperations => "max_pending_operations",
            Self::WaitingConnects => "max_waiting_connects",
        })
    }
}

/// Why a read or a write failed, where it was the manager that ended it and not the peer.
///
/// Reads and writes give `std::io::Error`, as every `AsyncRead` and `AsyncWrite` does; this is what
/// is inside one: [`IoError::of`] finds it.
///
/// What state the connection is in afterwards:
/// - after a time-out or a limit, the `read` or `write` that failed has moved no byte. A read may be
///   tried again. Of a `write_all`, a `read_exact` or a flush under TLS, parts may have gone before;
///   unless the protocol above knows how much, close.
/// - after `Closed` every further operation fails the same way.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IoError {
    /// The peer did not move within the read or write time-out.
    #[error("{peer}: {phase}: nothing moved within {after:?}")]
    Timeout {
        /// The other end.
        peer: Target,
        /// [`Phase::Read`] or [`Phase::Write`].
        phase: Phase,
        /// The time-out.
        after: Duration,
    },

    /// The operation got no turn among the pending ones within its time-out.
    #[error("{peer}: {phase}: no turn at {limit} within {after:?}")]
    Limit {
        /// The other end.
        peer: Target,
        /// [`Phase::Read`] or [`Phase::Write`].
        phase: Phase,
        /// The limit.
        limit: Limit,
        /// The time-out.
        after: Duration,
    },

    /// The manager closed the connection.
    #[error("{peer}: closed: {reason}")]
    Closed {
        /// The other end.
        peer: Target,
        /// Why.
        reason: CloseReason,
    },
}

impl IoError {
    /// The `IoError` inside a `std::io::Error`, if it holds one.
    #[must_use]
    pub fn of(error: &io::Error) -> Option<&Self> {
        error.get_ref()?.downcast_ref()
    }
}

impl From<IoError> for io::Error {
    fn from(error: IoError) -> Self {
        let kind = match error {
            IoError::Timeout { .. } | IoError::Limit { .. } => io::ErrorKind::TimedOut,
            IoError::Closed { .. } => io::ErrorKind::ConnectionAborted,
        };
        Self::new(kind, error)
    }
}

/// Why a connection was closed from this side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum CloseReason {
    /// Its owner dropped it.
    Dropped,
    /// It was idle too long: [`AsyncIoManager::close_idle`](crate::AsyncIoManager::close_idle).
    Idle,
    /// It outlived the deadline of [`AsyncIoManager::shutdown`](crate::AsyncIoManager::shutdown).
    Shutdown,
    /// It was singled out: [`AsyncIoManager::close`](crate::AsyncIoManager::close).
    Requested,
}

impl CloseReason {
    /// The reason as one lower-case word, for labels.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Dropped => "dropped",
            Self::Idle => "idle",
            Self::Shutdown => "shutdown",
            Self::Requested => "requested",
        }
    }
}

impl fmt::Display for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
