//! Maglev hashing.

use std::sync::Arc;

use crate::mix::{below, derive};
use crate::{
    BackendId, BuildContext, BuildError, ConfigError, MemberSet, PickContext, PickError, Picker, Strategy,
};

mod table;

use table::{fill, refill};

/// Settings of [`Maglev`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(default, deny_unknown_fields)
)]
pub struct MaglevConfig {
    /// Entries of the table: a prime, 251 to 5 000 011; 65 537 by default, the paper's small one,
    /// which is 256 KiB. At least 100 for each member keeps shares within 1 % of each other; fewer
    /// entries than members is an error of the build.
    pub table_size: u32,
    /// Whether a rebuild starts from the table before it and moves only the entries that must move,
    /// where the paper fills each table anew. False by default.
    ///
    /// False: the table depends on the members and nothing else, so all clients, whenever they were
    /// started, send a key to the same member; gateways that bring the spans of a trace together need
    /// that. When a member comes or goes some other members' keys move too, more of them the fewer
    /// entries a member has.
    ///
    /// True: a member that goes moves its own keys, one that comes moves its share, and nothing else
    /// moves; shares are as even as before. But the table then depends on which changes a client has
    /// seen, and two clients with different pasts do not agree on every key. Take it where one client
    /// keeps to its own choice: its caches, sessions or long connections.
    pub keep_previous: bool,
}

impl Default for MaglevConfig {
    fn default() -> Self {
        Self {
            table_size: 65_537,
            keep_previous: false,
        }
    }
}

/// A key goes to the member that its entry of a table names; the members fill the table in turns,
/// each along a permutation of its own.
///
/// Shares are even to within 1 %, much better than a ring's, and a lookup is one read. When a member
/// goes, its keys move, and some of others besides, where a ring moves only its own: measured with the
/// default table, 1.0 times its share in all for 10 members, 1.5 for 100, 6.4 for 1000. With
/// [`keep_previous`](MaglevConfig::keep_previous) it is 1.0 for any number, at the price that clients
/// with different pasts differ. A key whose member is not ready goes to another one, the same each time.
///
/// Take it for affinity where speed and evenness count for more than the least movement. Not, as it is
/// by default, where every moved key is a lost session, nor for a thousand members that come and go: set
/// `keep_previous`, or see [`RingHash`](crate::RingHash).
///
/// - Without a routing hash in the context the random word takes its place.
/// - Cost: O(1), about 2 ns while the table is in the cache.
/// - Build: O(m log m) for m entries, whatever the weights. A rebuild with the same members and weights,
///   as after a change of readiness, takes the table over.
/// - Source: Eisenbud et al., "Maglev: a fast and reliable software network load balancer", NSDI
///   2016. Weights: a member of half the greatest weight fills an entry at every other turn.
#[derive(Clone, Debug, Default)]
pub struct Maglev {
    config: MaglevConfig,
}

impl Maglev {
    /// The strategy with these settings.
    ///
    /// # Errors
    /// Names the field that is out of range.
    pub fn new(config: MaglevConfig) -> Result<Self, ConfigError> {
        let size = config.table_size;
        ConfigError::check(
            (251..=5_000_011).contains(&size) && is_prime(size),
            "MaglevConfig",
            "table_size",
            size,
            "a prime from 251 to 5000011",
        )?;
        Ok(Self { config })
    }
}

fn is_prime(number: u32) -> bool {
    let is_divisor = |divisor: u32| number.is_multiple_of(divisor);
    number > 1
        && !(2..)
            .take_while(|divisor| divisor * divisor <= number)
            .any(is_divisor)
}

impl Strategy for Maglev {
    fn build(&self, context: &BuildContext<'_>) -> Result<Arc<dyn Picker>, BuildError> {
        let members = MemberSet::new(context.members())?.by_weight();
        let size = self.config.table_size;
        if members.active_len() > size as usize {
            return Err(BuildError::TooManyMembers {
                strategy: "Maglev",
                members: members.active_len(),
                limit: size as usize,
            });
        }
        let previous = context
            .previous::<MaglevPicker>()
            .filter(|previous| previous.table.len() == size as usize);
        let ids: Box<[BackendId]> = context.members().iter().map(|m| m.id().clone()).collect();
        let table = match previous {
            Some(previous) if previous.is_of(&ids, &members) => Arc::clone(&previous.table),
            Some(previous) if self.config.keep_previous => {
                refill(context.members(), &members, &previous.ids, &previous.table).into()
            }
            _ => fill(context.members(), &members, size).into(),
        };
        Ok(Arc::new(MaglevPicker { table, ids, members }))
    }
}

#[derive(Debug)]
struct MaglevPicker {
    /// For each entry the index of a member.
    table: Arc<[u32]>,
    ids: Box<[BackendId]>,
    members: MemberSet,
}

impl MaglevPicker {
    /// Whether the table is that of these members with these weights.
    fn is_of(&self, ids: &[BackendId], members: &MemberSet) -> bool {
        *self.ids == *ids && (0..ids.len()).all(|index| self.members.weight(index) == members.weight(index))
    }
}

impl Picker for MaglevPicker {
    #[inline]
    fn pick(&self, context: &PickContext<'_>) -> Result<usize, PickError> {
        let key = context.hash().unwrap_or_else(|| context.random());
        self.members.first_eligible(&context.with_random(key), |attempt| {
            let word = match attempt {
                0 => key,
                // Another entry, the same one for this key each time.
                _ => derive(key, u64::from(attempt)),
            };
            let (entry, _) = below(word, self.table.len());
            self.table.get(entry).map_or(0, |&index| index as usize)
        })
    }
}

#[cfg(test)]
#[cfg(not(evenkeel_loom))]
mod tests;
