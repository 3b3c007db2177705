//! Consistent hashing with bounded loads.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering};

use crossbeam_utils::CachePadded;

use crate::{
    BuildContext, BuildError, ConfigError, LoadCell, MemberSet, PickContext, PickError, Picker, Strategy,
};

/// Settings of [`BoundedLoad`].
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(default, deny_unknown_fields)
)]
pub struct BoundedLoadConfig {
    /// How many times its share of the requests in flight at eligible members a member may carry: above
    /// 1, up to 100; 1.5 by default. `HAProxy` advises 1.25 to 2: nearer to 1 is more even and keeps fewer keys where
    /// they belong.
    pub factor: f64,
}

impl Default for BoundedLoadConfig {
    fn default() -> Self {
        Self { factor: 1.5 }
    }
}

/// Wraps a hashing strategy: a member that carries more than its bound passes the key on.
///
/// A key goes where the inner strategy sends it, unless that member carries `factor` times its share
/// of what is in flight; then it goes to the inner strategy's next choice, and so on. So a hot key
/// spreads over as many members as it needs, and all other keys stay. Shares are those among the members
/// that are ready or degraded: the sick bear nothing, so the others' bounds rise.
///
/// Take it around [`RingHash`](crate::RingHash), [`Maglev`](crate::Maglev) or
/// [`Rendezvous`](crate::Rendezvous) when some keys are hot. Around a strategy that looks at load by
/// itself it only costs.
///
/// What is in flight in all, and the weight that bears it, are kept up by looking, at each pick, at the
/// picked member and one more in turn; so they are exact when traffic is steady, and after a jump or a
/// change of readiness they are right again within n picks.
///
/// - Cost: that of the inner strategy, and about 25 ns; each member passed over costs a pick more, of
///   which there are at most 8.
/// - Source: Mirrokni, Thorup, Zadimoghaddam, "Consistent hashing with bounded loads", SODA 2018;
///   `hash-balance-factor` of `HAProxy`.
#[derive(Clone, Debug)]
pub struct BoundedLoad<S> {
    inner: S,
    config: BoundedLoadConfig,
}

impl<S: Strategy> BoundedLoad<S> {
    /// Bounds the members' loads under `inner`.
    ///
    /// # Errors
    /// Names the field that is out of range.
    pub fn new(inner: S, config: BoundedLoadConfig) -> Result<Self, ConfigError> {
        ConfigError::check(
            config.factor > 1.0 && config.factor <= 100.0,
            "BoundedLoadConfig",
            "factor",
            config.factor,
            "above 1 and at most 100",
        )?;
        Ok(Self { inner, config })
    }
}

impl<S: Strategy> Strategy for BoundedLoad<S> {
    fn build(&self, context: &BuildContext<'_>) -> Result<Arc<dyn Picker>, BuildError> {
        let members = MemberSet::new(context.members())?;
        let previous = context
            .previous::<BoundedLoadPicker>()
            .map(|previous| &previous.inner);
        let inner = self.inner.build(&context.nested(context.members(), previous))?;
        let picker = BoundedLoadPicker {
            inner,
            factor: self.config.factor,
            sums: CachePadded::new(Sums::default()),
            seen: context.members().iter().map(|_| AtomicU64::new(0)).collect(),
            members,
        };
        for index in 0..picker.members.len() {
            picker.look(index, &PickContext::new(context.now(), 0));
        }
        Ok(Arc::new(picker))
    }

    fn rebuild_every(&self) -> Option<std::time::Duration> {
        self.inner.rebuild_every()
    }
}

#[derive(Debug)]
struct BoundedLoadPicker {
    inner: Arc<dyn Picker>,
    factor: f64,
    sums: CachePadded<Sums>,
    /// What each member was when it was last looked at; the sums are over these.
    seen: Box<[AtomicU64]>,
    members: MemberSet,
}

/// Over the members that were healthy when last looked at.
#[derive(Debug, Default)]
struct Sums {
    in_flight: AtomicI64,
    weight: AtomicI64,
    /// Whom to look at next.
    next: AtomicUsize,
}

/// What was seen of a member: its requests in flight, and above them whether it is healthy.
const HEALTHY: u64 = 1 << 32;

/// What a member adds to the sum of requests in flight.
const fn borne(seen: u64) -> i64 {
    if seen & HEALTHY == 0 {
        0
    } else {
        (seen ^ HEALTHY) as i64
    }
}

impl BoundedLoadPicker {
    /// Looks at what member `index` carries and brings the sums up to it.
    fn look(&self, index: usize, context: &PickContext<'_>) -> u32 {
        let (Some(cell), Some(seen)) = (self.members.cell(index), self.seen.get(index)) else {
            return 0;
        };
        let in_flight = cell.in_flight();
        let healthy = self.members.is_healthy(index, context);
        let now = u64::from(in_flight) | if healthy { HEALTHY } else { 0 };
        // Each change of `seen` is added to the sums once, by whoever made it; so in the end the sums
        // are those of `seen`, in whatever order.
        let before = seen.swap(now, Ordering::Relaxed);
        if now != before {
            let change = borne(now) - borne(before);
            self.sums.in_flight.fetch_add(change, Ordering::Relaxed);
            if (now ^ before) & HEALTHY != 0 {
                let weight = i64::from(self.members.weight(index));
                let change = if healthy { weight } else { -weight };
                self.sums.weight.fetch_add(change, Ordering::Relaxed);
            }
        }
        in_flight
    }

    /// Whether the member can take one more.
    fn has_room(&self, index: usize, context: &PickContext<'_>) -> bool {
        let carries = f64::from(self.look(index, context));
        let in_flight = self.sums.in_flight.load(Ordering::Relaxed).max(0) as f64;
        let own = f64::from(self.members.weight(index));
        // Never below its own: another thread may be between two of its additions.
        let weight = (self.sums.weight.load(Ordering::Relaxed) as f64).max(own);
        let bound = (self.factor * (in_flight + 1.0) * own / weight.max(1.0)).ceil();
        carries + 1.0 <= bound
    }
}

impl Picker for BoundedLoadPicker {
    fn pick(&self, context: &PickContext<'_>) -> Result<usize, PickError> {
        let turn = self.sums.next.fetch_add(1, Ordering::Relaxed);
        self.look(turn % self.seen.len().max(1), context);
        let first = self.inner.pick(context)?;
        if self.has_room(first, context) {
            return Ok(first);
        }
        let Some(cell) = self.members.cell(first) else {
            return Ok(first);
        };
        // Strict: rather over the bound than to a member that is sick.
        let mut full: [&LoadCell; 8] = [cell; 8];
        for count in 1..=full.len() {
            let Some(passed) = full.get(..count) else { break };
            let Ok(next) = self.inner.pick(&context.excluding(passed).strict()) else {
                break;
            };
            // Rather over the bound than to one that stands by.
            if !self.members.is_eligible(next, context) {
                break;
            }
            if self.has_room(next, context) {
                return Ok(next);
            }
            if let (Some(slot), Some(cell)) = (full.get_mut(count), self.members.cell(next)) {
                *slot = cell;
            }
        }
        Ok(first)
    }
}

#[cfg(test)]
#[cfg(not(evenkeel_loom))]
mod tests {
    use super::*;
    use crate::testing::{context, members};
    use crate::{Maglev, Readiness, RingHash};

    #[test]
    fn one_hot_key_does_not_bury_its_member() {
        let members = members(&[1; 10]);
        let strategy = BoundedLoad::new(RingHash::default(), BoundedLoadConfig { factor: 1.25 }).unwrap();
        let picker = strategy.build(&BuildContext::new(&members)).unwrap();
        for k in 0..1_000 {
            let index = picker.pick(&context(k).with_hash(7)).unwrap();
            members[index].load().begin();
        }
        for member in &members {
            // 1.25 times the mean, and one for the rounding up.
            assert!(member.load().in_flight() <= 126, "{}", member.load().in_flight());
        }
    }

    #[test]
    fn with_half_of_the_members_sick_a_hot_key_still_does_not_bury_its_member() {
        let strategy = BoundedLoad::new(RingHash::default(), BoundedLoadConfig { factor: 1.25 }).unwrap();
        for sick_at_build in [true, false] {
            let members = members(&[1; 10]);
            // Half of what is in flight is stuck at the sick, and not the others' to bear.
            for member in &members[..5] {
                (0..1_000).for_each(|_| member.load().begin());
            }
            let sicken = || {
                for member in &members[..5] {
                    member.load().set_readiness(Readiness::Ejected);
                }
            };
            if sick_at_build {
                sicken();
            }
            let picker = strategy.build(&BuildContext::new(&members)).unwrap();
            sicken();
            for k in 0..1_000 {
                let index = picker.pick(&context(k).with_hash(7)).unwrap();
                assert!(index >= 5);
                members[index].load().begin();
            }
            for member in &members[5..] {
                // 1.25 times a fifth, and one for the rounding up.
                assert!(member.load().in_flight() <= 251, "{}", member.load().in_flight());
            }
        }
    }

    #[test]
    fn the_recovered_bear_their_share_again() {
        let strategy = BoundedLoad::new(Maglev::default(), BoundedLoadConfig { factor: 1.25 }).unwrap();
        let members = members(&[3, 1]);
        members[0].load().set_readiness(Readiness::Unhealthy);
        let picker = strategy.build(&BuildContext::new(&members)).unwrap();
        members[0].load().set_readiness(Readiness::Ready);
        for k in 0..1_000 {
            let index = picker.pick(&context(k).with_hash(k << 60)).unwrap();
            members[index].load().begin();
        }
        // 1.25 times a quarter.
        assert!(
            members[1].load().in_flight() <= 314,
            "{}",
            members[1].load().in_flight()
        );
    }

    #[test]
    fn keys_stay_where_they_belong_while_there_is_room() {
        let members = members(&[1; 10]);
        let bounded = BoundedLoad::new(Maglev::default(), BoundedLoadConfig::default()).unwrap();
        let bounded = bounded.build(&BuildContext::new(&members)).unwrap();
        let plain = Maglev::default().build(&BuildContext::new(&members)).unwrap();
        for k in 0..1_000 {
            let context = context(k).with_hash(k.wrapping_mul(0x9e37_79b9_7f4a_7c15));
            assert_eq!(bounded.pick(&context), plain.pick(&context));
        }
    }

    #[test]
    fn rather_over_the_bound_than_to_the_sick() {
        let members = members(&[1; 2]);
        members[1].load().set_readiness(Readiness::Unhealthy);
        for _ in 0..50 {
            members[0].load().begin();
        }
        let strategy = BoundedLoad::new(RingHash::default(), BoundedLoadConfig::default()).unwrap();
        let picker = strategy.build(&BuildContext::new(&members)).unwrap();
        for k in 0..100 {
            assert_eq!(picker.pick(&context(k).with_hash(k << 50)), Ok(0));
        }
    }

    #[test]
    fn nonsense_in_the_config_is_named() {
        for factor in [1.0, 0.0, f64::NAN, f64::INFINITY] {
            let error = BoundedLoad::new(RingHash::default(), BoundedLoadConfig { factor }).unwrap_err();
            assert!(error.to_string().contains("factor"), "{error}");
        }
    }
}
