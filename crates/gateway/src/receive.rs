//! The receiving half: OTLP over gRPC and over HTTP, on every port of the two.

mod body;
pub(crate) mod connections;
#[cfg(test)]
mod fuzz;
mod grpc;
mod grpc_health;
mod http;
pub(crate) mod listener;
pub(crate) mod reply;

use std::sync::Arc;
use std::time::Duration;

use ::http::header::CONTENT_TYPE;
use ::http::{HeaderMap, HeaderName};
use evenkeel_otlp::rpc::{Code, RpcStatus};
use evenkeel_otlp::{Compression, ExportError, Signal};
use evenkeel_otlp_wire::WireError;
use hyper::body::Incoming;
use hyper::{Request, Response};
use tokio::sync::Semaphore;

use crate::admission::{Admission, Full, Ticket};
use crate::config::LimitsConfig;
use crate::deliver::Exchange;
use crate::heavy::Undecoded;
use crate::readiness::Serving;
use crate::telemetry::{Answered, Telemetry, Transport};
use body::{BodyError, Bounds};
pub(crate) use grpc_health::WATCHES;
use listener::Answer;
use reply::Reply;

/// Takes requests in, has them delivered, and answers.
#[derive(Debug)]
pub(crate) struct Receiver {
    pub(crate) exchange: Arc<Exchange>,
    pub(crate) admission: Arc<Admission>,
    pub(crate) telemetry: Arc<Telemetry>,
    pub(crate) serving: Serving,
    pub(crate) limits: LimitsConfig,
    /// Places for those who watch the health.
    pub(crate) watches: Arc<Semaphore>,
}

impl Answer for Receiver {
    type Body = Reply;

    async fn answer(self: Arc<Self>, request: Request<Incoming>) -> Response<Reply> {
        let content_type = request.headers().get(CONTENT_TYPE);
        match content_type.and_then(|value| value.as_bytes().strip_prefix(b"application/grpc")) {
            // Others, such as gRPC-Web's, go on with a dash.
            Some([] | [b'+' | b';' | b' ', ..]) => grpc::answer(&self, request).await,
            _ => http::answer(&self, request).await,
        }
    }
}

impl Receiver {
    /// A place for a request, or what the sender is told.
    fn admit(&self) -> Result<Ticket, Refusal> {
        self.admission.enter().map_err(|full| self.full(full))
    }

    fn full(&self, full: Full) -> Refusal {
        Refusal::full(full, self.limits.retry_after)
    }

    const fn bounds(&self) -> Bounds {
        Bounds {
            limit: self.limits.max_body_size.0,
            timeout: self.limits.body_timeout,
        }
    }

    fn body_refused(&self, error: BodyError) -> Refusal {
        match error {
            BodyError::TooLong { limit } => Refusal::bad(RpcStatus::new(
                // Without a RetryInfo: it would be as long the next time.
                Code::ResourceExhausted,
                format!("the request is longer than {limit} bytes"),
            ))
            .with_http(413),
            BodyError::Full(full) => self.full(full),
            BodyError::TimedOut { after } => {
                let message = format!("the request came too slowly: limits.body_timeout is {after:?}");
                let status = RpcStatus::new(Code::DeadlineExceeded, message);
                // Not 408: OTLP does not list it, so a sender would drop what it has.
                Refusal {
                    status: status.with_retry_delay(self.limits.retry_after),
                    http: Some(503),
                    answered: Answered::Refused,
                }
            }
            BodyError::Broken(error) => Refusal::bad(RpcStatus::new(
                Code::Cancelled,
                format!("the request broke off: {error}"),
            ))
            .with_http(400),
        }
    }

    fn count(&self, transport: Transport, signal: Signal, answered: Answered) {
        self.telemetry.answered(transport, signal, answered);
    }
}

/// A request that is not acknowledged: what its sender is told, and how it counts.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) status: RpcStatus,
    /// Where HTTP has a better word than the one that goes with the code.
    pub(crate) http: Option<u16>,
    pub(crate) answered: Answered,
}

impl Refusal {
    /// The request itself is bad, so it is not to be sent again.
    pub(crate) const fn bad(status: RpcStatus) -> Self {
        Self {
            status,
            http: None,
            answered: Answered::Rejected,
        }
    }

    /// The gateway has too much to do.
    pub(crate) fn full(full: Full, retry_after: Duration) -> Self {
        let status = RpcStatus::new(Code::ResourceExhausted, full.message());
        Self {
            status: status.with_retry_delay(retry_after),
            http: None,
            answered: Answered::Refused,
        }
    }

    /// It is no protobuf, as far as it was read.
    pub(crate) fn malformed(error: WireError) -> Self {
        Self::bad(RpcStatus::new(Code::InvalidArgument, error.to_string()))
    }

    /// What is compressed can not be read.
    pub(crate) fn undecodable(error: ExportError) -> Self {
        let (code, http) = match error {
            ExportError::TooLarge { .. } => (Code::ResourceExhausted, 413),
            // As gRPC's own servers say of what is no message.
            ExportError::Framing { .. } | ExportError::NoEncoding => (Code::Internal, 400),
            _ => (Code::InvalidArgument, 400),
        };
        Self::bad(RpcStatus::new(code, error.to_string())).with_http(http)
    }

    /// It is not decompressed.
    pub(crate) fn undecoded(error: Undecoded, retry_after: Duration) -> Self {
        match error {
            Undecoded::Full(full) => Self::full(full, retry_after),
            Undecoded::Bad(error) => Self::undecodable(error),
        }
    }

    pub(crate) const fn with_http(mut self, status: u16) -> Self {
        self.http = Some(status);
        self
    }
}

/// The compression that a header names; if there is none of that name, the name.
fn compression(headers: &HeaderMap, header: &HeaderName) -> Result<Compression, String> {
    let Some(value) = headers.get(header) else {
        return Ok(Compression::None);
    };
    let known = value.to_str().ok().and_then(Compression::from_header);
    known.ok_or_else(|| String::from_utf8_lossy(value.as_bytes()).into_owned())
}
