//! [`Throttle`]: refuses requests here that would be refused there.

use std::time::Duration;

use evenkeel_stats::{Outcome, Timestamp, WindowCounter};

use crate::error::Check;
use crate::{ConfigError, random};

/// When a [`Throttle`] refuses.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(default, deny_unknown_fields)
)]
pub struct ThrottleConfig {
    /// How many requests are sent for each that is accepted. Above 1; 2 by default: half of what is
    /// sent to a backend at its limit is refused there, so it is soon noticed that there is room again.
    pub multiplier: f64,
    /// How far back is looked. At least 1 s; 120 s by default.
    #[cfg_attr(feature = "serde", serde(with = "humantime_serde"))]
    pub window: Duration,
}

impl Default for ThrottleConfig {
    fn default() -> Self {
        Self {
            multiplier: 2.0,
            window: Duration::from_secs(120),
        }
    }
}

/// Client-side throttling: with K as the multiplier, a request is refused with the probability
/// max(0, (requests - K accepted) / (requests + 1)).
///
/// What is refused here counts at once, what is sent when it is answered: requests that are under way, or
/// whose future is dropped, say nothing. Refused ones count as requests, so the share that is sent falls
/// as long as nothing is accepted. An
/// overload is what counts as not accepted; failures of other kinds are a breaker's business.
///
/// Source: B. Beyer and others, "Site Reliability Engineering", 2016, chapter 21.
///
/// ```
/// use evenkeel_health::{Throttle, ThrottleConfig};
/// use evenkeel_stats::{Outcome, Timestamp};
///
/// let throttle = Throttle::new(ThrottleConfig::default())?;
/// let (now, random) = (Timestamp::from_nanos(1), 42);
/// if throttle.admit(now, random) {
///     let outcome = Outcome::Success; // of the request
///     throttle.record(outcome, now);
/// }
/// assert_eq!(throttle.rejection_probability(now), 0.0);
/// # Ok::<(), evenkeel_health::ConfigError>(())
/// ```
#[derive(Debug)]
pub struct Throttle {
    multiplier: f64,
    requests: WindowCounter,
    accepted: WindowCounter,
}

const SLOTS: usize = 24;

impl Throttle {
    /// A throttle that has seen nothing and refuses nothing.
    ///
    /// # Errors
    /// Names the field of `config` that is out of range.
    pub fn new(config: ThrottleConfig) -> Result<Self, ConfigError> {
        let check = Check("ThrottleConfig");
        check.that(
            config.multiplier > 1.0 && config.multiplier.is_finite(),
            "multiplier",
            config.multiplier,
            "above 1",
        )?;
        check.at_least("window", config.window, Duration::from_secs(1), "at least 1s")?;
        let window = || check.window("window", config.window, SLOTS);
        Ok(Self {
            multiplier: config.multiplier,
            requests: window()?,
            accepted: window()?,
        })
    }

    /// Whether to send a request at `now`; `random` is a uniform word.
    pub fn admit(&self, now: Timestamp, random: u64) -> bool {
        let refuse = random::unit(random) < self.rejection_probability(now);
        if refuse {
            self.requests.add(1, now);
        }
        !refuse
    }

    /// A request that was sent has ended. A cancelled one counts as accepted: it says nothing, and
    /// whoever gives up many shall not be throttled for it.
    pub fn record(&self, outcome: Outcome, now: Timestamp) {
        self.requests.add(1, now);
        if !matches!(outcome, Outcome::Overload { .. }) {
            self.accepted.add(1, now);
        }
    }

    /// The share of requests that is refused at `now`: 0 to 1.
    #[must_use]
    pub fn rejection_probability(&self, now: Timestamp) -> f64 {
        let requests = self.requests.total(now) as f64;
        let accepted = self.accepted.total(now) as f64;
        ((requests - self.multiplier * accepted) / (requests + 1.0)).max(0.0)
    }
}
