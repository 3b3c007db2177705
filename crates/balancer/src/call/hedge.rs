//! [`HedgeConfig`], and the delay that follows the live latency.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use evenkeel_stats::{Histogram, HistogramSnapshot, History, Precision, Timestamp};
use parking_lot::Mutex;

use crate::ConfigError;

/// When a second backend is asked beside the first.
///
/// The second request goes out after the time that the usual request takes, and what it costs comes out of the
/// retry budget. As long as the percentile lies below [`max_delay`](Self::max_delay), few requests are hedged;
/// where latencies are longer and wide, most may be, as far as the budget goes: raise `max_delay` there. Only
/// requests that may be [repeated](crate::Repeat::Always) are hedged.
///
/// Source: J. Dean, L. A. Barroso, "The Tail at Scale", 2013.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(default, deny_unknown_fields)
)]
pub struct HedgeConfig {
    /// The percentile of the latencies of the last ten seconds after which the second is sent. Above
    /// 50, below 100; 95 by default.
    pub percentile: f64,
    /// The least delay, however fast the backends are. Above zero; 10 ms by default: below that, what
    /// is slow is this process and not the backend.
    #[cfg_attr(feature = "serde", serde(with = "humantime_serde"))]
    pub min_delay: Duration,
    /// The longest delay, and the one until there are latencies to go by. At least `min_delay`; 200 ms
    /// by default: what a caller would rather not wait for a backend that hangs. Where the median is
    /// above it, the delay is the median: sooner, every other request would be sent twice.
    #[cfg_attr(feature = "serde", serde(with = "humantime_serde"))]
    pub max_delay: Duration,
}

impl Default for HedgeConfig {
    fn default() -> Self {
        Self {
            percentile: 95.0,
            min_delay: Duration::from_millis(10),
            max_delay: Duration::from_millis(200),
        }
    }
}

impl HedgeConfig {
    pub(crate) fn validate(&self) -> Result<(), ConfigError> {
        let percentile = self.percentile;
        let sound = percentile > 50.0 && percentile < 100.0;
        ConfigError::check(sound, "hedging.percentile", percentile, "above 50 and below 100")?;
        let (min, max) = (self.min_delay, self.max_delay);
        let (field, shown) = ("hedging.min_delay", format!("{min:?}"));
        ConfigError::check(!min.is_zero(), field, shown, "above zero")?;
        let (field, shown) = ("hedging.max_delay", format!("{max:?}"));
        ConfigError::check(max >= min, field, shown, "at least min_delay")
    }
}

/// The windows that the percentile is over; the background task ends one each second.
const WINDOWS: usize = 10;

/// With fewer answers than this a percentile says nothing.
const LEAST: u64 = 20;

/// The delay of the moment: one load for who asks.
#[derive(Debug, Default)]
pub(crate) struct HedgeDelay(Option<Live>);

#[derive(Debug)]
struct Live {
    config: HedgeConfig,
    latency: Histogram,
    nanos: AtomicU64,
    /// The percentile itself, whatever the delay is; zero until it is known.
    usual: AtomicU64,
    /// `None` never: ten is not zero.
    history: Mutex<Option<History>>,
}

impl HedgeDelay {
    pub(crate) fn new(config: Option<&HedgeConfig>) -> Self {
        Self(config.map(|config| Live {
            latency: Histogram::new(Precision::Compact),
            nanos: AtomicU64::new(nanos(config.max_delay)),
            usual: AtomicU64::new(0),
            history: Mutex::new(History::new(WINDOWS).ok()),
            config: config.clone(),
        }))
    }

    /// How long the first is waited for; `None` if there is no hedging.
    pub(crate) fn now(&self) -> Option<Duration> {
        let live = self.0.as_ref()?;
        Some(Duration::from_nanos(live.nanos.load(Ordering::Relaxed)))
    }

    /// What answers usually take: no more than this, in so many of a hundred. `None` until there were enough.
    pub(crate) fn usual(&self) -> Option<Duration> {
        let usual = self.0.as_ref()?.usual.load(Ordering::Relaxed);
        (usual > 0).then(|| Duration::from_nanos(usual))
    }

    pub(crate) fn record(&self, latency: Duration) {
        if let Some(live) = &self.0 {
            live.latency.record_duration(latency);
        }
    }

    /// Ends a window, and takes the delay from the last ten.
    pub(crate) fn roll(&self, now: Timestamp) {
        let Some(live) = &self.0 else { return };
        let mut history = live.history.lock();
        let Some(history) = history.as_mut() else { return };
        let all = live.latency.snapshot();
        // Of one histogram, so neither error can be.
        let _ = history.roll(&all, now);
        let recent = history.merged(WINDOWS);
        let enough = |snapshot: &HistogramSnapshot| snapshot.count() >= LEAST;
        let found = recent.percentile(live.config.percentile);
        let delay = match found.filter(|_| enough(&recent)) {
            Some(delay) => {
                let clamped = delay.clamp(live.config.min_delay, live.config.max_delay);
                clamped.max(recent.percentile(50.0).unwrap_or_default())
            }
            None => live.config.max_delay,
        };
        live.nanos.store(nanos(delay), Ordering::Relaxed);
        // With few requests all that ever came has to do.
        let known = if enough(&recent) { &recent } else { &all };
        let usual = known.percentile(live.config.percentile).filter(|_| enough(known));
        live.usual
            .store(nanos(usual.unwrap_or_default()), Ordering::Relaxed);
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
