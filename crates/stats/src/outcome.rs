//! How things ended: the words that every crate shares for results, phases and kinds of failure.

use std::fmt;
use std::io;
use std::time::Duration;

/// How one request ended, as far as the backend is to be judged by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "snake_case")
)]
#[non_exhaustive]
pub enum Outcome {
    /// The backend answered as it should.
    Success,
    /// The backend failed to answer, or answered with an error of its own.
    Failure,
    /// The backend is alive and asks for less.
    Overload {
        /// How long it asks to be left alone, if it said so.
        retry_after: Option<Duration>,
    },
    /// The caller lost interest first; says nothing about the backend.
    Cancelled,
}

impl Outcome {
    /// Whether the request was answered as it should.
    #[must_use]
    pub const fn is_success(self) -> bool {
        matches!(self, Self::Success)
    }

    /// Whether this counts against the backend: failures and overloads do.
    #[must_use]
    pub const fn is_failure(self) -> bool {
        matches!(self, Self::Failure | Self::Overload { .. })
    }
}

/// Where in its life an operation was when it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "snake_case")
)]
#[non_exhaustive]
pub enum Phase {
    /// Waiting for a turn at a limit.
    Queue,
    /// Finding addresses for a name.
    Resolve,
    /// Opening the transport.
    Connect,
    /// Agreeing on TLS or on the protocol above.
    Handshake,
    /// Waiting for bytes.
    Read,
    /// Handing bytes over.
    Write,
}

impl Phase {
    /// Every phase, in the order an operation passes them.
    pub const ALL: [Self; 6] = [
        Self::Queue,
        Self::Resolve,
        Self::Connect,
        Self::Handshake,
        Self::Read,
        Self::Write,
    ];

    /// The phase as one lower-case word, for labels.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queue => "queue",
            Self::Resolve => "resolve",
            Self::Connect => "connect",
            Self::Handshake => "handshake",
            Self::Read => "read",
            Self::Write => "write",
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What sort of failure it was: few enough kinds to count each, in words an operator acts on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "snake_case")
)]
#[non_exhaustive]
pub enum FailureKind {
    /// A deadline passed.
    Timeout,
    /// A limit of our own was reached.
    Limit,
    /// Nobody listens there.
    Refused,
    /// The peer cut the connection.
    Reset,
    /// The peer ended the stream before it should.
    Closed,
    /// No way to the address.
    Unreachable,
    /// The name has no address.
    Resolve,
    /// TLS could not be agreed on.
    Tls,
    /// This machine has no more descriptors, ports or memory.
    Resources,
    /// Anything else.
    Other,
}

impl FailureKind {
    /// Every kind, in the order of declaration.
    pub const ALL: [Self; 10] = [
        Self::Timeout,
        Self::Limit,
        Self::Refused,
        Self::Reset,
        Self::Closed,
        Self::Unreachable,
        Self::Resolve,
        Self::Tls,
        Self::Resources,
        Self::Other,
    ];

    /// The kind as one lower-case word, for labels.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
            Self::Limit => "limit",
            Self::Refused => "refused",
            Self::Reset => "reset",
            Self::Closed => "closed",
            Self::Unreachable => "unreachable",
            Self::Resolve => "resolve",
            Self::Tls => "tls",
            Self::Resources => "resources",
            Self::Other => "other",
        }
    }

    /// The kind that an I/O error amounts to.
    #[must_use]
    pub fn of_io(error: &io::Error) -> Self {
        use io::ErrorKind as Kind;
        // EMFILE and ENFILE have no stable ErrorKind; the numbers are the same on every Unix.
        const EMFILE: i32 = 24;
        const ENFILE: i32 = 23;
        if cfg!(unix) && matches!(error.raw_os_error(), Some(EMFILE | ENFILE)) {
            return Self::Resources;
        }
        match error.kind() {
            Kind::TimedOut => Self::Timeout,
            Kind::ConnectionRefused => Self::Refused,
            Kind::ConnectionReset | Kind::ConnectionAborted | Kind::BrokenPipe => Self::Reset,
            Kind::UnexpectedEof | Kind::NotConnected | Kind::WriteZero => Self::Closed,
            Kind::HostUnreachable | Kind::NetworkUnreachable | Kind::NetworkDown => Self::Unreachable,
            Kind::AddrNotAvailable | Kind::OutOfMemory => Self::Resources,
            _ => Self::Other,
        }
    }
}

impl fmt::Display for FailureKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
