//! One attempt, and the hedge that may run beside it.

use std::fmt::Display;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::Poll;

use evenkeel_stats::Outcome;
use tokio::time::{Instant, timeout_at};

use super::{Call, CallError, Round};
use crate::classify::{Classification, Classify, Retry};
use crate::{BackendRef, Pick, Repeat};

/// An attempt that another may overtake.
struct First<B> {
    pick: Pick<B>,
    /// How many successes its backend had when it began.
    answers: u64,
}

/// How many requests its backend has answered well so far.
fn answers<B>(pick: &Pick<B>) -> u64 {
    pick.inner().vitals.cell().successes()
}

impl<B, C: ?Sized> Call<'_, B, C> {
    /// Picks, and runs the attempt to its end.
    pub(super) async fn round<T, E, Attempt, F>(
        &mut self,
        attempt: &mut Attempt,
        retry: bool,
    ) -> Result<Round<B, T, E>, CallError<E>>
    where
        E: Display,
        C: Classify<T, E>,
        Attempt: FnMut(BackendRef<B>) -> F,
        F: Future<Output = Result<T, E>>,
    {
        let picked = self.pick(retry);
        let pick = match picked {
            Ok(pick) => pick,
            Err(source) => {
                let attempts = std::mem::take(&mut self.failed);
                return Err(CallError::NotPicked { attempts, source });
            }
        };
        let answers = answers(&pick);
        let now = Instant::now();
        let until = now + self.allowed.min(self.until.saturating_duration_since(now));
        let mut first = pin!(attempt(pick.backend()));
        let hedge_at = self.hedge_at().filter(|&at| at < until);
        let result = match timeout_at(hedge_at.unwrap_or(until), first.as_mut()).await {
            Ok(result) => Some(result),
            Err(_) if hedge_at.is_some() => match self.hedge(&pick) {
                Some(second) => {
                    return Ok(self
                        .race(attempt, First { pick, answers }, first, second, until)
                        .await);
                }
                None => timeout_at(until, first).await.ok(),
            },
            Err(_) => None,
        };
        Ok(match result {
            Some(result) => self.settle(pick, result).0,
            None => {
                self.time_out(pick);
                Round::TimedOut
            }
        })
    }

    /// When a second backend is asked, if it may be.
    fn hedge_at(&self) -> Option<Instant> {
        let delay = self.balancer.shared.hedge_delay.now()?;
        (self.request.repeat == Repeat::Always).then(|| Instant::now() + delay)
    }

    /// The second backend, if there is another one and the budget allows it.
    fn hedge(&mut self, first: &Pick<B>) -> Option<Pick<B>> {
        // What is known of it already, so that this pick and all others go by it.
        first.still_waiting();
        let shared = &self.balancer.shared;
        if !self.has_others() || !shared.budget.withdraw(shared.clock.now()) {
            return None;
        }
        let second = self.pick(false).ok()?;
        if second.id() == first.id() {
            // The other has fallen ill this very moment.
            second.undo();
            return None;
        }
        second.inner().vitals.tally().hedge();
        Some(second)
    }

    /// Both at once, to the first good answer. A bad one is waited past as long as the other runs.
    async fn race<T, E, Attempt, F>(
        &mut self,
        attempt: &mut Attempt,
        First { pick, answers }: First<B>,
        mut first: Pin<&mut F>,
        second_pick: Pick<B>,
        until: Instant,
    ) -> Round<B, T, E>
    where
        E: Display,
        C: Classify<T, E>,
        Attempt: FnMut(BackendRef<B>) -> F,
        F: Future<Output = Result<T, E>>,
    {
        let mut second = pin!(attempt(second_pick.backend()));
        let (mut first_pick, mut second_pick) = (Some(pick), Some(second_pick));
        let mut last = Round::TimedOut;
        while first_pick.is_some() || second_pick.is_some() {
            let either = poll_fn(|context| {
                if first_pick.is_some()
                    && let Poll::Ready(result) = first.as_mut().poll(context)
                {
                    return Poll::Ready((true, result));
                }
                if second_pick.is_some()
                    && let Poll::Ready(result) = second.as_mut().poll(context)
                {
                    return Poll::Ready((false, result));
                }
                Poll::Pending
            });
            let Ok((is_first, result)) = timeout_at(until, either).await else {
                for pick in [first_pick.take(), second_pick.take()].into_iter().flatten() {
                    self.time_out(pick);
                }
                // A bad answer that has come is more than none.
                return last;
            };
            let ended = if is_first {
                first_pick.take()
            } else {
                second_pick.take()
            };
            let Some(pick) = ended else { break };
            let answered;
            (last, answered) = self.settle(pick, result);
            if answered {
                if let Some(slow) = first_pick.take() {
                    let shared = &self.balancer.shared;
                    shared.totals.hedge_won();
                    // Who answers others meanwhile is slow with this one, and not dead.
                    let usual = shared
                        .hedge_delay
                        .usual()
                        .filter(|_| answers == self::answers(&slow));
                    slow.overtaken(usual);
                }
                // The hedge, if it runs still, is given up.
                return last;
            }
        }
        last
    }

    /// Classifies a result, and ends its pick by it, unless it is a success: that ends where the answer
    /// goes. Also whether it is an answer as it should be: what is not may still be final.
    fn settle<T, E>(&mut self, pick: Pick<B>, result: Result<T, E>) -> (Round<B, T, E>, bool)
    where
        E: Display,
        C: Classify<T, E>,
    {
        let classification = self.classify.classify(&result);
        let Classification {
            outcome,
            failure,
            retry,
            ..
        } = classification;
        if outcome != Outcome::Success || result.is_err() {
            let reason = match &result {
                Err(error) => error.to_string(),
                Ok(_) => classification.to_string(),
            };
            self.note(&pick, reason);
        }
        if outcome.is_success() {
            let took = pick.inner().vitals.now().since(pick.started());
            self.balancer.shared.hedge_delay.record(took);
            if self.failed.are_of_others_than(pick.id()) {
                self.balancer.shared.totals.failover();
            }
        }
        if outcome.is_success() && result.is_ok() && retry == Retry::Never {
            return (Round::Good(result, Some(pick)), true);
        }
        pick.finish_classified(outcome, failure);
        let round = if retry == Retry::Never {
            Round::Good(result, None)
        } else {
            Round::Bad(result, classification)
        };
        (round, outcome.is_success())
    }
}
