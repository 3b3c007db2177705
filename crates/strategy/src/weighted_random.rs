//! Random, by weight.

use std::sync::Arc;

use crate::alias::AliasTable;
use crate::{BuildContext, BuildError, MemberSet, PickContext, PickError, Picker, Strategy};

/// Any member, each as likely as its share of the weights.
///
/// Take it where [`Random`](crate::Random) would do but backends differ in size; where a smooth order
/// counts take [`WeightedRoundRobin`](crate::WeightedRoundRobin). When a member is sick, the others
/// share its part by their weights.
///
/// - Cost: O(1) and no memory written; built in O(n). A table of 16 bytes a member.
/// - Source: the alias method of Walker (1977) as built by Vose (1991).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WeightedRandom;

impl Strategy for WeightedRandom {
    fn build(&self, context: &BuildContext<'_>) -> Result<Arc<dyn Picker>, BuildError> {
        let members = MemberSet::new(context.members())?.by_weight();
        let table = weights_table(&members);
        Ok(Arc::new(WeightedRandomPicker { members, table }))
    }
}

/// A table that draws members by their weights.
pub(crate) fn weights_table(members: &MemberSet) -> AliasTable {
    let weights: Vec<u64> = (0..members.len())
        .map(|index| u64::from(members.weight(index)))
        .collect();
    AliasTable::new(&weights)
}

#[derive(Debug)]
struct WeightedRandomPicker {
    members: MemberSet,
    table: AliasTable,
}

impl Picker for WeightedRandomPicker {
    #[inline]
    fn pick(&self, context: &PickContext<'_>) -> Result<usize, PickError> {
        self.members.first_eligible(context, |attempt| {
            let word = match attempt {
                0 => context.random(),
                _ => context.derived(u64::from(attempt)),
            };
            self.table.draw(word)
        })
    }
}

#[cfg(test)]
#[cfg(not(evenkeel_loom))]
mod tests {
    use super::*;
    use crate::Readiness;
    use crate::testing::{counts, members};

    #[test]
    fn the_share_of_the_sick_is_spread_by_weight() {
        let members = members(&[6, 1, 2]);
        members[0].load().set_readiness(Readiness::Unhealthy);
        let counts = counts(&WeightedRandom, &members, 30_000);
        assert_eq!(counts[0], 0);
        assert!((9_600..=10_400).contains(&counts[1]), "{counts:?}");
    }
}
