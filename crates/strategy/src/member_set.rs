//! The members as a picker keeps them, and the rules of eligibility that every picker shares.

use std::sync::Arc;

use crate::mix::{below, derive};
use crate::{BuildError, LoadCell, Member, PickContext, PickError, Readiness};

/// How many candidates are tried before every member is looked at. With half of the members sick,
/// one pick in 256 comes that far.
const TRIES: u32 = 8;

/// The members of a picker: their load cells and weights, and who of them may be picked.
///
/// A picker that asks [`first_eligible`](Self::first_eligible) needs to know nothing of readiness,
/// of what was tried, of weight 0 or of panic mode: it says whom it would like, in what order.
///
/// ```
/// use std::sync::Arc;
/// use evenkeel_stats::Timestamp;
/// use evenkeel_strategy::{Member, MemberSet, PickContext, Readiness};
///
/// let members = [Member::new("a"), Member::new("b")];
/// let set = MemberSet::new(&members)?;
/// members[0].load().set_readiness(Readiness::Unhealthy);
///
/// let context = PickContext::new(Timestamp::ZERO, 1);
/// // It would like "a", then "b".
/// assert_eq!(set.first_eligible(&context, |attempt| attempt as usize % 2), Ok(1));
/// # Ok::<(), evenkeel_strategy::BuildError>(())
/// ```
#[derive(Debug)]
pub struct MemberSet {
    slots: Box<[Slot]>,
    /// The members with weight above 0, if that is not all of them.
    active: Option<Box<[u32]>>,
    equal_weights: bool,
    /// Whether the search for anybody at all goes by weight.
    by_weight: bool,
}

/// What a pick reads of a member beside its cell; one cache line holds four.
#[derive(Debug)]
struct Slot {
    cell: Arc<LoadCell>,
    weight: u32,
    /// Mean weight / weight.
    scale: f32,
}

/// How good a choice a member is, best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Standing {
    Ready,
    Degraded,
    /// Weight 0.
    Standby,
    /// From here on a strict context gets an error.
    Tried,
    Sick,
    SickAndTried,
    Draining,
}

impl MemberSet {
    /// The set of these members; the search of last resort takes any of the best, weights aside.
    ///
    /// # Errors
    /// [`BuildError::AllWeightsZero`] if there are members and none has a weight;
    /// [`BuildError::TooManyMembers`] beyond 2^32.
    pub fn new(members: &[Member]) -> Result<Self, BuildError> {
        let count = members.len();
        if u32::try_from(count).is_err() {
            return Err(BuildError::TooManyMembers {
                strategy: "a member set",
                members: count,
                limit: u32::MAX as usize,
            });
        }
        // Read once: a weight set by hand in the meantime belongs to the next build.
        let weights: Vec<u32> = members.iter().map(Member::weight).collect();
        let positive = weights.iter().filter(|&&weight| weight > 0).count();
        if positive == 0 && count > 0 {
            return Err(BuildError::AllWeightsZero { members: count });
        }
        let sum: u64 = weights.iter().map(|&weight| u64::from(weight)).sum();
        let mean = sum as f64 / positive.max(1) as f64;
        let mut positive_weights = weights.iter().filter(|&&weight| weight > 0);
        let first = positive_weights.next();
        let equal_weights = positive_weights.all(|weight| Some(weight) == first);
        let active = (positive < count).then(|| {
            (0_u32..)
                .zip(&weights)
                .filter(|&(_, &weight)| weight > 0)
                .map(|(index, _)| index)
                .collect()
        });
        let slots = members
            .iter()
            .zip(&weights)
            .map(|(member, &weight)| Slot {
                cell: Arc::clone(member.load()),
                weight,
                scale: if weight == 0 {
                    1.0
                } else {
                    (mean / f64::from(weight)) as f32
                },
            })
            .collect();
        Ok(Self {
            slots,
            active,
            equal_weights,
            by_weight: false,
        })
    }

    /// The same set; the search of last resort goes by weight.
    #[must_use]
    pub fn by_weight(mut self) -> Self {
        self.by_weight = true;
        self
    }

    /// How many members there are.
    #[must_use]
    #[inline]
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether there are none.
    #[must_use]
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// How many members have a weight above 0.
    #[must_use]
    #[inline]
    pub fn active_len(&self) -> usize {
        self.active
            .as_ref()
            .map_or(self.slots.len(), |active| active.len())
    }

    /// The index of the `k`-th member with a weight above 0; `k` itself if there is none.
    #[must_use]
    #[inline]
    pub fn active(&self, k: usize) -> usize {
        match &self.active {
            None => k,
            Some(active) => active.get(k).map_or(k, |&index| index as usize),
        }
    }

    /// The load cell of member `index`.
    #[must_use]
    #[inline]
    pub fn cell(&self, index: usize) -> Option<&Arc<LoadCell>> {
        self.slots.get(index).map(|slot| &slot.cell)
    }

    /// The weight of member `index` as it was at the build, 0 if there is no such member.
    #[must_use]
    #[inline]
    pub fn weight(&self, index: usize) -> u32 {
        self.slots.get(index).map_or(0, |slot| slot.weight)
    }

    /// The mean of the weights above 0, divided by the weight of member `index`: what a load is
    /// multiplied by to be compared with the others'. 1 if all weights are equal.
    #[must_use]
    #[inline]
    pub fn scale(&self, index: usize) -> f64 {
        self.slots.get(index).map_or(1.0, |slot| f64::from(slot.scale))
    }

    /// Whether all weights above 0 are the same.
    #[must_use]
    pub fn has_equal_weights(&self) -> bool {
        self.equal_weights
    }

    /// A member drawn uniformly from those with a weight above 0, by a uniform word.
    #[must_use]
    #[inline]
    pub fn draw(&self, word: u64) -> usize {
        self.active(below(word, self.active_len()).0)
    }

    /// Whether member `index` is the best there could be: ready, of a weight above 0, and not excluded. The one question
    /// on the fast path.
    #[must_use]
    #[inline]
    pub fn is_ready(&self, index: usize, context: &PickContext<'_>) -> bool {
        self.slots.get(index).is_some_and(|slot| is_ready(slot, context))
    }

    /// The load cell of member `index` and its [`scale`](Self::scale), if it
    /// [is ready](Self::is_ready): one look-up where three would do the same.
    #[inline]
    pub(crate) fn ready(&self, index: usize, context: &PickContext<'_>) -> Option<(&LoadCell, f64)> {
        let slot = self.slots.get(index).filter(|slot| is_ready(slot, context))?;
        Some((&slot.cell, f64::from(slot.scale)))
    }

    /// Whether member `index` may be picked without panic mode: ready or degraded, of a weight above
    /// 0, and not excluded.
    #[must_use]
    #[inline]
    pub fn is_eligible(&self, index: usize, context: &PickContext<'_>) -> bool {
        self.slots
            .get(index)
            .is_some_and(|slot| standing(slot, context) <= Standing::Degraded)
    }

    /// Whether member `index` bears its part of the load: ready or degraded, and of a weight above 0,
    /// whether it was tried for this request or not.
    #[must_use]
    #[inline]
    pub fn is_healthy(&self, index: usize, context: &PickContext<'_>) -> bool {
        self.slots.get(index).is_some_and(|slot| {
            let readiness = slot.cell.readiness(context.now());
            let ignored = context.ignores_readiness() && readiness != Readiness::Draining;
            slot.weight > 0 && (ignored || readiness.is_eligible())
        })
    }

    /// The first ready member among the candidates that `candidate` gives for the attempts 0, 1, 2...;
    /// failing that a degraded one among them; failing that whoever is best among all.
    ///
    /// O(1) while most members are ready; O(n) when eight candidates in a row are not eligible.
    ///
    /// # Errors
    /// [`PickError::Empty`], or [`PickError::NoneEligible`] in a strict context.
    #[inline]
    pub fn first_eligible(
        &self,
        context: &PickContext<'_>,
        mut candidate: impl FnMut(u32) -> usize,
    ) -> Result<usize, PickError> {
        let first = candidate(0);
        if self.is_ready(first, context) {
            return Ok(first);
        }
        self.next_eligible(context, first, candidate)
    }

    #[cold]
    fn next_eligible(
        &self,
        context: &PickContext<'_>,
        first: usize,
        mut candidate: impl FnMut(u32) -> usize,
    ) -> Result<usize, PickError> {
        if self.is_empty() {
            return Err(PickError::Empty);
        }
        let mut degraded = None;
        let mut index = first;
        for attempt in 1..=TRIES {
            match self.slots.get(index).map(|slot| standing(slot, context)) {
                Some(Standing::Ready) => return Ok(index),
                Some(Standing::Degraded) => degraded = degraded.or(Some(index)),
                _ => {}
            }
            index = candidate(attempt);
        }
        degraded.map_or_else(|| self.any(context), Ok)
    }

    /// The best member there is, looking at every one; a random one of several, by weight if the set
    /// is [`by_weight`](Self::by_weight). The last resort, O(n).
    ///
    /// # Errors
    /// [`PickError::Empty`], or [`PickError::NoneEligible`] in a strict context.
    #[cold]
    pub fn any(&self, context: &PickContext<'_>) -> Result<usize, PickError> {
        let mut best: Option<(Standing, usize)> = None;
        let mut total = 0_u64;
        for (index, slot) in self.slots.iter().enumerate() {
            let standing = standing(slot, context);
            let weight = if self.by_weight {
                u64::from(slot.weight.max(1))
            } else {
                1
            };
            match best {
                Some((best, _)) if standing > best => continue,
                Some((best, _)) if standing == best => total += weight,
                _ => total = weight,
            }
            // Reservoir sampling: whoever comes replaces the one before with its share of the total.
            // At the first of its kind the share is 1 and it always does.
            let word = derive(!context.random(), index as u64);
            if below(word, usize::try_from(total).unwrap_or(usize::MAX)).0 < weight as usize {
                best = Some((standing, index));
            }
        }
        let (standing, index) = best.ok_or(PickError::Empty)?;
        if context.is_strict() && standing >= Standing::Tried {
            return Err(PickError::NoneEligible);
        }
        Ok(index)
    }
}

#[inline]
fn is_ready(slot: &Slot, context: &PickContext<'_>) -> bool {
    let readiness = slot.cell.readiness(context.now());
    (readiness == Readiness::Ready || (context.ignores_readiness() && readiness != Readiness::Draining))
        && slot.weight > 0
        && !context.is_excluded(&slot.cell)
}

fn standing(slot: &Slot, context: &PickContext<'_>) -> Standing {
    let mut readiness = slot.cell.readiness(context.now());
    if context.ignores_readiness() && readiness != Readiness::Draining {
        readiness = Readiness::Ready;
    }
    let tried = context.is_excluded(&slot.cell);
    match (readiness, tried) {
        (Readiness::Draining, _) => Standing::Draining,
        (Readiness::Ready | Readiness::Degraded, true) => Standing::Tried,
        (_, true) => Standing::SickAndTried,
        (Readiness::Ready | Readiness::Degraded, false) if slot.weight == 0 => Standing::Standby,
        (Readiness::Ready, false) => Standing::Ready,
        (Readiness::Degraded, false) => Standing::Degraded,
        (_, false) => Standing::Sick,
    }
}

#[cfg(test)]
#[cfg(not(evenkeel_loom))]
mod tests;
