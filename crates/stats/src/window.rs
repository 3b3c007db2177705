//! Exact counts over the last while, in a ring of slots.

use std::fmt;
use std::time::Duration;

use crate::sync::{AtomicU64, Ordering};
use crate::timestamp::saturating_nanos;
use crate::{SettingError, Timestamp, Trend};

const COUNT_BITS: u32 = 40;
const COUNT_MASK: u64 = (1 << COUNT_BITS) - 1;
const ROUND_MASK: u64 = u64::MAX >> COUNT_BITS;

/// A slot whose round lies ahead by at most this many belongs to a time after the sample's; ahead by
/// more, it is one from before the round number wrapped.
const AHEAD: u64 = 1 << 12;

/// Below these, unlocked addition cannot reach the round above the count: 2^15 threads would have to
/// add at once.
const SMALL_ADD: u64 = 1 << 24;
const SMALL_COUNT: u64 = COUNT_MASK >> 1;

/// How often something happened within the last while, exactly.
///
/// The window is cut into slots, which a ring reuses; what is older than the window drops out a slot
/// at a time. At any moment the window covers the slot under way and the full ones before it, so
/// **between `slots - 1` and `slots` slots**: with 10 slots to 10 s, the last 9 to 10 s
/// ([`covered`](Self::covered) says exactly). More slots make it smoother and a total dearer.
///
/// Counts are exact, unlike an average's, so a burst is not smoothed away: linkerd moved its breaker
/// from an average to such a ring for that reason.
///
/// # Range
/// A slot counts to 2^40 - 1 (10^12) and stops there. A sample older than the window is not counted.
/// A ring that is left alone for 2^24 windows (194 days for 1 s) takes what it held then for new.
///
/// # Concurrency
/// One atomic addition a sample; the first one in a new slot swaps it clean. No locks, no allocation,
/// relaxed ordering. No count is lost: a thread that is held up between looking at a slot and adding to
/// it, for as long as the whole window, counts in the window after that instead.
///
/// ```
/// use std::time::Duration;
/// use evenkeel_stats::{Timestamp, WindowCounter};
///
/// let at = |millis: u64| Timestamp::from_nanos(millis * 1_000_000);
/// let requests = WindowCounter::new(Duration::from_secs(10), 10)?;
/// requests.add(3, at(500));
/// requests.add(1, at(9_000));
/// assert_eq!(requests.total(at(9_999)), 4);
/// // The first second has dropped out.
/// assert_eq!(requests.total(at(10_000)), 1);
/// # Ok::<(), evenkeel_stats::SettingError>(())
/// ```
pub struct WindowCounter {
    /// Each a round of the ring (24 bits) above a count (40 bits).
    slots: Box<[AtomicU64]>,
    slot_nanos: u64,
    /// The number of the first slot that was added to; `u64::MAX` before.
    started: AtomicU64,
}

impl WindowCounter {
    /// The most slots a window may have: a total reads each of them.
    pub const MAX_SLOTS: usize = 1024;

    /// A window of `window`, cut into `slots` equal slots. A slot is a whole number of nanoseconds, so
    /// the window may be shorter than asked by up to `slots` nanoseconds.
    ///
    /// # Errors
    /// [`SettingError`] if `window` has less than a nanosecond to a slot, or `slots` is below 2 (with
    /// one slot the window would be empty again and again) or above [`MAX_SLOTS`](Self::MAX_SLOTS).
    pub fn new(window: Duration, slots: usize) -> Result<Self, SettingError> {
        if !(2..=Self::MAX_SLOTS).contains(&slots) {
            return Err(SettingError::out_of_range("slots", slots, 2, Self::MAX_SLOTS));
        }
        if window.is_zero() {
            return Err(SettingError::Zero { field: "window" });
        }
        let slot_nanos = saturating_nanos(window) / slots as u64;
        if slot_nanos == 0 {
            let least = Duration::from_nanos(slots as u64);
            return Err(SettingError::out_of_range("window", window, least, Duration::MAX));
        }
        Ok(Self {
            slots: (0..slots).map(|_| AtomicU64::new(0)).collect(),
            slot_nanos,
            started: AtomicU64::new(u64::MAX),
        })
    }

    /// Counts `n` at `now`.
    #[inline]
    pub fn add(&self, n: u64, now: Timestamp) {
        if n == 0 {
            return;
        }
        let number = self.number(now);
        let (round, index) = self.locate(number);
        if self.started.load(Ordering::Relaxed) == u64::MAX {
            self.started.fetch_min(number, Ordering::Relaxed);
        }
        let slot = &self.slots[index];
        let seen = slot.load(Ordering::Relaxed);
        if seen >> COUNT_BITS == round && seen & COUNT_MASK < SMALL_COUNT && n < SMALL_ADD {
            slot.fetch_add(n, Ordering::Relaxed);
        } else {
            Self::add_slowly(slot, n, round, seen);
        }
    }

    /// The first of a round, or a count so large that it must stop at the end.
    #[cold]
    fn add_slowly(slot: &AtomicU64, n: u64, round: u64, mut seen: u64) {
        loop {
            let (slot_round, count) = (seen >> COUNT_BITS, seen & COUNT_MASK);
            let count = if slot_round == round {
                count.saturating_add(n)
            } else if count > 0 && (slot_round.wrapping_sub(round) & ROUND_MASK) <= AHEAD {
                // The slot is of a later round: the sample is older than the window.
                return;
            } else {
                n
            };
            let next = round << COUNT_BITS | count.min(COUNT_MASK);
            match slot.compare_exchange_weak(seen, next, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return,
                Err(newer) => seen = newer,
            }
        }
    }

    /// Forgets everything. What another thread is adding meanwhile may be kept or forgotten.
    pub fn clear(&self) {
        for slot in &self.slots {
            slot.store(0, Ordering::Relaxed);
        }
        self.started.store(u64::MAX, Ordering::Relaxed);
    }

    /// How many there were in the window that ends `now`, the slot under way included.
    #[must_use]
    pub fn total(&self, now: Timestamp) -> u64 {
        self.series(now).sum()
    }

    /// How many there were a second: the total over the time [covered](Self::covered).
    #[must_use]
    pub fn per_second(&self, now: Timestamp) -> f64 {
        self.total(now) as f64 / self.covered(now).as_secs_f64()
    }

    /// The time that [`total`](Self::total) is about: between `slots - 1` and `slots` slots, or since
    /// the slot of the very first count if that is less, but never less than one slot (a rate over a
    /// few microseconds would mean nothing).
    #[must_use]
    pub fn covered(&self, now: Timestamp) -> Duration {
        let started = self.started.load(Ordering::Relaxed);
        let oldest = self.number(now).saturating_sub(self.slots.len() as u64 - 1);
        let from = if started == u64::MAX {
            oldest
        } else {
            oldest.max(started)
        };
        let slot = self.slot_nanos;
        let nanos = now.as_nanos().saturating_sub(from.saturating_mul(slot));
        Duration::from_nanos(nanos.max(slot))
    }

    /// The count of each slot, oldest first; the last is under way.
    pub fn series(&self, now: Timestamp) -> impl Iterator<Item = u64> + '_ {
        let (round, index) = self.locate(self.number(now));
        let (newer, older) = self.slots.split_at(index + 1);
        let of = |round: u64| {
            move |slot: &AtomicU64| {
                let seen = slot.load(Ordering::Relaxed);
                if seen >> COUNT_BITS == round {
                    seen & COUNT_MASK
                } else {
                    0
                }
            }
        };
        older
            .iter()
            .map(of(round.wrapping_sub(1) & ROUND_MASK))
            .chain(newer.iter().map(of(round)))
    }

    /// Where the rate per second is going, over the slots that are complete: neither the one under way
    /// nor the one of the very first count. `None` with fewer than four of them.
    #[must_use]
    pub fn trend(&self, now: Timestamp) -> Option<Trend> {
        let slot = self.slot().as_secs_f64();
        let started = self.started.load(Ordering::Relaxed);
        let complete = self.number(now).checked_sub(started)?.saturating_sub(1);
        let full = self.slots.len() - 1;
        let skip = (full as u64).saturating_sub(complete) as usize;
        let counts = self.series(now).take(full).skip(skip).enumerate();
        let rates: Vec<_> = counts
            .map(|(i, count)| (i as f64 * slot, count as f64 / slot))
            .collect();
        Trend::of(&rates)
    }

    /// The length of one slot.
    #[must_use]
    pub const fn slot(&self) -> Duration {
        Duration::from_nanos(self.slot_nanos)
    }

    /// Which slot since the clock's origin `now` lies in.
    #[inline]
    fn number(&self, now: Timestamp) -> u64 {
        now.as_nanos() / self.slot_nanos
    }

    /// The round of the ring that slot `number` belongs to, and its place there.
    #[inline]
    fn locate(&self, number: u64) -> (u64, usize) {
        let slots = self.slots.len() as u64;
        ((number / slots) & ROUND_MASK, (number % slots) as usize)
    }
}

impl fmt::Debug for WindowCounter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WindowCounter")
            .field("slots", &self.slots.len())
            .field("slot", &self.slot())
            .finish_non_exhaustive()
    }
}
