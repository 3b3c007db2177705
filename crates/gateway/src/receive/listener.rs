//! One port: accepting, and serving HTTP/1.1 and HTTP/2 on each connection.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use http_body::Body;
use hyper::body::Incoming;
use hyper::rt::{Read, Write};
use hyper::service::service_fn;
use hyper::{Method, Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;
use tracing::{debug, info, warn};

use super::connections::{Connection, Connections, Order, Seat, TICK};
use super::reply::Counted;
use crate::config::ReceiverConfig;
use crate::telemetry::Telemetry;

/// After an error that is not a connection's own, such as no descriptors left, accepting rests so long: the
/// error would be there again at once.
const REST: Duration = Duration::from_millis(100);

/// The same when a connection was ended to make room, which takes a moment.
const MOMENT: Duration = Duration::from_millis(2);

/// Such errors are one and the same trouble if no more than this is between them: while descriptors are few, some
/// connections are accepted and some are not.
const TROUBLE: Duration = Duration::from_secs(60);

/// What answers the requests of a port.
pub(crate) trait Answer: Send + Sync + 'static {
    type Body: Body<Data = bytes::Bytes, Error: Into<Box<dyn std::error::Error + Send + Sync>>>
        + Send
        + Unpin
        + 'static;

    fn answer(
        self: Arc<Self>,
        request: Request<Incoming>,
    ) -> impl Future<Output = Response<Self::Body>> + Send;
}

/// Where connections come from.
pub(crate) trait Accept: Send {
    fn accept(&mut self) -> impl Future<Output = io::Result<TcpStream>> + Send;
}

impl Accept for TcpListener {
    async fn accept(&mut self) -> io::Result<TcpStream> {
        Self::accept(self).await.map(|(stream, _)| stream)
    }
}

/// Binds a port for [`accept`].
pub(crate) fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let listener = std::net::TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    TcpListener::from_std(listener)
}

/// Accepts until it is dropped.
pub(crate) async fn accept<A: Answer>(
    mut listener: impl Accept,
    connections: Arc<Connections>,
    builder: auto::Builder<TokioExecutor>,
    answer: Arc<A>,
    telemetry: Arc<Telemetry>,
) {
    let mut trouble: Option<Instant> = None;
    loop {
        let stream = match listener.accept().await {
            Ok(stream) => {
                if trouble.take_if(|last| last.elapsed() > TROUBLE).is_some() {
                    info!("connections are accepted again");
                }
                stream
            }
            Err(error) if is_of_one_connection(&error) => continue,
            Err(error) => {
                let now = Instant::now();
                let before = trouble.replace(now);
                if before.is_none_or(|before| now.duration_since(before) > TROUBLE) {
                    warn!(%error, "no connection can be accepted; those that are idle make room");
                }
                // Out of descriptors, mostly.
                let rest = if connections.make_room() { MOMENT } else { REST };
                tokio::time::sleep(rest).await;
                continue;
            }
        };
        let Some(seat) = connections.open() else {
            telemetry.refused_connections.increment();
            continue;
        };
        tokio::spawn(serve(stream, seat, builder.clone(), Arc::clone(&answer)));
    }
}

fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset
    )
}

async fn serve<A: Answer>(
    stream: TcpStream,
    seat: Seat,
    builder: auto::Builder<TokioExecutor>,
    answer: Arc<A>,
) {
    // Answers are small and waited for.
    if stream.set_nodelay(true).is_err() {
        return;
    }
    serve_io(TokioIo::new(stream), seat.connection(), &builder, answer).await;
}

pub(super) async fn serve_io<A: Answer>(
    io: impl Read + Write + Unpin + Send + 'static,
    connection: &Arc<Connection>,
    builder: &auto::Builder<TokioExecutor>,
    answer: Arc<A>,
) {
    let service = service_fn(|request| {
        let busy = connection.begin();
        let answer = Arc::clone(&answer);
        let head_only = request.method() == Method::HEAD;
        async move {
            let response = answer.answer(request).await;
            Ok::<_, std::convert::Infallible>(response.map(|body| Counted {
                body,
                head_only,
                _busy: busy,
            }))
        }
    });
    let mut serving = pin!(builder.serve_connection(io, service));
    let mut told = Order::Serve;
    let ended = std::future::poll_fn(|cx| {
        let order = connection.order(cx.waker());
        if order != told {
            told = order;
            match order {
                Order::Serve => {}
                Order::Finish => serving.as_mut().graceful_shutdown(),
                Order::Abort => return Poll::Ready(Ok(())),
            }
        }
        serving.as_mut().poll(cx)
    });
    if let Err(error) = ended.await {
        // The peer's doing, and not worth more than that: it may do so a thousand times a second.
        debug!(error, "a connection ended");
    }
}

/// How connections are served.
pub(crate) fn builder(config: &ReceiverConfig) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        // It runs from the answer before on, not from the first byte: shorter, it would end connections that rest.
        // The first head is the sweep's business.
        .header_read_timeout(config.idle_timeout.max(config.header_timeout))
        .max_buf_size(config.max_header_size.0.max(MIN_BUFFER))
        .max_headers(MAX_HEADERS)
        .auto_date_header(false)
        .pipeline_flush(false);
    builder
        .http2()
        .timer(TokioTimer::new())
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_frame_size(FRAME)
        .max_concurrent_streams(config.max_streams)
        .max_header_list_size(u32::try_from(config.max_header_size.0).unwrap_or(u32::MAX))
        .keep_alive_interval(KEEP_ALIVE)
        .auto_date_header(false);
    builder
}

/// hyper's own minimum for HTTP/1.1.
const MIN_BUFFER: usize = 8192;
/// Headers of one request; an SDK sends some ten.
const MAX_HEADERS: usize = 100;
/// How much of one request may come before it is read: a batch of 1000 spans. Requests are read as they come,
/// so this bounds what a burst costs and not the size of a request.
const STREAM_WINDOW: u32 = 1 << 20;
/// The same for all requests of a connection.
const CONNECTION_WINDOW: u32 = 4 << 20;
/// A batch of 100 spans is 27 KB: in one frame it is handed on without a copy.
const FRAME: u32 = 256 << 10;
/// A peer that is gone without a word is found out within a minute.
const KEEP_ALIVE: Duration = Duration::from_secs(40);

/// Looks after idle connections until it is dropped.
pub(crate) async fn sweep(connections: Arc<Connections>, idle: Duration, unused: Duration) {
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        connections.sweep(idle, unused);
    }
}

#[cfg(test)]
mod tests;
