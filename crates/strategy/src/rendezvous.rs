//! Rendezvous hashing.

use std::sync::Arc;

use crate::hash::hash_id;
use crate::mix::{mix, unit};
use crate::{BuildContext, BuildError, MemberSet, PickContext, PickError, Picker, Strategy};

/// A key goes to the member whose hash with the key is the highest.
///
/// Exactly the keys of a member that goes move, and they spread over all others; one that comes takes
/// exactly its share. Shares are as even as the hash, and exact by weight. A key whose member is not
/// ready goes to its second highest.
///
/// Take it for affinity over few members (to some dozens), where it beats a ring in every way but
/// speed. Not for many: a pick looks at every member.
///
/// - Without a routing hash in the context the random word takes its place.
/// - Cost: O(n), about 3 ns a member with equal weights, 10 ns with unequal ones. No table, no build.
/// - Source: Thaler, Ravishankar, "Using name-based mappings to increase hit rates", 1998; weights by
///   -w / ln(h) (Schindler, Tomforde, SNIA SDC 2016).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rendezvous;

impl Strategy for Rendezvous {
    fn build(&self, context: &BuildContext<'_>) -> Result<Arc<dyn Picker>, BuildError> {
        let members = MemberSet::new(context.members())?.by_weight();
        let places = (0..members.active_len())
            .filter_map(|k| context.members().get(members.active(k)))
            .map(|member| hash_id(member.id()))
            .collect();
        Ok(Arc::new(RendezvousPicker { places, members }))
    }
}

/// How much a member is liked by a key, by their two hashes.
#[inline]
pub(crate) fn score(place: u64, key: u64) -> u64 {
    // Mixed before and after: ids that differ in one bit and keys that do must not cancel.
    mix(place ^ mix(key))
}

/// [`score`] brought to a weight: the member with the least is liked best.
#[inline]
pub(crate) fn weighted_score(place: u64, key: u64, weight: u32) -> f64 {
    // -ln of a uniform fraction, over the weight: the least of such is a member's with probability
    // weight / total.
    -unit(score(place, key)).ln() / f64::from(weight)
}

#[derive(Debug)]
struct RendezvousPicker {
    /// Of the members with a weight above 0.
    places: Box<[u64]>,
    members: MemberSet,
}

impl RendezvousPicker {
    #[inline]
    fn best(&self, key: u64, admits: impl Fn(usize) -> bool) -> Option<usize> {
        let candidates = || {
            let places = self.places.iter().enumerate();
            places
                .map(|(k, &place)| (self.members.active(k), place))
                .filter(|&(index, _)| admits(index))
        };
        let mut best = None;
        if self.members.has_equal_weights() {
            let mut most = 0;
            for (index, place) in candidates() {
                let score = score(place, key);
                if score >= most {
                    (most, best) = (score, Some(index));
                }
            }
        } else {
            let mut least = f64::INFINITY;
            for (index, place) in candidates() {
                let score = weighted_score(place, key, self.members.weight(index));
                if score <= least {
                    (least, best) = (score, Some(index));
                }
            }
        }
        best
    }
}

impl Picker for RendezvousPicker {
    fn pick(&self, context: &PickContext<'_>) -> Result<usize, PickError> {
        let key = context.hash().unwrap_or_else(|| context.random());
        // Two passes and not one, because nearly always the first one's winner is ready, and looking
        // at one cell is cheaper than looking at all.
        if let Some(index) = self.best(key, |_| true)
            && self.members.is_ready(index, context)
        {
            return Ok(index);
        }
        match self.best(key, |index| self.members.is_eligible(index, context)) {
            Some(index) => Ok(index),
            None => self.members.any(&context.with_random(key)),
        }
    }
}

#[cfg(test)]
#[cfg(not(evenkeel_loom))]
mod tests {
    use super::*;
    use crate::testing::{counts, members};

    #[test]
    fn shares_follow_the_weights() {
        let counts = counts(&Rendezvous, &members(&[1, 2, 0, 5]), 80_000);
        for (count, expected) in counts.iter().zip([10_000_u64, 20_000, 0, 50_000]) {
            assert!(count.abs_diff(expected) <= expected / 25, "{counts:?}");
        }
    }
}
