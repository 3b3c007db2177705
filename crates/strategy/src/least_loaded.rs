//! The least loaded of a sample: what the three "least" strategies share.

use crate::alias::AliasTable;
use crate::mix::below;
use crate::weighted_random::weights_table;
use crate::{LoadMetric, MemberSet, PickContext, PickError};

/// Looks at a sample of the members and takes the least loaded.
///
/// The sample is a run of the ring of members from a random start, because its members are distinct for
/// nothing; over many picks every member is in as many runs as any other. That would hold a heavy member
/// down to the share of a light one where the weights differ and the run is not all of them: there the
/// sample is drawn by weight, with repetition.
#[derive(Debug)]
pub(crate) struct LeastLoaded {
    members: MemberSet,
    load: LoadMetric,
    sample: usize,
    weighted: bool,
    /// To draw the sample from, if it is drawn.
    by_weight: Option<AliasTable>,
}

impl LeastLoaded {
    /// Weights aside: loads are compared as they are.
    pub(crate) fn plain(members: MemberSet, load: LoadMetric, sample: usize) -> Self {
        Self {
            members,
            load,
            sample,
            weighted: false,
            by_weight: None,
        }
    }

    /// Loads are compared for their weights.
    pub(crate) fn weighted(members: MemberSet, load: LoadMetric, sample: usize) -> Self {
        let drawn = sample < members.active_len() && !members.has_equal_weights();
        Self {
            by_weight: drawn.then(|| weights_table(&members)),
            members: members.by_weight(),
            load,
            sample,
            weighted: true,
        }
    }

    pub(crate) fn pick(&self, context: &PickContext<'_>) -> Result<usize, PickError> {
        let count = self.members.active_len();
        let best = match &self.by_weight {
            // Who is tied shares alike: the weights have had their say in the draw.
            Some(table) => {
                let drawn = (0..self.sample).map(|k| table.draw(context.derived(DRAW + k as u64)));
                self.least(context, drawn, |_| 1)
            }
            None => {
                let (start, _) = below(context.random(), count);
                let around = (start..count).chain(0..start);
                let run = around.take(self.sample).map(|k| self.members.active(k));
                self.least(context, run, |index| self.weight(index))
            }
        };
        match best {
            Some(index) => Ok(index),
            // Nobody in the sample is ready.
            None => self.members.first_eligible(context, |attempt| {
                let word = context.derived(u64::from(attempt));
                match &self.by_weight {
                    Some(table) => table.draw(word),
                    None => self.members.draw(word),
                }
            }),
        }
    }

    /// The least loaded of those that are ready; of several one at random, by `weight`.
    #[inline]
    fn least(
        &self,
        context: &PickContext<'_>,
        sample: impl Iterator<Item = usize>,
        weight: impl Fn(usize) -> u64,
    ) -> Option<usize> {
        let mut best: Option<(f64, usize)> = None;
        let mut tied = 0;
        for (k, index) in (0_u64..).zip(sample) {
            let Some((cell, scale)) = self.members.ready(index, context) else {
                continue;
            };
            let scale = if self.weighted { scale } else { 1.0 };
            let cost = self.load.cost(cell, scale, context.now());
            let weight = weight(index);
            match best {
                Some((least, _)) if cost > least => continue,
                Some((least, _)) if cost == least => tied += weight,
                _ => tied = weight,
            }
            // Reservoir sampling: the first of a cost has all of the weight so far.
            if weight == tied || draws(weight, tied, context.derived(k)) {
                best = Some((cost, index));
            }
        }
        best.map(|(_, index)| index)
    }

    fn weight(&self, index: usize) -> u64 {
        if self.weighted {
            u64::from(self.members.weight(index))
        } else {
            1
        }
    }
}

/// Sets the draws of the sample apart from those among the tied.
const DRAW: u64 = 0x7361_6d70_6c65;

/// Whether a word draws `weight` out of `total`.
fn draws(weight: u64, total: u64, word: u64) -> bool {
    below(word, usize::try_from(total).unwrap_or(usize::MAX)).0 < weight as usize
}
