//! A collector that does as it is told, and remembers what it got.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use evenkeel_otlp::rpc::{Code, RpcStatus};
use evenkeel_otlp::{Encoding, PartialSuccess, Signal};
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body_util::{BodyExt, Either, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use parking_lot::Mutex;
use tokio::net::TcpListener;
use tokio::sync::Notify;

/// What it does with a request.
#[derive(Clone, Debug)]
pub(crate) enum Do {
    Accept,
    Partial(i64, &'static str),
    /// Answers this over gRPC, and what goes with it over HTTP.
    Refuse(RpcStatus),
    /// Answers by this HTTP status and nothing else.
    Http(u16),
    /// Waits for [`Collector::release`] and accepts.
    Hold,
}

/// What it says when it is asked by gRPC's health protocol.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Health {
    /// It does not know that protocol.
    #[default]
    Unknown,
    Serving,
    NotServing,
    /// It never answers.
    Silent,
}

/// A request it got, without gRPC's prefix.
#[derive(Clone, Debug)]
pub(crate) struct Got {
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

#[derive(Debug, Default)]
struct State {
    script: Mutex<VecDeque<Do>>,
    always: Mutex<Option<Do>>,
    got: Mutex<Vec<Got>>,
    health: Mutex<Health>,
    /// How often it was asked.
    checks: AtomicUsize,
    released: Notify,
}

/// It ends when it is dropped, with its connections.
#[derive(Debug)]
pub(crate) struct Collector {
    address: SocketAddr,
    state: Arc<State>,
    _tasks: tokio::task::JoinSet<()>,
}

impl Collector {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::<State>::default();
        let mut tasks = tokio::task::JoinSet::new();
        tasks.spawn(accept(listener, Arc::clone(&state)));
        Self {
            address,
            state,
            _tasks: tasks,
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Does this with the next request, after what it was told before.
    pub(crate) fn next(&self, what: Do) {
        self.state.script.lock().push_back(what);
    }

    /// Does this whenever it was told nothing else.
    pub(crate) fn always(&self, what: Do) {
        *self.state.always.lock() = Some(what);
    }

    /// Says this from now on when its health is asked for.
    pub(crate) fn is(&self, health: Health) {
        *self.state.health.lock() = health;
    }

    /// How often its health was asked for.
    pub(crate) fn checks(&self) -> usize {
        self.state.checks.load(Ordering::Relaxed)
    }

    pub(crate) fn got(&self) -> Vec<Got> {
        self.state.got.lock().clone()
    }

    pub(crate) fn count(&self) -> usize {
        self.state.got.lock().len()
    }

    /// Lets all go on that are held.
    pub(crate) fn release(&self) {
        self.state.released.notify_waiters();
    }
}

async fn accept(listener: TcpListener, state: Arc<State>) {
    let mut connections = tokio::task::JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        stream.set_nodelay(true).unwrap();
        let state = Arc::clone(&state);
        connections.spawn(async move {
            let service = service_fn(move |request| serve(Arc::clone(&state), request));
            let builder = auto::Builder::new(TokioExecutor::new());
            // How a connection ends is the other side's business.
            let _ = builder.serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

type Body = Either<
    Full<Bytes>,
    StreamBody<futures::stream::Iter<std::vec::IntoIter<Result<Frame<Bytes>, Infallible>>>>,
>;

async fn serve(state: Arc<State>, request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
    let (head, body) = request.into_parts();
    if let Some(method) = head.uri.path().strip_prefix("/grpc.health.v1.Health/") {
        return Ok(health(&state, method).await);
    }
    let grpc = head
        .headers
        .get("content-type")
        .is_some_and(|value| value == "application/grpc");
    let Ok(body) = body.collect().await else {
        return Ok(Response::new(Either::Left(Full::default())));
    };
    let body = body.to_bytes();
    let released = state.released.notified();
    state.got.lock().push(Got {
        path: head.uri.path().to_owned(),
        headers: head.headers.clone(),
        body: if grpc { body.slice(5..) } else { body },
    });
    let what = state.script.lock().pop_front();
    let what = what.or_else(|| state.always.lock().clone()).unwrap_or(Do::Accept);
    let json = head
        .headers
        .get("content-type")
        .is_some_and(|value| value == "application/json");
    let encoding = if json { Encoding::Json } else { Encoding::Protobuf };
    Ok(match what {
        Do::Accept => accepted(grpc, encoding, &PartialSuccess::default()),
        Do::Partial(rejected, message) => accepted(grpc, encoding, &PartialSuccess::new(rejected, message)),
        Do::Refuse(status) => refused(grpc, encoding, &status),
        Do::Http(status) => {
            let mut response = Response::new(Either::Left(Full::from("not from a collector")));
            *response.status_mut() = status.try_into().unwrap();
            response
        }
        Do::Hold => {
            released.await;
            accepted(grpc, encoding, &PartialSuccess::default())
        }
    })
}

async fn health(state: &State, method: &str) -> Response<Body> {
    let now = *state.health.lock();
    let unknown = || {
        refused(
            true,
            Encoding::Protobuf,
            &RpcStatus::new(Code::Unimplemented, method),
        )
    };
    if method != "Check" {
        return unknown();
    }
    state.checks.fetch_add(1, Ordering::Relaxed);
    match now {
        Health::Unknown => unknown(),
        Health::Serving => message(vec![8, 1]),
        Health::NotServing => message(vec![8, 2]),
        Health::Silent => std::future::pending().await,
    }
}

fn accepted(grpc: bool, encoding: Encoding, partial: &PartialSuccess) -> Response<Body> {
    let message = partial.encode_response(Signal::Traces, encoding);
    if !grpc {
        let mut response = Response::new(Either::Left(Full::from(message)));
        response
            .headers_mut()
            .insert("content-type", HeaderValue::from_static(encoding.media_type()));
        return response;
    }
    self::message(message)
}

/// A message over gRPC, and that all is well.
fn message(message: Vec<u8>) -> Response<Body> {
    let mut framed = vec![0];
    framed.extend(u32::try_from(message.len()).unwrap().to_be_bytes());
    framed.extend(message);
    let mut trailers = HeaderMap::new();
    RpcStatus::new(Code::Ok, "").write_trailers(&mut trailers);
    let frames = vec![Ok(Frame::data(framed.into())), Ok(Frame::trailers(trailers))];
    let mut response = Response::new(Either::Right(StreamBody::new(futures::stream::iter(frames))));
    response
        .headers_mut()
        .insert("content-type", HeaderValue::from_static("application/grpc"));
    response
}

fn refused(grpc: bool, encoding: Encoding, status: &RpcStatus) -> Response<Body> {
    let body = match (grpc, encoding) {
        (true, _) => Vec::new(),
        (_, Encoding::Json) => status.encode_json().into_bytes(),
        _ => status.encode_protobuf(),
    };
    let mut response = Response::new(Either::Left(Full::from(body)));
    let media = if grpc {
        "application/grpc"
    } else {
        encoding.media_type()
    };
    let headers = response.headers_mut();
    headers.insert("content-type", HeaderValue::from_static(media));
    if grpc {
        status.write_trailers(headers);
        return response;
    }
    if let Some(delay) = status.retry_delay {
        headers.insert("retry-after", HeaderValue::from(delay.as_secs()));
    }
    *response.status_mut() = status.http_status().try_into().unwrap();
    response
}

/// A status with a `RetryInfo`.
pub(crate) fn throttle(code: Code, delay: Duration) -> RpcStatus {
    RpcStatus::new(code, "busy").with_retry_delay(delay)
}
