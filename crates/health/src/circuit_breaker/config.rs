//! [`CircuitBreakerConfig`].

use std::time::Duration;

use evenkeel_stats::{SuccessWindow, WindowCounter};

use crate::ConfigError;
use crate::error::Check;

/// When a [`CircuitBreaker`](crate::CircuitBreaker) opens, for how long, and what closes it.
///
/// The rules and most defaults are those of linkerd's breaker, which were chosen so that a burst of
/// failures is seen within a second and one failure in twenty never opens it.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(default, deny_unknown_fields)
)]
pub struct CircuitBreakerConfig {
    /// Opens after so many failures with no success between them. At least 1; 7 by default: less would
    /// open by chance where one request in twenty fails.
    ///
    /// Overloads neither add to the run nor end it: a backend that says "not now" is alive.
    pub circuit_breaker_threshold: u32,
    /// How long it stays open the first time. Above zero; 1 s by default: most faults of a network are
    /// shorter, and a longer one costs one trial.
    #[cfg_attr(feature = "serde", serde(with = "humantime_serde"))]
    pub circuit_breaker_timeout: Duration,
    /// The most it stays open, before jitter: each opening that follows lasts twice as long as the last.
    /// At least `circuit_breaker_timeout`; 60 s by default.
    #[cfg_attr(feature = "serde", serde(with = "humantime_serde"))]
    pub max_timeout: Duration,
    /// Lengthens each open time by a random share of itself, up to this one, so that many clients do
    /// not try again at the same moment. 0 to 1; 0.5 by default.
    pub jitter: f64,
    /// For each such while that it stayed closed, one doubling of the open time is taken back. Above
    /// zero; 30 s by default.
    #[cfg_attr(feature = "serde", serde(with = "humantime_serde"))]
    pub forgive_after: Duration,
    /// Opens when the share of successes within `window` is below this. Judged at each failure. 0 to 1,
    /// where 0 switches this rule and that of `max_excess_failures` off; 0.8 by default. Overloads count as
    /// failures for both.
    pub min_success_rate: f64,
    /// With fewer requests than this within the window the rate says nothing. At least 1; 50 by default:
    /// with 5 a healthy backend that fails one request in twenty trips once in twelve hours.
    pub min_samples: u32,
    /// Opens when so many more requests have failed than may, since the best moment: each failure adds
    /// `min_success_rate` to the excess and each success takes the rest of 1 from it, down to zero. Unlike
    /// the rate it does not have to outweigh a good past: with the defaults a backend that begins to fail
    /// 30 % of its requests is found after 57 of them (the median), 50 % after 22. Up to 65535, where 0
    /// switches the rule off; 7 by default, which one failure in twenty reaches once in 1.2 billion
    /// requests, one in ten once in 400 000, three in twenty once in 4 000: if a backend is to be used that
    /// fails so many, raise it. Needs `min_samples` within the window, as the rate does.
    pub max_excess_failures: u32,
    /// How far back the rate looks. Above zero; 10 s by default.
    #[cfg_attr(feature = "serde", serde(with = "humantime_serde"))]
    pub window: Duration,
    /// Into how many slots the window is cut, which drop out one by one. 2 to 1024; 10 by default.
    pub window_slots: usize,
    /// How many requests a trial is made of: as many may be out at once, all must succeed to close the
    /// breaker, and one failure opens it again. At least 1; 1 by default, so that a backend that is
    /// still sick costs one request.
    pub trial_permits: u32,
    /// A trial of which requests have been out for this long counts as failed, so that one that hangs
    /// does not keep the breaker on trial for ever. Above zero; 30 s by default, more than the time-out of
    /// most requests.
    #[cfg_attr(feature = "serde", serde(with = "humantime_serde"))]
    pub trial_timeout: Duration,
}

impl Default for CircuitBreakerConfig {
    fn default() -> Self {
        Self {
            circuit_breaker_threshold: 7,
            circuit_breaker_timeout: Duration::from_secs(1),
            max_timeout: Duration::from_secs(60),
            jitter: 0.5,
            forgive_after: Duration::from_secs(30),
            min_success_rate: 0.8,
            min_samples: 50,
            max_excess_failures: 7,
            window: Duration::from_secs(10),
            window_slots: 10,
            trial_permits: 1,
            trial_timeout: Duration::from_secs(30),
        }
    }
}

impl CircuitBreakerConfig {
    /// Whether every field is in its range.
    ///
    /// # Errors
    /// Names the field that is not.
    pub fn validate(&self) -> Result<(), ConfigError> {
        self.build_window().map(|_| ())
    }

    /// Checks everything; the window of the success rate, unless that rule is off.
    pub(super) fn build_window(&self) -> Result<Option<SuccessWindow>, ConfigError> {
        let check = Check("CircuitBreakerConfig");
        check.at_least_one("circuit_breaker_threshold", self.circuit_breaker_threshold)?;
        check.above_zero("circuit_breaker_timeout", self.circuit_breaker_timeout)?;
        check.that(
            self.max_timeout >= self.circuit_breaker_timeout,
            "max_timeout",
            format!("{:?}", self.max_timeout),
            "at least circuit_breaker_timeout",
        )?;
        check.share("jitter", self.jitter)?;
        check.above_zero("forgive_after", self.forgive_after)?;
        check.share("min_success_rate", self.min_success_rate)?;
        check.at_least_one("min_samples", self.min_samples)?;
        let excess = self.max_excess_failures;
        let most = u32::from(u16::MAX);
        check.that(excess <= most, "max_excess_failures", excess, "at most 65535")?;
        check.that(
            (2..=WindowCounter::MAX_SLOTS).contains(&self.window_slots),
            "window_slots",
            self.window_slots,
            "from 2 to 1024",
        )?;
        check.at_least_one("trial_permits", self.trial_permits)?;
        check.above_zero("trial_timeout", self.trial_timeout)?;
        let window = SuccessWindow::new(self.window, self.window_slots).ok();
        check.that(
            window.is_some(),
            "window",
            format!("{:?}", self.window),
            "at least a nanosecond to each slot",
        )?;
        Ok(window.filter(|_| self.min_success_rate > 0.0))
    }
}
