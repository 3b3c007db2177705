//! Statistics for the client side of the network.

mod clock;
mod observe;
mod outcome;
mod timestamp;

pub use clock::{Clock, ManualClock, RealClock};
pub use observe::{CheckoutEvent, CloseEvent, ConnectEvent, Failure, Observe, OutcomeEvent, Reused};
pub use outcome::{FailureKind, Outcome, Phase};
pub use timestamp::Timestamp;
