//! Panic threshold.

use std::sync::Arc;
use std::time::Duration;

use crate::{BuildContext, BuildError, ConfigError, PickContext, PickError, Picker, Strategy};

/// Settings of [`PanicThreshold`].
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(default, deny_unknown_fields)
)]
pub struct PanicThresholdConfig {
    /// The share of members that must be ready or degraded, 0 to 1; 0.5 by default, Envoy's. 0 never
    /// panics before all are sick.
    pub threshold: f64,
}

impl Default for PanicThresholdConfig {
    fn default() -> Self {
        Self { threshold: 0.5 }
    }
}

/// Wraps a strategy: when fewer than a share of the members are healthy, health is ignored.
///
/// The few that are left would be buried under everybody's traffic, and so many sick at once more
/// often means that the judgement is wrong. Spread over all, each keeps its load, and what works goes
/// on working. Draining members stay out.
///
/// Without it every strategy panics only when nobody is eligible. Take it for fleets that run near
/// capacity. Not where a wrong answer is worse than none.
///
/// - Judged at each build from readiness as it is then, so rebuild when it changes.
/// - Cost: that of the inner strategy; in panic some nanoseconds more.
/// - Source: panic threshold in Envoy.
#[derive(Clone, Debug)]
pub struct PanicThreshold<S> {
    inner: S,
    config: PanicThresholdConfig,
}

impl<S: Strategy> PanicThreshold<S> {
    /// Ignores health when too few have it, choosing by `inner`.
    ///
    /// # Errors
    /// Names the field that is out of range.
    pub fn new(inner: S, config: PanicThresholdConfig) -> Result<Self, ConfigError> {
        ConfigError::check(
            (0.0..=1.0).contains(&config.threshold),
            "PanicThresholdConfig",
            "threshold",
            config.threshold,
            "0 to 1",
        )?;
        Ok(Self { inner, config })
    }
}

impl<S: Strategy> Strategy for PanicThreshold<S> {
    fn build(&self, context: &BuildContext<'_>) -> Result<Arc<dyn Picker>, BuildError> {
        let previous = context
            .previous::<PanicThresholdPicker>()
            .map(|previous| &previous.inner);
        let counted = || context.members().iter().filter(|member| member.weight() > 0);
        let eligible = counted()
            .filter(|member| member.load().readiness(context.now()).is_eligible())
            .count();
        Ok(Arc::new(PanicThresholdPicker {
            inner: self.inner.build(&context.nested(context.members(), previous))?,
            in_panic: (eligible as f64) < self.config.threshold * counted().count() as f64,
        }))
    }

    fn rebuild_every(&self) -> Option<Duration> {
        self.inner.rebuild_every()
    }
}

#[derive(Debug)]
struct PanicThresholdPicker {
    inner: Arc<dyn Picker>,
    in_panic: bool,
}

impl Picker for PanicThresholdPicker {
    fn pick(&self, context: &PickContext<'_>) -> Result<usize, PickError> {
        if self.in_panic {
            self.inner.pick(&context.ignoring_readiness())
        } else {
            self.inner.pick(context)
        }
    }
}

#[cfg(test)]
#[cfg(not(evenkeel_loom))]
mod tests {
    use super::*;
    use crate::testing::{counts, members};
    use crate::{PowerOfTwo, Readiness, RoundRobin};

    fn sick(count: usize) -> Vec<crate::Member> {
        let members = members(&[1; 10]);
        for member in &members[..count] {
            member.load().set_readiness(Readiness::Unhealthy);
        }
        members
    }

    #[test]
    fn at_the_threshold_health_counts_and_below_it_does_not() {
        let strategy = PanicThreshold::new(RoundRobin, PanicThresholdConfig::default()).unwrap();
        let at = counts(&strategy, &sick(5), 1_000);
        assert_eq!(at[..5], [0; 5]);
        let below = counts(&strategy, &sick(6), 1_000);
        assert_eq!(below, [100; 10]);
    }

    #[test]
    fn panic_spreads_over_all_under_a_strategy_that_compares() {
        let strategy = PanicThreshold::new(PowerOfTwo::in_flight(), PanicThresholdConfig::default());
        let counts = counts(&strategy.unwrap(), &sick(9), 10_000);
        assert!(
            counts.iter().all(|count| (850..=1_150).contains(count)),
            "{counts:?}"
        );
    }

    #[test]
    fn the_draining_stay_out_even_in_panic() {
        let members = sick(8);
        members[9].load().set_readiness(Readiness::Draining);
        let strategy = PanicThreshold::new(RoundRobin, PanicThresholdConfig::default()).unwrap();
        assert_eq!(counts(&strategy, &members, 900)[9], 0);
    }

    #[test]
    fn nonsense_in_the_config_is_named() {
        let config = PanicThresholdConfig { threshold: 50.0 };
        let error = PanicThreshold::new(RoundRobin, config).unwrap_err();
        assert!(error.to_string().contains("threshold"), "{error}");
    }
}
