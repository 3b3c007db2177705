//! [`HttpChannel`]: OTLP/HTTP over HTTP/1.1, one request at a time on each connection.
//!
//! hyper's connection is polled by the task of the request that uses it: no task of its own, and nothing to
//! hand over between two.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use evenkeel::balancer::{BackendId, Classification, Outcome, Retry};
use evenkeel::io_core::{AsyncConnection, ConnectError, Target};
use evenkeel::pool::{CheckoutError, ConnectionPool, ConnectionPoolConfig, Recycle};
use evenkeel::stats::{FailureKind, Phase};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{Builder, Connection, SendRequest};
use hyper_util::rt::TokioIo;
use thiserror::Error;
use tokio::time::timeout;

use super::attempt::{AttemptError, Kind};
use super::dial::Connect;
use super::head::Heads;
use crate::rpc::{Code, RpcStatus, retry_after};
use crate::{BuildError, Encoding, Export, OtlpClientConfig, PartialSuccess, classify};

/// The connections to one collector.
pub(super) struct HttpChannel {
    pool: ConnectionPool<Wire>,
    heads: Heads,
    max_response: usize,
}

/// The most that a peer may make us hold of the head of an answer.
const MAX_HEAD: usize = 64 * 1024;

impl HttpChannel {
    pub(super) fn new(
        id: &BackendId,
        target: &Target,
        heads: Heads,
        connect: Connect,
        config: &OtlpClientConfig,
    ) -> Result<Self, BuildError> {
        let pool = ConnectionPoolConfig {
            max_connections: config.http_connections,
            min_connections: 0,
            connection_timeout: config.connect_timeout,
            checkout_timeout: config.timeout,
            // Who can not be reached is left to the balancer at once, which has others.
            retry_attempts: 0,
            ..ConnectionPoolConfig::default()
        };
        let dial = move |target: Target| {
            let connect = connect.clone();
            async move { open(&connect, target).await }
        };
        let pool = ConnectionPool::builder(dial, pool)
            .address(target.clone())
            .recycle(Rules)
            .build();
        let pool = pool.map_err(|source| BuildError::Pool {
            id: id.clone(),
            source,
        })?;
        Ok(Self {
            pool,
            heads,
            max_response: config.max_response_size,
        })
    }

    pub(super) fn open_connections(&self) -> usize {
        self.pool.stats().size
    }

    /// One attempt, to its answer.
    pub(super) async fn send(&self, export: &Export) -> Result<Option<PartialSuccess>, Box<AttemptError>> {
        let mut wire = self
            .pool
            .checkout()
            .await
            .map_err(|error| no_connection(&error))?;
        let reused = wire.used;
        let body = Full::new(export.body().clone());
        let mut request = self.heads.request(export.signal(), export.compression(), body);
        if export.encoding() != Encoding::Protobuf {
            let media = HeaderValue::from_static(export.encoding().media_type());
            request.headers_mut().insert(CONTENT_TYPE, media);
        }
        let read = wire.exchange(request, self.max_response).await;
        let (status, headers, body) = match read {
            Ok(read) => read,
            Err(error) => {
                wire.mark_broken();
                return Err(lost(&error, reused));
            }
        };
        if body.is_err() {
            wire.mark_broken();
        }
        answer(export, status, &headers, body)
    }
}

/// A connection between two requests, or in the hands of one.
struct Wire {
    sender: SendRequest<Full<Bytes>>,
    connection: Pin<Box<Connection<TokioIo<AsyncConnection>, Full<Bytes>>>>,
    /// A request is under way.
    busy: bool,
    /// It has carried one.
    used: bool,
    ended: bool,
}

async fn open(connect: &Connect, target: Target) -> Result<Wire, OpenError> {
    let io = connect.open(target).await?;
    let (sender, connection) = Builder::new()
        .max_buf_size(MAX_HEAD)
        .handshake(TokioIo::new(io))
        .await?;
    Ok(Wire {
        sender,
        connection: Box::pin(connection),
        busy: false,
        used: false,
        ended: false,
    })
}

#[derive(Debug, Error)]
enum OpenError {
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error(transparent)]
    Handshake(#[from] hyper::Error),
}

/// Why the body of an answer was not read to its end.
#[derive(Debug, Error)]
enum BodyError {
    #[error(transparent)]
    Http(#[from] hyper::Error),
    #[error("it is longer than max_response_size = {limit}")]
    TooLong { limit: usize },
    #[error("it did not end within {ERROR_TIME:?}")]
    TooSlow,
}

/// The status decides, so that an answer is one also if its body is not to be had.
type Read = (StatusCode, HeaderMap, Result<Bytes, BodyError>);

/// The most that is read of the body of a refusal, and for how long.
const ERROR_SIZE: usize = 64 * 1024;
const ERROR_TIME: Duration = Duration::from_secs(1);

impl Wire {
    /// Sends, and reads the answer, of a refusal's body no more than is worth it.
    async fn exchange(
        &mut self,
        request: http::Request<Full<Bytes>>,
        limit: usize,
    ) -> Result<Read, hyper::Error> {
        self.busy = true;
        self.used = true;
        let sent = self.sender.send_request(request);
        let response = drive(&mut self.connection, &mut self.ended, sent).await?;
        let (head, body) = response.into_parts();
        let body = if head.status.is_success() {
            drive(&mut self.connection, &mut self.ended, collect(body, limit)).await
        } else {
            let reading = collect(body, limit.min(ERROR_SIZE));
            let reading = timeout(ERROR_TIME, drive(&mut self.connection, &mut self.ended, reading));
            reading.await.unwrap_or(Err(BodyError::TooSlow))
        };
        if body.is_ok() {
            // Lets hyper see that the answer is over, and the connection free.
            self.look(&mut Context::from_waker(Waker::noop()));
            self.busy = false;
        }
        Ok((head.status, head.headers, body))
    }

    /// Polls the connection once.
    fn look(&mut self, context: &mut Context<'_>) {
        if !self.ended {
            self.ended = self.connection.as_mut().poll(context).is_ready();
        }
    }
}

/// Runs `future`, which waits for what the connection does.
async fn drive<T>(
    connection: &mut Pin<Box<Connection<TokioIo<AsyncConnection>, Full<Bytes>>>>,
    ended: &mut bool,
    future: impl Future<Output = T>,
) -> T {
    let mut future = pin!(future);
    poll_fn(|context| {
        if let Poll::Ready(done) = future.as_mut().poll(context) {
            return Poll::Ready(done);
        }
        if !*ended {
            // An error of the connection comes out of the future too.
            *ended = connection.as_mut().poll(context).is_ready();
        }
        future.as_mut().poll(context)
    })
    .await
}

async fn collect(mut body: Incoming, limit: usize) -> Result<Bytes, BodyError> {
    let (mut first, mut more) = (Bytes::new(), BytesMut::new());
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame?.into_data() else { continue };
        if first.len().max(more.len()).saturating_add(data.len()) > limit {
            return Err(BodyError::TooLong { limit });
        }
        if first.is_empty() && more.is_empty() {
            first = data;
        } else {
            more.extend_from_slice(&std::mem::take(&mut first));
            more.extend_from_slice(&data);
        }
    }
    Ok(if more.is_empty() { first } else { more.freeze() })
}

/// When a connection may be used again.
struct Rules;

impl Recycle<Wire> for Rules {
    fn is_alive(&self, wire: &mut Wire) -> bool {
        wire.look(&mut Context::from_waker(Waker::noop()));
        !wire.ended && wire.sender.is_ready()
    }

    fn reset(&self, wire: &mut Wire) -> bool {
        !wire.busy && !wire.ended && wire.sender.is_ready()
    }
}

fn answer(
    export: &Export,
    status: StatusCode,
    headers: &HeaderMap,
    body: Result<Bytes, BodyError>,
) -> Result<Option<PartialSuccess>, Box<AttemptError>> {
    let encoding = headers.get(CONTENT_TYPE).and_then(|media| media.to_str().ok());
    let encoding = encoding.and_then(Encoding::from_media_type);
    if status.is_success() {
        // It has taken the request: that its words can not be read does not change it, but is told.
        let unreadable = |error: &dyn std::fmt::Display| {
            let reason = format!("the collector's answer can not be read: {error}");
            Some(PartialSuccess::new(0, reason))
        };
        return Ok(match (body, encoding) {
            (Err(error), _) => unreadable(&error),
            (Ok(body), Some(encoding)) => PartialSuccess::decode_response(export.signal(), encoding, &body)
                .unwrap_or_else(|error| unreadable(&error)),
            // There are servers that say "ok".
            (Ok(_), None) => None,
        });
    }
    let body = body.unwrap_or_default();
    let http = status.as_u16();
    let told = match encoding {
        Some(Encoding::Protobuf) => RpcStatus::decode_protobuf(&body).ok(),
        Some(Encoding::Json) => RpcStatus::decode_json(&body).ok(),
        None => None,
    };
    let told = told.unwrap_or_default();
    let delay = retry_after(headers).or(told.retry_delay);
    let verdict = classify::of_http(http, delay);
    let again = verdict.retry != Retry::Never;
    let mut status = RpcStatus {
        retry_delay: delay.filter(|_| again),
        ..told
    };
    // The HTTP status decides; what is passed on says the same.
    if status.code == Code::Unknown || status.code == Code::Ok || status.is_retryable() != again {
        status.code = Code::from_http(http);
    }
    if status.message.is_empty() {
        status.message = format!("HTTP status {http}");
    } else {
        status.message = format!("HTTP status {http}: {}", status.message);
    }
    Err(AttemptError::new(Kind::Status(status), verdict))
}

/// The connection ended before the answer.
fn lost(error: &hyper::Error, reused: bool) -> Box<AttemptError> {
    let ended = error.is_canceled() || error.is_closed() || error.is_incomplete_message();
    let verdict = if reused && (ended || is_reset(error)) {
        // It was closed while it lay idle, most likely: that is a server's good right.
        Classification::new(Outcome::Cancelled, Retry::IfRepeatable)
    } else {
        Classification::failed(Phase::Read, FailureKind::Reset, Retry::IfRepeatable)
    };
    let status = RpcStatus::new(Code::Unavailable, error.to_string());
    AttemptError::new(Kind::Status(status), verdict)
}

/// As which a close that crosses a request shows mostly.
fn is_reset(error: &hyper::Error) -> bool {
    let io = std::error::Error::source(error).and_then(|source| source.downcast_ref::<io::Error>());
    io.is_some_and(|io| {
        matches!(
            io.kind(),
            io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe
        )
    })
}

/// Nothing was sent. That our own limits were in the way says nothing of the collector.
fn no_connection(error: &CheckoutError) -> Box<AttemptError> {
    let failure = error.failure();
    let ours = matches!(failure.kind, FailureKind::Limit | FailureKind::Resources);
    let verdict = if ours || !matches!(error, CheckoutError::Connect(_)) && failure.phase != Phase::Connect {
        Classification::new(Outcome::Cancelled, Retry::Unsent)
    } else {
        Classification::failed(failure.phase, failure.kind, Retry::Unsent)
    };
    AttemptError::new(
        Kind::Status(RpcStatus::new(Code::Unavailable, error.to_string())),
        verdict,
    )
}
