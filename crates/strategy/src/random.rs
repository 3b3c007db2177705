//! Random, uniform.

use std::sync::Arc;

use crate::{BuildContext, BuildError, MemberSet, PickContext, PickError, Picker, Strategy};

/// Any member, each as likely as the others, weights aside.
///
/// Take it when there are many clients with few requests each, and when threads must share nothing:
/// a pick writes no memory at all. Not when evenness over a short time counts: after k picks a
/// member's count is off by about the square root of its share, and queues grow longer for it
/// (at 90 % load the mean response is 10 service times, where two choices give 2.6).
///
/// - Cost: O(1), one multiplication.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Random;

impl Strategy for Random {
    fn build(&self, context: &BuildContext<'_>) -> Result<Arc<dyn Picker>, BuildError> {
        Ok(Arc::new(RandomPicker {
            members: MemberSet::new(context.members())?,
        }))
    }
}

#[derive(Debug)]
struct RandomPicker {
    members: MemberSet,
}

impl Picker for RandomPicker {
    #[inline]
    fn pick(&self, context: &PickContext<'_>) -> Result<usize, PickError> {
        self.members.first_eligible(context, |attempt| {
            let word = match attempt {
                0 => context.random(),
                _ => context.derived(u64::from(attempt)),
            };
            self.members.draw(word)
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
    fn the_share_of_the_sick_is_spread_over_all_others() {
        let members = members(&[1; 4]);
        members[0].load().set_readiness(Readiness::Ejected);
        let counts = counts(&Random, &members, 30_000);
        assert_eq!(counts[0], 0);
        for count in &counts[1..] {
            assert!((9_600..=10_400).contains(count), "{counts:?}");
        }
    }
}
