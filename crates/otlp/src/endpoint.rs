//! [`Endpoint`]: where a collector is.

use std::fmt;
use std::str::FromStr;

use evenkeel::io_core::{Target, TargetError};
use evenkeel_otlp_wire::Signal;
use http::Uri;
use http::uri::{Authority, PathAndQuery, Scheme};
use thiserror::Error;

use crate::Protocol;

/// Where a collector is: `http://collector:4317`, `https://collector:4318/otlp`, `unix:/run/collector.sock`.
///
/// Without a port it is a URL's, 80 for `http` and 443 for `https`. Without a scheme it is `http`, and the port is
/// OTLP's: 4317 for gRPC and 4318 for HTTP. Over HTTP the paths of the signals (`/v1/traces` and so on) are
/// appended to its path, before its query, unless it was made by [`exact`](Self::exact). Over gRPC a path is
/// passed over, since gRPC has its own.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Endpoint {
    tls: bool,
    /// Whether it says `http` or `https` itself.
    schemed: bool,
    host: Host,
    /// With its query.
    path: String,
    exact: bool,
    /// As it was given.
    text: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Host {
    /// A name or an address, and the port if one was given.
    Named(String, Option<u16>),
    Unix(Target),
}

impl Endpoint {
    /// The endpoint of one signal, whose path is used as it is: what
    /// `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT` and its like hold. Without a path it is `/`.
    ///
    /// # Errors
    /// [`EndpointError`].
    pub fn exact(text: &str) -> Result<Self, EndpointError> {
        let mut endpoint: Self = text.parse()?;
        endpoint.exact = true;
        Ok(endpoint)
    }

    /// Whether it is spoken to over TLS.
    #[must_use]
    pub const fn is_tls(&self) -> bool {
        self.tls
    }

    /// What is dialled.
    ///
    /// # Errors
    /// [`EndpointError::Target`]; never for an endpoint that was parsed.
    pub fn target(&self, protocol: Protocol) -> Result<Target, EndpointError> {
        match &self.host {
            Host::Unix(target) => Ok(target.clone()),
            Host::Named(name, port) => {
                let port = port.unwrap_or_else(|| self.usual_port(protocol));
                Target::host(name, port).map_err(|source| self.refuse(source))
            }
        }
    }

    /// The port that the scheme stands for.
    const fn port_of_scheme(&self) -> u16 {
        if self.tls { 443 } else { 80 }
    }

    const fn usual_port(&self, protocol: Protocol) -> u16 {
        match protocol {
            _ if self.schemed => self.port_of_scheme(),
            Protocol::Grpc => 4317,
            Protocol::HttpProtobuf => 4318,
        }
    }

    /// Whether it says itself if it is spoken to over TLS.
    pub(crate) const fn is_schemed(&self) -> bool {
        self.schemed || matches!(self.host, Host::Unix(_))
    }

    /// The same one without a scheme, over TLS and by gRPC: at the port where it would be without.
    pub(crate) fn secured(self) -> Self {
        let port = match &self.host {
            Host::Named(_, None) => format!(":{}", self.usual_port(Protocol::Grpc)),
            _ => String::new(),
        };
        let path = self.text.find('/').unwrap_or(self.text.len());
        let (host, path) = self.text.split_at(path);
        let text = format!("https://{host}{port}{path}");
        let host = match self.host {
            Host::Named(name, port) => Host::Named(name, port.or(Some(4317))),
            host @ Host::Unix(_) => host,
        };
        Self {
            tls: true,
            schemed: true,
            host,
            text,
            ..self
        }
    }

    fn refuse(&self, source: TargetError) -> EndpointError {
        EndpointError::Target {
            endpoint: self.text.clone(),
            source,
        }
    }

    /// The URI of a request: in HTTP/2 with scheme and authority, in HTTP/1.1 the path alone.
    pub(crate) fn uri(&self, protocol: Protocol, signal: Signal) -> Result<Uri, http::Error> {
        match protocol {
            Protocol::Grpc => Uri::builder()
                .scheme(if self.tls { Scheme::HTTPS } else { Scheme::HTTP })
                .authority(self.authority(protocol)?)
                .path_and_query(grpc_path(signal))
                .build(),
            Protocol::HttpProtobuf => {
                let path = if self.exact {
                    let slash = if self.path.starts_with('/') { "" } else { "/" };
                    format!("{slash}{}", self.path)
                } else {
                    let query = self.path.find('?').unwrap_or(self.path.len());
                    let (path, query) = self.path.split_at(query);
                    format!("{}{}{query}", path.trim_end_matches('/'), http_path(signal))
                };
                Ok(PathAndQuery::try_from(path)?.into())
            }
        }
    }

    /// What goes into `:authority`, and into `Host`.
    pub(crate) fn authority(&self, protocol: Protocol) -> Result<Authority, http::Error> {
        let text = match &self.host {
            // Nobody asks for a name there; this is the one that gRPC libraries send.
            Host::Unix(_) => "localhost".to_owned(),
            Host::Named(name, port) => {
                let bracketed = name.contains(':') && !name.starts_with('[');
                let name = if bracketed {
                    format!("[{name}]")
                } else {
                    name.clone()
                };
                match port.unwrap_or_else(|| self.usual_port(protocol)) {
                    // Some servers compare, and every other client leaves it out.
                    port if port == self.port_of_scheme() => name,
                    port => format!("{name}:{port}"),
                }
            }
        };
        Ok(Authority::try_from(text)?)
    }
}

/// The method of a signal's export, as gRPC's path.
pub(crate) const fn grpc_path(signal: Signal) -> &'static str {
    match signal {
        Signal::Traces => "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
        Signal::Metrics => "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
        Signal::Logs => "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
        _ => "/opentelemetry.proto.collector.profiles.v1development.ProfilesService/Export",
    }
}

/// The path of a signal over HTTP.
pub(crate) const fn http_path(signal: Signal) -> &'static str {
    match signal {
        Signal::Traces => "/v1/traces",
        Signal::Metrics => "/v1/metrics",
        Signal::Logs => "/v1/logs",
        _ => "/v1development/profiles",
    }
}

impl FromStr for Endpoint {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, EndpointError> {
        let text = text.trim();
        let refuse = |reason| EndpointError::Malformed {
            endpoint: text.to_owned(),
            reason,
        };
        if text.is_empty() {
            return Err(refuse("it is empty"));
        }
        if let Some(path) = text.strip_prefix("unix:") {
            // `unix:///run/x.sock` is gRPC's other way to write `unix:/run/x.sock`.
            let path = path.strip_prefix("//").unwrap_or(path);
            let target = Target::unix(path).map_err(|source| EndpointError::Target {
                endpoint: text.to_owned(),
                source,
            })?;
            return Ok(Self {
                tls: false,
                schemed: false,
                host: Host::Unix(target),
                path: String::new(),
                exact: false,
                text: text.to_owned(),
            });
        }
        let (tls, schemed, rest) = match text.split_once("://") {
            None => (false, false, text),
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => (false, true, rest),
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("https") => (true, true, rest),
            Some(_) => return Err(refuse("the scheme is neither http nor https")),
        };
        let (host, path) = match rest.find(['/', '?']) {
            Some(at) => rest.split_at(at),
            None => (rest, ""),
        };
        if path.contains('#') {
            return Err(refuse("it has a fragment"));
        }
        PathAndQuery::try_from(if path.starts_with('/') {
            path.to_owned()
        } else {
            format!("/{path}")
        })
        .map_err(|_| refuse("its path is none"))?;
        let authority = Authority::try_from(host).map_err(|_| refuse("its host and port are none"))?;
        if authority.as_str().contains('@') {
            return Err(refuse("it has a user; credentials go into headers"));
        }
        let port = match host.rsplit_once(':') {
            // The last colon of an IPv6 address without a port is inside of its brackets.
            Some((_, port)) if !port.contains(']') => {
                let port = port.parse().ok().filter(|&port: &u16| port > 0);
                Some(port.ok_or_else(|| refuse("its port is not a number from 1 to 65535"))?)
            }
            _ => None,
        };
        let endpoint = Self {
            tls,
            schemed,
            host: Host::Named(authority.host().to_owned(), port),
            path: path.to_owned(),
            exact: false,
            text: text.to_owned(),
        };
        endpoint.target(Protocol::Grpc)?;
        Ok(endpoint)
    }
}

/// As it was given.
impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Why a text is no [`Endpoint`].
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum EndpointError {
    /// It is no URL.
    #[error("endpoint '{endpoint}': {reason}; expected for example http://collector:4317")]
    Malformed {
        /// The text.
        endpoint: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// Nobody can be at such an address.
    #[error("endpoint '{endpoint}': {source}")]
    Target {
        /// The text.
        endpoint: String,
        /// What is wrong with it.
        source: TargetError,
    },
}

#[cfg(feature = "serde")]
mod as_text {
    //! An endpoint as one string.

    use serde::de::{Deserialize, Deserializer, Error as _};
    use serde::ser::{Error as _, Serialize, Serializer};

    use super::Endpoint;

    impl Serialize for Endpoint {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            if self.exact {
                return Err(S::Error::custom("an exact endpoint has no text of its own"));
            }
            serializer.collect_str(self)
        }
    }

    impl<'de> Deserialize<'de> for Endpoint {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
            text.parse().map_err(D::Error::custom)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_write_is_understood() {
        let cases = [
            (
                "http://collector:4317",
                Protocol::Grpc,
                "collector:4317",
                "/v1/logs",
            ),
            ("collector", Protocol::Grpc, "collector:4317", "/v1/logs"),
            ("collector", Protocol::HttpProtobuf, "collector:4318", "/v1/logs"),
            ("https://collector", Protocol::Grpc, "collector:443", "/v1/logs"),
            (
                "http://collector?a=/b",
                Protocol::Grpc,
                "collector:80",
                "/v1/logs?a=/b",
            ),
            (
                "https://Collector",
                Protocol::HttpProtobuf,
                "collector:443",
                "/v1/logs",
            ),
            ("http://[::1]:1/", Protocol::HttpProtobuf, "[::1]:1", "/v1/logs"),
            (
                "http://[::1]/a/b/",
                Protocol::HttpProtobuf,
                "[::1]:80",
                "/a/b/v1/logs",
            ),
            (
                "127.0.0.1:9/x?y=1",
                Protocol::HttpProtobuf,
                "127.0.0.1:9",
                "/x/v1/logs?y=1",
            ),
            (
                "unix:///run/c.sock",
                Protocol::HttpProtobuf,
                "unix:/run/c.sock",
                "/v1/logs",
            ),
        ];
        for (text, protocol, target, path) in cases {
            let endpoint: Endpoint = text.parse().unwrap();
            assert_eq!(endpoint.target(protocol).unwrap().to_string(), target, "{text}");
            let uri = endpoint.uri(Protocol::HttpProtobuf, Signal::Logs).unwrap();
            assert_eq!(uri.to_string(), path, "{text}");
            let uri = endpoint.uri(Protocol::Grpc, Signal::Logs).unwrap();
            assert!(uri.path().ends_with("LogsService/Export"), "{text}");
            assert!(uri.authority().is_some(), "{text}");
        }
    }

    #[test]
    fn an_exact_endpoint_keeps_its_path() {
        for (text, path) in [
            ("http://c:1/in/traces", "/in/traces"),
            ("http://c:1", "/"),
            ("http://c:1/", "/"),
            ("http://c:1/in/", "/in/"),
            ("http://c:1?x=y", "/?x=y"),
        ] {
            let endpoint = Endpoint::exact(text).unwrap();
            let uri = endpoint.uri(Protocol::HttpProtobuf, Signal::Traces).unwrap();
            assert_eq!(uri.to_string(), path, "{text}");
        }
    }

    #[test]
    fn the_port_that_a_scheme_stands_for_is_left_out_of_the_host() {
        for (text, authority) in [
            ("https://c/otlp", "c"),
            ("https://c:443", "c"),
            ("http://[::1]:80", "[::1]"),
            ("http://c:443", "c:443"),
            ("c", "c:4318"),
        ] {
            let endpoint: Endpoint = text.parse().unwrap();
            let found = endpoint.authority(Protocol::HttpProtobuf).unwrap();
            assert_eq!(found.as_str(), authority, "{text}");
        }
    }

    #[test]
    fn what_is_secured_stays_where_it_was() {
        for (text, secured) in [
            ("c", "https://c:4317"),
            ("c:1/x", "https://c:1/x"),
            ("[::1]", "https://[::1]:4317"),
        ] {
            let endpoint: Endpoint = text.parse().unwrap();
            let target = endpoint.target(Protocol::Grpc).unwrap();
            let endpoint = endpoint.secured();
            assert_eq!(endpoint, secured.parse().unwrap());
            assert_eq!(endpoint.target(Protocol::Grpc).unwrap(), target);
        }
    }

    #[test]
    fn nonsense_is_refused_with_its_text() {
        let all = [
            "",
            "grpc://c:1",
            "http://",
            "http://c:0",
            "http://c:70000",
            "http://c:x",
            "http://user:word@c:1",
            "http://a b",
            "http://c/#x",
            "http://c/ä b",
            "unix:",
            "http://300.1.1.1:1",
        ];
        for text in all {
            let error = text.parse::<Endpoint>().expect_err(text).to_string();
            assert!(error.contains(text), "{error}");
        }
    }
}
