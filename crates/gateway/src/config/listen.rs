//! [`Listen`].

use std::fmt;
use std::net::SocketAddr;

use serde::de::{Deserialize, Deserializer, Error};
use serde::{Serialize, Serializer};

/// An address to listen on, `"0.0.0.0:4317"` or `"[::]:4317"`, or `"off"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Listen(pub Option<SocketAddr>);

impl Listen {
    /// On this port of all addresses.
    #[must_use]
    pub(super) const fn on(port: u16) -> Self {
        use std::net::{IpAddr, Ipv4Addr};
        Self(Some(SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), port)))
    }
}

impl std::str::FromStr for Listen {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "off" {
            return Ok(Self(None));
        }
        let address = text.parse();
        let address =
            address.map_err(|_| format!("`{text}` is neither an address with a port nor \"off\""))?;
        Ok(Self(Some(address)))
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(address) => address.fmt(f),
            None => f.write_str("off"),
        }
    }
}

impl Serialize for Listen {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Listen {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(D::Error::custom)
    }
}
