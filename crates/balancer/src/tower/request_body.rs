//! [`RequestBody`]: what is kept of a request's body, so that it can be sent again.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use super::ReplayBody;
use super::error::BoxError;
use super::replay_body::{Piece, Rest, Slot};

/// A body in no more pieces than this is kept: empty ones would otherwise be without a limit.
const MOST_PIECES: usize = 1024;

/// What was kept, and what was not.
pub(super) struct RequestBody {
    kept: Vec<Piece>,
    rest: Option<Slot>,
}

impl RequestBody {
    /// Reads a body as far as it can be kept. One that says how long it is, and is not too long, is
    /// read to its end. Any other is read for as long as nothing is waited for: a message that is there
    /// already, as that of a unary gRPC call, is kept whole, and a stream starts without a delay.
    ///
    /// # Cancel safety
    /// Dropped, the body is dropped.
    pub(super) async fn keep<B>(body: B, most: usize) -> Result<Self, BoxError>
    where
        B: Body + Send + 'static,
        B::Error: Into<BoxError>,
    {
        if body.is_end_stream() {
            return Ok(Self {
                kept: Vec::new(),
                rest: None,
            });
        }
        let whole = body.size_hint().exact().is_some_and(|size| size <= most as u64);
        let long = body.size_hint().lower() > most as u64;
        let mut body: Rest = Box::pin(InBytes { body });
        let (mut kept, mut left) = (Vec::new(), most);
        while !long && kept.len() < MOST_PIECES {
            let next = poll_fn(|context| match body.as_mut().poll_frame(context) {
                Poll::Pending if whole => Poll::Pending,
                Poll::Pending => Poll::Ready(None),
                Poll::Ready(frame) => Poll::Ready(Some(frame)),
            });
            let Some(frame) = next.await else { break };
            let Some(frame) = frame.transpose()? else {
                return Ok(Self { kept, rest: None });
            };
            let piece = match frame.into_data() {
                Ok(data) => Piece::Data(data),
                Err(frame) => match frame.into_trailers() {
                    Ok(trailers) => Piece::Trailers(trailers),
                    // There is no third kind.
                    Err(_) => continue,
                },
            };
            let Some(less) = left.checked_sub(piece.len()) else {
                body = Box::pin(ReplayBody::before(piece, body));
                break;
            };
            left = less;
            kept.push(piece);
            if body.is_end_stream() {
                return Ok(Self { kept, rest: None });
            }
        }
        let rest = Some(Slot::new(body));
        Ok(Self { kept, rest })
    }

    /// Whether all of it was kept, so that it can be sent twice at once.
    pub(super) const fn is_whole(&self) -> bool {
        self.rest.is_none()
    }

    /// Whether an attempt has had what was not kept, so that there can not be another.
    pub(super) fn is_spent(&self) -> bool {
        self.rest.as_ref().is_some_and(Slot::is_taken)
    }

    /// The body of one attempt.
    pub(super) fn attempt(&self) -> ReplayBody {
        ReplayBody::new(&self.kept, self.rest.as_ref())
    }
}

pin_project! {
    /// Any body, as one of `Bytes` and of any error.
    struct InBytes<B> {
        #[pin]
        body: B,
    }
}

impl<B> Body for InBytes<B>
where
    B: Body,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let frame = ready!(self.project().body.poll_frame(context));
        Poll::Ready(frame.map(|frame| {
            let frame = frame.map_err(Into::into)?;
            Ok(frame.map_data(|mut data| data.copy_to_bytes(data.remaining())))
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::convert::Infallible;

    use http_body_util::{BodyExt, Empty};
    use proptest::prelude::*;

    use super::*;

    /// Pieces that come one by one; where there is `None`, the next is waited for once.
    struct Script {
        pieces: VecDeque<Option<Bytes>>,
        known: bool,
    }

    impl Script {
        fn left(&self) -> usize {
            self.pieces.iter().flatten().map(Bytes::len).sum()
        }
    }

    impl Body for Script {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            context: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            match self.pieces.pop_front() {
                Some(None) => {
                    context.waker().wake_by_ref();
                    Poll::Pending
                }
                Some(Some(piece)) => Poll::Ready(Some(Ok(Frame::data(piece)))),
                None => Poll::Ready(None),
            }
        }

        fn size_hint(&self) -> SizeHint {
            if self.known {
                SizeHint::with_exact(self.left() as u64)
            } else {
                SizeHint::new()
            }
        }
    }

    async fn all(body: ReplayBody) -> Result<Bytes, BoxError> {
        Ok(body.collect().await?.to_bytes())
    }

    proptest! {
        #[test]
        fn what_is_kept_arrives_each_time_and_the_rest_exactly_once(
            pieces in prop::collection::vec(prop::option::weighted(0.8, prop::collection::vec(any::<u8>(), 0..40)), 0..20),
            known: bool,
            most in 0_usize..300,
        ) {
            let pieces: VecDeque<_> = pieces.into_iter().map(|piece| piece.map(Bytes::from)).collect();
            let script = Script { pieces, known };
            let size = script.left();
            let waits = script.pieces.iter().any(Option::is_none);
            let sent: Vec<u8> = script.pieces.iter().flatten().flatten().copied().collect();
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            runtime.block_on(async {
                let body = RequestBody::keep(script, most).await.unwrap();
                let kept: usize = body.kept.iter().map(Piece::len).sum();
                prop_assert!(kept <= most);
                prop_assert_eq!(body.is_whole(), size <= most && (known || !waits));
                let untouched = body.attempt();
                prop_assert!(untouched.size_hint().lower() <= size as u64);
                if known {
                    prop_assert_eq!(untouched.size_hint().exact(), Some(size as u64));
                }
                drop(untouched);
                prop_assert!(!body.is_spent());
                prop_assert_eq!(&all(body.attempt()).await.unwrap(), &sent);
                if body.is_whole() {
                    prop_assert_eq!(&all(body.attempt()).await.unwrap(), &sent);
                } else {
                    prop_assert!(body.is_spent());
                    prop_assert!(all(body.attempt()).await.is_err());
                }
                Ok(())
            })?;
        }
    }

    #[tokio::test]
    async fn an_empty_body_costs_nothing_and_is_whole() {
        let body = RequestBody::keep(Empty::<Bytes>::new(), 0).await.unwrap();
        assert!(body.is_whole() && body.attempt().is_end_stream());
    }
}
