//! How the manager and its connections behave when things go wrong, one file per hazard.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod closing;
mod deadlines;
mod descriptors;
mod dialling;
mod examples;
mod limits;
mod peers;
mod statistics;
mod threads;
#[cfg(feature = "tls")]
mod tls;

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use evenkeel_io_core::{AsyncConnection, AsyncIoConfig, AsyncIoManager, Target};
use evenkeel_stats::TokioClock;
use tokio::io::DuplexStream;

/// A manager whose deadlines follow tokio's paused time.
fn paused(config: AsyncIoConfig) -> AsyncIoManager {
    AsyncIoManager::builder(config)
        .clock(TokioClock::new())
        .build()
        .unwrap()
}

/// A manager with the real clock.
fn real(config: AsyncIoConfig) -> AsyncIoManager {
    AsyncIoManager::new(config).unwrap()
}

fn peer() -> Target {
    "test.peer:1".parse().unwrap()
}

/// An adopted in-memory stream and its other end.
async fn pair(manager: &AsyncIoManager, room: usize) -> (AsyncConnection<DuplexStream>, DuplexStream) {
    let (ours, theirs) = tokio::io::duplex(room);
    (manager.adopt(ours, peer()).await.unwrap(), theirs)
}

/// Polls once, with nobody to wake.
fn poll_once<F: Future + ?Sized>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}
