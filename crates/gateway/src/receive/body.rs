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
    /// It did not end in time.
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

/// So much room is made for what is only announced.
const TRUSTED: usize = 1 << 20;

/// The whole body. One that comes in one piece is handed on as it is; of several, one copy is made, into room
/// that `announced` (what the first piece says) makes large enough at once. `hold` is told of every byte that is
/// kept, before it is.
pub(super) async fn collect(
    mut body: Incoming,
    bounds: Bounds,
    mut hold: impl FnMut(usize) -> Result<(), Full>,
    announced: impl FnOnce(&[u8]) -> Option<usize>,
) -> Result<Bytes, BodyError> {
    let said = body.size_hint().lower();
    if said > bounds.limit as u64 {
        return Err(BodyError::TooLong { limit: bounds.limit });
    }
    let deadline = Instant::now() + bounds.timeout;

    let Some(first) = next(&mut body, deadline, bounds).await? else {
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
    let Some(second) = next(&mut body, deadline, bounds).await? else {
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
        let Some(piece) = next(&mut body, deadline, bounds).await? else {
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
