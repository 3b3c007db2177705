//! One target, spoken to as an SDK does.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use bytes::Bytes;
use evenkeel_otlp::rpc::{Code, RpcStatus, retry_after};
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use http::uri::PathAndQuery;
use http::{Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::{self, connect::HttpConnector};
use hyper_util::rt::{TokioExecutor, TokioTimer};

/// How to speak to the target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Protocol {
    /// gRPC.
    #[default]
    Grpc,
    /// Protobuf over HTTP/1.1.
    Http,
}

/// What was answered in place of an acknowledgement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    /// The code of gRPC, the status of HTTP, or what happened to the connection.
    pub(super) reason: String,
    /// Whether the specification lets it be sent again, and after which time at the least.
    pub(super) again: Option<Duration>,
}

impl Refusal {
    pub(super) fn connection() -> Self {
        Self {
            reason: "connection".to_owned(),
            again: Some(Duration::ZERO),
        }
    }

    pub(super) fn timed_out() -> Self {
        Self {
            reason: "timed out".to_owned(),
            again: Some(Duration::ZERO),
        }
    }

    fn grpc(status: &RpcStatus) -> Self {
        Self {
            reason: status.code.as_str().to_owned(),
            again: status
                .is_retryable()
                .then(|| status.retry_delay.unwrap_or_default()),
        }
    }
}

type Connections = legacy::Client<HttpConnector, Full<Bytes>>;

/// Connections to one target.
#[derive(Debug)]
pub(super) struct Client {
    /// Over HTTP/2 each of them is one connection.
    lanes: Vec<Connections>,
    next: AtomicUsize,
    protocol: Protocol,
    uri: Uri,
}

impl Client {
    /// `target` is `http://host:port`; what path it has is replaced. Nothing is opened yet.
    pub(super) fn new(target: &Uri, protocol: Protocol, connections: usize) -> Result<Self, http::Error> {
        let path = match protocol {
            Protocol::Grpc => "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
            Protocol::Http => "/v1/traces",
        };
        let mut parts = target.clone().into_parts();
        parts.path_and_query = Some(PathAndQuery::from_static(path));
        let uri = Uri::from_parts(parts)?;
        let lanes = match protocol {
            Protocol::Grpc => connections,
            // The pool opens one for each request in flight.
            Protocol::Http => 1,
        };
        Ok(Self {
            lanes: (0..lanes).map(|_| self::connections(protocol)).collect(),
            next: AtomicUsize::new(0),
            protocol,
            uri,
        })
    }

    pub(super) const fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// Sends one request: a message of gRPC with its prefix, or plain protobuf.
    pub(super) async fn export(&self, body: Bytes) -> Result<(), Refusal> {
        let lane = self.next.fetch_add(1, Relaxed) % self.lanes.len();
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.uri.clone();
        let headers = request.headers_mut();
        match self.protocol {
            Protocol::Grpc => {
                *request.version_mut() = http::Version::HTTP_2;
                let headers = request.headers_mut();
                headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
                headers.insert(
                    HeaderName::from_static("te"),
                    HeaderValue::from_static("trailers"),
                );
            }
            Protocol::Http => {
                headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf"));
            }
        }
        let response = self.lanes[lane].request(request).await;
        let (head, body) = response.map_err(|_| Refusal::connection())?.into_parts();
        let body = body.collect().await.map_err(|_| Refusal::connection())?;
        if head.status != StatusCode::OK {
            return Err(self.refused(&head));
        }
        if self.protocol == Protocol::Http {
            return Ok(());
        }
        let status =
            RpcStatus::from_trailers(&head.headers).or_else(|| RpcStatus::from_trailers(body.trailers()?));
        match status {
            Some(status) if status.code == Code::Ok => Ok(()),
            Some(status) => Err(Refusal::grpc(&status)),
            // It ended without saying how.
            None => Err(Refusal::grpc(&RpcStatus::new(Code::Unknown, ""))),
        }
    }

    /// An answer that is not 200. In gRPC that is something between us and the server; what it stands for is
    /// in gRPC's own table.
    fn refused(&self, head: &http::response::Parts) -> Refusal {
        let status = head.status.as_u16();
        if self.protocol == Protocol::Grpc {
            return Refusal::grpc(&RpcStatus::new(Code::from_http(status), ""));
        }
        let again = matches!(status, 429 | 502 | 503 | 504);
        Refusal {
            reason: format!("HTTP {status}"),
            again: again.then(|| retry_after(&head.headers).unwrap_or_default()),
        }
    }
}

fn connections(protocol: Protocol) -> Connections {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    connector.set_connect_timeout(Some(Duration::from_secs(5)));
    let mut builder = legacy::Client::builder(TokioExecutor::new());
    builder.pool_timer(TokioTimer::new()).timer(TokioTimer::new());
    if protocol == Protocol::Grpc {
        builder.http2_only(true);
    }
    builder.build(connector)
}
