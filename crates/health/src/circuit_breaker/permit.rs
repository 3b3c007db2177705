//! [`Permit`]: one request that was let through.

use std::ops::Deref;

use evenkeel_stats::{Outcome, Timestamp};

use super::{CircuitBreaker, Token};

/// The leave to send one request, from [`CircuitBreaker::permit`] (`B` is a reference) or
/// [`CircuitBreaker::permit_owned`] (`B` is an `Arc`).
///
/// [`finish`](Self::finish) it with what came of the request. Dropped, it counts as cancelled: nothing
/// is learnt, and a permit of a trial is there for the next.
#[derive(Debug)]
#[must_use = "dropped, it counts as cancelled"]
pub struct Permit<B: Deref<Target = CircuitBreaker>> {
    breaker: B,
    token: Option<Token>,
}

impl<B: Deref<Target = CircuitBreaker>> Permit<B> {
    #[inline]
    pub(super) const fn new(breaker: B, token: Token) -> Self {
        Self {
            breaker,
            token: Some(token),
        }
    }

    /// The request ended with `outcome` at `now`. Returns whether that opened or closed the breaker, so
    /// that whoever mirrors its state looks again then and not at each request.
    #[inline]
    pub fn finish(mut self, outcome: Outcome, now: Timestamp) -> bool {
        let token = self.token.take();
        token.is_some_and(|token| self.breaker.settle(token, outcome, now))
    }
}

impl<B: Deref<Target = CircuitBreaker>> Drop for Permit<B> {
    #[inline]
    fn drop(&mut self) {
        if let Some(token) = self.token.take() {
            // A cancelled request moves no clock: the time is not looked at.
            self.breaker.settle(token, Outcome::Cancelled, Timestamp::ZERO);
        }
    }
}
