//! The target, spoken to as an SDK does.

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
pub(crate) struct Refusal {
    /// The code of gRPC, the status of HTTP, or what happened to the connection.
    pub(crate) reason: String,
    /// Whether the specification lets it be sent again, and after which time at the least.
    pub(crate) again: Option<Duration>,
}

impl Refusal {
    pub(crate) fn connection() -> Self {
        Self {
            reason: "connection".to_owned(),
            again: Some(Duration::ZERO),
        }
    }

    pub(crate) fn timed_out() -> Self {
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

/// Connections to one target, or to several in turn.
#[derive(Debug)]
pub(crate) struct Client {
    lanes: Vec<Lane>,
    next: AtomicUsize,
    protocol: Protocol,
}

/// A way to one of the targets; over HTTP/2 it is one connection.
#[derive(Debug)]
struct Lane {
    connections: Connections,
    uri: Uri,
}

impl Client {
    /// A target is `http://host:port`; what path it has is replaced. Nothing is opened yet.
    pub(crate) fn new(targets: &[Uri], protocol: Protocol, connections: usize) -> Result<Self, http::Error> {
        let path = match protocol {
            Protocol::Grpc => "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
            Protocol::Http => "/v1/traces",
        };
        let connections = match protocol {
            Protocol::Grpc => connections,
            // The pool opens one for each request in flight.
            Protocol::Http => 1,
        };
        let mut lanes = Vec::new();
        for _ in 0..connections {
            for target in targets {
                let mut parts = target.clone().into_parts();
                parts.path_and_query = Some(PathAndQuery::from_static(path));
                lanes.push(Lane {
                    connections: self::connections(protocol),
                    uri: Uri::from_parts(parts)?,
                });
            }
        }
        Ok(Self {
            lanes,
            next: AtomicUsize::new(0),
            protocol,
        })
    }

    pub(crate) const fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// Sends one request: a message of gRPC with its prefix, or plain protobuf.
    pub(crate) async fn export(&self, body: Bytes) -> Result<(), Refusal> {
        let lane = &self.lanes[self.next.fetch_add(1, Relaxed) % self.lanes.len()];
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = lane.uri.clone();
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
        let response = lane.connections.request(request).await;
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
