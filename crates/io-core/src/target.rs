//! Who to connect to.

mod error;
mod parse;

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;

pub use error::TargetError;

/// Who to connect to: a host name with a port, a socket address, or a Unix socket.
///
/// It is checked when it is made, so a typing error shows at start-up and not at the first request.
/// Cloning copies a pointer. Names compare without regard to case (they are kept in lower case), so a
/// target serves as the key of a limit or of a pool.
///
/// As text it is `collector.local:4317`, `127.0.0.1:4317`, `[::1]:4317` or `unix:/run/x.sock`. A port
/// from 1 to 65535 is always required. [`Display`](fmt::Display) writes what
/// [`FromStr`] reads back, save what text can not carry: a Unix path that is not UTF-8, an IPv6 flow
/// label, and the port 0 of an unchecked [`SocketAddr`] (see [`check`](Self::check)).
///
/// ```
/// use evenkeel_io_core::{Target, TargetError};
///
/// let target: Target = "Collector.local:4317".parse()?;
/// assert_eq!(target, Target::host("collector.local", 4317)?);
/// assert_eq!(target.host_name(), Some("collector.local"));
///
/// let error = "http://collector.local:4317".parse::<Target>().unwrap_err();
/// assert_eq!(error.to_string(), "expected host:port without a URL scheme, got the scheme 'http'");
/// # Ok::<(), TargetError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Target {
    /// A name to be resolved. Made by [`Target::host`].
    #[non_exhaustive]
    Host {
        /// The name in lower case, with the trailing dot if it was given one (no search domains then).
        name: Arc<str>,
        /// 1 to 65535.
        port: u16,
    },
    /// An address, used as it is.
    Addr(SocketAddr),
    /// The path of a Unix stream socket. Made by [`Target::unix`].
    #[non_exhaustive]
    Unix(Arc<Path>),
}

impl Target {
    /// A host name and a port. A `name` that is an IP address, an IPv6 one with or without the brackets
    /// it has in a URI, gives [`Target::Addr`].
    ///
    /// Names follow the rules of RFC 1123 section 2.1: at most 253 bytes, labels of at most 63 letters,
    /// digits and inner hyphens. Underscores are allowed too, since service names use them. A name whose
    /// last label is a number is refused: the system would read it as an odd IPv4 address (`127.1`).
    /// International names are given in their ASCII form (`xn--…`).
    ///
    /// # Errors
    /// [`TargetError`] says what is wrong with the name or the port.
    pub fn host(name: &str, port: u16) -> Result<Self, TargetError> {
        parse::host(name, port)
    }

    /// The path of a Unix stream socket; a relative one starts at the process's working directory.
    ///
    /// # Errors
    /// [`TargetError`] if the path is empty, contains a NUL, or is longer than the system's socket
    /// addresses hold (107 bytes on Linux, 103 elsewhere).
    pub fn unix(path: impl AsRef<Path>) -> Result<Self, TargetError> {
        parse::unix(path.as_ref())
    }

    /// Whether one can connect to it at all: finds the port 0 that an infallible conversion from
    /// [`SocketAddr`] lets through.
    ///
    /// # Errors
    /// [`TargetError::PortZero`].
    pub fn check(&self) -> Result<(), TargetError> {
        match self {
            Self::Addr(addr) if addr.port() == 0 => Err(TargetError::PortZero {
                host: addr.ip().to_string(),
            }),
            _ => Ok(()),
        }
    }

    /// The host name without a trailing dot, as TLS and HTTP want it; `None` for addresses and paths.
    #[must_use]
    pub fn host_name(&self) -> Option<&str> {
        match self {
            Self::Host { name, .. } => Some(name.strip_suffix('.').unwrap_or(name)),
            Self::Addr(_) | Self::Unix(_) => None,
        }
    }

    /// The port; `None` for a Unix socket.
    #[must_use]
    pub fn port(&self) -> Option<u16> {
        match self {
            Self::Host { port, .. } => Some(*port),
            Self::Addr(addr) => Some(addr.port()),
            Self::Unix(_) => None,
        }
    }

    /// The socket address, if it is one.
    #[must_use]
    pub fn as_addr(&self) -> Option<SocketAddr> {
        match self {
            Self::Addr(addr) => Some(*addr),
            Self::Host { .. } | Self::Unix(_) => None,
        }
    }

    /// The path of the Unix socket, if it is one.
    #[must_use]
    pub fn as_unix(&self) -> Option<&Path> {
        match self {
            Self::Unix(path) => Some(path),
            Self::Host { .. } | Self::Addr(_) => None,
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host { name, port } => write!(f, "{name}:{port}"),
            Self::Addr(addr) => write!(f, "{addr}"),
            Self::Unix(path) => write!(f, "{}{}", parse::UNIX_PREFIX, path.display()),
        }
    }
}

impl FromStr for Target {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<Self, TargetError> {
        parse::target(text)
    }
}

impl TryFrom<&str> for Target {
    type Error = TargetError;

    fn try_from(text: &str) -> Result<Self, TargetError> {
        parse::target(text)
    }
}

impl TryFrom<String> for Target {
    type Error = TargetError;

    fn try_from(text: String) -> Result<Self, TargetError> {
        parse::target(&text)
    }
}

impl TryFrom<(&str, u16)> for Target {
    type Error = TargetError;

    fn try_from((name, port): (&str, u16)) -> Result<Self, TargetError> {
        Self::host(name, port)
    }
}

/// Takes any port; [`Target::check`] refuses 0.
impl From<SocketAddr> for Target {
    fn from(addr: SocketAddr) -> Self {
        Self::Addr(addr)
    }
}

/// Takes any port; [`Target::check`] refuses 0.
impl From<(IpAddr, u16)> for Target {
    fn from(addr: (IpAddr, u16)) -> Self {
        Self::Addr(addr.into())
    }
}

#[cfg(feature = "serde")]
mod as_text {
    //! A target as one string.

    use serde::de::{Deserialize, Deserializer, Error as _, Visitor};
    use serde::ser::{Error as _, Serialize, Serializer};

    use super::{Target, fmt};

    impl Serialize for Target {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            if self.as_unix().is_some_and(|path| path.to_str().is_none()) {
                return Err(S::Error::custom("the Unix path is not UTF-8"));
            }
            serializer.collect_str(self)
        }
    }

    impl<'de> Deserialize<'de> for Target {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            struct Text;

            impl Visitor<'_> for Text {
                type Value = Target;

                fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    f.write_str("a target such as \"collector.local:4317\" or \"unix:/run/x.sock\"")
                }

                fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Target, E> {
                    text.parse().map_err(E::custom)
                }
            }

            deserializer.deserialize_str(Text).map_err(D::Error::custom)
        }
    }
}

#[cfg(test)]
mod tests;
