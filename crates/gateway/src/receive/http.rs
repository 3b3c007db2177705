//! OTLP over HTTP: protobuf and JSON.

use std::sync::Arc;

use bytes::Bytes;
use evenkeel_otlp::rpc::{Code, RpcStatus};
use evenkeel_otlp::{Compression, Encoding, Export, PartialSuccess, Signal};
use http::header::{ALLOW, CONTENT_ENCODING, CONTENT_TYPE, EXPECT, RETRY_AFTER};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, StatusCode, Version};
use hyper::body::Incoming;
use hyper::{Request, Response};

use super::reply::Reply;
use super::{Receiver, Refusal, body, compression};
use crate::admission::Ticket;
use crate::telemetry::{Answered, Transport};
use crate::{heavy, json};

fn signal(path: &str) -> Option<Signal> {
    Some(match path {
        "/v1/traces" => Signal::Traces,
        "/v1/metrics" => Signal::Metrics,
        "/v1/logs" => Signal::Logs,
        // The path of the specification, and the one that Go's collector serves.
        "/v1development/profiles" | "/v1/profiles" => Signal::Profiles,
        _ => return None,
    })
}

pub(super) async fn answer(receiver: &Arc<Receiver>, request: Request<Incoming>) -> Response<Reply> {
    let (head, mut body) = request.into_parts();
    let response = respond(receiver, &head, &mut body).await;
    // Over HTTP/2 a stream ends without the others. Who asks before it sends a body is not asked for one.
    if head.version < Version::HTTP_2 && !head.headers.contains_key(EXPECT) && !response.status().is_success()
    {
        body::discard(&mut body, receiver.limits.max_body_size.0.saturating_mul(2)).await;
    }
    response
}

async fn respond(receiver: &Arc<Receiver>, head: &Parts, body: &mut Incoming) -> Response<Reply> {
    let encoding = encoding(&head.headers);
    // Who sent something else can read text best.
    let answered_in = encoding.unwrap_or(Encoding::Json);
    let refuse = |code, message: String, status| {
        receiver.telemetry.unknown.increment();
        refused(
            &Refusal::bad(RpcStatus::new(code, message)).with_http(status),
            answered_in,
        )
    };
    let path = head.uri.path();
    let Some(signal) = signal(path) else {
        return refuse(Code::NotFound, format!("no path {path}"), 404);
    };
    if head.method != Method::POST {
        let message = format!("{} is not for {path}; POST is", head.method);
        let mut response = refuse(Code::Unimplemented, message, 405);
        response
            .headers_mut()
            .insert(ALLOW, HeaderValue::from_static("POST"));
        return response;
    }
    let Some(encoding) = encoding else {
        let message = "the content type is neither application/x-protobuf nor application/json";
        return refuse(Code::InvalidArgument, message.to_owned(), 415);
    };
    match export(receiver, signal, encoding, &head.headers, body).await {
        Ok(None) => {
            receiver.count(Transport::Http, signal, Answered::Accepted);
            accepted(encoding, None)
        }
        Ok(Some(partial)) => {
            receiver.count(Transport::Http, signal, Answered::Partial);
            let body = partial.encode_response(signal, encoding).into();
            accepted(encoding, Some(body))
        }
        Err(refusal) => {
            receiver.count(Transport::Http, signal, refusal.answered);
            refused(&refusal, encoding)
        }
    }
}

async fn export(
    receiver: &Arc<Receiver>,
    signal: Signal,
    encoding: Encoding,
    headers: &HeaderMap,
    incoming: &mut Incoming,
) -> Result<Option<PartialSuccess>, Refusal> {
    let mut ticket = receiver.admit()?;
    let compression = compression(headers, &CONTENT_ENCODING).map_err(|name| {
        let message = format!("content-encoding `{name}` is not known here; gzip and zstd are");
        Refusal::bad(RpcStatus::new(Code::InvalidArgument, message)).with_http(415)
    })?;
    let body = body::collect(incoming, receiver.bounds(), |bytes| ticket.hold(bytes), |_| None).await;
    let body = body.map_err(|error| receiver.body_refused(error))?;
    receiver.telemetry.received(signal, body.len());
    let export = Export::new(signal, encoding, compression, body);
    let export = match encoding {
        Encoding::Json => from_json(receiver, export, &mut ticket).await?,
        _ => export,
    };
    receiver.exchange.deliver(export, ticket, None).await
}

/// Collectors differ in whether they take JSON; all take protobuf.
async fn from_json(receiver: &Receiver, export: Export, ticket: &mut Ticket) -> Result<Export, Refusal> {
    let (signal, limits) = (export.signal(), &receiver.limits);
    let text = heavy::decoded(&export, limits.max_body_size.0, ticket).await;
    let text = text.map_err(|error| Refusal::undecoded(error, limits.retry_after))?;
    drop(export);
    // Mostly what comes out is half as long. Lists of numbers can become four times as long, and few at a time.
    ticket.hold_up_to(text.len().saturating_mul(2));
    let converted = heavy::run(ticket, text.len(), move || json::to_protobuf(&text, signal));
    let bad = |error| Refusal::bad(RpcStatus::new(Code::InvalidArgument, format!("JSON: {error}")));
    let protobuf = converted.await.map_err(bad)?;
    ticket.hold(protobuf.len()).map_err(|full| receiver.full(full))?;
    ticket.shrink(protobuf.len());
    Ok(Export::new(
        signal,
        Encoding::Protobuf,
        Compression::None,
        protobuf.into(),
    ))
}

fn encoding(headers: &HeaderMap) -> Option<Encoding> {
    Encoding::from_media_type(headers.get(CONTENT_TYPE)?.to_str().ok()?)
}

const fn content_type(encoding: Encoding) -> HeaderValue {
    HeaderValue::from_static(encoding.media_type())
}

/// A response message; all was accepted if there is nothing in it.
fn accepted(encoding: Encoding, message: Option<Bytes>) -> Response<Reply> {
    let body = match (encoding, message) {
        (_, Some(message)) => Reply::Whole(message),
        (Encoding::Json, None) => Reply::Whole(Bytes::from_static(b"{}")),
        (_, None) => Reply::Empty,
    };
    let mut response = Response::new(body);
    response
        .headers_mut()
        .insert(CONTENT_TYPE, content_type(encoding));
    response
}

/// A status in the encoding of the request.
fn refused(refusal: &Refusal, encoding: Encoding) -> Response<Reply> {
    let status = &refusal.status;
    let body: Bytes = match encoding {
        Encoding::Json => status.encode_json().into(),
        _ => status.encode_protobuf().into(),
    };
    let mut response = Response::new(Reply::Whole(body));
    let code = refusal.http.unwrap_or_else(|| status.http_status());
    *response.status_mut() = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, content_type(encoding));
    if let Some(delay) = status.retry_delay {
        // Whole seconds, and not sooner than meant.
        let seconds = delay.as_secs() + u64::from(delay.subsec_nanos() > 0);
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}
