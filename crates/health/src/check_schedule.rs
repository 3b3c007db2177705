//! [`CheckSchedule`]: when to check a backend, and what the answers say.

use std::time::Duration;

use evenkeel_stats::Timestamp;

use crate::error::Check;
use crate::{ConfigError, random};

/// When a backend is checked and what its answers have to be.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(default, deny_unknown_fields)
)]
pub struct CheckConfig {
    /// From the start of one check to the next while nothing changes. Above zero; 1 s by default.
    #[cfg_attr(feature = "serde", serde(with = "humantime_serde"))]
    pub health_check_interval: Duration,
    /// How long an answer may take. Above zero, at most `health_check_interval`; 250 ms by default: a
    /// backend that needs longer for a check is no use for requests.
    #[cfg_attr(feature = "serde", serde(with = "humantime_serde"))]
    pub health_check_timeout: Duration,
    /// The interval while the answers say otherwise than the state: between the first bad check and the
    /// verdict. Above zero, at most `health_check_interval`; 100 ms by default.
    #[cfg_attr(feature = "serde", serde(with = "humantime_serde"))]
    pub fast_interval: Duration,
    /// The interval while the backend is unhealthy. At least `fast_interval`; 1.5 s by default, so that
    /// with `fast_interval` and the answers it is back within two intervals.
    #[cfg_attr(feature = "serde", serde(with = "humantime_serde"))]
    pub down_interval: Duration,
    /// So many good checks in a row make an unhealthy backend healthy. At least 1; 2 by default.
    pub rise: u32,
    /// So many bad checks in a row make a healthy backend unhealthy. At least 1; 2 by default: one may be
    /// a packet lost.
    pub fall: u32,
    /// Shortens each interval but the fast one by a random share of itself, up to this one, so that the
    /// checks of many backends by many clients spread out. 0 to 1; 0.1 by default.
    pub jitter: f64,
}

impl Default for CheckConfig {
    fn default() -> Self {
        Self {
            health_check_interval: Duration::from_secs(1),
            health_check_timeout: Duration::from_millis(250),
            fast_interval: Duration::from_millis(100),
            down_interval: Duration::from_millis(1_500),
            rise: 2,
            fall: 2,
            jitter: 0.1,
        }
    }
}

impl CheckConfig {
    /// Whether every field is in its range.
    ///
    /// # Errors
    /// Names the field that is not.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let check = Check("CheckConfig");
        let interval = self.health_check_interval;
        check.above_zero("health_check_interval", interval)?;
        let within = |value: Duration| !value.is_zero() && value <= interval;
        let expected = "above zero, at most health_check_interval";
        for (field, value) in [
            ("health_check_timeout", self.health_check_timeout),
            ("fast_interval", self.fast_interval),
        ] {
            check.that(within(value), field, format!("{value:?}"), expected)?;
        }
        let (down, fast) = (self.down_interval, self.fast_interval);
        check.at_least("down_interval", down, fast, "at least fast_interval")?;
        check.at_least_one("rise", self.rise)?;
        check.at_least_one("fall", self.fall)?;
        check.share("jitter", self.jitter)
    }
}

/// The checks of one backend as a state machine: answers in, verdict and the time of the next check out.
///
/// It sends nothing; whoever does starts a check at [`next_at`](Self::next_at), gives it
/// [`health_check_timeout`](CheckConfig::health_check_timeout), and [`record`](Self::record)s how it
/// ended. All backends may be checked at the same time: a schedule knows of no other.
///
/// - The very first check decides at once: nothing is known that it would have to outweigh.
/// - Once an answer says otherwise than the state, the fast interval follows until it is settled.
/// - [`hurry`](Self::hurry) asks for a check at once, after a failure of a real request.
///
/// At worst a black hole is found after interval + (fall - 1) x max(fast, timeout) + timeout, a reset
/// after interval + (fall - 1) x fast: 1.5 s and 1.1 s with the defaults.
///
/// Source: `HAProxy`'s `inter`, `fastinter`, `downinter`, `rise`, `fall` and `observe`.
///
/// ```
/// use evenkeel_health::{CheckConfig, CheckSchedule};
/// use evenkeel_stats::Timestamp;
///
/// let mut checks = CheckSchedule::new(CheckConfig::default(), Timestamp::ZERO)?;
/// let (started, random) = (checks.next_at(), 42);
/// // ... the check itself ...
/// assert_eq!(checks.record(true, started, started, random), Some(true));
/// assert_eq!(checks.is_healthy(), Some(true));
/// assert!(checks.next_at() > started);
/// # Ok::<(), evenkeel_health::ConfigError>(())
/// ```
#[derive(Clone, Debug)]
pub struct CheckSchedule {
    config: CheckConfig,
    healthy: Option<bool>,
    since: Timestamp,
    /// Answers in a row that say otherwise.
    against: u32,
    next_at: Timestamp,
}

impl CheckSchedule {
    /// Nothing is known, and the first check is due at `now`.
    ///
    /// # Errors
    /// Names the field of `config` that is out of range.
    pub fn new(config: CheckConfig, now: Timestamp) -> Result<Self, ConfigError> {
        config.validate()?;
        Ok(Self {
            config,
            healthy: None,
            since: now,
            against: 0,
            next_at: now,
        })
    }

    /// When the next check is to start.
    #[must_use]
    pub const fn next_at(&self) -> Timestamp {
        self.next_at
    }

    /// What the checks say; `None` before the first.
    #[must_use]
    pub const fn is_healthy(&self) -> Option<bool> {
        self.healthy
    }

    /// Since when they say so.
    #[must_use]
    pub const fn since(&self) -> Timestamp {
        self.since
    }

    /// A check that started at `started` ended at `now`, well if `ok`; `random`, a uniform word,
    /// spreads the next. Returns the new verdict if it changed.
    pub fn record(&mut self, ok: bool, started: Timestamp, now: Timestamp, random: u64) -> Option<bool> {
        let needed = if ok { self.config.rise } else { self.config.fall };
        let changed = match self.healthy {
            None => true,
            Some(healthy) if healthy == ok => {
                self.against = 0;
                false
            }
            Some(_) => {
                self.against += 1;
                self.against >= needed
            }
        };
        if changed {
            self.healthy = Some(ok);
            self.since = now;
            self.against = 0;
        }
        // From the start, so that a slow check does not stretch the interval; never before the end.
        self.next_at = started.saturating_add(self.interval(random)).max(now);
        changed.then_some(ok)
    }

    fn interval(&self, random: u64) -> Duration {
        let interval = match self.healthy {
            _ if self.against > 0 => return self.config.fast_interval,
            Some(false) => self.config.down_interval,
            _ => self.config.health_check_interval,
        };
        // The product is below the interval, so it can not overflow even where that is the longest of all.
        interval.saturating_sub(interval.mul_f64(self.config.jitter * random::unit(random)))
    }

    /// A real request failed at `now`: the next check is due at once, but not sooner than the fast
    /// interval after the one that started at `last`. An unhealthy backend is not hurried.
    pub fn hurry(&mut self, last: Timestamp, now: Timestamp) {
        if self.healthy == Some(true) {
            self.bring_forward(last, now);
        }
    }

    /// There is news of the backend at `now`, good or bad: as [`hurry`](Self::hurry), also for an
    /// unhealthy one.
    pub fn bring_forward(&mut self, last: Timestamp, now: Timestamp) {
        let soonest = last.saturating_add(self.config.fast_interval).max(now);
        self.next_at = self.next_at.min(soonest);
    }
}
