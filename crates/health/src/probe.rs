//! [`Probe`]: one active check of a backend.

#[cfg(feature = "grpc")]
mod grpc;
#[cfg(feature = "http")]
mod http;
mod tcp;
#[cfg(feature = "_hyper")]
mod wire;

use std::error::Error;
use std::future::{Future, pending};

use evenkeel_io_core::Target;

#[cfg(feature = "grpc")]
pub use grpc::{GrpcProbe, GrpcProbeConfig, GrpcProbeError, KeptGrpc, ServingStatus};
#[cfg(feature = "http")]
pub use http::{HttpProbe, HttpProbeConfig, HttpProbeError, HttpVersion, KeptHttp, StatusRange};
pub use tcp::{TcpProbe, TcpProbeError};
#[cfg(feature = "_hyper")]
pub use wire::ProtocolError;

/// One active check of a backend.
///
/// [`HealthChecker`](crate::HealthChecker) gives it its time and drops it when that is over, so a probe
/// needs no deadline of its own and must leave nothing behind when dropped. Any function from a
/// [`Target`] to a future is one.
pub trait Probe: Send + Sync + 'static {
    /// What a bad check says.
    type Error: Error + Send + Sync + 'static;

    /// What one backend's checks hand on to the next: a connection, or nothing. The checker has one for
    /// each backend and drops it with the last check.
    type Kept: Default + Send;

    /// Checks `target`.
    ///
    /// Cancel safety: an implementation must leave nothing behind when the future is dropped, but what
    /// is in `kept`, which the next check finds.
    fn probe(
        &self,
        target: Target,
        kept: &mut Self::Kept,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// Ends when the backend tells, between two checks, that something has changed: the next check then
    /// comes at once. By default it never does.
    ///
    /// Cancel safety: an implementation must lose no news when the future is dropped.
    fn news(&self, kept: &mut Self::Kept) -> impl Future<Output = ()> + Send {
        let _ = kept;
        pending()
    }
}

impl<F, Answer, E> Probe for F
where
    F: Fn(Target) -> Answer + Send + Sync + 'static,
    Answer: Future<Output = Result<(), E>> + Send,
    E: Error + Send + Sync + 'static,
{
    type Error = E;
    type Kept = ();

    fn probe(&self, target: Target, (): &mut ()) -> impl Future<Output = Result<(), E>> + Send {
        self(target)
    }
}
