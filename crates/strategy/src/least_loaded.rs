//! The least loaded of a sample: what the three "least" strategies share.

use crate::mix::{below, derive};
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
        let mut tied = 0_u64;
        for k in 0..self.sample.min(count) {
            let k = if start + k < count {
                start + k
            } else {
                start + k - count
            };
            let index = self.members.active(k);
            if !self.members.is_ready(index, context) {
                continue;
            }
            let Some(cell) = self.members.cell(index) else {
                continue;
            };
            let (scale, weight) = if self.weighted {
                (self.members.scale(index), u64::from(self.members.weight(index)))
            } else {
                (1.0, 1)
            };
            let cost = self.load.cost(cell, scale, context.now());
            match best {
                Some((least, _)) if cost > least => {}
                Some((least, _)) if cost == least => {
                    // Reservoir sampling, so that the tied share by weight.
                    tied += weight;
                    let word = derive(context.random(), k as u64);
                    if below(word, usize::try_from(tied).unwrap_or(usize::MAX)).0 < weight as usize {
                        best = Some((cost, index));
                    }
                }
                _ => {
                    tied = weight;
                    best = Some((cost, index));
                }
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
}
