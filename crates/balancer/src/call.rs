//! [`LoadBalancer::call`]: a request that is sent until it is answered, or must not be sent any more.

mod error;
mod hedge;
mod race;

use std::error::Error;
use std::fmt::Display;
use std::future::Future;
use std::time::Duration;

use evenkeel_health::{Backoff, BackoffConfig};
use evenkeel_stats::{Failure, FailureKind, Outcome, Phase};
use tokio::time::{Instant, sleep};

pub use error::{CallError, FailedAttempt, FailedAttempts};
pub use hedge::HedgeConfig;
pub(crate) use hedge::HedgeDelay;

use crate::classify::{Classification, Classify, ErrorClassifier, Retry};
use crate::drain::deadline;
use crate::{BackendRef, LoadBalancer, Pick, Repeat, RequestContext, Tried};

impl<B> LoadBalancer<B> {
    /// Sends a request: picks a backend, runs `attempt` with it, and judges the result by
    /// [`ErrorClassifier`]; see [`call_with`](Self::call_with).
    ///
    /// ```
    /// # use std::io;
    /// # use evenkeel_balancer::{BackendServer, LoadBalancer, LoadBalancerConfig, Repeat, RequestContext};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let servers = ["10.0.0.1:4317", "10.0.0.2:4317"].map(BackendServer::of);
    /// let balancer = LoadBalancer::new(servers, LoadBalancerConfig::default())?;
    /// let request = RequestContext::new().with_repeat(Repeat::Always);
    /// let answer = balancer
    ///     .call(&request, |backend| async move {
    ///         if backend.id().as_str().starts_with("10.0.0.1") {
    ///             return Err(io::Error::from(io::ErrorKind::ConnectionReset));
    ///         }
    ///         Ok(format!("hello from {}", *backend))
    ///     })
    ///     .await?;
    /// assert_eq!(answer, "hello from 10.0.0.2:4317");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As `call_with`.
    ///
    /// # Cancel safety
    /// As `call_with`.
    pub async fn call<T, E, Attempt, F>(
        &self,
        request: &RequestContext<'_>,
        attempt: Attempt,
    ) -> Result<T, CallError<E>>
    where
        E: Error + 'static,
        Attempt: FnMut(BackendRef<B>) -> F,
        F: Future<Output = Result<T, E>>,
    {
        self.call_with(request, &ErrorClassifier, attempt).await
    }

    /// Sends a request, and sends it again elsewhere when it fails and that is allowed: by what
    /// `classify` makes of the result, by the request's [`Repeat`], up to
    /// [`max_retries`](crate::LoadBalancerConfig::max_retries), within the retry budget, and within
    /// one deadline for all. What failed before it was sent ([`Retry::Unsent`], and no overload) costs no
    /// budget, and goes to the next backend at once. Else it waits between attempts as
    /// [`retry_delay`](crate::LoadBalancerConfig::retry_delay) says; a backend's own `retry_after` is
    /// waited for only when there is no other backend left to ask.
    ///
    /// With [`hedging`](crate::LoadBalancerConfig::hedging), a request that may be repeated is sent to
    /// a second backend when the first takes long, and the first good answer is the answer.
    ///
    /// An `Ok` that `classify` calls a failure is returned as `Ok` once it is not to be sent again: it
    /// is what the backend said.
    ///
    /// # Errors
    /// [`CallError`], with every backend that was tried, and why it was not the last.
    ///
    /// Needs tokio's time: to be awaited in a runtime that has it.
    ///
    /// # Cancel safety
    /// Dropped, all attempts are: they count as cancelled, nothing stays in flight.
    pub async fn call_with<T, E, C, Attempt, F>(
        &self,
        request: &RequestContext<'_>,
        classify: &C,
        attempt: Attempt,
    ) -> Result<T, CallError<E>>
    where
        E: Display,
        C: Classify<T, E> + ?Sized,
        Attempt: FnMut(BackendRef<B>) -> F,
        F: Future<Output = Result<T, E>>,
    {
        let (answer, pick) = self.call_held(request, classify, attempt).await?;
        if let Some(pick) = pick {
            pick.finish(Outcome::Success);
        }
        Ok(answer)
    }

    /// As [`call_with`](Self::call_with); a good answer comes with its pick, which is in flight still.
    pub(crate) async fn call_held<T, E, C, Attempt, F>(
        &self,
        request: &RequestContext<'_>,
        classify: &C,
        mut attempt: Attempt,
    ) -> Result<(T, Option<Pick<B>>), CallError<E>>
    where
        E: Display,
        C: Classify<T, E> + ?Sized,
        Attempt: FnMut(BackendRef<B>) -> F,
        F: Future<Output = Result<T, E>>,
    {
        let shared = &*self.shared;
        let config = &shared.config;
        shared.totals.call();
        shared.budget.deposit(shared.clock.now());
        let timeout = request.timeout.unwrap_or(config.request_timeout);
        let mut call = Call {
            balancer: self,
            request,
            classify,
            started: Instant::now(),
            until: deadline(timeout),
            allowed: config.attempt_timeout.unwrap_or(timeout).min(timeout),
            blame_after: config.attempt_timeout.unwrap_or(config.request_timeout) / 2,
            tried: request.tried.cloned().unwrap_or_default(),
            failed: FailedAttempts::default(),
        };
        let mut backoff = backoff(config.retry_delay, config.max_retries);
        for retry in 0.. {
            let ended = match call.round(&mut attempt, retry > 0).await {
                Ok(Round::Good(answer, pick)) => {
                    return answer
                        .map(|answer| (answer, pick))
                        .map_err(|source| call.failed(source));
                }
                Ok(ended) => ended,
                Err(error) => return Err(error),
            };
            let again = call.may_retry(&ended, retry);
            let unsent = ended.is_unsent();
            let wait = again.and_then(|after| match &mut backoff {
                // There is nobody to spare by a wait.
                _ if unsent && call.has_others() => Some(Duration::ZERO),
                Some(backoff) => backoff.next_wait(after, fastrand::u64(..)),
                None => Some(after.unwrap_or_default()),
            });
            let left = call.until.saturating_duration_since(Instant::now());
            let wait = wait.filter(|&wait| wait < left);
            let Some(wait) = wait.filter(|_| unsent || shared.budget.withdraw(shared.clock.now())) else {
                return call.give_up(ended);
            };
            if !wait.is_zero() {
                sleep(wait).await;
            }
        }
        // A range without an end has no end.
        Err(call.timed_out())
    }
}

/// The waits between the attempts; `None` if there are none.
fn backoff(delay: Duration, retries: usize) -> Option<Backoff> {
    let defaults = BackoffConfig::default();
    Backoff::new(BackoffConfig {
        base: delay,
        max: delay.max(defaults.max),
        max_retry_after: delay.max(defaults.max_retry_after),
        retries: u32::try_from(retries).ok()?,
        ..defaults
    })
    .ok()
}

/// One call, from its first attempt to its last.
struct Call<'a, B, C: ?Sized> {
    balancer: &'a LoadBalancer<B>,
    request: &'a RequestContext<'a>,
    classify: &'a C,
    started: Instant,
    until: Instant,
    /// How long one attempt may take.
    allowed: Duration,
    /// After this long without an answer it is the backend's failure. Not by the caller's own time-out:
    /// one who is in a hurry says nothing of a backend.
    blame_after: Duration,
    tried: Tried,
    failed: FailedAttempts,
}

/// How an attempt, with its hedge if there was one, ended.
enum Round<B, T, E> {
    /// The answer; an `Err` that would be the same elsewhere is one too. With the pick of a success,
    /// whose end is the caller's.
    Good(Result<T, E>, Option<Pick<B>>),
    /// A failure that may be mended elsewhere.
    Bad(Result<T, E>, Classification),
    /// Nothing came in time.
    TimedOut,
}

impl<B, T, E> Round<B, T, E> {
    /// Whether it failed before anything was sent. Asking another is no load on anybody then; gRPC calls that a
    /// transparent retry. A backend that says it is overloaded was asked, whatever it did with the request.
    const fn is_unsent(&self) -> bool {
        let Self::Bad(_, classification) = self else {
            return false;
        };
        let overload = matches!(classification.outcome, Outcome::Overload { .. });
        matches!(classification.retry, Retry::Unsent) && !overload
    }
}

impl<B, C: ?Sized> Call<'_, B, C> {
    fn pick(&mut self, retry: bool) -> Result<Pick<B>, crate::PickError> {
        let tried = Some(&self.tried).filter(|tried| !tried.is_empty());
        let request = RequestContext {
            tried,
            ..*self.request
        };
        let pick = self.balancer.pick(&request)?;
        self.tried.add_pick(&pick);
        if retry {
            pick.inner().vitals.tally().retry();
        }
        Ok(pick)
    }

    /// Notes why an attempt was not the last.
    fn note(&mut self, pick: &Pick<B>, reason: String) {
        let took = pick.inner().vitals.now().since(pick.started());
        self.failed.push(FailedAttempt {
            backend: pick.id().clone(),
            after: self.started.elapsed().saturating_sub(took),
            took,
            reason,
        });
    }

    /// Ends an attempt that did not answer in time. It is the backend's failure if it had at least half
    /// of the time that the config gives an attempt; one that began just before the end of the call had
    /// no chance.
    fn time_out(&mut self, pick: Pick<B>) {
        let took = pick.inner().vitals.now().since(pick.started());
        self.note(&pick, format!("no answer within {took:?}"));
        if took >= self.blame_after {
            pick.fail(Failure {
                phase: Phase::Read,
                kind: FailureKind::Timeout,
            });
        } else {
            drop(pick);
        }
    }

    /// Whether to send it again; if so, the wait that the last backend asked for, where there is no
    /// other to go to.
    fn may_retry<T, E>(&self, ended: &Round<B, T, E>, retry: usize) -> Option<Option<Duration>> {
        let repeat = self.request.repeat;
        let (allowed, asked) = match ended {
            Round::Good(..) => (false, None),
            Round::Bad(_, classification) => {
                let asked = match classification.outcome {
                    Outcome::Overload { retry_after } => retry_after,
                    _ => None,
                };
                (classification.retry.allows(repeat), asked)
            }
            Round::TimedOut => (repeat == Repeat::Always, None),
        };
        let shared = &self.balancer.shared;
        if !allowed || retry >= shared.config.max_retries || Instant::now() >= self.until {
            return None;
        }
        Some(asked.filter(|_| !self.has_others()))
    }

    /// Whether there is a backend that is well and was not asked yet. Walks over all: for what is rare.
    fn has_others(&self) -> bool {
        let shared = &self.balancer.shared;
        let now = shared.clock.now();
        let snapshot = shared.snapshot.load();
        let mut cells = snapshot.backends.iter().map(|backend| backend.vitals.cell());
        cells.any(|cell| cell.readiness(now).is_eligible() && !self.tried.contains(cell))
    }

    fn give_up<T, E>(self, ended: Round<B, T, E>) -> Result<(T, Option<Pick<B>>), CallError<E>> {
        match ended {
            Round::Good(Ok(answer), pick) => Ok((answer, pick)),
            Round::Bad(Ok(answer), _) => Ok((answer, None)),
            Round::Good(Err(source), _) | Round::Bad(Err(source), _) => Err(self.failed(source)),
            Round::TimedOut => Err(self.timed_out()),
        }
    }

    fn failed<E>(self, source: E) -> CallError<E> {
        CallError::Failed {
            attempts: self.failed,
            source,
        }
    }

    fn timed_out<E>(self) -> CallError<E> {
        CallError::TimedOut {
            attempts: self.failed,
            after: self.started.elapsed(),
        }
    }
}
