//! Statistics for the client side of a network: what happened, how often, how long it took, and how it
//! is going just now.
//!
//! Everything here is recorded from the path of a request by any number of threads, so recording takes
//! no lock, allocates nothing and reads no clock: the time is handed in. Memory is bounded and known
//! beforehand. Reading never changes what is read.
//!
//! | question | type |
//! |---|---|
//! | how many, ever? | [`Counter`], [`LocalCounter`], by cause [`FailureCounts`], hits and misses [`HitRate`] |
//! | how many now? | [`Gauge`] |
//! | how long did it take? | [`Histogram`], read as [`HistogramSnapshot`] and [`LatencySummary`] |
//! | and in the last minutes? | [`History`] of a histogram |
//! | what is usual just now? | [`Ewma`], [`PeakEwma`] |
//! | how often within the last seconds? | [`WindowCounter`], [`SuccessWindow`] |
//! | is it getting worse? | [`Trend`], from a window or a history |
//! | what time is it? | [`Clock`]: [`RealClock`], [`CoarseClock`], [`ManualClock`], `TokioClock` (feature `tokio`) |
//!
//! The words that the evenkeel crates share are here too: [`Outcome`], [`Phase`], [`FailureKind`],
//! [`Readiness`], and [`Observe`], a tap for whoever wants metrics or logs of their own.
//!
//! # Example
//! The statistics of one backend: one timestamp to a transition, handed to all that need it.
//!
//! ```
//! use std::time::Duration;
//! use evenkeel_stats::{
//!     Clock, Gauge, Histogram, ManualClock, PeakEwma, Precision, SettingError, SuccessWindow, Timestamp,
//! };
//!
//! struct Backend {
//!     in_flight: Gauge,
//!     latency: Histogram,
//!     load: PeakEwma,
//!     recent: SuccessWindow,
//! }
//!
//! impl Backend {
//!     fn new() -> Result<Self, SettingError> {
//!         Ok(Self {
//!             in_flight: Gauge::new(),
//!             latency: Histogram::new(Precision::Compact),
//!             load: PeakEwma::new(Duration::from_secs(10))?,
//!             recent: SuccessWindow::new(Duration::from_secs(10), 10)?,
//!         })
//!     }
//!
//!     fn finished(&self, ok: bool, started: Timestamp, now: Timestamp) {
//!         let nanos = now.nanos_since(started);
//!         self.in_flight.decrement();
//!         self.latency.record(nanos);
//!         self.load.record(nanos as f64, now);
//!         self.recent.record(ok, now);
//!     }
//! }
//!
//! let clock = ManualClock::new(); // RealClock::new() outside of tests
//! let backend = Backend::new()?;
//! for millis in [20, 30, 40] {
//!     let started = clock.now();
//!     backend.in_flight.increment();
//!     clock.advance(Duration::from_millis(millis));
//!     backend.finished(millis < 40, started, clock.now());
//! }
//!
//! let now = clock.now();
//! assert_eq!(backend.in_flight.value(), 0);
//! assert_eq!(backend.latency.snapshot().summary().max, Duration::from_millis(40));
//! assert_eq!(backend.load.value(now), Some(40e6));
//! assert_eq!(backend.recent.samples(now), 3);
//! # Ok::<(), SettingError>(())
//! ```
//!
//! # What it does not do
//! It exports nothing, knows no labels and no names, keeps no registry, starts no thread. It measures
//! nothing by itself: whoever owns an operation says when it began and how it ended.
//!
//! # Words
//! - **record**: take in one sample; **snapshot**: everything recorded so far, as plain data.
//! - **percentile**: the least value that so many per cent of all do not exceed (nearest rank).
//! - **window**: the last while, cut into **slots** that drop out one by one.
//! - **tau**: the time constant of an average, after which a value has faded to 37 %.
//! - **peak average**: one that a higher sample lifts at once, and lower ones pull down slowly.
//! - **trend**: the recent half against the earlier half, and the slope of the line that fits best.
//! - **timestamp**: nanoseconds since the origin of the clock that gave it.

mod clock;
mod coarse;
mod counter;
#[cfg(feature = "serde")]
mod data;
mod decay;
mod error;
mod ewma;
mod extremes;
mod failures;
mod gauge;
mod histogram;
mod history;
mod hit_rate;
#[cfg(all(test, evenkeel_loom))]
mod loom_tests;
mod observe;
mod outcome;
mod precision;
mod readiness;
mod snapshot;
mod success;
mod summary;
mod sync;
mod timestamp;
#[cfg(feature = "tokio")]
mod tokio_clock;
mod trend;
mod window;

pub use clock::{Clock, ManualClock, RealClock};
pub use coarse::CoarseClock;
pub use counter::{Counter, LocalCounter};
pub use error::{SettingError, SnapshotError};
pub use ewma::{Ewma, PeakEwma};
pub use failures::{FailureCounts, FailureCountsSnapshot};
pub use gauge::Gauge;
pub use histogram::Histogram;
pub use history::{History, HistoryWindow};
pub use hit_rate::HitRate;
pub use observe::{CheckoutEvent, CloseEvent, ConnectEvent, Failure, Observe, OutcomeEvent, Reused};
pub use outcome::{FailureKind, Outcome, Phase};
pub use precision::Precision;
pub use readiness::Readiness;
pub use snapshot::HistogramSnapshot;
pub use success::SuccessWindow;
pub use summary::LatencySummary;
pub use timestamp::Timestamp;
#[cfg(feature = "tokio")]
pub use tokio_clock::TokioClock;
pub use trend::Trend;
pub use window::WindowCounter;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
