//! Consistent hashing with bounded loads.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU32, AtomicUsize, Ordering};

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
    /// How many times its share of all requests in flight a member may carry: above 1, up to 100;
    /// 1.5 by default. `HAProxy` advises 1.25 to 2: nearer to 1 is more even and keeps fewer keys where
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
/// spreads over as many members as it needs, and all other keys stay.
///
/// Take it around [`RingHash`](crate::RingHash), [`Maglev`](crate::Maglev) or
/// [`Rendezvous`](crate::Rendezvous) when some keys are hot. Around a strategy that looks at load by
/// itself it only costs.
///
/// The sum of what is in flight is kept up by looking, at each pick, at the picked member and one more
/// in turn; so it is exact when traffic is steady, and after a jump it is right again within n picks.
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
        let seen: Box<[AtomicU32]> = context
            .members()
            .iter()
            .map(|member| AtomicU32::new(member.load().in_flight()))
            .collect();
        let total = seen
            .iter()
            .map(|seen| i64::from(seen.load(Ordering::Relaxed)))
            .sum();
        Ok(Arc::new(BoundedLoadPicker {
            inner,
            factor: self.config.factor,
            sum: CachePadded::new(Sum {
                total: AtomicI64::new(total),
                next: AtomicUsize::new(0),
            }),
            seen,
            members,
        }))
    }

    fn rebuild_every(&self) -> Option<std::time::Duration> {
        self.inner.rebuild_every()
    }
}

#[derive(Debug)]
struct BoundedLoadPicker {
    inner: Arc<dyn Picker>,
    factor: f64,
    sum: CachePadded<Sum>,
    /// What each member carried when it was last looked at; `total` is the sum of these.
    seen: Box<[AtomicU32]>,
    members: MemberSet,
}

#[derive(Debug)]
struct Sum {
    total: AtomicI64,
    next: AtomicUsize,
}

impl BoundedLoadPicker {
    /// Looks at what member `index` carries and brings the sum up to it.
    fn look(&self, index: usize) -> u32 {
        let (Some(cell), Some(seen)) = (self.members.cell(index), self.seen.get(index)) else {
            return 0;
        };
        let now = cell.in_flight();
        // Each change of `seen` is added to the sum once, by whoever made it; so in the end the sum is
        // that of `seen`, in whatever order.
        let before = seen.swap(now, Ordering::Relaxed);
        if now != before {
            let change = i64::from(now) - i64::from(before);
            self.sum.total.fetch_add(change, Ordering::Relaxed);
        }
        now
    }

    /// Whether the member can take one more.
    fn has_room(&self, index: usize) -> bool {
        let carries = f64::from(self.look(index));
        let total = self.sum.total.load(Ordering::Relaxed).max(0) as f64;
        let mean = (total + 1.0) / self.members.active_len().max(1) as f64;
        let bound = (self.factor * mean / self.members.scale(index)).ceil();
        carries + 1.0 <= bound
    }
}

impl Picker for BoundedLoadPicker {
    fn pick(&self, context: &PickContext<'_>) -> Result<usize, PickError> {
        let turn = self.sum.next.fetch_add(1, Ordering::Relaxed);
        self.look(turn % self.seen.len().max(1));
        let first = self.inner.pick(context)?;
        if self.has_room(first) {
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
            if self.has_room(next) {
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
