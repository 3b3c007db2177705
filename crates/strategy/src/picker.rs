//! The data side: choosing, once for each request.

use std::any::Any;
use std::fmt;
use std::ptr;

use evenkeel_stats::Timestamp;

use crate::mix::derive;
use crate::{LoadCell, PickError};

/// An immutable snapshot that chooses.
///
/// It is shared by every thread and called once for each request, so a pick takes no lock, allocates
/// nothing, waits for nothing, and does not slow down with the number of members. It has no clock and
/// no random source: the context carries both, so the same calls give the same choices in production,
/// in tests and in simulation.
///
/// What every picker keeps to, and [`MemberSet`](crate::MemberSet) does for it:
/// - a member that was tried, or is neither ready nor degraded, or has weight 0, is not picked while
///   another one is eligible;
/// - while there is a member, somebody is picked (panic mode), unless the context is strict;
/// - readiness is read live, so that a trip counts from the next pick on, without a rebuild.
///
/// `Any` lets a strategy recognise its own previous picker, to carry over what that has learnt.
pub trait Picker: Any + Send + Sync + fmt::Debug {
    /// The index of the member to send to, in the order the members were handed to the build.
    ///
    /// # Errors
    /// [`PickError::Empty`] without members; [`PickError::NoneEligible`] in a strict context;
    /// [`PickError::Shed`] if the strategy refuses the request on purpose.
    fn pick(&self, context: &PickContext<'_>) -> Result<usize, PickError>;
}

/// What one pick is made with.
///
/// Borrowed and cheap to copy. Made by [`new`](Self::new) and the `with_` methods, so that it can
/// grow.
///
/// ```
/// use evenkeel_stats::Timestamp;
/// use evenkeel_strategy::{LoadCell, PickContext};
///
/// let failed = LoadCell::new();
/// let tried = [&failed];
/// let retry = PickContext::new(Timestamp::ZERO, 0x1234_5678_9abc_def0).with_tried(&tried);
/// assert!(retry.is_excluded(&failed));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct PickContext<'a> {
    now: Timestamp,
    random: u64,
    hash: Option<u64>,
    excluded: Excluded<'a>,
    strict: bool,
    blind: bool,
}

/// Cells that should not be picked, as a list of slices: each wrapper may put one of its own, from
/// its stack, before those of its caller.
#[derive(Clone, Copy, Debug, Default)]
struct Excluded<'a> {
    cells: &'a [&'a LoadCell],
    rest: Option<&'a Self>,
}

impl<'a> PickContext<'a> {
    /// A first attempt at `now`. `random` is a uniform random word, a new one for each pick; all 64
    /// bits are used.
    #[must_use]
    #[inline]
    pub const fn new(now: Timestamp, random: u64) -> Self {
        Self {
            now,
            random,
            hash: None,
            excluded: Excluded {
                cells: &[],
                rest: None,
            },
            strict: false,
            blind: false,
        }
    }

    /// With the hash of what the request is routed by (see [`hash_key`](crate::hash_key)). Without
    /// it, hashing strategies route by the random word.
    #[must_use]
    #[inline]
    pub const fn with_hash(mut self, hash: u64) -> Self {
        self.hash = Some(hash);
        self
    }

    /// With the cells of the backends this request was sent to already. They are picked again only
    /// when no other is eligible.
    ///
    /// Cells and not indices, because the members may change between two attempts.
    #[must_use]
    #[inline]
    pub const fn with_tried(mut self, tried: &'a [&'a LoadCell]) -> Self {
        self.excluded.cells = tried;
        self
    }

    /// With another random word, for a wrapper that picks again.
    #[must_use]
    #[inline]
    pub const fn with_random(mut self, random: u64) -> Self {
        self.random = random;
        self
    }

    /// An error in place of panic mode: [`PickError::NoneEligible`] when no member is both untried
    /// and ready or degraded. For a wrapper that has somewhere else to look.
    #[must_use]
    #[inline]
    pub const fn strict(mut self) -> Self {
        self.strict = true;
        self
    }

    /// Panic mode in place of an error: undoes [`strict`](Self::strict).
    #[must_use]
    #[inline]
    pub const fn lenient(mut self) -> Self {
        self.strict = false;
        self
    }

    /// With every readiness but draining taken for ready: spread over all, whatever health says.
    #[must_use]
    #[inline]
    pub const fn ignoring_readiness(mut self) -> Self {
        self.blind = true;
        self
    }

    /// This context, with `more` excluded as well.
    #[must_use]
    #[inline]
    pub const fn excluding<'b>(&'b self, more: &'b [&'b LoadCell]) -> PickContext<'b>
    where
        'a: 'b,
    {
        PickContext {
            excluded: Excluded {
                cells: more,
                rest: Some(&self.excluded),
            },
            ..*self
        }
    }

    /// The time of the pick.
    #[must_use]
    #[inline]
    pub const fn now(&self) -> Timestamp {
        self.now
    }

    /// The random word.
    #[must_use]
    #[inline]
    pub const fn random(&self) -> u64 {
        self.random
    }

    /// The `k`-th of the words derived from the random word, for a picker that needs several.
    #[must_use]
    #[inline]
    pub const fn derived(&self, k: u64) -> u64 {
        derive(self.random, k)
    }

    /// The routing hash, if the request has one.
    #[must_use]
    #[inline]
    pub const fn hash(&self) -> Option<u64> {
        self.hash
    }

    /// Whether this backend was tried already, or is excluded by a wrapper. Linear in how many are,
    /// which is few.
    #[must_use]
    #[inline]
    pub fn is_excluded(&self, cell: &LoadCell) -> bool {
        // Nothing is excluded at nearly every pick.
        if self.excluded.cells.is_empty() && self.excluded.rest.is_none() {
            return false;
        }
        self.excluded.contains(cell)
    }

    /// Whether an error is wanted in place of panic mode.
    #[must_use]
    #[inline]
    pub const fn is_strict(&self) -> bool {
        self.strict
    }

    /// Whether readiness is to be ignored.
    #[must_use]
    #[inline]
    pub const fn ignores_readiness(&self) -> bool {
        self.blind
    }
}

impl Excluded<'_> {
    fn contains(&self, cell: &LoadCell) -> bool {
        let mut list = Some(self);
        while let Some(here) = list {
            if here.cells.iter().any(|excluded| ptr::eq(*excluded, cell)) {
                return true;
            }
            list = here.rest;
        }
        false
    }
}

#[cfg(test)]
#[cfg(not(evenkeel_loom))]
mod tests {
    use super::*;

    #[test]
    fn what_a_wrapper_excludes_does_not_hide_what_was_tried() {
        let (tried, full, free) = (LoadCell::new(), LoadCell::new(), LoadCell::new());
        let tried_list = [&tried];
        let context = PickContext::new(Timestamp::ZERO, 0).with_tried(&tried_list);
        let full_list = [&full];
        let narrowed = context.excluding(&full_list);
        assert!(narrowed.is_excluded(&tried));
        assert!(narrowed.is_excluded(&full));
        assert!(!narrowed.is_excluded(&free));
        assert!(!context.is_excluded(&full));
    }
}
