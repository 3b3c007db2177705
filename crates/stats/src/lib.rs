//! Statistics for the client side of the network.

mod clock;
mod coarse;
mod counter;
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
pub use error::SettingError;
pub use ewma::{Ewma, PeakEwma};
pub use failures::{FailureCounts, FailureCountsSnapshot};
pub use gauge::Gauge;
pub use histogram::Histogram;
pub use history::{History, HistoryWindow};
pub use hit_rate::HitRate;
pub use observe::{CheckoutEvent, CloseEvent, ConnectEvent, Failure, Observe, OutcomeEvent, Reused};
pub use outcome::{FailureKind, Outcome, Phase};
pub use precision::Precision;
pub use snapshot::{HistogramSnapshot, SnapshotError};
pub use success::SuccessWindow;
pub use summary::LatencySummary;
pub use timestamp::Timestamp;
#[cfg(feature = "tokio")]
pub use tokio_clock::TokioClock;
pub use trend::Trend;
pub use window::WindowCounter;
