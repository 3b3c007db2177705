//! Slow start.

use std::sync::Arc;
use std::time::Duration;

use crate::mix::unit;
use crate::{
    BuildContext, BuildError, ConfigError, LoadCell, MemberSet, PickContext, PickError, Picker, Strategy,
};

/// Settings of [`SlowStart`].
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(default, deny_unknown_fields)
)]
pub struct SlowStartConfig {
    /// How long a member is young. Above zero; 30 s by default: caches and compilers of most servers
    /// are warm by then.
    #[cfg_attr(feature = "serde", serde(with = "humantime_serde"))]
    pub window: Duration,
    /// The shape: the share grows as (age / window)^(1 / aggression). Above 0, up to 10; 1 by default,
    /// a straight line. Above 1 it grows fast at first.
    pub aggression: f64,
    /// The least share of its usual traffic that a young member gets: above 0, up to 1; 0.1 by
    /// default, so that something happens at all. (These are Envoy's.)
    pub min_share: f64,
}

impl Default for SlowStartConfig {
    fn default() -> Self {
        Self {
            window: Duration::from_secs(30),
            aggression: 1.0,
            min_share: 0.1,
        }
    }
}

/// Wraps a strategy: a member that has just joined or recovered gets its share of the traffic little
/// by little.
///
/// What the inner strategy gives a young member is passed on to its next choice, as often as the
/// member is young; so it works with every strategy, also with those that know no weights, and needs
/// no rebuild while the member grows. Young is who was
/// [marked as born](crate::LoadCell::mark_born); at the start of a process nobody is.
///
/// Take it for servers with cold caches or compilers. Not for affinity by hash, where the keys it
/// passes on warm up the wrong member.
///
/// - Cost: that of the inner strategy and about 3 ns; while members are young up to 4 more picks.
/// - Source: slow start in Envoy.
#[derive(Clone, Debug)]
pub struct SlowStart<S> {
    inner: S,
    config: SlowStartConfig,
}

impl<S: Strategy> SlowStart<S> {
    /// Spares the young, choosing by `inner`.
    ///
    /// # Errors
    /// Names the field that is out of range.
    pub fn new(inner: S, config: SlowStartConfig) -> Result<Self, ConfigError> {
        let name = "SlowStartConfig";
        ConfigError::check(config.window > Duration::ZERO, name, "window", "0s", "above zero")?;
        let aggression = config.aggression;
        let sound = aggression > 0.0 && aggression <= 10.0;
        ConfigError::check(sound, name, "aggression", aggression, "above 0 and at most 10")?;
        let min_share = config.min_share;
        let sound = min_share > 0.0 && min_share <= 1.0;
        ConfigError::check(sound, name, "min_share", min_share, "above 0 and at most 1")?;
        Ok(Self { inner, config })
    }
}

impl<S: Strategy> Strategy for SlowStart<S> {
    fn build(&self, context: &BuildContext<'_>) -> Result<Arc<dyn Picker>, BuildError> {
        let previous = context
            .previous::<SlowStartPicker>()
            .map(|previous| &previous.inner);
        Ok(Arc::new(SlowStartPicker {
            inner: self.inner.build(&context.nested(context.members(), previous))?,
            config: self.config.clone(),
            members: MemberSet::new(context.members())?,
        }))
    }

    fn rebuild_every(&self) -> Option<Duration> {
        self.inner.rebuild_every()
    }
}

#[derive(Debug)]
struct SlowStartPicker {
    inner: Arc<dyn Picker>,
    config: SlowStartConfig,
    members: MemberSet,
}

impl SlowStartPicker {
    /// The share of its usual traffic that a member gets now.
    #[inline]
    fn share(&self, cell: &LoadCell, context: &PickContext<'_>) -> f64 {
        match cell.age(context.now()) {
            Some(age) if age < self.config.window => {
                let part = age.as_secs_f64() / self.config.window.as_secs_f64();
                part.powf(1.0 / self.config.aggression).max(self.config.min_share)
            }
            _ => 1.0,
        }
    }

    #[cold]
    fn pass_on(&self, first: usize, cell: &LoadCell, context: &PickContext<'_>) -> usize {
        let mut young = [cell; 4];
        for count in 1..=young.len() {
            let Some(passed) = young.get(..count) else { break };
            let again = context.excluding(passed).strict();
            let Ok(next) = self.inner.pick(&again.with_random(context.derived(count as u64))) else {
                break;
            };
            // Rather young than standing by.
            if !self.members.is_eligible(next, context) {
                break;
            }
            let Some(cell) = self.members.cell(next) else {
                break;
            };
            if unit(context.derived(YOUTH + count as u64)) <= self.share(cell, context) {
                return next;
            }
            if let Some(slot) = young.get_mut(count) {
                *slot = cell;
            }
        }
        first
    }
}

/// Keeps these draws apart from the inner strategy's.
const YOUTH: u64 = 0x796f_7574_6800;

impl Picker for SlowStartPicker {
    fn pick(&self, context: &PickContext<'_>) -> Result<usize, PickError> {
        let first = self.inner.pick(context)?;
        let Some(cell) = self.members.cell(first) else {
            return Ok(first);
        };
        let share = self.share(cell, context);
        if share >= 1.0 || unit(context.derived(YOUTH)) <= share {
            return Ok(first);
        }
        Ok(self.pass_on(first, cell, context))
    }
}

#[cfg(test)]
#[cfg(not(evenkeel_loom))]
mod tests {
    use evenkeel_stats::Timestamp;

    use super::*;
    use crate::mix::derive;
    use crate::testing::members;
    use crate::{PowerOfTwo, RoundRobin};

    /// The share of member 0 of four, so long after its birth, in parts of an even share.
    fn share_at(strategy: &dyn Strategy, age: Duration, born: usize) -> f64 {
        let members = members(&[1; 4]);
        let birth = Timestamp::from_nanos(1_000_000_000_000);
        for member in &members[..born] {
            member.load().mark_born(birth);
        }
        let picker = strategy.build(&BuildContext::new(&members)).unwrap();
        let now = birth.saturating_add(age);
        let count = (0..40_000)
            .filter(|&k| picker.pick(&PickContext::new(now, derive(5, k))) == Ok(0))
            .count();
        count as f64 / 10_000.0
    }

    /// Whether this is the share of one member in four that is young by `part`. What it does not get
    /// may be spread over the others alone, or over all by weight, as round robin does, which takes a
    /// turn more.
    fn is_share(share: f64, part: f64) -> bool {
        (part - 0.03..=4.0 * part / (3.0 + part) + 0.03).contains(&share)
    }

    #[test]
    fn the_share_grows_with_age() {
        let round_robin = SlowStart::new(RoundRobin, SlowStartConfig::default()).unwrap();
        let two_choices = SlowStart::new(PowerOfTwo::in_flight(), SlowStartConfig::default()).unwrap();
        for (secs, expected) in [(0, 0.1), (3, 0.1), (15, 0.5), (24, 0.8), (30, 1.0), (1_000, 1.0)] {
            for strategy in [&round_robin as &dyn Strategy, &two_choices] {
                let share = share_at(strategy, Duration::from_secs(secs), 1);
                assert!(is_share(share, expected), "{strategy:?} at {secs} s: {share}");
            }
        }
    }

    #[test]
    fn aggression_bends_the_line() {
        let config = SlowStartConfig {
            aggression: 2.0,
            ..SlowStartConfig::default()
        };
        let strategy = SlowStart::new(RoundRobin, config).unwrap();
        let share = share_at(&strategy, Duration::from_millis(7_500), 1);
        assert!(is_share(share, 0.5), "{share}");
    }

    #[test]
    fn where_all_are_young_all_share_alike() {
        let strategy = SlowStart::new(RoundRobin, SlowStartConfig::default()).unwrap();
        let share = share_at(&strategy, Duration::from_secs(1), 4);
        assert!((share - 1.0).abs() < 0.06, "{share}");
    }

    #[test]
    fn nonsense_in_the_config_is_named() {
        let with = |window, aggression, min_share| {
            let config = SlowStartConfig {
                window: Duration::from_secs(window),
                aggression,
                min_share,
            };
            SlowStart::new(RoundRobin, config).unwrap_err().to_string()
        };
        assert!(with(0, 1.0, 0.1).contains("window"));
        assert!(with(1, f64::NAN, 0.1).contains("aggression"));
        assert!(with(1, 1.0, 0.0).contains("min_share"));
    }
}
