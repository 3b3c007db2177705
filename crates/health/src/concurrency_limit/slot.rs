//! [`ConcurrencySlot`]: the place of one request.

use std::ops::Deref;
use std::time::Duration;

use evenkeel_stats::{Outcome, Timestamp};

use super::ConcurrencyLimit;

/// The place of one request at a [`ConcurrencyLimit`], from [`ConcurrencyLimit::begin`] (`L` is a
/// reference) or [`ConcurrencyLimit::begin_owned`] (`L` is an `Arc`).
///
/// [`finish`](Self::finish) it with what came of the request. Dropped, the place is free again and nothing
/// is learnt.
#[derive(Debug)]
#[must_use = "dropped, the place is free again"]
pub struct ConcurrencySlot<L: Deref<Target = ConcurrencyLimit>> {
    limit: Option<L>,
}

impl<L: Deref<Target = ConcurrencyLimit>> ConcurrencySlot<L> {
    pub(super) const fn new(limit: L) -> Self {
        Self { limit: Some(limit) }
    }

    /// The request ended with `outcome` at `now`, after `latency`.
    pub fn finish(mut self, outcome: Outcome, latency: Duration, now: Timestamp) {
        if let Some(limit) = self.limit.take() {
            limit.finish(outcome, latency, now);
        }
    }
}

impl<L: Deref<Target = ConcurrencyLimit>> Drop for ConcurrencySlot<L> {
    fn drop(&mut self) {
        if let Some(limit) = self.limit.take() {
            limit.end();
        }
    }
}
