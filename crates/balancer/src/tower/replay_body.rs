//! [`ReplayBody`]: a request's body that can be sent again.

use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use parking_lot::Mutex;
use thiserror::Error;

use super::error::BoxError;

/// What is still to come of a body that was not kept whole.
pub(super) type Rest = Pin<Box<dyn Body<Data = Bytes, Error = BoxError> + Send>>;

/// The body of one attempt: what was kept of the request's body, and then, if that is not all of it,
/// the rest, which only one attempt can have.
pub struct ReplayBody {
    kept: VecDeque<Piece>,
    rest: Tail,
}

#[derive(Clone, Debug)]
pub(super) enum Piece {
    Data(Bytes),
    Trailers(HeaderMap),
}

/// What follows the pieces that were kept.
enum Tail {
    Nothing,
    /// The first attempt to get there takes it.
    Waiting(Slot),
    Taken(Rest),
}

/// Where the rest is until an attempt needs it.
#[derive(Clone)]
pub(super) struct Slot {
    rest: Arc<Mutex<Option<Rest>>>,
    size: SizeHint,
}

/// A second attempt needed what the first had sent already.
#[derive(Debug, Error)]
#[error("the request's body was sent already, and was too long to be kept")]
struct Spent;

impl Slot {
    pub(super) fn new(rest: Rest) -> Self {
        Self {
            size: rest.size_hint(),
            rest: Arc::new(Mutex::new(Some(rest))),
        }
    }

    pub(super) fn is_taken(&self) -> bool {
        self.rest.lock().is_none()
    }
}

impl ReplayBody {
    pub(super) fn new(kept: &[Piece], rest: Option<&Slot>) -> Self {
        Self {
            kept: kept.iter().cloned().collect(),
            rest: rest.cloned().map_or(Tail::Nothing, Tail::Waiting),
        }
    }

    /// A piece, and what follows it.
    pub(super) fn before(piece: Piece, rest: Rest) -> Self {
        Self {
            kept: VecDeque::from([piece]),
            rest: Tail::Taken(rest),
        }
    }
}

impl Body for ReplayBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if let Some(piece) = self.kept.pop_front() {
            return Poll::Ready(Some(Ok(match piece {
                Piece::Data(data) => Frame::data(data),
                Piece::Trailers(trailers) => Frame::trailers(trailers),
            })));
        }
        if let Tail::Waiting(slot) = &self.rest {
            let rest = slot.rest.lock().take();
            match rest {
                Some(rest) => self.rest = Tail::Taken(rest),
                None => {
                    self.rest = Tail::Nothing;
                    return Poll::Ready(Some(Err(Spent.into())));
                }
            }
        }
        match &mut self.rest {
            Tail::Taken(rest) => rest.as_mut().poll_frame(context),
            _ => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.kept.is_empty()
            && match &self.rest {
                Tail::Nothing => true,
                Tail::Waiting(_) => false,
                Tail::Taken(rest) => rest.is_end_stream(),
            }
    }

    fn size_hint(&self) -> SizeHint {
        let kept: u64 = self.kept.iter().map(|piece| piece.len() as u64).sum();
        let rest = match &self.rest {
            Tail::Nothing => SizeHint::with_exact(0),
            Tail::Waiting(slot) => slot.size,
            Tail::Taken(rest) => rest.size_hint(),
        };
        let mut size = SizeHint::new();
        size.set_lower(kept.saturating_add(rest.lower()));
        if let Some(upper) = rest.upper().and_then(|upper| upper.checked_add(kept)) {
            size.set_upper(upper);
        }
        size
    }
}

impl Piece {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Data(data) => data.len(),
            Self::Trailers(_) => 0,
        }
    }
}

impl fmt::Debug for ReplayBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReplayBody")
            .field("kept", &self.kept.len())
            .field("whole", &matches!(self.rest, Tail::Nothing))
            .finish_non_exhaustive()
    }
}
