//! [`OutlierConfig`].

use std::time::Duration;

use crate::ConfigError;
use crate::error::Check;

/// What makes a backend an outlier of its group, and for how long it is out.
///
/// Where nothing else is said the defaults are Envoy's.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(default, deny_unknown_fields)
)]
pub struct OutlierConfig {
    /// Out after so many failures with no success between them, at once. At least 1; 5 by default.
    /// Overloads neither add to the run nor end it.
    pub consecutive_failures: u32,
    /// With fewer requests than this between two sweeps a backend is not compared. At least 1; 100 by
    /// default.
    pub min_requests: u32,
    /// How many standard deviations below the mean a success rate is out. Above zero; 1.9 by default.
    pub deviations: f64,
    /// With fewer backends to compare than this, `min_success_rate` is the only rule: among so few no
    /// backend can be 1.9 deviations off. At least 3; 5 by default.
    pub min_group: usize,
    /// How far below the mean a success rate must be at least. 0 to 1; 0.05 by default: in a group
    /// without any failures, a single one would be an outlier.
    pub min_gap: f64,
    /// Out is who is below this while half of the others or more are not: several that are sick widen the
    /// deviation and hide behind it. 0 to 1, where 0 switches the rule off; 0.8 by default, linkerd's floor.
    pub min_success_rate: f64,
    /// How many times the median of the others a mean latency is out. 0 to switch the rule off, or above
    /// 1; 5 by default: less is the balancer's business, which sends the slow ones less.
    pub latency_factor: f64,
    /// No mean latency below this is out. 100 ms by default.
    #[cfg_attr(feature = "serde", serde(with = "humantime_serde"))]
    pub min_latency: Duration,
    /// How long it is out the first time; each time after that so much longer, and one step less for
    /// each sweep that finds it in. Above zero; 30 s by default.
    #[cfg_attr(feature = "serde", serde(with = "humantime_serde"))]
    pub base_ejection: Duration,
    /// The longest. At least `base_ejection`; 300 s by default.
    #[cfg_attr(feature = "serde", serde(with = "humantime_serde"))]
    pub max_ejection: Duration,
    /// The share of the group that may be out at a time. 0 to 1; 0.5 by default. One may always be, if
    /// there are two; and at least one always stays. (Envoy's 10 % allows none below ten backends.)
    pub max_ejected: f64,
}

impl Default for OutlierConfig {
    fn default() -> Self {
        Self {
            consecutive_failures: 5,
            min_requests: 100,
            deviations: 1.9,
            min_group: 5,
            min_gap: 0.05,
            min_success_rate: 0.8,
            latency_factor: 5.0,
            min_latency: Duration::from_millis(100),
            base_ejection: Duration::from_secs(30),
            max_ejection: Duration::from_secs(300),
            max_ejected: 0.5,
        }
    }
}

impl OutlierConfig {
    /// Whether every field is in its range.
    ///
    /// # Errors
    /// Names the field that is not.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let check = Check("OutlierConfig");
        check.at_least_one("consecutive_failures", self.consecutive_failures)?;
        check.at_least_one("min_requests", self.min_requests)?;
        let off = self.deviations > 0.0 && self.deviations.is_finite();
        check.that(off, "deviations", self.deviations, "above zero")?;
        check.that(self.min_group >= 3, "min_group", self.min_group, "at least 3")?;
        check.share("min_gap", self.min_gap)?;
        check.share("min_success_rate", self.min_success_rate)?;
        let factor = self.latency_factor;
        let slow = factor == 0.0 || (factor > 1.0 && factor.is_finite());
        check.that(slow, "latency_factor", factor, "0 or above 1")?;
        check.above_zero("base_ejection", self.base_ejection)?;
        let (max, base) = (self.max_ejection, self.base_ejection);
        check.at_least("max_ejection", max, base, "at least base_ejection")?;
        check.share("max_ejected", self.max_ejected)
    }

    /// After how many ejections in a row they get no longer.
    pub(super) fn most_steps(&self) -> u32 {
        let steps = self
            .max_ejection
            .as_nanos()
            .div_ceil(self.base_ejection.as_nanos().max(1));
        u32::try_from(steps).unwrap_or(u32::MAX)
    }

    /// How many of `members` may be out at a time.
    pub(super) fn most_ejected(&self, members: usize) -> usize {
        let share = (members as f64 * self.max_ejected) as usize;
        share.max(1).min(members.saturating_sub(1))
    }
}
