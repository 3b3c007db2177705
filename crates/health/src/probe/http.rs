//! [`HttpProbe`].

mod config;

use std::fmt;

use evenkeel_io_core::{Connect, Target};
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Bytes, Incoming};
use hyper::header::{HOST, HeaderMap, HeaderValue};
use hyper::http::uri::{PathAndQuery, Scheme};
use hyper::{Request, Response, Uri};
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite};

pub use config::{HttpProbeConfig, HttpVersion, StatusRange};

use super::Probe;
use super::wire::{Http1, Http2, ProtocolError, Wire, authority_of, headers_of};
use crate::ConfigError;

/// Why an [`HttpProbe`] says no.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum HttpProbeError<E> {
    /// No connection.
    #[error("connect: {0}")]
    Connect(#[source] E),
    /// No answer that is HTTP of the version asked for.
    #[error("no answer: {0}")]
    Exchange(#[source] ProtocolError),
    /// An answer with another status than those expected.
    #[error("status {status}, expected {expected}")]
    Status {
        /// What it was.
        status: u16,
        /// What it might have been.
        expected: String,
    },
    /// The body was cut off.
    #[error("body: {0}")]
    Body(#[source] ProtocolError),
    /// The body, as far as it was read, does not contain the text it should.
    #[error("the expected text is not in the first {read} bytes of the body")]
    BodyMismatch {
        /// How much was read.
        read: usize,
    },
    /// The target and the config together make no request.
    #[error("no request for {target}")]
    Unaskable {
        /// The target.
        target: Target,
    },
}

/// Gets a path by HTTP/1.1 or HTTP/2 and looks at the answer's status, and at its body if asked to.
///
/// - The whole answer has to come within the check's time, up to
///   [`max_body`](HttpProbeConfig::max_body).
/// - The connection is kept for the next check. One that the server closed meanwhile, as servers do,
///   is no bad check: a new one decides.
/// - Connections come from the [`Connect`] it is given: with TLS, if that has TLS.
///
/// Needs a tokio runtime, in which the kept connection is driven; it ends with the checks.
///
/// ```no_run
/// use evenkeel_health::{CheckConfig, HealthChecker, HttpProbe, HttpProbeConfig};
/// use evenkeel_io_core::{AsyncIoConfig, AsyncIoManager};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let manager = AsyncIoManager::new(AsyncIoConfig::default())?;
/// let probe = HttpProbe::new(manager, HttpProbeConfig {
///     health_check_path: "/ready".to_owned(),
///     body_contains: Some("ok".to_owned()),
///     ..HttpProbeConfig::default()
/// })?;
/// let checker = HealthChecker::new(CheckConfig::default(), 100, probe)?;
/// let (mut health, checks) = checker.watch("collector:13133".parse()?);
/// tokio::spawn(checks);
/// println!("{:?}", health.changed().await);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct HttpProbe<C> {
    connect: C,
    config: HttpProbeConfig,
    path: PathAndQuery,
    headers: HeaderMap,
}

/// What an [`HttpProbe`] keeps between two checks: a connection, if one is good.
#[derive(Default)]
pub struct KeptHttp(Option<Connection>);

impl fmt::Debug for KeptHttp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("KeptHttp").field(&self.0.is_some()).finish()
    }
}

enum Connection {
    One(Wire<Http1>),
    Two(Wire<Http2>),
}

impl Connection {
    fn is_closed(&self) -> bool {
        match self {
            Self::One(wire) => wire.sender.is_closed(),
            Self::Two(wire) => wire.sender.is_closed(),
        }
    }

    async fn send(&mut self, request: Request<Full<Bytes>>) -> Result<Response<Incoming>, ProtocolError> {
        match self {
            Self::One(wire) => wire.send(request).await,
            Self::Two(wire) => wire.send(request).await,
        }
    }
}

impl<C: Connect> HttpProbe<C> {
    /// A probe that dials through `connect`.
    ///
    /// # Errors
    /// Names the field of `config` that is out of range.
    pub fn new(connect: C, config: HttpProbeConfig) -> Result<Self, ConfigError> {
        config.validate()?;
        // Both were checked just now.
        let path = config
            .health_check_path
            .parse()
            .unwrap_or(PathAndQuery::from_static("/"));
        let headers = headers_of(&config.headers).unwrap_or_default();
        Ok(Self {
            connect,
            config,
            path,
            headers,
        })
    }

    fn request(&self, target: &Target) -> Option<Request<Full<Bytes>>> {
        let authority = authority_of(target, self.config.host.as_deref());
        let mut request = Request::new(Full::default());
        *request.headers_mut() = self.headers.clone();
        let mut uri = Uri::default().into_parts();
        uri.path_and_query = Some(self.path.clone());
        match self.config.version {
            HttpVersion::Http1 => {
                let host = HeaderValue::try_from(authority).ok()?;
                request.headers_mut().insert(HOST, host);
            }
            HttpVersion::Http2 => {
                uri.authority = Some(authority.try_into().ok()?);
                uri.scheme = Some(if self.config.https {
                    Scheme::HTTPS
                } else {
                    Scheme::HTTP
                });
            }
        }
        *request.uri_mut() = Uri::from_parts(uri).ok()?;
        Some(request)
    }

    /// Looks at the answer: whether it was read to its end, and whether it is good.
    async fn judge(&self, response: Response<Incoming>) -> (bool, Result<(), HttpProbeError<C::Error>>) {
        let status = response.status().as_u16();
        let mut body = response.into_body();
        let (mut read, mut seen) = (0, Vec::new());
        let text = self.config.body_contains.as_deref().map(str::as_bytes);
        let ended = loop {
            if read >= self.config.max_body {
                break body.is_end_stream();
            }
            match body.frame().await {
                None => break true,
                Some(Err(error)) => return (false, Err(HttpProbeError::Body(error.into()))),
                Some(Ok(frame)) => {
                    let data = frame.into_data().unwrap_or_default();
                    read = read.saturating_add(data.len());
                    if text.is_some() {
                        let room = self.config.max_body.saturating_sub(seen.len()).min(data.len());
                        seen.extend_from_slice(&data[..room]);
                    }
                }
            }
        };
        let expected = &self.config.expected_status;
        let verdict = if !expected.iter().any(|range| range.contains(status)) {
            let expected: Vec<_> = expected.iter().map(ToString::to_string).collect();
            let expected = expected.join(", ");
            Err(HttpProbeError::Status { status, expected })
        } else if text.is_none_or(|text| seen.windows(text.len()).any(|part| part == text)) {
            Ok(())
        } else {
            Err(HttpProbeError::BodyMismatch { read: seen.len() })
        };
        (ended, verdict)
    }
}

impl<C> HttpProbe<C>
where
    C: Connect,
    C::Connection: AsyncRead + AsyncWrite + Unpin,
{
    async fn open(&self, target: Target) -> Result<Connection, HttpProbeError<C::Error>> {
        let io = self
            .connect
            .connect(target)
            .await
            .map_err(HttpProbeError::Connect)?;
        let opened = match self.config.version {
            HttpVersion::Http1 => Wire::http1(io).await.map(Connection::One),
            HttpVersion::Http2 => Wire::http2(io).await.map(Connection::Two),
        };
        opened.map_err(HttpProbeError::Exchange)
    }
}

impl<C> Probe for HttpProbe<C>
where
    C: Connect + 'static,
    C::Connection: AsyncRead + AsyncWrite + Unpin,
{
    type Error = HttpProbeError<C::Error>;
    type Kept = KeptHttp;

    async fn probe(&self, target: Target, kept: &mut KeptHttp) -> Result<(), Self::Error> {
        let request = self.request(&target).ok_or_else(|| HttpProbeError::Unaskable {
            target: target.clone(),
        })?;
        // Taken out: a check that is dropped half-way leaves no connection with half an answer in it.
        let reused = kept.0.take().filter(|connection| !connection.is_closed());
        let answered = match reused {
            Some(mut connection) => {
                let answer = connection.send(request.clone()).await.ok();
                answer.map(|answer| (connection, answer))
            }
            None => None,
        };
        let (connection, answer) = match answered {
            Some(answered) => answered,
            None => {
                let mut connection = self.open(target).await?;
                let answer = connection.send(request).await.map_err(HttpProbeError::Exchange)?;
                (connection, answer)
            }
        };
        let (ended, verdict) = self.judge(answer).await;
        if ended && !connection.is_closed() {
            kept.0 = Some(connection);
        }
        verdict
    }
}
