//! A server that does what a test says.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

use http::{HeaderMap, Request, Response};
use http_body_util::channel::Channel;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Empty, Full, StreamBody};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use parking_lot::Mutex;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

type Body = UnsyncBoxBody<Bytes, Infallible>;

/// What a server does with a request, whose body it has read.
#[derive(Clone)]
pub(super) enum Does {
    /// Answers 200 with this text.
    Says(&'static str),
    /// Answers with this status of HTTP.
    Status(u16),
    /// Answers 200 with what comes through the channel.
    Streams(Arc<Mutex<Option<Channel<Bytes>>>>),
    /// Never answers.
    Hangs,
    /// Answers a gRPC call with `SERVING`, and this status in the trailers.
    Trailers(&'static str),
    /// Answers a gRPC call with this status at once.
    Refuses(&'static str),
}

/// A server; it ends with its handle, and so do its connections.
pub(super) struct Server {
    pub(super) address: SocketAddr,
    seen: Arc<Mutex<Vec<Bytes>>>,
    task: JoinHandle<()>,
}

impl Server {
    pub(super) async fn that(does: Does) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::<Mutex<Vec<Bytes>>>::default();
        let task = tokio::spawn(serve(listener, does, seen.clone()));
        Self { address, seen, task }
    }

    /// The bodies of the requests it has read.
    pub(super) fn seen(&self) -> Vec<Bytes> {
        self.seen.lock().clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(listener: TcpListener, does: Does, seen: Arc<Mutex<Vec<Bytes>>>) {
    let mut connections = tokio::task::JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let (does, seen) = (does.clone(), seen.clone());
        connections.spawn(async move {
            let answer = service_fn(|request| answer(request, does.clone(), seen.clone()));
            let server = auto::Builder::new(TokioExecutor::new());
            // Its errors are the client's to see.
            drop(server.serve_connection(TokioIo::new(stream), answer).await);
        });
    }
}

async fn answer(
    request: Request<Incoming>,
    does: Does,
    seen: Arc<Mutex<Vec<Bytes>>>,
) -> Result<Response<Body>, std::io::Error> {
    let body = request
        .into_body()
        .collect()
        .await
        .map_err(std::io::Error::other)?;
    seen.lock().push(body.to_bytes());
    let grpc = || Response::builder().header("content-type", "application/grpc");
    let empty = || Empty::new().boxed_unsync();
    Ok(match does {
        Does::Says(text) => Response::new(Full::from(text).boxed_unsync()),
        Does::Status(status) => Response::builder().status(status).body(empty()).unwrap(),
        Does::Streams(channel) => match channel.lock().take() {
            Some(channel) => Response::new(channel.boxed_unsync()),
            None => Response::new(empty()),
        },
        Does::Hangs => std::future::pending().await,
        Does::Trailers(code) => {
            // One message of two bytes: HealthCheckResponse { status: SERVING }.
            let message = Bytes::from_static(&[0, 0, 0, 0, 2, 8, 1]);
            let mut trailers = HeaderMap::new();
            trailers.insert("grpc-status", code.parse().unwrap());
            let frames = [Ok(Frame::data(message)), Ok(Frame::trailers(trailers))];
            let body = StreamBody::new(futures::stream::iter(frames));
            grpc().body(body.boxed_unsync()).unwrap()
        }
        Does::Refuses(code) => grpc().header("grpc-status", code).body(empty()).unwrap(),
    })
}
