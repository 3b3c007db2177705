//! [`GrpcProbeConfig`].

use std::collections::BTreeMap;

use crate::ConfigError;
use crate::error::Check;
use crate::probe::wire::{headers_of, is_authority};

/// What a [`GrpcProbe`](crate::GrpcProbe) asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(default, deny_unknown_fields)
)]
pub struct GrpcProbeConfig {
    /// The service, such as `opentelemetry.proto.collector.trace.v1.TraceService`. At most 1024 bytes;
    /// empty by default, which asks for the server as a whole.
    pub service: String,
    /// The host that is asked for, with a port if it matters. The target's own by default.
    pub host: Option<String>,
    /// Metadata, by name: a token, say. Nothing that is the connection's business. None by default.
    pub headers: BTreeMap<String, String>,
    /// Whether to also `Watch`, so that a change between two checks brings the next one forward. `true`
    /// by default; a server that does not know `Watch` is asked for it once for each connection.
    pub watch: bool,
    /// Whether the connections are TLS, which the server is told (as the scheme). `false` by default.
    pub https: bool,
}

impl Default for GrpcProbeConfig {
    fn default() -> Self {
        Self {
            service: String::new(),
            host: None,
            headers: BTreeMap::new(),
            watch: true,
            https: false,
        }
    }
}

impl GrpcProbeConfig {
    /// Whether every field is in its range.
    ///
    /// # Errors
    /// Names the field that is not.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let check = Check("GrpcProbeConfig");
        let length = self.service.len();
        check.that(
            length <= 1024,
            "service",
            format!("{length} bytes"),
            "at most 1024 bytes",
        )?;
        if let Some(host) = &self.host {
            let value = format!("{host:?}");
            check.that(
                is_authority(host),
                "host",
                value,
                "a host, with or without a port",
            )?;
        }
        let expected = "names and values that HTTP allows and the connection does not set";
        headers_of(&self.headers)
            .map_err(|name| check.out_of_range("headers", name, expected))
            .map(drop)
    }
}
