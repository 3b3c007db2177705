//! [`Channel`]: the connections to one collector, and how a request travels over them.

mod attempt;
#[cfg(feature = "checks")]
mod check;
mod dial;
mod framed;
mod given_up;
mod grpc;
mod head;
mod http1;
mod keeper;
mod quiet;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use evenkeel::balancer::{BackendId, BackendServer, Outcome};
#[cfg(feature = "checks")]
use evenkeel::health::TcpProbe;
#[cfg(feature = "checks")]
use evenkeel::io_core::AsyncIoManager;
use evenkeel::io_core::Target;

pub(crate) use attempt::{Answer, AttemptError, Kind, not_connected};
#[cfg(feature = "checks")]
use check::Check;
#[cfg(feature = "grpc-checks")]
use check::GrpcCheck;
pub(crate) use dial::Dialer;
use grpc::GrpcChannel;
use head::Heads;
use http1::HttpChannel;
pub(crate) use quiet::QUIET;
use quiet::Quiet;

use crate::{BuildError, Collector, Endpoint, Export, OtlpClientConfig, PartialSuccess, Protocol};

/// The connections to one collector: what the client's balancer chooses among. Cloning is a reference count.
///
/// Over gRPC they are opened at once and again when they are lost, in the background; over HTTP/1.1 when they
/// are needed. They are closed with the last clone, so a collector that was removed finishes what it has.
#[derive(Clone)]
pub struct Channel(Arc<Inner>);

struct Inner {
    id: BackendId,
    endpoint: Endpoint,
    headers: BTreeMap<String, String>,
    protocol: Protocol,
    target: Target,
    wire: Wire,
    quiet: Quiet,
    #[cfg(feature = "grpc-checks")]
    check: Option<Arc<GrpcCheck>>,
}

enum Wire {
    Grpc(GrpcChannel),
    Http(HttpChannel),
}

impl Wire {
    async fn send(
        &self,
        export: &Export,
        left: Option<Duration>,
        patient: bool,
    ) -> Result<Option<PartialSuccess>, Box<AttemptError>> {
        match self {
            Self::Grpc(grpc) => grpc.send(export, left, patient).await,
            Self::Http(http) => http.send(export).await,
        }
    }
}

impl Channel {
    pub(crate) fn new(
        collector: &Collector,
        config: &OtlpClientConfig,
        dialer: &Dialer,
    ) -> Result<Self, BuildError> {
        let (heads, target, protocol) = parts(collector, config)?;
        let id = collector.id();
        let connect = dialer.for_endpoint(&id, collector.endpoint.is_tls(), protocol)?;
        #[cfg(feature = "grpc-checks")]
        let check = match (config.health_checks, protocol) {
            (crate::HealthChecks::Grpc, Protocol::Grpc) => Some(check::grpc(collector, config, &connect)?),
            _ => None,
        };
        let wire = match protocol {
            Protocol::Grpc => Wire::Grpc(GrpcChannel::open(&id, &target, heads, connect, dialer, config)),
            Protocol::HttpProtobuf => Wire::Http(HttpChannel::new(&id, &target, heads, connect, config)?),
        };
        Ok(Self(Arc::new(Inner {
            id,
            endpoint: collector.endpoint.clone(),
            headers: collector.headers.clone(),
            protocol,
            target,
            wire,
            quiet: Quiet::new(),
            #[cfg(feature = "grpc-checks")]
            check,
        })))
    }

    /// How it is checked; where it is asked nothing, by a connection that `plain` opens.
    #[cfg(feature = "checks")]
    pub(crate) fn check(&self, plain: &AsyncIoManager) -> Check {
        #[cfg(feature = "grpc-checks")]
        if let Some(check) = &self.0.check {
            return Check::Grpc(Arc::clone(check));
        }
        Check::Tcp(TcpProbe::new(plain.clone()))
    }

    /// What is dialled.
    #[must_use]
    pub fn target(&self) -> &Target {
        &self.0.target
    }

    /// How it is spoken to.
    #[must_use]
    pub fn protocol(&self) -> Protocol {
        self.0.protocol
    }

    /// Where it is, as it was written.
    #[must_use]
    pub fn endpoint(&self) -> &Endpoint {
        &self.0.endpoint
    }

    /// How many connections are open now.
    #[must_use]
    pub fn open_connections(&self) -> usize {
        match &self.0.wire {
            Wire::Grpc(grpc) => grpc.open_connections(),
            Wire::Http(http) => http.open_connections(),
        }
    }

    /// Whether a request need not wait for a dial in the background; over HTTP/1.1 there is none.
    pub(crate) fn is_connected(&self) -> bool {
        match &self.0.wire {
            Wire::Grpc(grpc) => grpc.open_connections() > 0,
            Wire::Http(_) => true,
        }
    }

    /// How long it wants to be left alone still, if it has asked for that.
    pub(crate) fn quiet_left(&self) -> Option<Duration> {
        self.0.quiet.left()
    }

    /// One attempt. Dropped, it is cancelled: the collector is told, or its connection is closed. It has the time
    /// that is `left`, by default all of the config's; the balancer sees to it, the collector is told. One that is
    /// `patient` waits for a connection also if another collector has one.
    pub(crate) async fn send(
        &self,
        export: &Export,
        left: Option<Duration>,
        patient: bool,
    ) -> Result<Answer, Box<AttemptError>> {
        let inner = &*self.0;
        let sent = match self.quiet_left() {
            Some(quiet) => Err(quiet::refused(quiet)),
            None => inner.wire.send(export, left, patient).await,
        };
        match sent {
            Ok(partial) => Ok(Answer {
                backend: inner.id.clone(),
                partial,
            }),
            Err(mut error) => {
                if let Outcome::Overload {
                    retry_after: Some(asked),
                } = error.verdict.outcome
                {
                    inner.quiet.begin(asked);
                }
                error.backend = inner.id.clone();
                Err(error)
            }
        }
    }

    /// As a member of the balancer, under this id and in the place that `collector` has.
    pub(crate) fn server(&self, id: BackendId, collector: &Collector) -> BackendServer<Self> {
        let server = BackendServer::new(id, self.clone())
            .with_weight(collector.weight)
            .with_priority(collector.priority);
        match &collector.zone {
            Some(zone) => server.with_zone(zone.as_str()),
            None => server,
        }
    }

    /// Whether it would be opened just the same for `collector`; its place among the others aside.
    pub(crate) fn serves(&self, collector: &Collector, config: &OtlpClientConfig) -> bool {
        self.0.endpoint == collector.endpoint
            && self.0.headers == collector.headers
            && self.0.protocol == collector.protocol.unwrap_or(config.protocol)
    }
}

impl fmt::Debug for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Channel")
            .field("id", &self.0.id)
            .field("target", &self.0.target)
            .field("protocol", &self.0.protocol)
            .field("open_connections", &self.open_connections())
            .finish_non_exhaustive()
    }
}

/// What is checked of a collector, and made of it, before anything is opened.
fn parts(collector: &Collector, config: &OtlpClientConfig) -> Result<(Heads, Target, Protocol), BuildError> {
    let protocol = collector.protocol.unwrap_or(config.protocol);
    if collector.endpoint.is_tls() && !cfg!(feature = "tls") {
        return Err(BuildError::NoTls { id: collector.id() });
    }
    let target = collector.endpoint.target(protocol);
    let target = target.map_err(|source| BuildError::Endpoint {
        id: collector.id(),
        source,
    })?;
    Ok((Heads::new(collector, protocol, config)?, target, protocol))
}

/// Whether the collectors of a config make sense.
pub(crate) fn check(config: &OtlpClientConfig) -> Result<(), BuildError> {
    config
        .collectors
        .iter()
        .try_for_each(|collector| parts(collector, config).map(|_| ()))
}
