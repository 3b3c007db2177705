//! Bodies: read from a request, and written as an answer.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;

/// The largest request that is taken: what the OTLP specification recommends, and the prefix of gRPC.
pub(super) const MAX_REQUEST: usize = (64 << 20) + 5;

/// Why a request could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(super) enum ReadError {
    /// It is too large.
    #[error("a request of more than {MAX_REQUEST} bytes")]
    TooLarge,
    /// The connection, or the sender, gave up.
    #[error(transparent)]
    Hyper(#[from] hyper::Error),
}

/// Reads all of a request; without `keep` its bytes are only counted.
pub(super) async fn read(mut body: Incoming, keep: bool) -> Result<(Bytes, usize), ReadError> {
    let (mut first, mut rest, mut len) = (Bytes::new(), BytesMut::new(), 0);
    let expected = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame?.into_data() else { continue };
        len += data.len();
        if len > MAX_REQUEST {
            return Err(ReadError::TooLarge);
        }
        if !keep {
            continue;
        }
        if first.is_empty() && rest.is_empty() {
            first = data;
            continue;
        }
        if rest.is_empty() {
            // What is announced is reserved at once, up to a size that a liar may have.
            rest.reserve(expected.clamp(first.len() + data.len(), 1 << 20));
            rest.extend_from_slice(&std::mem::take(&mut first));
        }
        rest.extend_from_slice(&data);
    }
    Ok((if rest.is_empty() { first } else { rest.freeze() }, len))
}

/// An answer: one piece, and for gRPC the trailers after it.
#[derive(Debug, Default)]
pub(super) struct Reply {
    data: Bytes,
    trailers: Option<HeaderMap>,
}

impl Reply {
    pub(super) const fn new(data: Bytes) -> Self {
        Self { data, trailers: None }
    }

    pub(super) const fn with_trailers(data: Bytes, trailers: HeaderMap) -> Self {
        let trailers = Some(trailers);
        Self { data, trailers }
    }
}

impl Body for Reply {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if !self.data.is_empty() {
            return Poll::Ready(Some(Ok(Frame::data(std::mem::take(&mut self.data)))));
        }
        Poll::Ready(self.trailers.take().map(|trailers| Ok(Frame::trailers(trailers))))
    }

    fn is_end_stream(&self) -> bool {
        self.data.is_empty() && self.trailers.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.data.len() as u64)
    }
}
