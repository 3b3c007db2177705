//! [`Evidence`]: what a closed breaker has seen, and whether it is enough to open it.

use std::fmt;

use evenkeel_stats::{SuccessWindow, Timestamp};

use super::marks::Marks;
use super::{CircuitBreakerConfig, CircuitReason};
use crate::ConfigError;
use crate::sync::{AtomicU64, Ordering};

/// A number in the low half of a word, above it the era it belongs to: so that what comes late neither
/// adds to the next era's nor takes from it.
struct Tally(AtomicU64);

const BITS: u32 = 32;
const MASK: u64 = (1 << BITS) - 1;

impl Tally {
    fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    #[inline]
    fn is_zero(&self) -> bool {
        self.0.load(Ordering::Relaxed) & MASK == 0
    }

    /// Changes it if it is of `era`; what it was changed to.
    fn change(&self, era: u64, change: impl Fn(u64) -> u64) -> Option<u64> {
        let none = era << BITS;
        let changed = |word: u64| (word & !MASK == none).then(|| none | change(word & MASK).min(MASK));
        let before = self.0.fetch_update(Ordering::AcqRel, Ordering::Relaxed, changed);
        before.ok().map(|word| change(word & MASK).min(MASK))
    }

    /// Zero, of `era`.
    fn reset(&self, era: u64) {
        // A swap, not a store: nobody's late change can come after it unseen.
        self.0.swap(era << BITS, Ordering::AcqRel);
    }
}

/// One failure, in the units of the excess.
const UNIT: u64 = 1 << 16;

/// The counts of the closed state. Recording takes no lock and allocates nothing.
pub(super) struct Evidence {
    threshold: u64,
    min_success_rate: f64,
    min_samples: u64,
    /// What a failure adds to the excess and a success takes from it, and where it stops; the last is
    /// zero if the rule is off.
    charge: u64,
    relief: u64,
    most: u64,
    /// Failures in a row.
    run: Tally,
    /// Failures beyond the share that is tolerated, since the best moment.
    excess: Tally,
    /// `None` if the rules that go by the rate are off.
    rate: Option<Rate>,
}

/// What happened within the window.
struct Rate {
    window: SuccessWindow,
    /// The successes that somebody else counts; in `window` are those that the breaker counts itself.
    counted: Marks,
}

/// Who counts a success.
#[derive(Clone, Copy)]
pub(super) enum CountedBy {
    Breaker,
    /// Somebody else, who has counted so many.
    Other(u64),
}

impl Evidence {
    /// Nothing yet.
    pub(super) fn new(config: &CircuitBreakerConfig) -> Result<Self, ConfigError> {
        let rate = config.build_window()?.map(|window| Rate {
            counted: Marks::new(config.window_slots, window.slot()),
            window,
        });
        let relief = ((1.0 - config.min_success_rate) * UNIT as f64) as u64;
        Ok(Self {
            threshold: config.circuit_breaker_threshold.into(),
            min_success_rate: config.min_success_rate,
            min_samples: config.min_samples.into(),
            charge: UNIT - relief,
            relief,
            most: u64::from(config.max_excess_failures) * UNIT,
            run: Tally::new(),
            excess: Tally::new(),
            rate,
        })
    }

    /// A success of `era`; if another counts them, it is among them already.
    #[inline]
    pub(super) fn success(&self, era: u64, by: CountedBy, now: Timestamp) {
        // Zero while all is well, and then it is only looked at.
        if !self.run.is_zero() {
            self.run.change(era, |_| 0);
        }
        if let Some(rate) = &self.rate {
            if !self.excess.is_zero() {
                self.excess
                    .change(era, |excess| excess.saturating_sub(self.relief));
            }
            match by {
                CountedBy::Breaker => rate.window.record(true, now),
                CountedBy::Other(count) => rate.counted.show(count.wrapping_sub(1), now),
            }
        }
    }

    /// A success that another counted, and that is none of this era's.
    #[cold]
    pub(super) fn late_success(&self) {
        if let Some(rate) = &self.rate {
            rate.counted.discount();
        }
    }

    /// A failure of `era`, or an overload, which is none for the run. Says why to open, if there is
    /// reason to.
    #[cold]
    pub(super) fn failure(
        &self,
        era: u64,
        overload: bool,
        by: CountedBy,
        now: Timestamp,
    ) -> Option<CircuitReason> {
        let rate = self.rate.as_ref().and_then(|Rate { window, counted }| {
            window.record(false, now);
            let worse = |excess: u64| (excess + self.charge).min(self.most);
            let excess = self.excess.change(era, worse);
            let (mut good, bad) = (window.successes(now), window.failures(now));
            if let CountedBy::Other(count) = by {
                good = good.saturating_add(counted.within(count, now));
            }
            let all = good.saturating_add(bad);
            if all < self.min_samples {
                None
            } else if (good as f64) < self.min_success_rate * all as f64 {
                Some(CircuitReason::SuccessRate)
            } else if self.most > 0 && excess == Some(self.most) {
                Some(CircuitReason::ExcessFailures)
            } else {
                None
            }
        });
        let run = if overload {
            None
        } else {
            self.run.change(era, |run| run + 1)
        };
        if run.is_some_and(|run| run >= self.threshold) {
            return Some(CircuitReason::ConsecutiveFailures);
        }
        rate
    }

    /// Forgets everything; `era` begins.
    pub(super) fn reset(&self, era: u64) {
        self.run.reset(era);
        self.excess.reset(era);
        if let Some(rate) = &self.rate {
            rate.window.clear();
            rate.counted.clear();
        }
    }

    #[cfg(all(test, evenkeel_loom))]
    pub(super) fn run(&self) -> u64 {
        self.run.0.load(Ordering::Relaxed) & MASK
    }

    #[cfg(all(test, evenkeel_loom))]
    pub(super) fn excess(&self) -> u64 {
        self.excess.0.load(Ordering::Relaxed) & MASK
    }
}

impl fmt::Debug for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = |tally: &Tally| tally.0.load(Ordering::Relaxed) & MASK;
        f.debug_struct("Evidence")
            .field("run", &number(&self.run))
            .field("excess", &(number(&self.excess) as f64 / UNIT as f64))
            .finish_non_exhaustive()
    }
}
