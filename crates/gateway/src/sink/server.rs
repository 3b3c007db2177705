//! [`Sink`]: the collector, and its connections.

use std::convert::Infallible;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::arrivals::Arrivals;
use super::body::Reply;
use super::{Behaviour, Counting, Report, control, otlp};
use crate::ledger::{Run, SenderId};

/// Streams at once on a connection: more than any test has in flight.
const MAX_STREAMS: u32 = 4096;

/// Windows as a collector has them that is not to be waited for: a hundred batches of a usual size.
const STREAM_WINDOW: u32 = 4 << 20;
const CONNECTION_WINDOW: u32 = 16 << 20;

/// A collector for tests. Clones are the same.
#[derive(Clone, Debug)]
pub(crate) struct Sink {
    pub(super) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(super) struct Inner {
    pub(super) behaviour: watch::Sender<Behaviour>,
    pub(super) counting: Counting,
    pub(super) arrivals: Arrivals,
    pub(super) requests: AtomicU64,
    pub(super) accepted: AtomicU64,
    pub(super) refused: AtomicU64,
    pub(super) in_flight: AtomicU64,
    pub(super) bytes: AtomicU64,
}

impl Sink {
    pub(crate) fn new(behaviour: Behaviour, counting: Counting) -> Self {
        Self::with_arrivals(behaviour, counting, Arrivals::default())
    }

    fn with_arrivals(behaviour: Behaviour, counting: Counting, arrivals: Arrivals) -> Self {
        let inner = Inner {
            behaviour: watch::Sender::new(behaviour),
            counting,
            arrivals,
            requests: AtomicU64::new(0),
            accepted: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            in_flight: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
        };
        Self { inner: inner.into() }
    }

    /// The same with an account that lies in a file, and survives this process.
    pub(crate) fn with_ledger(&self, path: &Path) -> io::Result<Self> {
        let arrivals = Arrivals::with_file(path)?;
        Ok(Self::with_arrivals(
            self.behaviour(),
            self.inner.counting,
            arrivals,
        ))
    }

    /// That keeps no account, but what arrives until it is [taken](Self::take).
    pub(crate) fn with_journal() -> Self {
        let arrivals = Arrivals::with_journal();
        Self::with_arrivals(Behaviour::default(), Counting::Ids, arrivals)
    }

    /// The spans that arrived since they were taken last.
    pub(crate) fn take(&self) -> Vec<(SenderId, Run)> {
        self.inner.arrivals.take()
    }

    pub(crate) fn behaviour(&self) -> Behaviour {
        *self.inner.behaviour.borrow()
    }

    /// Behaves like this from now on; what hangs goes on by it.
    pub(crate) fn behave(&self, behaviour: Behaviour) {
        self.inner.behaviour.send_replace(behaviour);
    }

    /// What arrived, and with `with_runs` the numbers of the spans too.
    pub(crate) fn report(&self, with_runs: bool) -> Report {
        let inner = &*self.inner;
        let (senders, uncounted) = inner.arrivals.senders(with_runs);
        let read = |count: &AtomicU64| count.load(Relaxed);
        // The ends before the beginnings: none has ended that is not counted as begun.
        let (accepted, refused, in_flight) = (
            read(&inner.accepted),
            read(&inner.refused),
            read(&inner.in_flight),
        );
        let requests = read(&inner.requests);
        Report {
            requests,
            accepted,
            refused,
            in_flight,
            given_up: requests.saturating_sub(accepted + refused + in_flight),
            bytes: read(&inner.bytes),
            items: inner.arrivals.items(),
            uncounted,
            senders,
        }
    }

    /// Serves for ever, or until it is dropped, and with it every connection.
    pub(crate) async fn serve(self, listener: TcpListener) {
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                accepted = listener.accept() => match accepted {
                    Ok((stream, _)) => drop(connections.spawn(connection(self.clone(), stream))),
                    // Out of descriptors: some will be closed soon.
                    Err(_) => tokio::time::sleep(Duration::from_millis(1)).await,
                },
                Some(_) = connections.join_next() => {}
            }
        }
    }
}

async fn connection(sink: Sink, stream: TcpStream) {
    // Without it answers are late; no more is lost.
    let _ = stream.set_nodelay(true);
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new());
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW);
    let service = service_fn(move |request| respond(sink.clone(), request));
    // How a connection ends is its client's to tell.
    let _ = builder.serve_connection(TokioIo::new(stream), service).await;
}

async fn respond(sink: Sink, request: Request<Incoming>) -> Result<Response<Reply>, Infallible> {
    Ok(match control::answer(&sink, request).await {
        Ok(response) => response,
        Err(request) => otlp::answer(&sink, request).await,
    })
}
