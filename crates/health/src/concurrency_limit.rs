//! [`ConcurrencyLimit`]: how many requests at a time a backend takes before it slows down.

mod slot;

use std::sync::Arc;
use std::time::Duration;

use evenkeel_stats::{Outcome, Timestamp};
use parking_lot::Mutex;

pub use slot::ConcurrencySlot;

use crate::ConfigError;
use crate::error::Check;
use crate::sync::{AtomicU64, Ordering};

/// How a [`ConcurrencyLimit`] finds its place.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(default, deny_unknown_fields)
)]
pub struct ConcurrencyLimitConfig {
    /// The limit to begin with. From `min_limit` to `max_limit`; 20 by default.
    pub initial_limit: u32,
    /// The least limit. At least 1; 20 by default.
    pub min_limit: u32,
    /// The greatest limit. At least `min_limit`; 200 by default.
    pub max_limit: u32,
    /// How much slower than usual an answer may be before the limit falls. At least 1; 1.5 by default.
    pub tolerance: f64,
    /// Requests that may wait in the backend's queue: the limit grows by so many at a time. At least 1;
    /// 4 by default.
    pub queue: u32,
    /// The share of each new estimate in the limit. Above 0, at most 1; 0.2 by default.
    pub smoothing: f64,
    /// What an overload or a failure leaves of the limit. Above 0, below 1; 0.9 by default.
    pub backoff: f64,
    /// How often the limit moves. Above zero; 100 ms by default: all answers of a round trip tell of the
    /// same moment, so this should be longer than most of them take.
    #[cfg_attr(feature = "serde", serde(with = "humantime_serde"))]
    pub window: Duration,
    /// How far back "usual" reaches: a latency that has been so for about as long is usual, and slows
    /// nobody down any more. Above `window`; 600 s by default, longer than most overloads. One that lasts
    /// longer has to be seen otherwise, by its failures.
    #[cfg_attr(feature = "serde", serde(with = "humantime_serde"))]
    pub long_window: Duration,
}

impl Default for ConcurrencyLimitConfig {
    fn default() -> Self {
        Self {
            initial_limit: 20,
            min_limit: 20,
            max_limit: 200,
            tolerance: 1.5,
            queue: 4,
            smoothing: 0.2,
            backoff: 0.9,
            window: Duration::from_millis(100),
            long_window: Duration::from_secs(600),
        }
    }
}

impl ConcurrencyLimitConfig {
    /// Whether every field is in its range.
    ///
    /// # Errors
    /// Names the field that is not.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let check = Check("ConcurrencyLimitConfig");
        check.at_least_one("min_limit", self.min_limit)?;
        let (max, initial) = (self.max_limit, self.initial_limit);
        check.that(max >= self.min_limit, "max_limit", max, "at least min_limit")?;
        let within = (self.min_limit..=max).contains(&initial);
        check.that(within, "initial_limit", initial, "from min_limit to max_limit")?;
        let tolerant = self.tolerance >= 1.0 && self.tolerance.is_finite();
        check.that(tolerant, "tolerance", self.tolerance, "at least 1")?;
        check.at_least_one("queue", self.queue)?;
        let smooth = self.smoothing > 0.0 && self.smoothing <= 1.0;
        check.that(smooth, "smoothing", self.smoothing, "above 0, at most 1")?;
        let falls = self.backoff > 0.0 && self.backoff < 1.0;
        check.that(falls, "backoff", self.backoff, "above 0, below 1")?;
        check.above_zero("window", self.window)?;
        let long = self.long_window;
        check.that(
            long > self.window,
            "long_window",
            format!("{long:?}"),
            "above window",
        )
    }
}

/// A limit of requests in flight that follows the backend: by the gradient of its latency.
///
/// With g = clamp(tolerance x usual latency / latency of the last window, 0.5, 1), each window moves the
/// limit L towards g L + queue. While less than half of it is in use it stays, since nothing is learnt,
/// and so it does with fewer than 10 answers. When answers have become faster for good, "usual" is pulled
/// down. An overload or a failure lowers the limit at once, and at most once in a window.
///
/// Source: the Gradient2 limit of Netflix's concurrency-limits, with its window; the fall is that of its
/// AIMD limit.
///
/// Asking is one compare-and-swap. An answer takes a short lock.
///
/// ```
/// use std::time::Duration;
/// use evenkeel_health::{ConcurrencyLimit, ConcurrencyLimitConfig};
/// use evenkeel_stats::{Outcome, Timestamp};
///
/// let limit = ConcurrencyLimit::new(ConcurrencyLimitConfig::default())?;
/// let slot = limit.begin().expect("one of twenty");
/// assert_eq!(limit.in_flight(), 1);
/// // ... the request ...
/// slot.finish(Outcome::Success, Duration::from_millis(10), Timestamp::from_nanos(1));
/// assert_eq!((limit.in_flight(), limit.limit()), (0, 20));
/// # Ok::<(), evenkeel_health::ConfigError>(())
/// ```
#[derive(Debug)]
pub struct ConcurrencyLimit {
    config: ConcurrencyLimitConfig,
    in_flight: AtomicU64,
    /// `estimate`, rounded down, for those who ask.
    limit: AtomicU64,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    estimate: f64,
    /// The latency average in nanoseconds, and its last sample's time.
    usual: Option<(f64, Timestamp)>,
    window: Window,
}

/// What came since the limit last moved.
#[derive(Debug, Default)]
struct Window {
    start: Timestamp,
    /// The sum of the latencies of `answers`, in nanoseconds.
    total: f64,
    answers: u32,
    /// The most requests that were in flight.
    most: u64,
    /// The limit was lowered for an overload.
    fell: bool,
}

/// With fewer answers a window says nothing.
const MIN_ANSWERS: u32 = 10;

impl State {
    /// What is usual once `sample` is taken in, which came at `now`.
    fn usual_with(&mut self, sample: f64, now: Timestamp, tau: Duration) -> f64 {
        let mut usual = match self.usual {
            None => sample,
            Some((usual, before)) => {
                let kept = (-now.since(before).as_secs_f64() / tau.as_secs_f64()).exp();
                sample + (usual - sample) * kept
            }
        };
        if usual > sample * 2.0 {
            // Leaves a bad time behind faster than the average would.
            usual *= 0.95;
        }
        self.usual = Some((usual, now));
        usual
    }
}

impl ConcurrencyLimit {
    /// A limit at its `initial_limit`.
    ///
    /// # Errors
    /// Names the field of `config` that is out of range.
    pub fn new(config: ConcurrencyLimitConfig) -> Result<Self, ConfigError> {
        config.validate()?;
        let estimate = f64::from(config.initial_limit);
        Ok(Self {
            in_flight: AtomicU64::new(0),
            limit: AtomicU64::new(u64::from(config.initial_limit)),
            state: Mutex::new(State {
                estimate,
                usual: None,
                window: Window::default(),
            }),
            config,
        })
    }

    /// A place for one more request, if there is one.
    #[inline]
    pub fn begin(&self) -> Option<ConcurrencySlot<&Self>> {
        self.take_place().then(|| ConcurrencySlot::new(self))
    }

    /// Like [`begin`](Self::begin), with a place that owns the limit, to be kept in a guard that outlives
    /// the caller.
    #[inline]
    pub fn begin_owned(self: &Arc<Self>) -> Option<ConcurrencySlot<Arc<Self>>> {
        self.take_place().then(|| ConcurrencySlot::new(self.clone()))
    }

    fn take_place(&self) -> bool {
        let limit = self.limit.load(Ordering::Relaxed);
        self.in_flight
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |now| {
                (now < limit).then(|| now + 1)
            })
            .is_ok()
    }

    /// Gives a place back; how many there were, this one included.
    fn end(&self) -> u64 {
        self.in_flight.fetch_sub(1, Ordering::Relaxed)
    }

    fn finish(&self, outcome: Outcome, latency: Duration, now: Timestamp) {
        let in_flight = self.end();
        let mut state = self.state.lock();
        let window = &mut state.window;
        match outcome {
            Outcome::Cancelled => return,
            Outcome::Success => {
                window.total += latency.as_nanos() as f64;
                window.answers += 1;
                window.most = window.most.max(in_flight);
            }
            _ if !window.fell || now.since(window.start) >= self.config.window => {
                // The next fall is a whole window away, wherever in its window this one came.
                *window = Window {
                    start: now,
                    fell: true,
                    ..Window::default()
                };
                let lower = state.estimate * self.config.backoff;
                self.set(&mut state, lower);
            }
            _ => {}
        }
        let over = now.since(state.window.start) >= self.config.window;
        if over && (state.window.fell || state.window.answers >= MIN_ANSWERS) {
            let start = now;
            let window = std::mem::replace(
                &mut state.window,
                Window {
                    start,
                    ..Window::default()
                },
            );
            if window.answers >= MIN_ANSWERS {
                self.move_by(&mut state, &window, now);
            }
        }
    }

    /// What a window that is over does to the limit.
    fn move_by(&self, state: &mut State, window: &Window, now: Timestamp) {
        // A latency of zero would divide by zero.
        let short = (window.total / f64::from(window.answers)).max(1.0);
        let long = state.usual_with(short, now, self.config.long_window);
        if window.fell || (window.most as f64) < state.estimate / 2.0 {
            return;
        }
        let gradient = (self.config.tolerance * long / short).clamp(0.5, 1.0);
        let aim = state.estimate * gradient + f64::from(self.config.queue);
        let share = self.config.smoothing;
        let next = state.estimate * (1.0 - share) + aim * share;
        self.set(state, next);
    }

    fn set(&self, state: &mut State, estimate: f64) {
        let (min, max) = (f64::from(self.config.min_limit), f64::from(self.config.max_limit));
        state.estimate = estimate.clamp(min, max);
        self.limit.store(state.estimate as u64, Ordering::Relaxed);
    }

    /// The limit now.
    #[must_use]
    pub fn limit(&self) -> u64 {
        self.limit.load(Ordering::Relaxed)
    }

    /// Requests in flight now.
    #[must_use]
    pub fn in_flight(&self) -> u64 {
        self.in_flight.load(Ordering::Relaxed)
    }
}
