//! Subsetting.

use std::sync::Arc;
use std::time::Duration;

use crate::hash::{hash_id, hash_key};
use crate::rendezvous::score;
use crate::{
    BuildContext, BuildError, ConfigError, Member, MemberSet, PickContext, PickError, Picker, Strategy,
};

/// Settings of [`Subset`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(deny_unknown_fields)
)]
pub struct SubsetConfig {
    /// What tells this client from all others, the same after a restart: a host or instance name. Not
    /// empty.
    pub client: String,
    /// How many members this client uses. At least 1; 12 by default, Finagle's least aperture: enough
    /// that the loss of one or two is borne by the rest.
    #[cfg_attr(feature = "serde", serde(default = "default_size"))]
    pub size: usize,
}

const fn default_size() -> usize {
    12
}

impl SubsetConfig {
    /// 12 members for this client.
    pub fn new(client: impl Into<String>) -> Self {
        Self {
            client: client.into(),
            size: default_size(),
        }
    }
}

/// Wraps a strategy: each client uses only some of the members, and not all clients the same ones.
///
/// With c clients and n members there are c x `size` connections in place of c x n. Which members a
/// client uses is settled by rendezvous hashing of the two names: a member that goes is replaced by
/// one other, one that comes enters the subsets of its share of the clients, and nothing else moves.
/// If nobody in the subset is eligible, members outside it are used.
///
/// Take it when connections are too many: hundreds of clients and of members. Not with few clients:
/// each member is in about c x size / n subsets, give or take the square root, so with few of them
/// the load is uneven.
///
/// - Cost: that of the inner strategy and 1 ns. Build: O(n log n).
/// - Source: gRPC A68, "random subsetting with rendezvous hashing".
#[derive(Clone, Debug)]
pub struct Subset<S> {
    inner: S,
    config: SubsetConfig,
}

impl<S: Strategy> Subset<S> {
    /// Uses a subset, choosing by `inner` within it.
    ///
    /// # Errors
    /// Names the field that is out of range.
    pub fn new(inner: S, config: SubsetConfig) -> Result<Self, ConfigError> {
        let name = "SubsetConfig";
        ConfigError::check(
            !config.client.is_empty(),
            name,
            "client",
            "empty",
            "the client's name",
        )?;
        ConfigError::check(config.size > 0, name, "size", config.size, "at least 1")?;
        Ok(Self { inner, config })
    }
}

impl<S: Strategy> Strategy for Subset<S> {
    fn build(&self, context: &BuildContext<'_>) -> Result<Arc<dyn Picker>, BuildError> {
        let all = MemberSet::new(context.members())?.by_weight();
        let client = hash_key(self.config.client.as_bytes());
        // Without regard to weights, which the inner strategy keeps to: counted here as well, a heavy
        // member's share over all clients would grow as the square of its weight.
        let mut scored: Vec<(u64, u32)> = (0_u32..)
            .zip(context.members())
            .filter(|&(index, _)| all.weight(index as usize) > 0)
            .map(|(index, member)| (score(hash_id(member.id()), client), index))
            .collect();
        scored.sort_unstable();
        let mut indices: Vec<u32> = scored
            .iter()
            .take(self.config.size)
            .map(|&(_, index)| index)
            .collect();
        // In the order of all members, so that the inner strategy sees no other order than theirs.
        indices.sort_unstable();
        let members: Vec<Member> = indices
            .iter()
            .filter_map(|&index| context.members().get(index as usize).cloned())
            .collect();
        let previous = context.previous::<SubsetPicker>().map(|previous| &previous.inner);
        Ok(Arc::new(SubsetPicker {
            inner: self.inner.build(&context.nested(&members, previous))?,
            indices: indices.into(),
            all,
        }))
    }

    fn rebuild_every(&self) -> Option<Duration> {
        self.inner.rebuild_every()
    }
}

#[derive(Debug)]
struct SubsetPicker {
    inner: Arc<dyn Picker>,
    /// The subset's members, by their index among all.
    indices: Box<[u32]>,
    all: MemberSet,
}

impl Picker for SubsetPicker {
    fn pick(&self, context: &PickContext<'_>) -> Result<usize, PickError> {
        match self.inner.pick(&context.strict()) {
            Ok(index) => match self.indices.get(index) {
                Some(&index) => Ok(index as usize),
                None => self.all.any(context),
            },
            Err(PickError::NoneEligible | PickError::Empty) => self.all.any(context),
            Err(shed) => Err(shed),
        }
    }
}

#[cfg(test)]
#[cfg(not(evenkeel_loom))]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::testing::{context, members};
    use crate::{Readiness, RoundRobin};

    fn used(client: &str, members: &[Member]) -> BTreeSet<String> {
        let config = SubsetConfig {
            size: 5,
            ..SubsetConfig::new(client)
        };
        let strategy = Subset::new(RoundRobin, config).unwrap();
        let picker = strategy.build(&BuildContext::new(members)).unwrap();
        (0..100)
            .map(|k| members[picker.pick(&context(k)).unwrap()].id().to_string())
            .collect()
    }

    #[test]
    fn a_member_that_goes_is_replaced_by_one_other() {
        let members = members(&[1; 40]);
        let before = used("client-7", &members);
        assert_eq!(before.len(), 5);
        let gone = before.first().unwrap();
        let rest: Vec<Member> = members
            .iter()
            .filter(|m| m.id().as_str() != gone)
            .cloned()
            .collect();
        let after = used("client-7", &rest);
        assert_eq!(before.intersection(&after).count(), 4);
    }

    #[test]
    fn over_many_clients_a_weight_counts_once() {
        use crate::WeightedRoundRobin;

        // Half of weight 10, half of weight 1: the heavy half is due ten elevenths.
        let weights: Vec<u32> = (0..40).map(|i| if i % 2 == 0 { 10 } else { 1 }).collect();
        let members = members(&weights);
        let mut heavy = 0;
        let mut all = 0;
        for client in 0..400 {
            let config = SubsetConfig {
                size: 12,
                ..SubsetConfig::new(format!("client-{client}"))
            };
            let strategy = Subset::new(WeightedRoundRobin::default(), config).unwrap();
            let picker = strategy.build(&BuildContext::new(&members)).unwrap();
            for k in 0..200 {
                all += 1;
                heavy += usize::from(picker.pick(&context(k)).unwrap() % 2 == 0);
            }
        }
        let share = f64::from(u32::try_from(heavy).unwrap()) / f64::from(all);
        // A subset with few heavy members gives the light ones more: a little below the due.
        assert!((0.87..0.93).contains(&share), "{share}");
    }

    #[test]
    fn clients_use_different_members() {
        let members = members(&[1; 40]);
        let together: BTreeSet<String> = (0..60)
            .flat_map(|client| used(&format!("client-{client}"), &members))
            .collect();
        assert_eq!(together.len(), 40);
    }

    #[test]
    fn when_the_subset_is_sick_the_others_help_out() {
        let members = members(&[1; 10]);
        let inside = used("c", &members);
        for member in members
            .iter()
            .filter(|member| inside.contains(member.id().as_str()))
        {
            member.load().set_readiness(Readiness::Ejected);
        }
        assert!(used("c", &members).is_disjoint(&inside));
    }

    #[test]
    fn nonsense_in_the_config_is_named() {
        let refused = |config| Subset::new(RoundRobin, config).unwrap_err().to_string();
        assert!(refused(SubsetConfig::new("")).contains("client"));
        let config = SubsetConfig {
            size: 0,
            ..SubsetConfig::new("c")
        };
        assert!(refused(config).contains("size"));
    }
}
