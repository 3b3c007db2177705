//! What the unit tests of the algorithms share.

use evenkeel_stats::Timestamp;

use crate::mix::derive;
use crate::{BuildContext, Member, PickContext, Strategy};

/// Members "0", "1", ... with these weights.
pub(crate) fn members(weights: &[u32]) -> Vec<Member> {
    (0_u32..)
        .zip(weights)
        .map(|(index, &weight)| Member::new(index.to_string()).with_weight(weight))
        .collect()
}

/// The `k`-th context of a fixed random sequence.
pub(crate) fn context(k: u64) -> PickContext<'static> {
    PickContext::new(Timestamp::ZERO, derive(0x5eed, k))
}

/// How often each member is picked in `picks` picks, with nothing in flight and a routing hash each.
pub(crate) fn counts(strategy: &dyn Strategy, members: &[Member], picks: u64) -> Vec<u64> {
    let picker = strategy.build(&BuildContext::new(members)).unwrap();
    let mut counts = vec![0; members.len()];
    for k in 0..picks {
        let context = context(k).with_hash(derive(0x4a54, k));
        counts[picker.pick(&context).unwrap()] += 1;
    }
    counts
}

/// The largest of the counts less the smallest.
pub(crate) fn spread(counts: &[u64]) -> u64 {
    counts.iter().max().unwrap() - counts.iter().min().unwrap()
}
