//! [`LoadBalancerConfig`]: plain data, checked when a balancer is built from it.

mod error;
mod validate;

use std::time::Duration;

use evenkeel_health::{CircuitBreakerConfig, OutlierConfig, RetryBudgetConfig};
use evenkeel_strategy::{
    LoadBalancingStrategy, LoadConfig, PriorityLevelsConfig, SlowStartConfig, ZonePreferenceConfig,
};

pub use error::ConfigError;

use crate::HedgeConfig;

/// How a [`LoadBalancer`](crate::LoadBalancer) chooses, judges, repeats and remembers.
///
/// Plain data. Write what differs and take the rest from [`Default`]:
///
/// ```
/// use evenkeel_balancer::LoadBalancerConfig;
///
/// let config = LoadBalancerConfig { max_retries: 1, sticky_sessions: true, ..Default::default() };
/// assert!(config.validate().is_ok());
/// ```
///
/// With the `serde` feature, durations read and write as people do (`"250ms"`), missing fields take
/// their defaults and unknown ones are refused.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(default, deny_unknown_fields)
)]
pub struct LoadBalancerConfig {
    /// How one of the eligible backends is chosen. Default
    /// [`PeakEwma`](LoadBalancingStrategy::PeakEwma): the balancer records every outcome, so it may as
    /// well choose by them, and a slow backend gets little without anybody's verdict.
    pub strategy: LoadBalancingStrategy,

    /// From the start of one active check to the next. Above zero; 1 s by default. Counts only where
    /// checks are switched on (feature `checks`), as the next two do.
    #[cfg_attr(feature = "serde", serde(with = "humantime_serde"))]
    pub health_check_interval: Duration,

    /// How long the answer to a check may take. Above zero, at most `health_check_interval`; 250 ms by
    /// default: who needs longer for a check is no use for requests.
    #[cfg_attr(feature = "serde", serde(with = "humantime_serde"))]
    pub health_check_timeout: Duration,

    /// What checks over HTTP ask for (feature `http-checks`). Begins with `/`; `"/health"` by default.
    pub health_check_path: String,

    /// How often [`call`](crate::LoadBalancer::call) sends a failed request again, to another backend
    /// if there is one. 0 to 16; 2 by default: with three attempts a request fails only if three
    /// backends do. 0 never repeats.
    pub max_retries: usize,

    /// The wait before the first retry; it doubles with each, and each is drawn between nothing and
    /// the whole. At most a minute; 25 ms by default. 0 waits for nothing.
    #[cfg_attr(feature = "serde", serde(with = "humantime_serde"))]
    pub retry_delay: Duration,

    /// So many failures of a backend in a row stop requests to it. 1 to 2^32 - 1; 7 by default: less
    /// would stop a healthy backend by chance where one request in twenty fails.
    pub circuit_breaker_threshold: usize,

    /// For how long, the first time; then one request is let through to see. Above zero; 1 s by
    /// default: most faults of a network are shorter.
    #[cfg_attr(feature = "serde", serde(with = "humantime_serde"))]
    pub circuit_breaker_timeout: Duration,

    /// For how long at most; it doubles each time. At least `circuit_breaker_timeout`; 2 s by default,
    /// so that a backend that has come back is in use within 3 s. More is not needed: what a trial
    /// costs is one request sent again elsewhere.
    #[cfg_attr(feature = "serde", serde(with = "humantime_serde"))]
    pub circuit_breaker_max_timeout: Duration,

    /// A backend is stopped too when the share of its requests that succeeded within the last 10 s (of
    /// 50 requests at least) is below this. 0 to 1, where 0 switches it off; 0.8 by default.
    pub circuit_breaker_min_success_rate: f64,

    /// Whether the requests of a session go to one backend, see
    /// [`RequestContext::with_session`](crate::RequestContext::with_session). Off by default: it works
    /// against an even load.
    pub sticky_sessions: bool,

    /// A session that nobody used for this long is forgotten. From 1 ms to a year; 30 min by default,
    /// as most servers forget theirs.
    #[cfg_attr(feature = "serde", serde(with = "humantime_serde"))]
    pub session_timeout: Duration,

    /// How many sessions are remembered; at the limit one goes that was used least recently. 64 to 2^24;
    /// 65 536 by default, which takes 4 MiB if all are used. Above 2047 the table is cut into shards of
    /// 1024 or more with an eighth of room more, and what goes is the least recent of its shard.
    pub max_sessions: usize,

    /// How many backends there may be. 1 to 2^16; 4096 by default: a discovery that runs wild is
    /// refused, and named, before it takes the memory.
    pub max_backends: usize,

    /// Below this share of healthy backends (by number, among those of a weight above 0), health is
    /// ignored and the load is spread over all. 0 to 1; 0 by default: only when all are sick. Near
    /// capacity take 0.5, Envoy's, so that the few that are left are not buried.
    pub panic_threshold: f64,

    /// How a backend that has joined or recovered gets its share little by little. By default over
    /// 10 s from a tenth. `None`: all of it at once. Not used with strategies that route by a hash,
    /// where it would warm up the wrong backend.
    pub slow_start: Option<SlowStartConfig>,

    /// Which backends do worse than the others. By default as [`OutlierConfig`] says, but for runs of
    /// failures, which are the circuit breaker's business. `None`: they are not compared.
    pub outlier_detection: Option<OutlierConfig>,

    /// How often they are compared. Above zero; 10 s by default.
    #[cfg_attr(feature = "serde", serde(with = "humantime_serde"))]
    pub outlier_interval: Duration,

    /// How latency is judged by the strategies that look at it.
    pub load: LoadConfig,

    /// The zone of this client, if backends of the same are to be preferred. `None` by default.
    pub zone: Option<ZonePreferenceConfig>,

    /// Whether priorities of backends count. `None`, they do not, by default.
    pub priority_levels: Option<PriorityLevelsConfig>,

    /// How much more than its requests a client may send in retries and hedges.
    pub retry_budget: RetryBudgetConfig,

    /// Whether [`call`](crate::LoadBalancer::call) asks a second backend when the first takes long.
    /// `None`, it does not, by default: it sends more requests, so it is for whoever asks for it.
    pub hedging: Option<HedgeConfig>,

    /// How long a [`call`](crate::LoadBalancer::call) may take, all attempts and waits together. From
    /// 1 ms to a year; 10 s by default, the time-out of most clients.
    #[cfg_attr(feature = "serde", serde(with = "humantime_serde"))]
    pub request_timeout: Duration,

    /// How long one attempt of a call may take. At least 1 ms; by default `None`, as long as the call:
    /// what is a long time is known to the caller only. With it a backend that hangs costs one such
    /// time and not the whole call.
    #[cfg_attr(feature = "serde", serde(with = "humantime_serde"))]
    pub attempt_timeout: Option<Duration>,

    /// How long a window of the statistics is. From 100 ms to an hour; 5 s by default.
    #[cfg_attr(feature = "serde", serde(with = "humantime_serde"))]
    pub stats_window: Duration,

    /// How many windows are kept for trends. 4 to 1024; 60 by default, which is five minutes.
    pub stats_windows: usize,
}

impl Default for LoadBalancerConfig {
    fn default() -> Self {
        Self {
            strategy: LoadBalancingStrategy::PeakEwma,
            health_check_interval: Duration::from_secs(1),
            health_check_timeout: Duration::from_millis(250),
            health_check_path: "/health".to_owned(),
            max_retries: 2,
            retry_delay: Duration::from_millis(25),
            circuit_breaker_threshold: 7,
            circuit_breaker_timeout: Duration::from_secs(1),
            circuit_breaker_max_timeout: Duration::from_secs(2),
            circuit_breaker_min_success_rate: 0.8,
            sticky_sessions: false,
            session_timeout: Duration::from_secs(30 * 60),
            max_sessions: 65_536,
            max_backends: 4096,
            panic_threshold: 0.0,
            slow_start: Some(SlowStartConfig {
                window: Duration::from_secs(10),
                ..SlowStartConfig::default()
            }),
            outlier_detection: Some(OutlierConfig {
                consecutive_failures: u32::MAX,
                ..OutlierConfig::default()
            }),
            outlier_interval: Duration::from_secs(10),
            load: LoadConfig::default(),
            zone: None,
            priority_levels: None,
            retry_budget: RetryBudgetConfig::default(),
            hedging: None,
            request_timeout: Duration::from_secs(10),
            attempt_timeout: None,
            stats_window: Duration::from_secs(5),
            stats_windows: 60,
        }
    }
}

impl LoadBalancerConfig {
    /// What the breaker of each backend goes by.
    pub(crate) fn breaker(&self) -> Result<CircuitBreakerConfig, ConfigError> {
        let threshold = u32::try_from(self.circuit_breaker_threshold).map_err(|_| {
            ConfigError::out_of_range(
                "circuit_breaker_threshold",
                self.circuit_breaker_threshold,
                "at least 1, below 2^32",
            )
        })?;
        let timeout = self.circuit_breaker_timeout;
        let max = self.circuit_breaker_max_timeout;
        let (field, shown) = ("circuit_breaker_max_timeout", format!("{max:?}"));
        ConfigError::check(max >= timeout, field, shown, "at least circuit_breaker_timeout")?;
        let rate = self.circuit_breaker_min_success_rate;
        let field = "circuit_breaker_min_success_rate";
        ConfigError::check((0.0..=1.0).contains(&rate), field, rate, "from 0 to 1")?;
        Ok(CircuitBreakerConfig {
            circuit_breaker_threshold: threshold,
            circuit_breaker_timeout: timeout,
            max_timeout: max,
            // Of the little that is waited for, less is left to chance.
            jitter: 0.25,
            min_success_rate: rate,
            // An attempt that never ends is no answer.
            trial_timeout: self.attempt_timeout.unwrap_or(self.request_timeout),
            ..CircuitBreakerConfig::default()
        })
    }
}
