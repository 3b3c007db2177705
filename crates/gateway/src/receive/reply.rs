//! [`Reply`]: the body of an answer, and [`Counted`]: until when it counts as under way.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures::Stream;
use http_body::{Body, Frame, SizeHint};
use hyper::HeaderMap;

use super::connections::Busy;

/// The body of an answer: usually one piece, and for gRPC the trailers after it.
pub(crate) enum Reply {
    /// Nothing.
    Empty,
    /// One piece.
    Whole(Bytes),
    /// One piece and trailers; each goes as it is taken.
    Grpc(Option<Bytes>, Option<HeaderMap>),
    /// Pieces as they come, then trailers.
    Stream(Pin<Box<dyn Stream<Item = Bytes> + Send>>, Option<HeaderMap>),
}

impl Body for Reply {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let frame = match &mut *self {
            Self::Empty => None,
            Self::Whole(data) => {
                let data = std::mem::take(data);
                *self = Self::Empty;
                Some(Frame::data(data))
            }
            Self::Grpc(data, trailers) => match data.take() {
                Some(data) => Some(Frame::data(data)),
                None => trailers.take().map(Frame::trailers),
            },
            Self::Stream(pieces, trailers) => match std::task::ready!(pieces.as_mut().poll_next(cx)) {
                Some(piece) => Some(Frame::data(piece)),
                None => trailers.take().map(Frame::trailers),
            },
        };
        Poll::Ready(frame.map(Ok))
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Whole(_) | Self::Stream(..) => false,
            Self::Grpc(data, trailers) => data.is_none() && trailers.is_none(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty => SizeHint::with_exact(0),
            Self::Whole(data) => SizeHint::with_exact(data.len() as u64),
            Self::Grpc(..) | Self::Stream(..) => SizeHint::default(),
        }
    }
}

impl std::fmt::Debug for Reply {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Empty => "Empty",
            Self::Whole(_) => "Whole",
            Self::Grpc(..) => "Grpc",
            Self::Stream(..) => "Stream",
        })
    }
}

/// A body whose request is under way until it is handed on: an answer that the sender has not got yet is not done,
/// and a stream goes on as long as it does.
pub(super) struct Counted<B> {
    pub(super) body: B,
    /// The answer to a HEAD, whose body stays here. Over HTTP/2 nobody else sees to that, and clients take one amiss.
    pub(super) head_only: bool,
    pub(super) _busy: Busy,
}

impl<B: Body + Unpin> Body for Counted<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        if self.head_only {
            return Poll::Ready(None);
        }
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.head_only || self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
