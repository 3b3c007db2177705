//! [`Backoff`]: how long to wait before the next attempt.

use std::time::Duration;

use crate::error::Check;
use crate::{ConfigError, random};

/// How the waits of a [`Backoff`] are spread, so that clients that failed together do not come back
/// together.
///
/// Source of both: M. Brooker, "Exponential Backoff and Jitter", AWS Architecture Blog, 2015.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "snake_case")
)]
#[non_exhaustive]
pub enum Jitter {
    /// Anything from nothing to the whole doubled wait: the least load on the backend. The default.
    #[default]
    Full,
    /// Anything from `base` to three times the last wait: never shorter than `base`.
    Decorrelated,
}

/// The waits between attempts.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(default, deny_unknown_fields)
)]
pub struct BackoffConfig {
    /// The first wait, before jitter; it doubles with each attempt. Above zero; 25 ms by default: about
    /// what a good answer takes between two regions.
    #[cfg_attr(feature = "serde", serde(with = "humantime_serde"))]
    pub base: Duration,
    /// The longest wait of our own choosing. At least `base`; 10 s by default.
    #[cfg_attr(feature = "serde", serde(with = "humantime_serde"))]
    pub max: Duration,
    /// How the waits are spread; [`Jitter::Full`] by default.
    pub jitter: Jitter,
    /// The most that a `retry_after` is believed; more gives up. At least `max`; 300 s by default, so that
    /// a backend's mistake does not silence a client for ever.
    #[cfg_attr(feature = "serde", serde(with = "humantime_serde"))]
    pub max_retry_after: Duration,
    /// How many waits there are; after them the answer is to give up. At least 1; 4 by default, which
    /// makes five attempts.
    pub retries: u32,
}

impl Default for BackoffConfig {
    fn default() -> Self {
        Self {
            base: Duration::from_millis(25),
            max: Duration::from_secs(10),
            jitter: Jitter::Full,
            max_retry_after: Duration::from_secs(300),
            retries: 4,
        }
    }
}

impl BackoffConfig {
    /// Whether every field is in its range.
    ///
    /// # Errors
    /// Names the field that is not.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let check = Check("BackoffConfig");
        check.above_zero("base", self.base)?;
        check.at_least("max", self.max, self.base, "at least base")?;
        check.at_least("max_retry_after", self.max_retry_after, self.max, "at least max")?;
        check.at_least_one("retries", self.retries)
    }
}

/// The waits between the attempts at one request: a few words, made anew for each.
///
/// ```
/// use std::time::Duration;
/// use evenkeel_health::{Backoff, BackoffConfig};
///
/// let mut backoff = Backoff::new(BackoffConfig::default())?;
/// let random = u64::MAX; // a uniform word, from wherever you have them
/// assert!(backoff.next_wait(None, random) <= Some(Duration::from_millis(25)));
/// assert!(backoff.next_wait(None, random) <= Some(Duration::from_millis(50)));
/// // The backend says when to come back: not before.
/// let asked = Duration::from_secs(2);
/// assert!(backoff.next_wait(Some(asked), random) >= Some(asked));
/// # Ok::<(), evenkeel_health::ConfigError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Backoff {
    config: BackoffConfig,
    waits: u32,
    last: Duration,
}

impl Backoff {
    /// Before the first wait.
    ///
    /// # Errors
    /// Names the field of `config` that is out of range.
    pub fn new(config: BackoffConfig) -> Result<Self, ConfigError> {
        config.validate()?;
        let last = config.base;
        Ok(Self {
            config,
            waits: 0,
            last,
        })
    }

    /// How long to wait before the next attempt, spread by `random`, a uniform word; `None` to give up.
    ///
    /// With `retry_after`, what the backend asked for, the wait is that and a jittered one on top, so
    /// that all who were told the same do not come at once.
    pub fn next_wait(&mut self, retry_after: Option<Duration>, random: u64) -> Option<Duration> {
        let asked = retry_after.unwrap_or_default();
        if self.waits >= self.config.retries || asked > self.config.max_retry_after {
            return None;
        }
        let share = random::unit(random);
        let wait = match self.config.jitter {
            Jitter::Full => {
                let doubled = 1_u32
                    .checked_shl(self.waits)
                    .and_then(|times| self.config.base.checked_mul(times))
                    .unwrap_or(Duration::MAX);
                doubled.min(self.config.max).mul_f64(share)
            }
            Jitter::Decorrelated => {
                let most = self.last.saturating_mul(3).min(self.config.max);
                let spread = most.saturating_sub(self.config.base).mul_f64(share);
                self.config.base.saturating_add(spread)
            }
        };
        self.last = wait.max(self.config.base);
        self.waits += 1;
        Some(asked.saturating_add(wait))
    }

    /// How many waits it gave.
    #[must_use]
    pub const fn waits(&self) -> u32 {
        self.waits
    }

    /// Begins anew, after a success.
    pub fn reset(&mut self) {
        self.waits = 0;
        self.last = self.config.base;
    }
}
