//! Least response time.

use std::sync::Arc;

use crate::least_loaded::LeastLoaded;
use crate::{
    BuildContext, BuildError, ConfigError, LoadMetric, MemberSet, PickContext, PickError, Picker, Strategy,
};

/// Settings of [`LeastResponseTime`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(default, deny_unknown_fields)
)]
pub struct LeastResponseTimeConfig {
    /// How many members a pick looks at: a run from a random one on or, where weights differ, as many
    /// draws by weight. At least 1; 16 by default, because each look at a latency costs more than one at
    /// a count, and the best of more adds to the herd.
    pub sample: usize,
}

impl Default for LeastResponseTimeConfig {
    fn default() -> Self {
        Self { sample: 16 }
    }
}

/// The member that would answer soonest: least peak EWMA of the latency times one more than its
/// requests in flight ([`LoadMetric::PeakEwma`]).
///
/// Take it for few backends of which one is much nearer or faster, and should get nearly all while it
/// can carry it. Not for many alike: all clients run to the one that was fastest a moment ago;
/// [`PowerOfTwo::peak_ewma`](crate::PowerOfTwo::peak_ewma) knows the same and spreads. It needs
/// outcomes with their latencies.
///
/// - Cost: O(`sample`), 10 to 20 ns for each member looked at.
/// - Source: `least_time` of NGINX Plus, with Finagle's peak EWMA for the average.
#[derive(Clone, Debug, Default)]
pub struct LeastResponseTime {
    config: LeastResponseTimeConfig,
}

impl LeastResponseTime {
    /// The strategy with these settings.
    ///
    /// # Errors
    /// Names the field that is out of range.
    pub fn new(config: LeastResponseTimeConfig) -> Result<Self, ConfigError> {
        ConfigError::check(
            config.sample > 0,
            "LeastResponseTimeConfig",
            "sample",
            config.sample,
            "at least 1",
        )?;
        Ok(Self { config })
    }
}

impl Strategy for LeastResponseTime {
    fn build(&self, context: &BuildContext<'_>) -> Result<Arc<dyn Picker>, BuildError> {
        Ok(Arc::new(LeastResponseTimePicker(LeastLoaded::weighted(
            MemberSet::new(context.members())?,
            LoadMetric::PeakEwma,
            self.config.sample,
        ))))
    }
}

#[derive(Debug)]
struct LeastResponseTimePicker(LeastLoaded);

impl Picker for LeastResponseTimePicker {
    fn pick(&self, context: &PickContext<'_>) -> Result<usize, PickError> {
        self.0.pick(context)
    }
}

#[cfg(test)]
#[cfg(not(evenkeel_loom))]
mod tests {
    use std::time::Duration;

    use evenkeel_stats::{Outcome, Timestamp};

    use super::*;
    use crate::testing::{context, counts, members};

    fn with_latencies(millis: &[u64]) -> Vec<crate::Member> {
        let members = members(&vec![1; millis.len()]);
        for (member, &millis) in members.iter().zip(millis) {
            let latency = Duration::from_millis(millis);
            member.load().record(Outcome::Success, latency, Timestamp::ZERO);
        }
        members
    }

    #[test]
    fn the_fastest_gets_all_while_it_is_idle() {
        let counts = counts(&LeastResponseTime::default(), &with_latencies(&[30, 5, 30]), 100);
        assert_eq!(counts, [0, 100, 0]);
    }

    #[test]
    fn the_fastest_is_not_overrun() {
        let members = with_latencies(&[40, 10]);
        let picker = LeastResponseTime::default()
            .build(&BuildContext::new(&members))
            .unwrap();
        for k in 0..100 {
            members[picker.pick(&context(k)).unwrap()].load().begin();
        }
        // In flight in proportion to speed: 4 to 1.
        assert!((78..=82).contains(&members[1].load().in_flight()));
    }

    #[test]
    fn nonsense_in_the_config_is_named() {
        let error = LeastResponseTime::new(LeastResponseTimeConfig { sample: 0 }).unwrap_err();
        assert!(error.to_string().contains("sample"), "{error}");
    }
}
