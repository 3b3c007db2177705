//! One HTTP connection that is kept between two checks.

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::sync::Arc;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::client::conn;
use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use hyper::http::uri::Authority;
#[cfg(feature = "http")]
use hyper::http::uri::PathAndQuery;
use hyper::rt::Executor;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::JoinSet;

use evenkeel_io_core::Target;

/// The most that a peer may make us hold of the head of an answer.
const MAX_HEAD: u32 = 32 * 1024;

/// What went wrong in the protocol, its causes included.
#[derive(Debug)]
pub struct ProtocolError(Box<dyn Error + Send + Sync>);

impl fmt::Display for ProtocolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

// Its text has the causes already.
impl Error for ProtocolError {}

impl From<hyper::Error> for ProtocolError {
    fn from(error: hyper::Error) -> Self {
        Self(Box::new(error))
    }
}

/// A connection and the tasks that drive it, which end with it.
pub(super) struct Wire<S> {
    pub(super) sender: S,
    tasks: Tasks,
}

impl<S> fmt::Debug for Wire<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wire").finish_non_exhaustive()
    }
}

impl<S> Wire<S> {
    /// Runs `task` until it ends or the wire is dropped.
    pub(super) fn spawn(&self, task: impl Future<Output: Send> + Send + 'static) {
        self.tasks.0.execute(task);
    }
}

#[cfg(feature = "http")]
pub(super) type Http1 = conn::http1::SendRequest<Full<Bytes>>;
pub(super) type Http2 = conn::http2::SendRequest<Full<Bytes>>;

#[cfg(feature = "http")]
impl Wire<Http1> {
    pub(super) async fn http1(
        io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    ) -> Result<Self, ProtocolError> {
        let mut builder = conn::http1::Builder::new();
        builder.max_buf_size(MAX_HEAD as usize);
        let (sender, connection) = builder.handshake(TokioIo::new(io)).await?;
        let wire = Self {
            sender,
            tasks: Tasks::default(),
        };
        wire.spawn(connection);
        Ok(wire)
    }

    pub(super) async fn send(
        &mut self,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<Incoming>, ProtocolError> {
        self.sender.ready().await?;
        Ok(self.sender.send_request(request).await?)
    }
}

impl Wire<Http2> {
    pub(super) async fn http2(
        io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    ) -> Result<Self, ProtocolError> {
        let tasks = Tasks::default();
        let mut builder = conn::http2::Builder::new(tasks.0.clone());
        builder.max_header_list_size(MAX_HEAD);
        let (sender, connection) = builder.handshake(TokioIo::new(io)).await?;
        let wire = Self { sender, tasks };
        wire.spawn(connection);
        Ok(wire)
    }

    pub(super) async fn send(
        &mut self,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<Incoming>, ProtocolError> {
        self.sender.ready().await?;
        Ok(self.sender.send_request(request).await?)
    }
}

/// Owns the tasks of one wire.
#[derive(Default)]
struct Tasks(Spawner);

impl Drop for Tasks {
    fn drop(&mut self) {
        // A task under way may still ask for another one: it gets none.
        drop(self.0.0.lock().take());
    }
}

/// Where hyper starts the tasks of one wire.
#[derive(Clone)]
struct Spawner(Arc<Mutex<Option<JoinSet<()>>>>);

impl Default for Spawner {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Some(JoinSet::new()))))
    }
}

impl<F> Executor<F> for Spawner
where
    F: Future + Send + 'static,
{
    fn execute(&self, task: F) {
        if let Some(tasks) = &mut *self.0.lock() {
            // Those that have ended are let go, or they would add up.
            while tasks.try_join_next().is_some() {}
            tasks.spawn(async {
                task.await;
            });
        }
    }
}

/// The name under which a server is asked for: `authority`, or the target's own.
pub(super) fn authority_of(target: &Target, authority: Option<&str>) -> String {
    match (authority, target.host_name(), target.port()) {
        (Some(authority), _, _) => authority.to_owned(),
        (None, Some(name), Some(port)) => format!("{name}:{port}"),
        // There is no name in a path.
        _ if target.as_unix().is_some() => "localhost".to_owned(),
        _ => target.to_string(),
    }
}

/// Whether `text` can be sent as an authority: a host with or without a port, and no user.
pub(super) fn is_authority(text: &str) -> bool {
    !text.contains('@') && text.parse::<Authority>().is_ok()
}

/// Whether `text` can be sent as a path.
#[cfg(feature = "http")]
pub(super) fn is_path(text: &str) -> bool {
    text.starts_with('/') && !text.contains('#') && text.parse::<PathAndQuery>().is_ok()
}

/// Headers that are the connection's business, or have a field of their own.
const RESERVED: [&str; 9] = [
    "connection",
    "content-length",
    "content-type",
    "host",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// The headers of every request; the first pair that can not be sent otherwise.
pub(super) fn headers_of<'a>(
    pairs: impl IntoIterator<Item = (&'a String, &'a String)>,
) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::new();
    let agent = concat!("evenkeel-health/", env!("CARGO_PKG_VERSION"));
    headers.insert(hyper::header::USER_AGENT, HeaderValue::from_static(agent));
    for (name, value) in pairs {
        let bad = || format!("{name:?}");
        let name: HeaderName = name.parse().map_err(|_| bad())?;
        let value = value.parse().map_err(|_| bad())?;
        if RESERVED.contains(&name.as_str()) {
            return Err(bad());
        }
        headers.insert(name, value);
    }
    Ok(headers)
}
