//! [`OtlpClientConfig`]: plain data, checked when a client is built from it.

#[cfg(feature = "serde")]
mod balancer;

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use evenkeel::balancer::{HedgeConfig, LoadBalancerConfig};
#[cfg(feature = "tls")]
use evenkeel::io_core::TlsConfig;

use crate::{BuildError, Collector, Compression, Protocol};

/// How an [`OtlpClient`](crate::OtlpClient) sends. Write what differs and take the rest from [`Default`]:
///
/// ```
/// use std::time::Duration;
/// use evenkeel_otlp::{Collector, OtlpClientConfig};
///
/// let config = OtlpClientConfig {
///     collectors: vec![Collector::new("http://a:4317")?, Collector::new("http://b:4317")?],
///     timeout: Duration::from_secs(5),
///     ..OtlpClientConfig::default()
/// };
/// assert!(config.validate().is_ok());
/// # Ok::<(), evenkeel_otlp::EndpointError>(())
/// ```
#[derive(Clone, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(default, deny_unknown_fields)
)]
pub struct OtlpClientConfig {
    /// The collectors. None is allowed: they can be
    /// [set](crate::OtlpClient::set_collectors) later.
    pub collectors: Vec<Collector>,

    /// How collectors are spoken to that do not say themselves. gRPC by default.
    pub protocol: Protocol,

    /// What is done to requests that are not compressed. `None` by default: over a short way the bytes
    /// cost less than gzip's time, which is ten times that of everything else here.
    pub compression: Compression,

    /// Headers that go with every request. gRPC's and HTTP's own can not be set. None by default.
    pub headers: BTreeMap<String, String>,

    /// How long a request may take, its compression and all attempts and waits together. From 1 ms to a year; 10 s by
    /// default, OTLP's. It takes the place of the balancer's `request_timeout`, which a file can not set.
    #[cfg_attr(feature = "serde", serde(with = "humantime_serde"))]
    pub timeout: Duration,

    /// From the call of connect to a connection ready for requests, TLS and the protocol's greeting included.
    /// At least 1 ms; 3 s by default: two lost SYNs.
    #[cfg_attr(feature = "serde", serde(with = "humantime_serde"))]
    pub connect_timeout: Duration,

    /// gRPC: how many connections there are to each collector. 1 to 64; 1 by default: one carries hundreds of
    /// requests at a time, and the more share it, the fewer writes there are. More are for more cores than four.
    pub connections: usize,

    /// gRPC: how many requests may be under way on one connection, if the collector allows as many. 1 to 65 535;
    /// 256 by default. One beyond it goes to another collector; if all are full, it is refused by [`SendError::Busy`](crate::SendError::Busy).
    pub max_in_flight: usize,

    /// HTTP/1.1: how many connections there may be to each collector, and so requests under way. 1 to 65 535;
    /// 128 by default. One beyond it waits for its turn.
    pub http_connections: usize,

    /// gRPC: when something was sent and nothing has come back for this long, the connection is asked by a
    /// ping whether it is there, at most twice for each silence: servers take more amiss. At least 10 ms; 5 s
    /// by default.
    #[cfg_attr(feature = "serde", serde(with = "humantime_serde"))]
    pub keep_alive_interval: Duration,

    /// How long the answer to a ping may take; then the connection is given up, and what is under way on it is
    /// sent elsewhere. At least 10 ms; 20 s by default, gRPC's: a ping waits behind what the kernel has still to
    /// send, which on a slow way is megabytes of a large request.
    #[cfg_attr(feature = "serde", serde(with = "humantime_serde"))]
    pub keep_alive_timeout: Duration,

    /// The largest request that is sent, in bytes: as it was handed over and, if it is compressed here, as it
    /// travels. 1 to 2^31 - 6, HTTP/2's limit less gRPC's prefix; 64 MiB by default, the specification's advice.
    pub max_request_size: usize,

    /// The largest answer that is read. 1 to 2^31; 4 MiB by default, the specification's limit.
    pub max_response_size: usize,

    /// How collectors are checked beside the requests they get; how often is in `balancer`.
    #[cfg(feature = "checks")]
    pub health_checks: HealthChecks,

    /// How collectors are chosen, judged, retried and hedged. Its defaults here are those of
    /// [`balancer_defaults`](Self::balancer_defaults). In a file, what is not written keeps these, and `false`
    /// switches `hedging`, `slow_start`, `outlier_detection` or `attempt_timeout` off.
    #[cfg_attr(feature = "serde", serde(with = "balancer"))]
    pub balancer: LoadBalancerConfig,

    /// TLS for the endpoints that are `https`: roots, our own certificate, the name to expect. `alpn` is set by
    /// the protocol.
    #[cfg(feature = "tls")]
    pub tls: TlsConfig,
}

/// How collectors are checked beside the requests they get.
#[cfg(feature = "checks")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "snake_case")
)]
#[non_exhaustive]
pub enum HealthChecks {
    /// By opening a connection, which every collector understands. The default: one that is down is out of
    /// use before a request finds out. It speaks no TLS, also where the endpoint is `https`: a certificate that is
    /// not trusted is found out by the connections that requests go over.
    #[default]
    Tcp,
    /// By gRPC's health protocol, `grpc.health.v1`, on a connection of their own, over TLS where requests are: one
    /// that hangs or says that it does not serve is out of use before a request finds out, and a collector that
    /// knows `Watch` is believed at once. One that answers UNIMPLEMENTED, as most do until they are told to have it,
    /// counts as well. Headers go with the checks as with requests. Collectors that are spoken to over HTTP are
    /// checked as by `Tcp`.
    #[cfg(feature = "grpc-checks")]
    Grpc,
    /// Not at all: only real requests tell.
    None,
}

/// Without the values of headers, which may be secrets.
impl fmt::Debug for OtlpClientConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("OtlpClientConfig");
        shown
            .field("collectors", &self.collectors)
            .field("protocol", &self.protocol)
            .field("compression", &self.compression)
            .field("headers", &self.headers.keys())
            .field("timeout", &self.timeout)
            .field("connect_timeout", &self.connect_timeout)
            .field("connections", &self.connections)
            .field("max_in_flight", &self.max_in_flight)
            .field("http_connections", &self.http_connections)
            .field("keep_alive_interval", &self.keep_alive_interval)
            .field("keep_alive_timeout", &self.keep_alive_timeout)
            .field("max_request_size", &self.max_request_size)
            .field("max_response_size", &self.max_response_size)
            .field("balancer", &self.balancer);
        #[cfg(feature = "checks")]
        shown.field("health_checks", &self.health_checks);
        #[cfg(feature = "tls")]
        shown.field("tls", &self.tls);
        shown.finish()
    }
}

impl Default for OtlpClientConfig {
    fn default() -> Self {
        Self {
            collectors: Vec::new(),
            protocol: Protocol::default(),
            compression: Compression::default(),
            headers: BTreeMap::new(),
            timeout: Duration::from_secs(10),
            connect_timeout: Duration::from_secs(3),
            connections: 1,
            max_in_flight: 256,
            http_connections: 128,
            keep_alive_interval: Duration::from_secs(5),
            keep_alive_timeout: Duration::from_secs(20),
            max_request_size: 64 << 20,
            max_response_size: 4 << 20,
            #[cfg(feature = "checks")]
            health_checks: HealthChecks::default(),
            balancer: Self::balancer_defaults(),
            #[cfg(feature = "tls")]
            tls: TlsConfig::default(),
        }
    }
}

impl OtlpClientConfig {
    /// The balancer's defaults for OTLP: peak EWMA; hedging on, because an export may arrive twice and a
    /// serial sender must not stall; ten retries, which with a first wait of 5 ms that doubles are up to 5 s,
    /// because what is not sent in time is lost. The first wait is short because it is another collector that
    /// is asked then.
    #[must_use]
    pub fn balancer_defaults() -> LoadBalancerConfig {
        LoadBalancerConfig {
            max_retries: 10,
            retry_delay: Duration::from_millis(5),
            hedging: Some(HedgeConfig::default()),
            ..LoadBalancerConfig::default()
        }
    }

    /// Checks every field. Building a client does this; call it to check a file before.
    ///
    /// # Errors
    /// The first field whose value makes no sense, or the collector, and why.
    pub fn validate(&self) -> Result<(), BuildError> {
        let check = |sound, field, value: String, reason| match sound {
            true => Ok(()),
            false => Err(BuildError::field(field, value, reason)),
        };
        let size = |field, value: usize, most: usize, reason| {
            check((1..=most).contains(&value), field, value.to_string(), reason)
        };
        let time = |field, value: Duration, least: u64, reason| {
            let range = Duration::from_millis(least)..=YEAR;
            check(range.contains(&value), field, format!("{value:?}"), reason)
        };
        time("timeout", self.timeout, 1, "must be from 1ms to a year")?;
        time(
            "connect_timeout",
            self.connect_timeout,
            1,
            "must be from 1ms to a year",
        )?;
        time(
            "keep_alive_interval",
            self.keep_alive_interval,
            10,
            "must be from 10ms to a year",
        )?;
        time(
            "keep_alive_timeout",
            self.keep_alive_timeout,
            10,
            "must be from 10ms to a year",
        )?;
        size("connections", self.connections, 64, "must be from 1 to 64")?;
        size(
            "max_in_flight",
            self.max_in_flight,
            65_535,
            "must be from 1 to 65535",
        )?;
        size(
            "http_connections",
            self.http_connections,
            65_535,
            "must be from 1 to 65535",
        )?;
        size(
            "max_request_size",
            self.max_request_size,
            MAX_REQUEST,
            "must be from 1 to 2^31 - 6",
        )?;
        size(
            "max_response_size",
            self.max_response_size,
            1 << 31,
            "must be from 1 to 2^31",
        )?;
        let built_in = self.compression.is_built_in();
        let name = self.compression.to_string();
        check(built_in, "compression", name, "takes the feature of its name")?;
        self.balancer_config()
            .validate()
            .map_err(evenkeel::balancer::BuildError::Config)?;
        crate::channel::check(self)
    }

    /// The balancer's, with our time-out.
    pub(crate) fn balancer_config(&self) -> LoadBalancerConfig {
        LoadBalancerConfig {
            request_timeout: self.timeout,
            ..self.balancer.clone()
        }
    }
}

/// h2 refuses a body of more than 2^31 - 1 bytes, and only when the request is open.
const MAX_REQUEST: usize = (1 << 31) - 1 - crate::export::GRPC_PREFIX;

const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);
