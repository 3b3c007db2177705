//! An open connection and what the pool knows of it.

use std::fmt;
use std::sync::Arc;

use evenkeel_stats::Timestamp;

use crate::addresses::Address;
use crate::seat::Seat;
use crate::shared::Shared;

/// Boxed at birth, so that handing it on under the lock moves one pointer however large it is.
#[derive(Debug)]
pub(crate) struct Live<T> {
    pub(crate) connection: T,
    pub(crate) address: Arc<Address>,
    /// The address's generation when it was dialled.
    pub(crate) generation: u64,
    /// The pool's epoch when its standing was last looked at.
    pub(crate) epoch: u64,
    pub(crate) born: Timestamp,
    /// Drawn once, at birth: drawn anew at each look, it would be the earliest of many draws.
    pub(crate) expires: Timestamp,
    /// Idle since then; of no meaning while it is out.
    pub(crate) since: Timestamp,
    /// Last found good by a check.
    pub(crate) checked: Timestamp,
    /// Not handed out yet, and opened for somebody who waits.
    pub(crate) fresh: bool,
    /// Has been idle.
    pub(crate) rested: bool,
    /// Whether it may go back.
    pub(crate) reusable: bool,
    /// How often it was handed out.
    pub(crate) uses: u32,
    /// When it was handed out, on the fine clock, if this use is one that is timed.
    pub(crate) timed: Option<Timestamp>,
    /// Of the waiter that was served with it, to be used again.
    pub(crate) seat: Option<Arc<Seat<T>>>,
    /// Of whoever gave it to the next in line.
    pub(crate) home: Home<T>,
}

/// A share of the pool that goes from a holder to the next together with the connection. To take one
/// and to give it up are two writes to a count that every core wants.
///
/// Empty in whatever the pool itself holds, which would else keep itself alive.
pub(crate) struct Home<T>(pub(crate) Option<Arc<Shared<T>>>);

impl<T> fmt::Debug for Home<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What is behind it may be locked.
        f.debug_tuple("Home").field(&self.0.is_some()).finish()
    }
}

impl<T> Live<T> {
    /// It is handed out once more. Says whether this use is to be timed: the first, and then one in
    /// [`SAMPLE`] at irregular intervals, so that no rhythm of the caller's falls in step.
    #[inline]
    pub(crate) fn begin_use(&mut self) -> bool {
        let n = self.uses;
        self.uses = n.wrapping_add(1);
        self.fresh = false;
        // The golden ratio spreads consecutive numbers over the whole range.
        n.wrapping_mul(0x9E37_79B9) < u32::MAX / SAMPLE
    }

    /// Whether it comes straight from its dial, so that there has been no time to die in.
    pub(crate) const fn is_new(&self) -> bool {
        self.fresh && !self.rested
    }

    /// Since when nobody has heard from it.
    pub(crate) fn quiet_since(&self) -> Timestamp {
        self.since.max(self.checked)
    }
}

/// One use in so many is timed: two readings of a fine clock and a record cost a third of a checkout.
const SAMPLE: u32 = 16;

#[cfg(all(test, not(evenkeel_loom)))]
mod tests {
    use super::*;

    #[test]
    fn one_use_in_sixteen_is_timed_in_no_rhythm_and_the_first_always() {
        let mut live = Live {
            connection: (),
            address: Address::stray(),
            generation: 0,
            epoch: 0,
            born: Timestamp::ZERO,
            expires: Timestamp::MAX,
            since: Timestamp::ZERO,
            checked: Timestamp::ZERO,
            fresh: true,
            rested: false,
            reusable: true,
            uses: 0,
            timed: None,
            seat: None,
            home: Home(None),
        };
        let timed: Vec<usize> = (0..16_000).filter(|_| live.begin_use()).collect();
        assert_eq!(timed[0], 0);
        assert!((900..1_100).contains(&timed.len()), "{}", timed.len());
        for period in [2, 3, 4, 8, 16] {
            let in_step = timed.iter().filter(|&n| n % period == 0).count();
            let share = in_step as f64 / timed.len() as f64 * period as f64;
            assert!((0.7..1.3).contains(&share), "every {period}th: {share}");
        }
    }
}
