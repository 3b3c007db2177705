//! The least loaded of a sample: what the three "least" strategies share.

use crate::mix::below;
use crate::{LoadMetric, MemberSet, PickContext, PickError};

/// Looks at a run of members from a random start and takes the least loaded.
///
/// A run of the ring of members, and not a random sample of it, because its members are distinct for
/// nothing; over many picks every member is in as many runs as any other.
#[derive(Debug)]
pub(crate) struct LeastLoaded {
    pub(crate) members: MemberSet,
    pub(crate) load: LoadMetric,
    pub(crate) sample: usize,
    pub(crate) weighted: bool,
}

impl LeastLoaded {
    pub(crate) fn pick(&self, context: &PickContext<'_>) -> Result<usize, PickError> {
        let count = self.members.active_len();
        let (start, _) = below(context.random(), count);
        let mut best: Option<(f64, usize)> = None;
        let mut tied = 0;
        for k in 0..self.sample.min(count) {
            let k = if start + k < count {
                start + k
            } else {
                start + k - count
            };
            let index = self.members.active(k);
            let Some((cell, scale)) = self.members.ready(index, context) else {
                continue;
            };
            let scale = if self.weighted { scale } else { 1.0 };
            let cost = self.load.cost(cell, scale, context.now());
            match best {
                Some((least, _)) if cost > least => continue,
                Some((least, _)) if cost == least => tied += self.weight(index),
                _ => tied = self.weight(index),
            }
            // Reservoir sampling, so that those who are tied share by weight: the first of a cost has
            // all of the weight so far.
            let weight = self.weight(index);
            if weight == tied || Self::draws(weight, tied, context.derived(k as u64)) {
                best = Some((cost, index));
            }
        }
        match best {
            Some((_, index)) => Ok(index),
            // Nobody in the run is ready.
            None => self.members.first_eligible(context, |attempt| {
                self.members.draw(context.derived(u64::from(attempt)))
            }),
        }
    }
    fn weight(&self, index: usize) -> u64 {
        if self.weighted {
            u64::from(self.members.weight(index))
        } else {
            1
        }
    }

    /// Whether a word draws `weight` out of `total`.
    fn draws(weight: u64, total: u64, word: u64) -> bool {
        below(word, usize::try_from(total).unwrap_or(usize::MAX)).0 < weight as usize
    }
}
