//! [`Connect`]: what pools and probes dial through.

use std::future::Future;

use crate::Target;

/// Opens connections.
///
/// [`AsyncIoManager`](crate::AsyncIoManager) is one; so is any function from a [`Target`] to a future,
/// so that a pool or a probe can be given whatever makes a connection:
///
/// ```
/// use evenkeel_io_core::{Connect, Target};
///
/// async fn dial(target: Target) -> std::io::Result<tokio::io::DuplexStream> {
///     let (ours, _theirs) = tokio::io::duplex(64);
///     Ok(ours)
/// }
///
/// async fn warm_up<C: Connect>(connect: C, target: &Target) -> Result<C::Connection, C::Error> {
///     connect.connect(target.clone()).await
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// warm_up(dial, &"collector:4317".parse()?).await?;
/// # Ok(())
/// # }
/// ```
pub trait Connect: Send + Sync {
    /// What a connection is.
    type Connection: Send + 'static;

    /// Why there is none.
    type Error: std::error::Error + Send + Sync + 'static;

    /// Opens a connection to `target`.
    ///
    /// Cancel safety: an implementation must leave nothing behind when the future is dropped.
    fn connect(&self, target: Target) -> impl Future<Output = Result<Self::Connection, Self::Error>> + Send;
}

impl<F, Dial, C, E> Connect for F
where
    F: Fn(Target) -> Dial + Send + Sync,
    Dial: Future<Output = Result<C, E>> + Send,
    C: Send + 'static,
    E: std::error::Error + Send + Sync + 'static,
{
    type Connection = C;
    type Error = E;

    fn connect(&self, target: Target) -> impl Future<Output = Result<C, E>> + Send {
        self(target)
    }
}
