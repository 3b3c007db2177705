//! A connection pool: fair, safe to cancel, and quick.
//!
//! It keeps connections to one address or to several open, lends them out, and looks after them until
//! they go. A connection is whatever a [`Connect`](evenkeel_io_core::Connect) makes: evenkeel's own
//! [`AsyncConnection`](evenkeel_io_core::AsyncConnection), or any type that an async function gives.
//!
//! ```
//! use std::time::Duration;
//! use evenkeel_io_core::{AsyncIoConfig, AsyncIoManager};
//! use evenkeel_pool::{ConnectionPool, ConnectionPoolConfig};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
//! # let address = listener.local_addr()?;
//! # tokio::spawn(async move {
//! #     while let Ok((mut stream, _)) = listener.accept().await {
//! #         tokio::spawn(async move {
//! #             let (mut read, mut write) = stream.split();
//! #             let _ = tokio::io::copy(&mut read, &mut write).await;
//! #         });
//! #     }
//! # });
//! let manager = AsyncIoManager::new(AsyncIoConfig::default())?;
//! let pool = ConnectionPool::new(
//!     manager,
//!     [address.into()],
//!     ConnectionPoolConfig {
//!         min_connections: 1,
//!         max_connections: 8,
//!         checkout_timeout: Duration::from_secs(1),
//!         ..ConnectionPoolConfig::default()
//!     },
//! )?;
//! pool.warm_up().await?;
//!
//! for _ in 0..3 {
//!     let mut connection = pool.checkout().await?;
//!     connection.write_all(b"ahoy").await?;
//!     let mut answer = [0; 4];
//!     connection.read_exact(&mut answer).await?;
//! } // given back at the end of each round
//!
//! assert_eq!(pool.stats().created, 1);
//! assert_eq!(pool.stats().hits, 3);
//! pool.close(Duration::from_secs(1)).await;
//! # Ok(())
//! # }
//! ```
//!
//! # What it does
//!
//! - **Checkout**: an idle connection at once, without a timer and without an allocation; else a turn
//!   in a line that is served in order. One time-out covers all of it, and the error says in which
//!   phase it ended and how many were ahead.
//! - **Dials run beside the callers**, never as part of one: each has its own deadline and its own
//!   place, which neither a panic nor a hang nor a cancelled caller can leak. A connection that comes
//!   back first serves the one who waits, and a dial that nobody needs any more is given up.
//! - **When connecting fails**, it is tried again one at a time, with pauses that double and jitter;
//!   who waits is told why once the retries are spent and nothing is open.
//! - **Only good connections are lent**: a look without a round trip at each checkout ([`Recycle`]),
//!   checks in the background, and none goes back on which an operation was cut short.
//! - **Upkeep** by one background task that does not keep the pool alive: the minimum is kept open,
//!   idle and old connections go by and by, each at an age that was drawn once.
//! - **Several addresses** with weights: a [strategy](evenkeel_strategy) chooses where each *new*
//!   connection goes; one that fails is left alone for a while, one that proves dead loses its
//!   connections.
//! - **At run time**: [`resize`](ConnectionPool::resize), [`set_addresses`](ConnectionPool::set_addresses),
//!   [`invalidate`](ConnectionPool::invalidate), [`close`](ConnectionPool::close).
//! - **Statistics**, always on: [`ConnectionPoolStats`]; and [`Hooks`] and
//!   [`Observe`](evenkeel_stats::Observe) for those who want to see it happen.
//!
//! # What it does not do
//!
//! It does not balance requests: it lends any connection, and to which address that goes was decided
//! when it was opened. For a choice at each request take a balancer, with a pool for each backend. It
//! does not multiplex: a connection has one holder at a time. It speaks no protocol, so what a health
//! check says is up to a [`Recycle`]. It repeats no request.
//!
//! # The words
//!
//! | word | means |
//! |---|---|
//! | checkout, loan | taking a connection; having it |
//! | idle | open and lent to nobody |
//! | hit, miss | a checkout served by a connection that was open before, or opened for it |
//! | dial | an attempt to open a connection, in a task of its own |
//! | surplus dial | one that nobody waits for any more |
//! | reset, look, check | what [`Recycle`] does at return, at checkout, and in the background |
//! | generation | what [`invalidate`](ConnectionPool::invalidate) raises; a connection of an older one goes |
//!
//! # Cancel safety
//!
//! Every future of this crate may be dropped at any await point. A turn in line goes to the next, a
//! connection that was handed over already too, and a dial goes on for whoever asks next.
//!
//! # Blocking threads
//!
//! A checkout also works outside of a runtime, from a thread in some `block_on`; building the pool
//! needs one, for the background work. A task is served in order. A thread that blocks, and with it who is behind it in line, may be
//! overtaken for about a millisecond, because handing each connection to a sleeping thread would make
//! all of them wait for the operating system. Which of the two a caller is, the pool can only guess by
//! whether it is inside of a tokio task: a thread of `spawn_blocking` is, and so is served in order like
//! a task; the body of `#[tokio::main]` is not.
//!
//! # Features
//!
//! None by default. `serde`: [`ConnectionPoolConfig`] from files, with durations as people write them;
//! [`ConnectionPoolStats`]' counts by reason as data.

mod addresses;
mod backoff;
mod builder;
mod check;
mod checkout;
mod config;
mod dial;
mod effects;
mod error;
mod hooks;
mod live;
mod maintenance;
mod pool;
mod pooled;
mod queue;
mod reason;
mod recycle;
mod seat;
mod shared;
mod state;
mod stats;
mod sync;

pub use builder::ConnectionPoolBuilder;
pub use config::{ConfigError, ConnectionPoolConfig, ReuseOrder};
pub use error::{BuildError, CheckoutError, DialCause, DialError};
pub use hooks::Hooks;
pub use pool::{CloseReport, ConnectionPool};
pub use pooled::PooledConnection;
pub use reason::{CloseReason, ClosedCounts};
pub use recycle::{DefaultRecycle, Recycle};
pub use stats::ConnectionPoolStats;

/// The README's example, compiled.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
