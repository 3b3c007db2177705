//! [`Marks`]: how much of a count that somebody else keeps fell into the window.

use std::time::Duration;

use evenkeel_stats::Timestamp;

use crate::sync::{AtomicU64, Mutex, Ordering};

/// A count has at least forty bits.
const SPARE_BITS: u32 = 64 - 40;

/// What a count stood at when each slot of the window began. Whoever adds to the count shows it here; that is a
/// load and a comparison but for the first time in each slot.
pub(super) struct Marks {
    slot_nanos: u64,
    /// When the slot under way ends; 0 if it has not begun.
    until: AtomicU64,
    ring: Mutex<Ring>,
}

struct Ring {
    /// The number of the slot under way; `None` if there is none.
    slot: Option<u64>,
    /// The count at the beginning of each, by its number modulo their number.
    begun: Box<[u64]>,
}

impl Ring {
    fn at(&self, number: u64) -> usize {
        // There are at least two.
        (number % self.begun.len() as u64) as usize
    }

    /// The slots up to `number` begin with `count`, unless they have begun.
    fn advance(&mut self, number: u64, count: u64) {
        let slots = self.begun.len() as u64;
        let first = match self.slot {
            Some(slot) if slot >= number => return,
            Some(slot) => (slot + 1).max((number + 1).saturating_sub(slots)),
            None => {
                self.begun.fill(count);
                number
            }
        };
        for number in first..=number {
            let at = self.at(number);
            self.begun[at] = count;
        }
        self.slot = Some(number);
    }
}

impl Marks {
    /// For a window of so many slots.
    pub(super) fn new(slots: usize, slot: Duration) -> Self {
        Self {
            slot_nanos: u64::try_from(slot.as_nanos()).unwrap_or(u64::MAX).max(1),
            until: AtomicU64::new(0),
            ring: Mutex::new(Ring {
                slot: None,
                begun: vec![0; slots.max(2)].into(),
            }),
        }
    }

    /// The count stood at `before` just before something happened at `now`.
    #[inline]
    pub(super) fn show(&self, before: u64, now: Timestamp) {
        if now.as_nanos() >= self.until.load(Ordering::Relaxed) {
            self.turn(before, now);
        }
    }

    #[cold]
    fn turn(&self, before: u64, now: Timestamp) {
        let number = now.as_nanos() / self.slot_nanos;
        let mut ring = self.ring.lock();
        ring.advance(number, before);
        let next = ring.slot.unwrap_or(number).saturating_add(1);
        // Under the lock, so that a clear that comes after is not undone.
        self.until
            .store(next.saturating_mul(self.slot_nanos), Ordering::Relaxed);
    }

    /// How much of `count` was added within the window that ends `now`.
    pub(super) fn within(&self, count: u64, now: Timestamp) -> u64 {
        self.show(count, now);
        let ring = self.ring.lock();
        let oldest = ring.slot.map_or(0, |slot| ring.at(slot + 1));
        // A count that was read before others showed theirs may be behind the mark: then nothing was added since. The
        // difference is taken with its sign in as many bits as any count has.
        let since = count.wrapping_sub(ring.begun[oldest]) << SPARE_BITS;
        (since.cast_signed() >> SPARE_BITS).max(0).cast_unsigned()
    }

    /// One of the count shall not have been within the window.
    pub(super) fn discount(&self) {
        for begun in &mut self.ring.lock().begun {
            *begun = begun.wrapping_add(1);
        }
    }

    /// What was counted so far is in no window.
    pub(super) fn clear(&self) {
        let mut ring = self.ring.lock();
        ring.slot = None;
        self.until.store(0, Ordering::Relaxed);
    }
}

#[cfg(all(test, not(evenkeel_loom)))]
mod tests {
    use super::*;

    const SLOT: u64 = 1_000;

    fn marks() -> Marks {
        Marks::new(4, Duration::from_nanos(SLOT))
    }

    const fn at(slot: u64) -> Timestamp {
        Timestamp::from_nanos(slot * SLOT + 7)
    }

    #[test]
    fn what_is_older_than_the_window_drops_out_a_slot_at_a_time() {
        let marks = marks();
        // Ten in each slot.
        for slot in 0..6 {
            for n in 0..10 {
                marks.show(slot * 10 + n, at(slot));
            }
        }
        assert_eq!(marks.within(60, at(5)), 40);
        assert_eq!(marks.within(60, at(6)), 30);
        assert_eq!(marks.within(60, at(8)), 10);
        assert_eq!(marks.within(60, at(9)), 0);
    }

    #[test]
    fn after_a_silence_the_past_is_in_no_window() {
        let marks = marks();
        for n in 0..1_000 {
            marks.show(n, at(3));
        }
        assert_eq!(marks.within(1_000, at(4_000_000)), 0);
        assert_eq!(marks.within(1_005, at(4_000_000)), 5);
    }

    #[test]
    fn what_came_before_a_clear_is_in_no_window() {
        let marks = marks();
        marks.show(0, at(0));
        marks.clear();
        assert_eq!(marks.within(700, at(0)), 0);
        marks.clear();
        marks.show(700, at(1));
        assert_eq!(marks.within(703, at(1)), 3);
        marks.discount();
        assert_eq!(marks.within(704, at(1)), 3);
    }

    #[test]
    fn a_time_that_steps_back_does_not_begin_a_slot_anew() {
        let marks = marks();
        marks.show(0, at(5));
        marks.show(9, at(3));
        assert_eq!(marks.within(10, at(5)), 10);
    }

    #[test]
    fn a_count_may_wrap() {
        for last in [u64::MAX, (1 << 40) - 1] {
            let marks = marks();
            marks.show(last - 1, at(0));
            assert_eq!(marks.within(3, at(1)), 5);
        }
    }

    #[test]
    fn a_count_that_is_behind_the_mark_hides_no_failures() {
        let marks = marks();
        marks.show(101, at(0));
        assert_eq!(marks.within(100, at(0)), 0);
        marks.discount();
        assert_eq!(marks.within(101, at(0)), 0);
        assert_eq!(marks.within(105, at(0)), 3);
    }
}
