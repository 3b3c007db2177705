//! How the pool behaves when things go wrong, one file per hazard.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod bad_input;
mod cancellation;
mod checkout;
mod closing;
mod dialling;
mod fields;
mod interleavings;
mod invalidation;
mod lifetime;
mod liveness;
mod observation;
mod outage;
mod script;

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use evenkeel_io_core::Target;
use evenkeel_pool::{ConnectionPool, ConnectionPoolBuilder, ConnectionPoolConfig, PooledConnection};
use evenkeel_stats::TokioClock;

use script::{Conn, Script};

const SECOND: Duration = Duration::from_secs(1);
const MILLI: Duration = Duration::from_millis(1);

fn config(min: usize, max: usize) -> ConnectionPoolConfig {
    ConnectionPoolConfig {
        min_connections: min,
        max_connections: max,
        ..ConnectionPoolConfig::default()
    }
}

fn target(n: u16) -> Target {
    Target::host("backend", n).unwrap()
}

/// A pool over a script, on tokio's (paused) clock.
fn builder(script: &Script, config: ConnectionPoolConfig) -> ConnectionPoolBuilder<Conn> {
    let script = script.clone();
    ConnectionPool::builder(move |target| script.clone().dial(target), config)
        .address(target(1))
        .clock(TokioClock::new())
        .seed(7)
}

fn pool(script: &Script, config: ConnectionPoolConfig) -> ConnectionPool<Conn> {
    builder(script, config).build().unwrap()
}

/// Polls once, with nobody to wake.
fn poll_once<F: Future + ?Sized>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

/// Lets every task run that can.
async fn settle() {
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
}

/// `n` connections at once.
async fn take(pool: &ConnectionPool<Conn>, n: usize) -> Vec<PooledConnection<Conn>> {
    let mut taken = Vec::new();
    for _ in 0..n {
        taken.push(pool.checkout().await.unwrap());
    }
    taken
}
