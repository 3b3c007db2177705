//! OTLP over gRPC.

use std::sync::Arc;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use evenkeel_otlp::rpc::{Code, RpcStatus};
use evenkeel_otlp::{Encoding, Export, PartialSuccess, Signal};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use hyper::body::Incoming;
use hyper::{Request, Response};

use super::reply::Reply;
use super::{Receiver, Refusal, body, compression, grpc_health};
use crate::telemetry::{Answered, Transport};

const GRPC: HeaderValue = HeaderValue::from_static("application/grpc");
const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const ENCODING: HeaderName = HeaderName::from_static("grpc-encoding");
const ACCEPT_ENCODING: HeaderName = HeaderName::from_static("grpc-accept-encoding");
const TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");

/// A message of no bytes: the response of every signal when all was accepted.
const ACCEPTED: &[u8] = &[0, 0, 0, 0, 0];

/// Bytes before a message: whether it is compressed, and its length.
const PREFIX: usize = 5;

fn signal(path: &str) -> Option<Signal> {
    Some(match path {
        "/opentelemetry.proto.collector.trace.v1.TraceService/Export" => Signal::Traces,
        "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export" => Signal::Metrics,
        "/opentelemetry.proto.collector.logs.v1.LogsService/Export" => Signal::Logs,
        "/opentelemetry.proto.collector.profiles.v1development.ProfilesService/Export" => Signal::Profiles,
        _ => return None,
    })
}

pub(super) async fn answer(receiver: &Arc<Receiver>, request: Request<Incoming>) -> Response<Reply> {
    let Some(signal) = signal(request.uri().path()) else {
        if let Some(method) = request.uri().path().strip_prefix(grpc_health::SERVICE) {
            return grpc_health::answer(receiver, method.to_owned(), request).await;
        }
        receiver.telemetry.unknown.increment();
        let message = format!("no method {}", request.uri().path());
        return refused(&RpcStatus::new(Code::Unimplemented, message));
    };
    match export(receiver, signal, request).await {
        Ok(None) => {
            receiver.count(Transport::Grpc, signal, Answered::Accepted);
            accepted(Bytes::from_static(ACCEPTED))
        }
        Ok(Some(partial)) => {
            receiver.count(Transport::Grpc, signal, Answered::Partial);
            accepted(message(&partial.encode_response(signal, Encoding::Protobuf)))
        }
        Err(refusal) => {
            receiver.count(Transport::Grpc, signal, refusal.answered);
            refused(&refusal.status)
        }
    }
}

async fn export(
    receiver: &Arc<Receiver>,
    signal: Signal,
    request: Request<Incoming>,
) -> Result<Option<PartialSuccess>, Refusal> {
    let mut ticket = receiver.admit()?;
    let (head, mut incoming) = request.into_parts();
    if head.method != Method::POST {
        return Err(Refusal::bad(RpcStatus::new(
            Code::Unimplemented,
            "gRPC is by POST",
        )));
    }
    let compression = compression(&head.headers, &ENCODING).map_err(|name| {
        let message = format!("grpc-encoding `{name}` is not known here; identity, gzip and zstd are");
        Refusal::bad(RpcStatus::new(Code::Unimplemented, message))
    })?;
    let timeout = timeout(&head.headers)?;
    let mut bounds = receiver.bounds();
    bounds.limit = bounds.limit.saturating_add(PREFIX);
    let framed = body::collect(&mut incoming, bounds, |bytes| ticket.hold(bytes), announced).await;
    let framed = framed.map_err(|error| receiver.body_refused(error))?;
    receiver.telemetry.received(signal, framed.len());
    let export = Export::from_grpc(signal, compression, framed).map_err(Refusal::undecodable)?;
    receiver.exchange.deliver(export, ticket, timeout).await
}

/// The length of the body, as the prefix of its message says.
fn announced(first: &[u8]) -> Option<usize> {
    let prefix = first.first_chunk::<PREFIX>()?;
    let [_, length @ ..] = *prefix;
    (u32::from_be_bytes(length) as usize).checked_add(PREFIX)
}

/// How long the sender waits, by `grpc-timeout`: at most eight digits and a unit.
fn timeout(headers: &HeaderMap) -> Result<Option<Duration>, Refusal> {
    let Some(value) = headers.get(TIMEOUT) else {
        return Ok(None);
    };
    let parsed = value.to_str().ok().and_then(|text| {
        let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
        let n: u32 = digits
            .parse()
            .ok()
            .filter(|_| digits.len() <= 8 && !digits.starts_with('+'))?;
        let n = u64::from(n);
        Some(match unit {
            "H" => Duration::from_secs(n * 3600),
            "M" => Duration::from_secs(n * 60),
            "S" => Duration::from_secs(n),
            "m" => Duration::from_millis(n),
            "u" => Duration::from_micros(n),
            "n" => Duration::from_nanos(n),
            _ => return None,
        })
    });
    let wrong = || Refusal::bad(RpcStatus::new(Code::InvalidArgument, "grpc-timeout is no time"));
    parsed.map(Some).ok_or_else(wrong)
}

/// A message with its prefix.
pub(super) fn message(protobuf: &[u8]) -> Bytes {
    let mut message = BytesMut::with_capacity(PREFIX + protobuf.len());
    message.put_u8(0);
    message.put_u32(u32::try_from(protobuf.len()).unwrap_or(u32::MAX));
    message.put_slice(protobuf);
    message.freeze()
}

pub(super) fn accepted(message: Bytes) -> Response<Reply> {
    respond(Reply::Grpc(Some(message), Some(ok_trailers())))
}

pub(super) fn ok_trailers() -> HeaderMap {
    let mut trailers = HeaderMap::with_capacity(1);
    trailers.insert(GRPC_STATUS, HeaderValue::from_static("0"));
    trailers
}

/// An answer of trailers only, which are its headers then.
pub(super) fn refused(status: &RpcStatus) -> Response<Reply> {
    let mut response = respond(Reply::Empty);
    status.write_trailers(response.headers_mut());
    if status.code == Code::Unimplemented {
        let known = HeaderValue::from_static("identity,gzip,zstd");
        response.headers_mut().insert(ACCEPT_ENCODING, known);
    }
    response
}

pub(super) fn respond(body: Reply) -> Response<Reply> {
    let mut response = Response::new(body);
    response.headers_mut().insert(CONTENT_TYPE, GRPC);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_of_any_unit_is_read_and_nonsense_refused() {
        let read = |text: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(TIMEOUT, HeaderValue::from_static(text));
            timeout(&headers).ok().flatten()
        };
        assert_eq!(read("10S"), Some(Duration::from_secs(10)));
        assert_eq!(read("99999999n"), Some(Duration::from_nanos(99_999_999)));
        assert_eq!(read("1500m"), Some(Duration::from_millis(1500)));
        assert_eq!(read("2H"), Some(Duration::from_secs(7200)));
        for wrong in ["", "S", "10", "10s", "-1S", "+5S", "999999999S", "1\u{20}S"] {
            assert_eq!(read(wrong), None, "{wrong:?}");
        }
    }
}
