//! An HTTP server that does what a test says, and ends with all its connections when dropped.

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use evenkeel_health::HttpVersion;
use hyper::body::{Body, Bytes, Frame, Incoming};
use hyper::header::{HeaderMap, HeaderValue};
use hyper::rt::{Read, Write};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, JoinSet};

/// A body that is written as the test goes on; it ends when the sender is dropped.
pub(super) struct Script(mpsc::UnboundedReceiver<Frame<Bytes>>);

pub(super) type Pen = mpsc::UnboundedSender<Frame<Bytes>>;

impl Script {
    pub(super) fn new() -> (Pen, Self) {
        let (pen, script) = mpsc::unbounded_channel();
        (pen, Self(script))
    }

    pub(super) fn of(frames: impl IntoIterator<Item = Frame<Bytes>>) -> Self {
        let (pen, script) = Self::new();
        for frame in frames {
            pen.send(frame).unwrap();
        }
        script
    }

    pub(super) fn text(text: &'static str) -> Self {
        Self::of([Frame::data(text.into())])
    }
}

impl Body for Script {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(cx).map(|frame| frame.map(Ok))
    }
}

pub(super) struct Server {
    pub(super) addr: SocketAddr,
    accepted: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    pub(super) async fn start<H, Answer>(version: HttpVersion, handler: H) -> Self
    where
        H: Fn(Request<Incoming>) -> Answer + Clone + Send + Sync + 'static,
        Answer: Future<Output = Response<Script>> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self::on(listener, version, handler)
    }

    pub(super) fn on<H, Answer>(listener: TcpListener, version: HttpVersion, handler: H) -> Self
    where
        H: Fn(Request<Incoming>) -> Answer + Clone + Send + Sync + 'static,
        Answer: Future<Output = Response<Script>> + Send + 'static,
    {
        let addr = listener.local_addr().unwrap();
        let accepted = Arc::new(AtomicUsize::new(0));
        let count = accepted.clone();
        let task = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::SeqCst);
                connections.spawn(serve(TokioIo::new(stream), version, handler.clone()));
            }
        });
        Self { addr, accepted, task }
    }

    /// How many connections were made to it.
    pub(super) fn accepted(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }

    /// Ends it, and waits until its port is free.
    pub(super) async fn stop(mut self) -> SocketAddr {
        self.task.abort();
        let _ = (&mut self.task).await;
        self.addr
    }
}

/// Serves one connection, however it ends.
pub(super) async fn serve<I, H, Answer>(io: I, version: HttpVersion, handler: H)
where
    I: Read + Write + Unpin + Send + 'static,
    H: Fn(Request<Incoming>) -> Answer + Send + Sync + 'static,
    Answer: Future<Output = Response<Script>> + Send + 'static,
{
    let service = service_fn(move |request| {
        let answer = handler(request);
        async move { Ok::<_, Infallible>(answer.await) }
    });
    if version == HttpVersion::Http2 {
        let builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
        let _ = builder.serve_connection(io, service).await;
    } else {
        let builder = hyper::server::conn::http1::Builder::new();
        let _ = builder.serve_connection(io, service).await;
    }
}

/// A gRPC answer: messages with these statuses, then this code.
pub(super) fn grpc(statuses: &[u8], code: &'static str) -> Response<Script> {
    let messages = statuses.iter().map(|&status| message(status));
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static(code));
    grpc_stream(Script::of(messages.chain([Frame::trailers(trailers)])))
}

pub(super) fn grpc_stream(script: Script) -> Response<Script> {
    let response = Response::builder().header("content-type", "application/grpc");
    response.body(script).unwrap()
}

/// A gRPC error, which has no body.
pub(super) fn grpc_error(code: &'static str) -> Response<Script> {
    let response = Response::builder()
        .header("content-type", "application/grpc")
        .header("grpc-status", code);
    response.body(Script::of([])).unwrap()
}

pub(super) fn message(status: u8) -> Frame<Bytes> {
    Frame::data(Bytes::copy_from_slice(&[0, 0, 0, 0, 2, 8, status]))
}
