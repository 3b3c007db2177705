//! Telemetry: what came, and the answer to it.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use bytes::Bytes;
use evenkeel_otlp::rpc::{Code, RpcStatus};
use evenkeel_otlp::{Compression, Encoding, Export, PartialSuccess, Signal};
use http::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use hyper::body::Incoming;

use super::arrivals::NotCounted;
use super::behaviour::Answer;
use super::body::{self, Reply};
use super::{Counting, Sink, control};

/// The prefix of a message of gRPC that is not compressed and empty: full success.
const GRPC_SUCCESS: Bytes = Bytes::from_static(&[0; 5]);

/// `grpc.health.v1.HealthCheckResponse { status: SERVING }` with its prefix.
const GRPC_SERVING: Bytes = Bytes::from_static(&[0, 0, 0, 0, 2, 0x08, 1]);

const HEALTH_CHECK: &str = "/grpc.health.v1.Health/Check";

/// How a request is put, and so its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Grpc,
    Protobuf,
    Json,
}

impl Form {
    fn of(headers: &HeaderMap) -> Option<Self> {
        let value = headers.get(CONTENT_TYPE)?.to_str().ok()?;
        if matches!(value, "application/grpc" | "application/grpc+proto") {
            return Some(Self::Grpc);
        }
        match Encoding::from_media_type(value)? {
            Encoding::Protobuf => Some(Self::Protobuf),
            Encoding::Json => Some(Self::Json),
            _ => None,
        }
    }

    const fn encoding(self) -> Encoding {
        match self {
            Self::Grpc | Self::Protobuf => Encoding::Protobuf,
            Self::Json => Encoding::Json,
        }
    }

    const fn content_type(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Grpc => "application/grpc",
            Self::Protobuf => "application/x-protobuf",
            Self::Json => "application/json",
        })
    }

    const fn compression_header(self) -> &'static str {
        match self {
            Self::Grpc => "grpc-encoding",
            Self::Protobuf | Self::Json => "content-encoding",
        }
    }
}

/// What a path stands for: a signal, or profiles, which are opaque.
fn signal_of(path: &str, form: Form) -> Option<Option<Signal>> {
    Some(match (form, path) {
        (Form::Grpc, "/opentelemetry.proto.collector.trace.v1.TraceService/Export") => Some(Signal::Traces),
        (Form::Grpc, "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export") => {
            Some(Signal::Metrics)
        }
        (Form::Grpc, "/opentelemetry.proto.collector.logs.v1.LogsService/Export") => Some(Signal::Logs),
        (Form::Grpc, "/opentelemetry.proto.collector.profiles.v1development.ProfilesService/Export") => None,
        (Form::Grpc, _) => return None,
        (_, "/v1/traces") => Some(Signal::Traces),
        (_, "/v1/metrics") => Some(Signal::Metrics),
        (_, "/v1/logs") => Some(Signal::Logs),
        (_, "/v1development/profiles" | "/v1/profiles") => None,
        _ => return None,
    })
}

/// Counts a request as in flight for as long as it is.
struct InFlight<'a>(&'a AtomicU64);

impl<'a> InFlight<'a> {
    fn enter(count: &'a AtomicU64) -> Self {
        count.fetch_add(1, Relaxed);
        Self(count)
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

/// Answers whatever is no matter of control.
pub(super) async fn answer(sink: &Sink, request: Request<Incoming>) -> Response<Reply> {
    let (head, body) = request.into_parts();
    let Some(form) = Form::of(&head.headers) else {
        return control::text(StatusCode::UNSUPPORTED_MEDIA_TYPE, "this is no OTLP");
    };
    if form == Form::Grpc && head.uri.path() == HEALTH_CHECK {
        return grpc_reply(GRPC_SERVING);
    }
    let Some(signal) = signal_of(head.uri.path(), form).filter(|_| head.method == Method::POST) else {
        let status = RpcStatus::new(Code::Unimplemented, format!("nothing at {}", head.uri.path()));
        return error(form, &status);
    };
    let inner = &*sink.inner;
    inner.requests.fetch_add(1, Relaxed);
    let in_flight = InFlight::enter(&inner.in_flight);
    let received = match body::read(body, inner.counting != Counting::Requests).await {
        Ok((body, len)) => {
            inner.bytes.fetch_add(len as u64, Relaxed);
            Ok(body)
        }
        Err(problem @ body::ReadError::TooLarge) => {
            Err(RpcStatus::new(Code::ResourceExhausted, problem.to_string()))
        }
        Err(problem) => Err(RpcStatus::new(Code::Cancelled, problem.to_string())),
    };
    let verdict = match received {
        Ok(body) => judge(sink, signal, form, &head.headers, &body).await,
        Err(status) => Err(status),
    };
    drop(in_flight);
    match verdict {
        Ok(rejected) => {
            inner.accepted.fetch_add(1, Relaxed);
            match (form, signal) {
                // Of profiles nothing is known that could be rejected.
                (_, Some(signal)) if rejected > 0 => partial(form, signal, rejected),
                (Form::Grpc, _) => grpc_reply(GRPC_SUCCESS),
                (Form::Protobuf, _) => plain(form, StatusCode::OK, Bytes::new()),
                (Form::Json, _) => plain(form, StatusCode::OK, Bytes::from_static(b"{}")),
            }
        }
        Err(status) => {
            inner.refused.fetch_add(1, Relaxed);
            error(form, &status)
        }
    }
}

/// How many items of the request are rejected, or why all of it is.
async fn judge(
    sink: &Sink,
    signal: Option<Signal>,
    form: Form,
    headers: &HeaderMap,
    body: &Bytes,
) -> Result<u32, RpcStatus> {
    let mut behaviour = sink.inner.behaviour.subscribe();
    let now = loop {
        let now = *behaviour.borrow_and_update();
        if now.answer != Answer::Hang {
            break now;
        }
        // The sink has the other end: it can not go before this request.
        let _ = behaviour.changed().await;
    };
    // On arrival and not after the wait: who gives up then has delivered all the same.
    if matches!(now.answer, Answer::Accept | Answer::Partial(_)) {
        count(sink, signal, form, headers, body)?;
    }
    if !now.latency.is_zero() {
        tokio::time::sleep(now.latency).await;
    }
    match now.answer {
        Answer::Accept | Answer::Hang => Ok(0),
        Answer::Partial(rejected) => Ok(rejected),
        Answer::Fail(code) => Err(RpcStatus::new(code, "told to")),
        Answer::Throttle(wait) => Err(RpcStatus::new(Code::Unavailable, "told to").with_retry_delay(wait)),
    }
}

fn count(
    sink: &Sink,
    signal: Option<Signal>,
    form: Form,
    headers: &HeaderMap,
    body: &Bytes,
) -> Result<(), RpcStatus> {
    let counting = sink.inner.counting;
    let (Some(signal), false) = (signal, counting == Counting::Requests || form == Form::Json) else {
        return Ok(());
    };
    let bad = |problem: &dyn std::fmt::Display| RpcStatus::new(Code::InvalidArgument, problem.to_string());
    let name = headers.get(form.compression_header());
    let name = name.map_or("", |name| name.to_str().unwrap_or("(not ASCII)"));
    let compression = Compression::from_header(name).ok_or_else(|| {
        RpcStatus::new(
            Code::Unimplemented,
            format!("there is no compression called '{name}'"),
        )
    })?;
    let export = match form {
        Form::Grpc => Export::from_grpc(signal, compression, body.clone()).map_err(|e| bad(&e))?,
        Form::Protobuf | Form::Json => Export::new(signal, form.encoding(), compression, body.clone()),
    };
    let decoded = export.decoded(body::MAX_REQUEST).map_err(|e| bad(&e))?;
    let counted = sink.inner.arrivals.count(signal, &decoded, counting);
    counted.map_err(|problem| match problem {
        NotCounted::Malformed(problem) => bad(&problem),
        NotCounted::File(_) => RpcStatus::new(Code::Internal, problem.to_string()),
    })
}

fn plain(form: Form, status: StatusCode, body: Bytes) -> Response<Reply> {
    let mut response = Response::new(Reply::new(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, form.content_type());
    response
}

fn grpc_reply(message: Bytes) -> Response<Reply> {
    let mut trailers = HeaderMap::with_capacity(1);
    trailers.insert(evenkeel_otlp::rpc::GRPC_STATUS, HeaderValue::from_static("0"));
    let mut response = Response::new(Reply::with_trailers(message, trailers));
    response
        .headers_mut()
        .insert(CONTENT_TYPE, Form::Grpc.content_type());
    response
}

fn error(form: Form, status: &RpcStatus) -> Response<Reply> {
    let code = match form {
        // The status is in the trailers, which are the head here.
        Form::Grpc => StatusCode::OK,
        Form::Protobuf | Form::Json => {
            StatusCode::from_u16(status.http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
        }
    };
    let body = match form {
        Form::Grpc => Bytes::new(),
        Form::Protobuf => status.encode_protobuf().into(),
        Form::Json => status.encode_json().into(),
    };
    let mut response = plain(form, code, body);
    if form == Form::Grpc {
        status.write_trailers(response.headers_mut());
    } else if let Some(wait) = status.retry_delay {
        // In whole seconds, and never less than was asked for.
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        response.headers_mut().insert(RETRY_AFTER, seconds.into());
    }
    response
}

/// Success but for so many items.
fn partial(form: Form, signal: Signal, rejected: u32) -> Response<Reply> {
    let partial = PartialSuccess::new(rejected.into(), "told to");
    let message = partial.encode_response(signal, form.encoding());
    if form != Form::Grpc {
        return plain(form, StatusCode::OK, message.into());
    }
    // Not compressed, and of this length.
    let mut framed = vec![0];
    framed.extend((message.len() as u32).to_be_bytes());
    framed.extend(message);
    grpc_reply(framed.into())
}
