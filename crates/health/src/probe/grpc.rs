//! [`GrpcProbe`].

mod config;
mod message;
mod watch;

use std::fmt;
use std::future::pending;

use evenkeel_io_core::{Connect, Target};
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderValue, TE};
use hyper::http::uri::Scheme;
use hyper::{Method, Request, Response, StatusCode, Uri};
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite};

pub use config::GrpcProbeConfig;
use message::Frames;
pub use message::ServingStatus;
use watch::Watch;

use super::Probe;
use super::wire::{Http2, ProtocolError, Wire, authority_of, headers_of};
use crate::ConfigError;

/// Why a [`GrpcProbe`] says no.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum GrpcProbeError<E> {
    /// No connection.
    #[error("connect: {0}")]
    Connect(#[source] E),
    /// No answer, or one that was cut off.
    #[error("no answer: {0}")]
    Exchange(#[source] ProtocolError),
    /// It speaks HTTP/2 and not gRPC.
    #[error("HTTP status {status}, and not gRPC")]
    NotGrpc {
        /// The HTTP status.
        status: u16,
    },
    /// The server says that the service does not serve.
    #[error("{0}")]
    NotServing(ServingStatus),
    /// The call failed.
    #[error("gRPC status {code}: {message}")]
    Status {
        /// gRPC's number for it: 5 is `NOT_FOUND`, an unknown service.
        code: u32,
        /// What the server says of it, percent-encoded.
        message: String,
    },
    /// The answer is no message of the health protocol.
    #[error("the answer is no HealthCheckResponse")]
    Malformed,
    /// The target makes no request.
    #[error("no request for {target}")]
    Unaskable {
        /// The target.
        target: Target,
    },
}

const UNIMPLEMENTED: u32 = 12;

/// Asks by gRPC's health protocol, version 1.
///
/// - Each check is a `Check` on a connection that is kept, over HTTP/2. A connection that the server
///   ended meanwhile is no bad check: a new one decides.
/// - Between checks it listens by `Watch`, if the server has that: what it says brings the next check
///   forward, so a change is seen within the fast interval. What decides is the check, which also finds
///   a server that has fallen silent.
/// - A server that answers `Check` with UNIMPLEMENTED has no health to tell: from then on any answer is
///   good enough, and an event says so, once.
///
/// Needs a tokio runtime, in which the kept connection is driven; it ends with the checks.
///
/// Source: grpc/health/v1/health.proto, and gRFC A17 for UNIMPLEMENTED.
///
/// ```no_run
/// use evenkeel_health::{CheckConfig, GrpcProbe, GrpcProbeConfig, HealthChecker};
/// use evenkeel_io_core::{AsyncIoConfig, AsyncIoManager};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let manager = AsyncIoManager::new(AsyncIoConfig::default())?;
/// let probe = GrpcProbe::new(manager, GrpcProbeConfig::default())?;
/// let checker = HealthChecker::new(CheckConfig::default(), 100, probe)?;
/// let (mut health, checks) = checker.watch("collector:4317".parse()?);
/// tokio::spawn(checks);
/// println!("{:?}", health.changed().await);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct GrpcProbe<C> {
    connect: C,
    config: GrpcProbeConfig,
    headers: HeaderMap,
    body: Bytes,
}

/// What a [`GrpcProbe`] keeps between two checks: a connection and the watch on it.
#[derive(Default)]
pub struct KeptGrpc {
    connection: Option<(Wire<Http2>, Option<Watch>)>,
    /// The server has no `Check`, and this was told.
    off: bool,
}

impl fmt::Debug for KeptGrpc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeptGrpc")
            .field("connected", &self.connection.is_some())
            .field("off", &self.off)
            .finish_non_exhaustive()
    }
}

impl<C: Connect> GrpcProbe<C> {
    /// A probe that dials through `connect`.
    ///
    /// # Errors
    /// Names the field of `config` that is out of range.
    pub fn new(connect: C, config: GrpcProbeConfig) -> Result<Self, ConfigError> {
        config.validate()?;
        // Checked just now.
        let mut headers = headers_of(&config.headers).unwrap_or_default();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        headers.insert(TE, HeaderValue::from_static("trailers"));
        let body = message::request(&config.service).into();
        Ok(Self {
            connect,
            config,
            headers,
            body,
        })
    }

    fn request(&self, target: &Target, method: &str) -> Option<Request<Full<Bytes>>> {
        let scheme = if self.config.https {
            Scheme::HTTPS
        } else {
            Scheme::HTTP
        };
        let authority = authority_of(target, self.config.host.as_deref());
        let uri = Uri::builder()
            .scheme(scheme)
            .authority(authority)
            .path_and_query(format!("/grpc.health.v1.Health/{method}"))
            .build()
            .ok()?;
        let mut request = Request::new(Full::new(self.body.clone()));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = uri;
        *request.headers_mut() = self.headers.clone();
        Some(request)
    }
}

/// What came of one call that was answered by gRPC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    Status(ServingStatus),
    Unimplemented,
}

/// Reads the answer to a `Check`.
async fn read<E>(response: Response<Incoming>) -> Result<Answer, GrpcProbeError<E>> {
    check_head(&response)?;
    let head = response.headers().clone();
    let mut body = response.into_body();
    let (mut frames, mut trailers) = (Frames::default(), None);
    let mut status = None;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| GrpcProbeError::Exchange(error.into()))?;
        match frame.into_data() {
            Ok(data) => {
                frames.extend(&data).map_err(|_| GrpcProbeError::Malformed)?;
                let found = frames.next().map_err(|_| GrpcProbeError::Malformed)?;
                if found.is_some() && status.is_some() {
                    // One call has one answer.
                    return Err(GrpcProbeError::Malformed);
                }
                status = status.or(found);
            }
            Err(frame) => trailers = frame.into_trailers().ok(),
        }
    }
    // An error comes without a body, and its status with the head.
    match code_in(trailers.as_ref().unwrap_or(&head)) {
        (Some(0), _) => status.map(Answer::Status).ok_or(GrpcProbeError::Malformed),
        (Some(UNIMPLEMENTED), _) => Ok(Answer::Unimplemented),
        (Some(code), message) => Err(GrpcProbeError::Status { code, message }),
        (None, _) => Err(GrpcProbeError::Malformed),
    }
}

/// Whether it is gRPC at all.
fn check_head<E, B: Body>(response: &Response<B>) -> Result<(), GrpcProbeError<E>> {
    let content = response.headers().get(CONTENT_TYPE);
    let grpc = content.is_some_and(|content| content.as_bytes().starts_with(b"application/grpc"));
    if response.status() == StatusCode::OK && grpc {
        return Ok(());
    }
    let status = response.status().as_u16();
    Err(GrpcProbeError::NotGrpc { status })
}

/// gRPC's status and message, if they are there.
fn code_in(headers: &HeaderMap) -> (Option<u32>, String) {
    let text = |name| {
        headers
            .get(name)
            .and_then(|value: &HeaderValue| value.to_str().ok())
    };
    let code = text("grpc-status").and_then(|code| code.parse().ok());
    let message: String = text("grpc-message")
        .unwrap_or_default()
        .chars()
        .take(200)
        .collect();
    (code, message)
}

impl<C> GrpcProbe<C>
where
    C: Connect,
    C::Connection: AsyncRead + AsyncWrite + Unpin,
{
    async fn open(&self, target: Target) -> Result<Wire<Http2>, GrpcProbeError<C::Error>> {
        let io = self
            .connect
            .connect(target)
            .await
            .map_err(GrpcProbeError::Connect)?;
        Wire::http2(io).await.map_err(GrpcProbeError::Exchange)
    }

    /// One check, on the connection that was kept if it is still good.
    async fn check(&self, target: &Target, kept: &mut KeptGrpc) -> Result<Answer, GrpcProbeError<C::Error>> {
        let ask = |method| {
            let request = self.request(target, method);
            let target = target.clone();
            request.ok_or(GrpcProbeError::Unaskable { target })
        };
        // Taken out: a check that is dropped half-way leaves no connection that may hang.
        let reused = kept
            .connection
            .take()
            .filter(|(wire, _)| !wire.sender.is_closed());
        let answered = match reused {
            Some((mut wire, watch)) => {
                let response = wire.send(ask("Check")?).await.ok();
                response.map(|response| (wire, watch, response))
            }
            None => None,
        };
        let (wire, mut watch, response) = match answered {
            Some(answered) => answered,
            None => {
                let mut wire = self.open(target.clone()).await?;
                let response = wire.send(ask("Check")?).await.map_err(GrpcProbeError::Exchange)?;
                (wire, None, response)
            }
        };
        let answer = read(response).await?;
        if let (Answer::Status(status), true) = (answer, self.config.watch) {
            let watch = watch.get_or_insert_default();
            watch.listen(&wire, ask("Watch")?, status);
        }
        kept.connection = Some((wire, watch));
        Ok(answer)
    }
}

impl<C> Probe for GrpcProbe<C>
where
    C: Connect + 'static,
    C::Connection: AsyncRead + AsyncWrite + Unpin,
{
    type Error = GrpcProbeError<C::Error>;
    type Kept = KeptGrpc;

    async fn probe(&self, target: Target, kept: &mut KeptGrpc) -> Result<(), Self::Error> {
        let answer = self.check(&target, kept).await?;
        let off = answer == Answer::Unimplemented;
        if off != kept.off {
            kept.off = off;
            let service = &*self.config.service;
            if off {
                tracing::warn!(%target, service, "gRPC health checking is off: the server does not implement it");
            } else {
                tracing::info!(%target, service, "gRPC health checking is on again");
            }
        }
        match answer {
            Answer::Unimplemented | Answer::Status(ServingStatus::Serving) => Ok(()),
            Answer::Status(status) => Err(GrpcProbeError::NotServing(status)),
        }
    }

    async fn news(&self, kept: &mut KeptGrpc) {
        match &kept.connection {
            Some((_, Some(watch))) => watch.news().await,
            _ => pending().await,
        }
    }
}
