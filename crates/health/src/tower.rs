//! [`CircuitBreakerLayer`]: a breaker in a tower of services.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use evenkeel_stats::Outcome;
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use crate::{CallError, CircuitBreaker, Permit, TimedBreaker};

/// Says what an answer means to the breaker.
pub type OutcomeOf<Answer, E> = fn(&Result<Answer, E>) -> Outcome;

/// An `Err` is a failure, everything else a success.
fn by_result<Answer, E>(result: &Result<Answer, E>) -> Outcome {
    if result.is_ok() {
        Outcome::Success
    } else {
        Outcome::Failure
    }
}

/// Puts a [`TimedBreaker`] before a service: requests that it does not let through fail at once with
/// [`CallError::Rejected`], and the service never sees them.
///
/// All services that one layer makes share the breaker: one layer is for one backend. A time-out belongs
/// below it, so that a request that hangs is a failure and not one that was given up.
///
/// ```
/// use evenkeel_health::{CircuitBreakerConfig, CircuitBreakerLayer, TimedBreaker};
/// use tower::{Service, ServiceBuilder, ServiceExt};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let breaker = TimedBreaker::new(CircuitBreakerConfig::default())?;
/// let mut service = ServiceBuilder::new()
///     .layer(CircuitBreakerLayer::new(breaker.clone()))
///     .service_fn(|request: u32| async move { Err::<u32, _>(std::io::Error::other("sick")) });
/// for _ in 0..7 {
///     assert!(service.ready().await?.call(1).await.is_err());
/// }
/// println!("{}", breaker.breaker().state()); // open
/// assert_eq!(service.ready().await?.call(1).await.unwrap_err().to_string().split(',').next(), Some("circuit open"));
/// # Ok(())
/// # }
/// ```
pub struct CircuitBreakerLayer<Answer, E> {
    breaker: TimedBreaker,
    outcome_of: OutcomeOf<Answer, E>,
}

impl<Answer, E> CircuitBreakerLayer<Answer, E> {
    /// A layer around `breaker`, to which an `Err` is a failure.
    #[must_use]
    pub fn new(breaker: TimedBreaker) -> Self {
        Self::with_outcome(breaker, by_result)
    }

    /// Like [`new`](Self::new), with `outcome_of` to say what counts: a status of 503 is a failure, say,
    /// and a "too many requests" an overload.
    #[must_use]
    pub fn with_outcome(breaker: TimedBreaker, outcome_of: OutcomeOf<Answer, E>) -> Self {
        Self { breaker, outcome_of }
    }
}

impl<S, Answer, E> Layer<S> for CircuitBreakerLayer<Answer, E> {
    type Service = CircuitBreakerService<S, Answer, E>;

    fn layer(&self, inner: S) -> Self::Service {
        CircuitBreakerService {
            inner,
            layer: self.clone(),
        }
    }
}

impl<Answer, E> Clone for CircuitBreakerLayer<Answer, E> {
    fn clone(&self) -> Self {
        Self {
            breaker: self.breaker.clone(),
            outcome_of: self.outcome_of,
        }
    }
}

impl<Answer, E> fmt::Debug for CircuitBreakerLayer<Answer, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CircuitBreakerLayer")
            .field("breaker", &self.breaker)
            .finish_non_exhaustive()
    }
}

/// A service behind a breaker, made by a [`CircuitBreakerLayer`]. Clones share the breaker.
#[derive(Debug)]
pub struct CircuitBreakerService<S, Answer, E> {
    inner: S,
    layer: CircuitBreakerLayer<Answer, E>,
}

impl<S: Clone, Answer, E> Clone for CircuitBreakerService<S, Answer, E> {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
            layer: self.layer.clone(),
        }
    }
}

impl<S, Request> Service<Request> for CircuitBreakerService<S, S::Response, S::Error>
where
    S: Service<Request>,
{
    type Response = S::Response;
    type Error = CallError<S::Error>;
    type Future = CircuitBreakerFuture<S::Future, S::Response, S::Error>;

    /// As ready as the service. The breaker is asked at the call: a permit of a trial that is held by
    /// somebody who has nothing to send would keep the breaker open.
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx).map_err(CallError::Failed)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let breaker = &self.layer.breaker;
        let state = match breaker.breaker().permit_owned(breaker.now()) {
            Ok(permit) => State::Sent {
                future: self.inner.call(request),
                permit: Some(permit),
                layer: self.layer.clone(),
            },
            Err(why) => State::Rejected { why: Some(why) },
        };
        CircuitBreakerFuture { state }
    }
}

pin_project! {
    /// The answer of a [`CircuitBreakerService`]. Dropped, the request counts as cancelled.
    #[must_use = "futures do nothing unless polled"]
    pub struct CircuitBreakerFuture<F, Answer, E> {
        #[pin]
        state: State<F, Answer, E>,
    }
}

pin_project! {
    #[project = StateProjection]
    enum State<F, Answer, E> {
        Sent {
            #[pin]
            future: F,
            permit: Option<Permit<Arc<CircuitBreaker>>>,
            layer: CircuitBreakerLayer<Answer, E>,
        },
        Rejected { why: Option<crate::Rejected> },
    }
}

impl<F, Answer, E> Future for CircuitBreakerFuture<F, Answer, E>
where
    F: Future<Output = Result<Answer, E>>,
{
    type Output = Result<Answer, CallError<E>>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().state.project() {
            StateProjection::Sent {
                future,
                permit,
                layer,
            } => {
                let result = ready!(future.poll(cx));
                if let Some(permit) = permit.take() {
                    permit.finish((layer.outcome_of)(&result), layer.breaker.now());
                }
                Poll::Ready(result.map_err(CallError::Failed))
            }
            // Polled again after its end, as no future should be, it waits for ever.
            StateProjection::Rejected { why } => match why.take() {
                Some(why) => Poll::Ready(Err(CallError::Rejected(why))),
                None => Poll::Pending,
            },
        }
    }
}

impl<F, Answer, E> fmt::Debug for CircuitBreakerFuture<F, Answer, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match &self.state {
            State::Sent { .. } => "sent",
            State::Rejected { .. } => "rejected",
        };
        f.debug_tuple("CircuitBreakerFuture").field(&state).finish()
    }
}
