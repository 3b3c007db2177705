//! Maglev hashing.

use std::sync::Arc;

use crate::hash::hash_id;
use crate::mix::{below, derive};
use crate::{
    BuildContext, BuildError, ConfigError, Member, MemberSet, PickContext, PickError, Picker, Strategy,
};

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
}

impl Default for MaglevConfig {
    fn default() -> Self {
        Self { table_size: 65_537 }
    }
}

/// A key goes to the member that its entry of a table names; the members fill the table in turns,
/// each along a permutation of its own.
///
/// Shares are even to within 1 %, much better than a ring's, and a lookup is one read. When a member
/// goes, its keys move, and some of others besides, where a ring moves only its own: measured with the
/// default table, 1.0 times its share in all for 10 members, 1.5 for 100, 6.4 for 1000. A key whose
/// member is not ready goes to another one, the same each time.
///
/// Take it for affinity where speed and evenness count for more than the least movement. Not where
/// every moved key is a lost session, nor for a thousand members that come and go; see
/// [`RingHash`](crate::RingHash).
///
/// - Without a routing hash in the context the random word takes its place.
/// - Cost: O(1), about 2 ns while the table is in the cache.
/// - Build: O(m log m) for m entries and weights alike; with weights far apart up to O(m) for each
///   member, since all are asked in each round.
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
        let table = fill(context.members(), &members, size);
        Ok(Arc::new(MaglevPicker { table, members }))
    }
}

/// A member on its way through its permutation of the table.
struct Walker {
    index: u32,
    at: u32,
    skip: u32,
    weight: u64,
    /// Weight saved up; an entry costs the greatest weight.
    credit: u64,
}

fn fill(described: &[Member], members: &MemberSet, size: u32) -> Box<[u32]> {
    const FREE: u32 = u32::MAX;
    let mut walkers: Vec<(&Member, Walker)> = (0_u32..)
        .zip(described)
        .map(|(index, member)| {
            let place = hash_id(member.id());
            let walker = Walker {
                index,
                at: below(derive(place, 0), size as usize).0 as u32,
                skip: below(derive(place, 1), size as usize - 1).0 as u32 + 1,
                weight: u64::from(members.weight(index as usize)),
                credit: 0,
            };
            (member, walker)
        })
        .filter(|(_, walker)| walker.weight > 0)
        .collect();
    // The order of turns must not hang on the order of discovery, or two clients' tables differ.
    walkers.sort_by(|(a, _), (b, _)| a.id().cmp(b.id()));
    let heaviest = walkers.iter().map(|(_, walker)| walker.weight).max().unwrap_or(1);
    let mut table = vec![FREE; size as usize];
    let mut left = if walkers.is_empty() { 0 } else { size };
    // Each takes one entry before the turns begin: a weight too small for a turn is not no weight.
    let mut first_round = true;
    while left > 0 {
        for (_, walker) in &mut walkers {
            walker.credit += walker.weight;
            if walker.credit < heaviest && !first_round {
                continue;
            }
            walker.credit = walker.credit.saturating_sub(heaviest);
            while let Some(entry) = table.get_mut(walker.at as usize) {
                let free = *entry == FREE;
                if free {
                    *entry = walker.index;
                }
                walker.at += walker.skip;
                if walker.at >= size {
                    walker.at -= size;
                }
                if free {
                    break;
                }
            }
            left -= 1;
            if left == 0 {
                break;
            }
        }
        first_round = false;
    }
    table.into()
}

#[derive(Debug)]
struct MaglevPicker {
    table: Box<[u32]>,
    members: MemberSet,
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
mod tests {
    use super::*;
    use crate::testing::{counts, members};

    fn table(members: &[Member]) -> Box<[u32]> {
        fill(members, &MemberSet::new(members).unwrap(), 65_537)
    }

    fn shares(table: &[u32], count: usize) -> Vec<u32> {
        let mut shares = vec![0; count];
        for &index in table {
            shares[index as usize] += 1;
        }
        shares
    }

    #[test]
    fn equal_members_hold_equal_shares_to_within_one_entry() {
        let shares = shares(&table(&members(&[1; 100])), 100);
        assert!(
            shares.iter().all(|share| (655..=656).contains(share)),
            "{shares:?}"
        );
    }

    #[test]
    fn unequal_members_hold_shares_by_weight() {
        let shares = shares(&table(&members(&[1, 2, 0, 5])), 4);
        for (share, expected) in shares.iter().zip([8_192_u32, 16_384, 0, 40_961]) {
            assert!(share.abs_diff(expected) <= 2, "{shares:?}");
        }
    }

    #[test]
    fn the_lightest_beside_the_heaviest_still_holds_an_entry() {
        let shares = shares(&table(&members(&[1, u32::MAX, 0])), 3);
        assert_eq!(shares, [1, 65_536, 0]);
    }

    #[test]
    fn the_order_of_discovery_changes_nothing() {
        let forward = members(&[1; 20]);
        let backward: Vec<Member> = forward.iter().rev().cloned().collect();
        let (a, b) = (table(&forward), table(&backward));
        assert!(a.iter().zip(&b).all(|(a, b)| *a == 19 - *b));
    }

    #[test]
    fn a_table_that_is_no_prime_is_refused_by_name() {
        for table_size in [0, 65_536, 65_539 * 2, u32::MAX] {
            let error = Maglev::new(MaglevConfig { table_size }).unwrap_err();
            assert!(error.to_string().contains("table_size"), "{error}");
        }
        assert!(
            Maglev::new(MaglevConfig {
                table_size: 5_000_011
            })
            .is_ok()
        );
    }

    #[test]
    fn more_members_than_entries_is_an_error() {
        let strategy = Maglev::new(MaglevConfig { table_size: 251 }).unwrap();
        let error = strategy
            .build(&BuildContext::new(&members(&[1; 252])))
            .unwrap_err();
        assert!(matches!(error, BuildError::TooManyMembers { limit: 251, .. }));
    }

    #[test]
    fn keys_spread_as_the_table_says() {
        let counts = counts(&Maglev::default(), &members(&[1, 3]), 40_000);
        assert!((9_600..=10_400).contains(&counts[0]), "{counts:?}");
    }
}
