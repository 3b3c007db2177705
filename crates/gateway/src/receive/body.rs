//! Reading a request's body: whole, bounded, and within a time.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body::Body;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::time::{Instant, timeout_at};

use crate::admission::Full;

/// Why there is no body.
#[derive(Debug)]
pub(super) enum BodyError {
    /// Longer than a request may be.
    TooLong { limit: usize },
    /// There is no room for it now.
    Full(Full),
    /// It came too slowly.
    TimedOut { after: Duration },
    /// The connection broke, or what came was no HTTP.
    Broken(hyper::Error),
}

/// How long a body may be, and how long it may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub(super) limit: usize,
    pub(super) timeout: Duration,
}

impl Bounds {
    /// When the next piece has to be there, if so many bytes have come since `start`: after `timeout` of silence, or
    /// when on the whole it was slower than [`SLOWEST`], with `timeout` to spare.
    fn deadline(self, start: Instant, come: usize) -> Instant {
        let earned = Duration::from_millis(come as u64 * 1000 / SLOWEST);
        (start + earned + self.timeout).min(Instant::now() + self.timeout)
    }
}

/// Bytes a second that have to come: a body of 64 MiB may take a quarter of an hour by a poor line, and who sends a
/// byte now and then earns nothing.
const SLOWEST: u64 = 64 << 10;

/// So much room is made for what is only announced.
const TRUSTED: usize = 1 << 20;

/// A first piece that is shorter is copied if there is more to come.
const SMALL: usize = 4 << 10;

/// How long a body is read on for that nobody wants.
const DISCARD: Duration = Duration::from_secs(2);

/// Reads on, and keeps nothing, for 2 s and `limit` bytes at most: a client over HTTP/1.x that is still writing when
/// the connection closes sees a reset in place of the answer.
pub(super) async fn discard(body: &mut Incoming, limit: usize) {
    let deadline = Instant::now() + DISCARD;
    let mut left = limit;
    while !body.is_end_stream() {
        let Ok(Some(Ok(frame))) = timeout_at(deadline, body.frame()).await else {
            return;
        };
        let length = frame.data_ref().map_or(0, Bytes::len);
        let Some(rest) = left.checked_sub(length) else {
            return;
        };
        left = rest;
    }
}

/// The whole body. One that comes in one piece is handed on as it is; of several, one copy is made, into room
/// that `announced` (what the first piece says) makes large enough at once. `hold` is told of every byte that is
/// kept, before it is.
pub(super) async fn collect(
    body: &mut Incoming,
    bounds: Bounds,
    mut hold: impl FnMut(usize) -> Result<(), Full>,
    announced: impl FnOnce(&[u8]) -> Option<usize>,
) -> Result<Bytes, BodyError> {
    let said = body.size_hint().lower();
    if said > bounds.limit as u64 {
        return Err(BodyError::TooLong { limit: bounds.limit });
    }
    let start = Instant::now();

    let Some(first) = next(body, start + bounds.timeout, bounds).await? else {
        return Ok(Bytes::new());
    };
    let expected = announced(&first).unwrap_or(0);
    if first.len().max(expected) > bounds.limit {
        return Err(BodyError::TooLong { limit: bounds.limit });
    }
    hold(first.len()).map_err(BodyError::Full)?;
    if body.is_end_stream() {
        return Ok(first);
    }
    // A slice of what the connection read at once, which may be much more: not kept while its rest is waited for.
    let first = if first.len() < SMALL {
        Bytes::copy_from_slice(&first)
    } else {
        first
    };
    let Some(second) = next(body, bounds.deadline(start, first.len()), bounds).await? else {
        return Ok(first);
    };

    // Only what has come is held: who announces much and sends little must not keep others out.
    let length = first.len() + second.len();
    if length > bounds.limit {
        return Err(BodyError::TooLong { limit: bounds.limit });
    }
    hold(length).map_err(BodyError::Full)?;
    let said = usize::try_from(said).unwrap_or(0);
    let mut whole = BytesMut::with_capacity(expected.max(said).min(TRUSTED).max(length));
    whole.extend_from_slice(&first);
    whole.extend_from_slice(&second);
    drop((first, second));
    while !body.is_end_stream() {
        let Some(piece) = next(body, bounds.deadline(start, whole.len()), bounds).await? else {
            break;
        };
        let length = whole.len() + piece.len();
        if length > bounds.limit {
            return Err(BodyError::TooLong { limit: bounds.limit });
        }
        hold(length).map_err(BodyError::Full)?;
        whole.extend_from_slice(&piece);
    }
    Ok(whole.freeze())
}

/// The next piece; `None` at the end.
async fn next(body: &mut Incoming, deadline: Instant, bounds: Bounds) -> Result<Option<Bytes>, BodyError> {
    loop {
        let frame = timeout_at(deadline, body.frame())
            .await
            .map_err(|_| BodyError::TimedOut {
                after: bounds.timeout,
            })?;
        match frame {
            None => return Ok(None),
            Some(Err(error)) => return Err(BodyError::Broken(error)),
            Some(Ok(frame)) => match frame.into_data() {
                Ok(data) if data.is_empty() => {}
                Ok(data) => return Ok(Some(data)),
                // Trailers, which nothing here reads.
                Err(_) => {}
            },
        }
    }
}
