//! [`BalancedBody`]: a response's body, whose end is the end of the request.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use evenkeel_stats::Outcome;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use super::error::BoxError;
use super::service::Judge;
use super::{Answer, ServiceError};
use crate::{Classification, Pick};

pin_project! {
    /// A response's body. The request is in flight at its backend until the body has ended, has failed
    /// or is dropped:
    ///
    /// | the body | counts as |
    /// |---|---|
    /// | ends | what its trailers say; success without |
    /// | fails | what the error says |
    /// | is dropped before its end | cancelled |
    pub struct BalancedBody<Body, B> {
        #[pin]
        inner: Body,
        tracked: Option<Tracked<B>>,
    }
}

/// A request whose head was a success.
pub(super) struct Tracked<B> {
    pub(super) pick: Pick<B>,
    /// Until the head came. What follows is up to the size of the body and to who reads it.
    pub(super) latency: Duration,
    pub(super) judge: Judge,
}

impl<B> Tracked<B> {
    pub(super) fn end(self) {
        self.pick.finish_after(Outcome::Success, self.latency);
    }

    fn end_as(self, answer: Answer<'_>) {
        let Classification { outcome, failure, .. } = (self.judge)(answer);
        if outcome.is_success() {
            self.end();
        } else {
            self.pick.finish_classified(outcome, failure);
        }
    }
}

impl<Inner, B> BalancedBody<Inner, B> {
    pub(super) const fn new(inner: Inner, tracked: Option<Tracked<B>>) -> Self {
        Self { inner, tracked }
    }
}

impl<Inner, B> Body for BalancedBody<Inner, B>
where
    Inner: Body,
    Inner::Error: Into<BoxError>,
{
    type Data = Inner::Data;
    type Error = ServiceError;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Inner::Data>, ServiceError>>> {
        let mut this = self.project();
        let frame = ready!(this.inner.as_mut().poll_frame(context));
        let Some(tracked) = this.tracked.take() else {
            return Poll::Ready(frame.map(|frame| frame.map_err(ServiceError::new)));
        };
        Poll::Ready(match frame {
            None => {
                tracked.end();
                None
            }
            Some(Err(error)) => {
                let error = ServiceError::new(error);
                tracked.end_as(Answer::Error(error.get_ref()));
                Some(Err(error))
            }
            Some(Ok(frame)) => {
                match frame.trailers_ref() {
                    Some(trailers) => tracked.end_as(Answer::Trailers(trailers)),
                    None if this.inner.is_end_stream() => tracked.end(),
                    None => {
                        let tracked = this.tracked.insert(tracked);
                        tracked.pick.pass_trial();
                    }
                }
                Some(Ok(frame))
            }
        })
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl<Inner, B> fmt::Debug for BalancedBody<Inner, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let backend = self.tracked.as_ref().map(|tracked| tracked.pick.id());
        f.debug_struct("BalancedBody")
            .field("in_flight_at", &backend)
            .finish_non_exhaustive()
    }
}
