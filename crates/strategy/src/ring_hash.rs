//! Consistent hashing on a ring.

use std::sync::Arc;

use crate::hash::hash_id;
use crate::mix::derive;
use crate::{
    BackendId, BuildContext, BuildError, ConfigError, Member, MemberSet, PickContext, PickError, Picker,
    Strategy,
};

/// Settings of [`RingHash`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(default, deny_unknown_fields)
)]
pub struct RingHashConfig {
    /// Points on the ring for a member of weight [`unit`](Self::unit), 1 to 65 536; 100 by default.
    /// Shares are off by about 1/sqrt of this: 10 % with 100 points, 3 % with 1000.
    pub virtual_nodes: u32,
    /// The weight that `virtual_nodes` points stand for, above 0. By default the mean of the members'
    /// weights.
    ///
    /// By the mean, weights of any scale give rings of the same size; but whoever changes the mean
    /// changes everyone's number of points by a little, so that a change of one weight, or the loss of a
    /// heavy member, moves up to about twice the keys that must move. With weights all equal the mean
    /// never changes. With a unit, a member's points depend on its own weight and nothing else, and only
    /// what must move does: set it to the least weight you use, and mind that a weight of 1000 units is
    /// 100 000 points.
    pub unit: Option<u32>,
    /// The most points of all members together, 1024 to 8 388 608 (gRPC's cap); 1 048 576 by default,
    /// which is 16 MiB. Above it every member gets proportionally fewer, at least one, and a change of one
    /// weight changes all.
    pub max_ring_size: u32,
}

impl Default for RingHashConfig {
    fn default() -> Self {
        Self {
            virtual_nodes: 100,
            unit: None,
            max_ring_size: 1 << 20,
        }
    }
}

/// A key goes to the member whose point on a ring of hashes comes next.
///
/// When a member goes only its keys move, and each to the next point's member; when one comes, it takes
/// its share from all others. That is for equal weights; with unequal ones see
/// [`unit`](RingHashConfig::unit). A key whose member is not ready goes on along the ring, to the same
/// one each time.
///
/// Take it when backends hold what belongs to a key (a cache, a session) and members come and go.
/// [`Maglev`](crate::Maglev) spreads more evenly and looks up faster, and moves about twice the keys.
/// Not when keys are few or some are hot: a hash knows no load; see
/// [`BoundedLoad`](crate::BoundedLoad).
///
/// - Without a routing hash in the context the random word takes its place.
/// - Cost: O(1) on average: an index of the ring leads to the right spot, about two cache lines.
/// - Build: O(p) for p points; 1000 members of 100 points take 2 to 4 ms.
/// - Source: Karger et al., "Consistent hashing and random trees", STOC 1997; ring sizes as in Envoy
///   and gRPC A42. Points are placed by XXH64 of the id, so every client has the same ring.
#[derive(Clone, Debug, Default)]
pub struct RingHash {
    config: RingHashConfig,
}

impl RingHash {
    /// The strategy with these settings.
    ///
    /// # Errors
    /// Names the field that is out of range.
    pub fn new(config: RingHashConfig) -> Result<Self, ConfigError> {
        let name = "RingHashConfig";
        let nodes = config.virtual_nodes;
        ConfigError::check(
            (1..=65_536).contains(&nodes),
            name,
            "virtual_nodes",
            nodes,
            "1 to 65536",
        )?;
        ConfigError::check(config.unit != Some(0), name, "unit", 0, "above 0")?;
        let size = config.max_ring_size;
        ConfigError::check(
            (1_024..=1 << 23).contains(&size),
            name,
            "max_ring_size",
            size,
            "1024 to 8388608",
        )?;
        Ok(Self { config })
    }

    /// How many points each member gets.
    fn points(&self, members: &MemberSet) -> Vec<u32> {
        let weight = |index| f64::from(members.weight(index));
        let total: f64 = (0..members.len()).map(weight).sum();
        let unit = match self.config.unit {
            None => total / members.active_len().max(1) as f64,
            Some(unit) => f64::from(unit),
        };
        let wanted = f64::from(self.config.virtual_nodes) / unit;
        let fits = f64::from(self.config.max_ring_size) / total;
        let for_one = wanted.min(fits);
        (0..members.len())
            .map(|index| match members.weight(index) {
                0 => 0,
                _ => ((for_one * weight(index)).round() as u32).max(1),
            })
            .collect()
    }
}

impl Strategy for RingHash {
    fn build(&self, context: &BuildContext<'_>) -> Result<Arc<dyn Picker>, BuildError> {
        let members = MemberSet::new(context.members())?.by_weight();
        let points = self.points(&members);
        let total = points.iter().map(|&count| count as usize).sum();
        let mut ring = Vec::with_capacity(total);
        for (owner, (member, &count)) in (0_u32..).zip(context.members().iter().zip(&points)) {
            let place = hash_id(member.id());
            ring.extend((0..u64::from(count)).map(|k| Point {
                hash: derive(place, k),
                owner,
            }));
        }
        Ok(Arc::new(RingHashPicker {
            ring: Ring::new(&ring, |owner| {
                context.members().get(owner as usize).map(Member::id)
            }),
            members,
        }))
    }
}

#[derive(Clone, Copy, Debug)]
struct Point {
    hash: u64,
    owner: u32,
}

/// Points in order of their hash, with an index by the hash's first bits.
#[derive(Debug)]
struct Ring {
    points: Box<[Point]>,
    /// For each value of the first bits, the first point not before it.
    starts: Box<[u32]>,
    shift: u32,
}

impl Ring {
    /// `id` gives an owner's name, by which two points at one place are put in the same order
    /// everywhere.
    fn new<'a>(points: &[Point], id: impl Fn(u32) -> Option<&'a BackendId>) -> Self {
        // As many slots as points, so that a slot holds one on average: sorting into slots is then
        // nearly all of the sorting.
        let bits = points.len().max(2).next_power_of_two().trailing_zeros();
        let shift = u64::BITS - bits;
        let mut starts = vec![0_u32; 1 << bits];
        for point in points {
            if let Some(count) = starts.get_mut((point.hash >> shift) as usize) {
                *count += 1;
            }
        }
        let mut before = 0;
        for start in &mut starts {
            let count = *start;
            *start = before;
            before += count;
        }
        let mut free = starts.clone();
        let mut sorted: Box<[Point]> = points.into();
        for point in points {
            if let Some(free) = free.get_mut((point.hash >> shift) as usize)
                && let Some(place) = sorted.get_mut(*free as usize)
            {
                *place = *point;
                *free += 1;
            }
        }
        // What was the next free place of a slot is its end.
        for (&start, &end) in starts.iter().zip(&free) {
            if let Some(slot) = sorted.get_mut(start as usize..end as usize)
                && slot.len() > 1
            {
                slot.sort_unstable_by(|a, b| a.hash.cmp(&b.hash).then_with(|| id(a.owner).cmp(&id(b.owner))));
            }
        }
        Self {
            points: sorted,
            starts: starts.into(),
            shift,
        }
    }

    /// The position of the first point at `hash` or after it, the ring being closed.
    #[inline]
    fn position(&self, hash: u64) -> usize {
        let start = self.starts.get((hash >> self.shift) as usize);
        let mut position = start.map_or(0, |&start| start as usize);
        while self.points.get(position).is_some_and(|point| point.hash < hash) {
            position += 1;
        }
        position
    }

    /// Whose the point at `position` is, the ring being closed.
    #[inline]
    fn owner(&self, position: usize) -> usize {
        let point = self.points.get(position).or_else(|| self.points.first());
        point.map_or(0, |point| point.owner as usize)
    }
}

#[derive(Debug)]
struct RingHashPicker {
    ring: Ring,
    members: MemberSet,
}

impl Picker for RingHashPicker {
    #[inline]
    fn pick(&self, context: &PickContext<'_>) -> Result<usize, PickError> {
        let key = context.hash().unwrap_or_else(|| context.random());
        let mut position = self.ring.position(key);
        // The key decides where it goes when its member can not take it, so that it goes there each
        // time.
        self.members.first_eligible(&context.with_random(key), |attempt| {
            let mut owner = self.ring.owner(position);
            if attempt > 0 {
                let before = owner;
                // On to another member's point, or not far beyond.
                for _ in 0..8 {
                    position = (position + 1) % self.ring.points.len().max(1);
                    owner = self.ring.owner(position);
                    if owner != before {
                        break;
                    }
                }
            }
            owner
        })
    }
}

#[cfg(test)]
#[cfg(not(evenkeel_loom))]
mod tests {
    use super::*;
    use crate::testing::{counts, members};

    #[test]
    fn every_hash_finds_the_next_point_of_the_closed_ring() {
        let points: Vec<Point> = [1_u64 << 63, 5, u64::MAX - 1, 1 << 40]
            .into_iter()
            .zip([2, 0, 3, 1])
            .map(|(hash, owner)| Point { hash, owner })
            .collect();
        let ring = Ring::new(&points, |_| None);
        for (hash, owner) in [
            (0, 0),
            (5, 0),
            (6, 1),
            (1 << 62, 2),
            ((1 << 63) + 1, 3),
            (u64::MAX, 0),
        ] {
            assert_eq!(ring.owner(ring.position(hash)), owner, "{hash}");
        }
    }

    #[test]
    fn shares_follow_the_weights_as_closely_as_the_points_allow() {
        let strategy = RingHash::new(RingHashConfig {
            virtual_nodes: 2_000,
            ..RingHashConfig::default()
        });
        let counts = counts(&strategy.unwrap(), &members(&[1, 2, 0, 5]), 80_000);
        for (count, expected) in counts.iter().zip([10_000_u64, 20_000, 0, 50_000]) {
            assert!(count.abs_diff(expected) <= expected / 10, "{counts:?}");
        }
    }

    #[test]
    fn with_a_unit_points_hang_on_the_own_weight_alone() {
        let points = |unit, weights: &[u32]| {
            let config = RingHashConfig {
                unit,
                ..RingHashConfig::default()
            };
            let ring = RingHash::new(config).unwrap();
            ring.points(&MemberSet::new(&members(weights)).unwrap())
        };
        assert_eq!(points(Some(4), &[4, 1, 0, 10]), [100, 25, 0, 250]);
        assert_eq!(points(Some(4), &[4, 1, 40, 1]), [100, 25, 1_000, 25]);
        // Without one, the scale of the weights changes nothing.
        assert_eq!(points(None, &[1, 3]), points(None, &[1_000, 3_000]));
        // Nor does it break the limit.
        assert!(points(Some(1), &[u32::MAX, 1]).iter().sum::<u32>() <= (1 << 20) + 1);
    }

    #[test]
    fn a_full_ring_still_holds_everyone() {
        let strategy = RingHash::new(RingHashConfig {
            virtual_nodes: 65_536,
            max_ring_size: 1_024,
            ..RingHashConfig::default()
        });
        let counts = counts(&strategy.unwrap(), &members(&[1; 100]), 100_000);
        assert!(counts.iter().all(|&count| count > 0), "{counts:?}");
    }

    #[test]
    fn nonsense_in_the_config_is_named() {
        for (virtual_nodes, max_ring_size, unit, field) in [
            (0, 1_024, None, "virtual_nodes"),
            (1, 1, None, "max_ring_size"),
            (1, 1_024, Some(0), "unit"),
        ] {
            let config = RingHashConfig {
                virtual_nodes,
                unit,
                max_ring_size,
            };
            let error = RingHash::new(config).unwrap_err();
            assert!(error.to_string().contains(field), "{error}");
        }
    }
}
