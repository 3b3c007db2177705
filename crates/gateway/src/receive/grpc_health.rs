//! `grpc.health.v1.Health`: Check and Watch.

use std::sync::Arc;

use bytes::Bytes;
use evenkeel_otlp::rpc::{Code, RpcStatus};
use futures::stream;
use hyper::body::Incoming;
use hyper::{Request, Response};
use tokio::sync::OwnedSemaphorePermit;

use super::Receiver;
use super::body::{Bounds, collect};
use super::grpc::{accepted, message, ok_trailers, refused, respond};
use super::reply::Reply;
use crate::readiness::Serving;

/// What paths of this service begin with.
pub(super) const SERVICE: &str = "/grpc.health.v1.Health/";

/// The services that are answered for: the gateway as a whole, and each of OTLP's.
const KNOWN: [&str; 5] = [
    "",
    "opentelemetry.proto.collector.trace.v1.TraceService",
    "opentelemetry.proto.collector.metrics.v1.MetricsService",
    "opentelemetry.proto.collector.logs.v1.LogsService",
    "opentelemetry.proto.collector.profiles.v1development.ProfilesService",
];

/// A request is a name.
const BOUNDS: Bounds = Bounds {
    limit: 1024,
    timeout: std::time::Duration::from_secs(5),
};

const SERVING: u8 = 1;
const NOT_SERVING: u8 = 2;
const SERVICE_UNKNOWN: u8 = 3;

/// How many may watch at a time: balancers and probes, and not as many as there may be streams.
pub(crate) const WATCHES: usize = 1024;

pub(super) async fn answer(
    receiver: &Receiver,
    method: String,
    mut request: Request<Incoming>,
) -> Response<Reply> {
    // No place is taken for it: a check is answered when the gateway is full too.
    let Ok(framed) = collect(request.body_mut(), BOUNDS, |_| Ok(()), |_| None).await else {
        return refused(&RpcStatus::new(
            Code::InvalidArgument,
            "the request did not come whole",
        ));
    };
    let Some(service) = service(&framed) else {
        return refused(&RpcStatus::new(Code::InvalidArgument, "no HealthCheckRequest"));
    };
    let known = KNOWN.contains(&service);
    let serving = &receiver.serving;
    match method.as_str() {
        "Check" if known => accepted(message(&status(of(serving.now())))),
        "Check" => refused(&RpcStatus::new(Code::NotFound, format!("no service `{service}`"))),
        "Watch" => match Arc::clone(&receiver.watches).try_acquire_owned() {
            Ok(place) => respond(Reply::Stream(
                Box::pin(watch(serving.clone(), known, place)),
                Some(ok_trailers()),
            )),
            Err(_) => refused(
                &RpcStatus::new(Code::ResourceExhausted, format!("{WATCHES} watch already"))
                    .with_retry_delay(receiver.limits.retry_after),
            ),
        },
        _ => refused(&RpcStatus::new(
            Code::Unimplemented,
            format!("no method {method}"),
        )),
    }
}

/// The status now and at each change. It ends when the gateway does, so that nobody who watches keeps a
/// connection from ending.
fn watch(
    serving: Serving,
    known: bool,
    place: OwnedSemaphorePermit,
) -> impl futures::Stream<Item = Bytes> + Send {
    stream::unfold(
        (serving, None, place),
        move |(mut serving, told, place)| async move {
            loop {
                let now = if known { of(serving.now()) } else { SERVICE_UNKNOWN };
                if told != Some(now) {
                    return Some((message(&status(now)), (serving, Some(now), place)));
                }
                if serving.is_over() || !serving.changed().await {
                    return None;
                }
            }
        },
    )
}

const fn of(serving: bool) -> u8 {
    if serving { SERVING } else { NOT_SERVING }
}

/// `HealthCheckResponse { status = 1 }`.
const fn status(status: u8) -> [u8; 2] {
    [1 << 3, status]
}

/// The name in a framed `HealthCheckRequest { service = 1 }`, which has no other field.
fn service(framed: &[u8]) -> Option<&str> {
    let (&[0, _, _, _, length], message) = framed.split_first_chunk()? else {
        return None;
    };
    if message.len() != usize::from(length) {
        return None;
    }
    match message {
        [] => Some(""),
        [0x0a, length, name @ ..] if name.len() == usize::from(*length) => str::from_utf8(name).ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_read_and_nonsense_is_none() {
        assert_eq!(service(&[0, 0, 0, 0, 0]), Some(""));
        assert_eq!(service(&[0, 0, 0, 0, 3, 0x0a, 1, b'x']), Some("x"));
        for wrong in [
            &[][..],
            &[0, 0, 0, 0, 1],
            &[1, 0, 0, 0, 0],
            &[0, 0, 0, 0, 3, 0x0a, 2, b'x'],
        ] {
            assert_eq!(service(wrong), None, "{wrong:?}");
        }
    }
}
