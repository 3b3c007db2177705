//! What can be wrong with a target.

use std::convert::Infallible;

/// Why something is not a [`Target`](crate::Target).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TargetError {
    /// There is no text at all.
    #[error("the target is empty, expected host:port or unix:/path")]
    Empty,
    /// A URL was given.
    #[error("expected host:port without a URL scheme, got the scheme '{scheme}'")]
    UrlScheme {
        /// What stands before `://`.
        scheme: String,
    },
    /// Nothing stands before the port.
    #[error("the host is empty")]
    EmptyHost,
    /// The name is longer than DNS allows.
    #[error("the host name has {len} bytes, at most 253 are allowed")]
    HostTooLong {
        /// Its length in bytes, a trailing dot not counted.
        len: usize,
    },
    /// A part of the name breaks the rules.
    #[error("host '{host}': {rule}")]
    BadLabel {
        /// The whole name.
        host: String,
        /// The rule it breaks.
        rule: &'static str,
    },
    /// It ends in a number as IPv4 addresses do, and is none.
    #[error("'{host}' looks like an IPv4 address but is none")]
    BadIpv4 {
        /// The text in the place of the host.
        host: String,
    },
    /// What stands in brackets is no IPv6 address.
    #[error("'{host}' is not an IPv6 address in brackets, expected for example [::1]:4317")]
    BadIpv6 {
        /// The text in the place of the host.
        host: String,
    },
    /// An IPv6 address without brackets, where the port can not be told apart.
    #[error("'{text}' has several colons; write an IPv6 address in brackets, for example [::1]:4317")]
    UnbracketedIpv6 {
        /// The whole text.
        text: String,
    },
    /// No port, or nothing after the colon.
    #[error("'{host}' has no port, expected {host}:port")]
    MissingPort {
        /// The host that lacks it.
        host: String,
    },
    /// Port 0, to which nobody can connect.
    #[error("'{host}' has port 0, expected 1 to 65535")]
    PortZero {
        /// The host it was given for.
        host: String,
    },
    /// The port is no number, or too large.
    #[error("the port '{port}' is not a number from 1 to 65535")]
    BadPort {
        /// The text in the place of the port.
        port: String,
    },
    /// A Unix socket without a path.
    #[error("the path of the Unix socket is empty")]
    EmptyUnixPath,
    /// The path does not fit in a socket address.
    #[error("the path of the Unix socket has {len} bytes, at most {max} fit")]
    UnixPathTooLong {
        /// Its length in bytes.
        len: usize,
        /// What the system allows, the closing NUL not counted.
        max: usize,
    },
    /// The path can not be used.
    #[error("the path of the Unix socket {rule}")]
    BadUnixPath {
        /// The rule it breaks.
        rule: &'static str,
    },
}

/// Lets one bound, `TargetError: From<T::Error>`, cover checked and infallible conversions alike.
impl From<Infallible> for TargetError {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}
