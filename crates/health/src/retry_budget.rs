//! [`RetryBudget`]: so that retries do not make an overload worse.

use std::time::Duration;

use evenkeel_stats::{Timestamp, WindowCounter};

use crate::ConfigError;
use crate::error::Check;
use crate::sync::{AtomicU64, Ordering};

/// How many retries there may be.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(default, deny_unknown_fields)
)]
pub struct RetryBudgetConfig {
    /// Retries for each request. 0 to 1; 0.2 by default: at worst the backends get a fifth more.
    pub ratio: f64,
    /// Retries a second that are free, for clients with few requests. 0 or more; 10 by default. It
    /// may be a fraction: 0.1 is one in ten seconds.
    pub min_per_second: f64,
    /// For how long a request's share may be spent. At least 10 ms; 10 s by default.
    #[cfg_attr(feature = "serde", serde(with = "humantime_serde"))]
    pub ttl: Duration,
}

impl Default for RetryBudgetConfig {
    fn default() -> Self {
        Self {
            ratio: 0.2,
            min_per_second: 10.0,
            ttl: Duration::from_secs(10),
        }
    }
}

/// Tokens for retries and hedges: each request brings a part of one, each retry costs one.
///
/// Counted over the last while, so that an hour without failures does not save up a storm. Any number
/// of threads may use it; it takes no lock. Two that ask for the last token at once may both get it.
///
/// The rule and the defaults are Finagle's and linkerd's.
///
/// ```
/// use evenkeel_health::{RetryBudget, RetryBudgetConfig};
/// use evenkeel_stats::Timestamp;
///
/// let budget = RetryBudget::new(RetryBudgetConfig { min_per_second: 0.0, ..Default::default() })?;
/// let now = Timestamp::from_nanos(1);
/// for _ in 0..10 {
///     budget.deposit(now);
/// }
/// assert!(budget.withdraw(now));
/// assert!(budget.withdraw(now));
/// assert!(!budget.withdraw(now), "a fifth of ten is spent");
/// # Ok::<(), evenkeel_health::ConfigError>(())
/// ```
#[derive(Debug)]
pub struct RetryBudget {
    config: RetryBudgetConfig,
    requests: WindowCounter,
    retries: WindowCounter,
    refused: AtomicU64,
}

const SLOTS: usize = 10;

impl RetryBudget {
    /// A budget with nothing but the free retries in it.
    ///
    /// # Errors
    /// Names the field of `config` that is out of range.
    pub fn new(config: RetryBudgetConfig) -> Result<Self, ConfigError> {
        let check = Check("RetryBudgetConfig");
        check.share("ratio", config.ratio)?;
        check.that(
            config.min_per_second >= 0.0 && config.min_per_second.is_finite(),
            "min_per_second",
            config.min_per_second,
            "0 or more",
        )?;
        check.at_least("ttl", config.ttl, Duration::from_millis(10), "at least 10ms")?;
        let window = || check.window("ttl", config.ttl, SLOTS);
        Ok(Self {
            requests: window()?,
            retries: window()?,
            refused: AtomicU64::new(0),
            config,
        })
    }

    /// A request is sent for the first time.
    #[inline]
    pub fn deposit(&self, now: Timestamp) {
        self.requests.add(1, now);
    }

    /// Whether there may be a retry or a hedge at `now`; if so, it is counted.
    pub fn withdraw(&self, now: Timestamp) -> bool {
        let allowed = self.balance(now) >= 1.0;
        if allowed {
            self.retries.add(1, now);
        } else {
            self.refused.fetch_add(1, Ordering::Relaxed);
        }
        allowed
    }

    /// Retries that may be made at `now`; less than one is none.
    #[must_use]
    pub fn balance(&self, now: Timestamp) -> f64 {
        let free = self.config.min_per_second * self.config.ttl.as_secs_f64();
        let earned = self.requests.total(now) as f64 * self.config.ratio;
        // Rounded up by far less than a token: five fifths are one.
        earned + free + 1e-6 - self.retries.total(now) as f64
    }

    /// How many retries it has refused.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }
}
