//! Managed outgoing connections: limits, deadlines, Happy Eyeballs, TLS, statistics and an orderly end.
//!
//! An [`AsyncIoManager`] connects to a host name, a socket address or a Unix socket, and keeps an eye
//! on every connection it made until its owner drops it. What it gives is an [`AsyncConnection`]: an
//! ordinary `AsyncRead + AsyncWrite` whose operations can not hang.
//!
//! ```
//! use std::time::Duration;
//! use evenkeel_io_core::{AsyncIoConfig, AsyncIoManager};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
//! # let port = listener.local_addr()?.port();
//! # tokio::spawn(async move {
//! #     let (mut stream, _) = listener.accept().await.unwrap();
//! #     let (mut read, mut write) = stream.split();
//! #     tokio::io::copy(&mut read, &mut write).await.unwrap();
//! # });
//! let manager = AsyncIoManager::new(AsyncIoConfig {
//!     connect_timeout: Duration::from_secs(2),
//!     read_timeout: Duration::from_millis(250),
//!     ..AsyncIoConfig::default()
//! })?;
//!
//! let mut connection = manager.connect(("localhost", port)).await?;
//! connection.write_all(b"ahoy").await?;
//! let mut answer = [0; 4];
//! connection.read_exact(&mut answer).await?;
//!
//! let stats = manager.stats();
//! assert_eq!((stats.active_connections, stats.traffic.bytes_read), (1, 4));
//!
//! drop(connection);
//! manager.shutdown(Duration::from_secs(1)).await;
//! # Ok(())
//! # }
//! ```
//!
//! # What it does
//!
//! - **Limits**: `max_connections`, the same per host, and `max_pending_operations`. At a limit a
//!   caller waits its turn, in order, until its own time-out; the error then names the limit.
//! - **One deadline for connecting**, over the wait at the limits, the name's look-up, every address
//!   (raced as RFC 8305 has it) and the TLS handshake; the error names the phase and each address.
//! - **Deadlines on reads and writes** that cost a stored number and not a timer each.
//! - **A registry** of what is open, with what each connection has done; one, the idle ones or all
//!   can be ended from outside.
//! - **Statistics**: [`AsyncIoStats`], and an [`Observe`](evenkeel_stats::Observe) tap.
//!
//! # What it does not do
//!
//! It keeps no connection for later: that is a pool. It chooses among the addresses of *one* name and
//! never among backends: that is a balancer. It speaks no protocol above TLS, never retries, and
//! accepts no connections.
//!
//! # The words
//!
//! | word | means |
//! |---|---|
//! | target | who to connect to: a name and port, an address, a path |
//! | peer | who answered: an address or a path |
//! | operation | a connect, a read, a write |
//! | pending | an operation that could not finish at once and waits |
//! | place, turn | room at a limit; a position in the line for it |
//! | adopt | take a stream that was opened elsewhere under the same limits and deadlines |
//!
//! # Features
//!
//! None by default. `serde`: [`AsyncIoConfig`] and [`Target`] from files, with durations as people
//! write them. `tls`: TLS by rustls.

mod config;
mod connect;
mod connection;
mod deadline;
mod dial;
mod error;
mod gate;
mod happy_eyeballs;
mod limits;
mod manager;
mod registry;
mod resolve;
mod session;
mod socket;
mod stats;
mod sync;
mod target;
#[cfg(feature = "tls")]
mod tls;
mod transport;
mod waiter;

pub use config::{AsyncIoConfig, ConfigError};
pub use connect::Connect;
pub use connection::{AsyncConnection, Liveness};
pub use error::{Attempt, Attempts, CloseReason, ConnectError, IoError, Limit};
pub use manager::{AsyncIoManager, AsyncIoManagerBuilder, DrainReport};
pub use registry::{ConnectionId, ConnectionInfo, ConnectionState};
pub use resolve::{Answers, Resolution, Resolve, StaticResolver, SystemResolver};
pub use stats::{AsyncIoStats, Traffic};
pub use target::{Target, TargetError};
#[cfg(feature = "tls")]
pub use tls::{ClientAuth, Pem, TlsClient, TlsConfig, TlsError, TlsRoots};
pub use transport::Transport;

/// The README's example, compiled.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
