//! One write and one read after the other on one connection: what the deadlines of an operation cost.
//!
//! The scenario `io-pair` and the criterion benchmarks of io-core do the same work through this module.

mod slices;

use std::net::SocketAddr;

use evenkeel_io_core::{AsyncConnection, AsyncIoConfig, AsyncIoManager, Target};
use tokio::io::DuplexStream;

use crate::Error;
use crate::exchange::{Exchange, MESSAGE, Raw, Timed};
use crate::workload::{Dial, Evenkeel, RawTokio, TokioTimeouts};

pub use slices::{Pairs, Timing};

/// Who can do it.
pub const CONTENDERS: &[&str] = &["evenkeel", "raw-tokio", "tokio-timeouts"];

/// What the connection is made of.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    /// Loopback TCP to an echo server in another process.
    Tcp(SocketAddr),
    /// An in-memory pipe, with a task of the same thread that echoes. It has room for two messages: that task
    /// has to run before the next one, so every read waits.
    Duplex,
    /// An in-memory pipe that is never empty and never full, so nothing ever waits.
    Ready,
}

/// Opens a connection for the contender. Must be called within a runtime.
///
/// # Errors
/// When the name is none of [`CONTENDERS`], or there is no connection.
pub async fn open(contender: &str, kind: Kind) -> Result<Box<dyn Pairs>, Error> {
    match contender {
        "evenkeel" => match kind {
            Kind::Tcp(addr) => Ok(slices::echoed(Evenkeel::to(addr, 1)?.dial().await?)),
            Kind::Duplex | Kind::Ready => {
                let (ours, theirs) = pipe(kind);
                Ok(over_pipe(adopt(ours).await?, theirs, kind))
            }
        },
        "raw-tokio" => over(kind, RawTokio::to, Raw).await,
        "tokio-timeouts" => over(kind, TokioTimeouts::to, Timed).await,
        other => Err(Error::unknown("contender", other, CONTENDERS.iter().copied())),
    }
}

async fn over<D: Dial, E: Exchange>(
    kind: Kind,
    to: impl Fn(SocketAddr) -> D,
    wrap: impl Fn(DuplexStream) -> E,
) -> Result<Box<dyn Pairs>, Error> {
    if let Kind::Tcp(addr) = kind {
        return Ok(slices::echoed(to(addr).dial().await?));
    }
    let (ours, theirs) = pipe(kind);
    Ok(over_pipe(wrap(ours), theirs, kind))
}

fn pipe(kind: Kind) -> (DuplexStream, DuplexStream) {
    let messages = if matches!(kind, Kind::Ready) {
        slices::READY
    } else {
        2
    };
    tokio::io::duplex(messages * MESSAGE)
}

fn over_pipe(conn: impl Exchange, far_end: DuplexStream, kind: Kind) -> Box<dyn Pairs> {
    if matches!(kind, Kind::Ready) {
        return slices::ready(conn, far_end);
    }
    tokio::spawn(slices::echo(far_end));
    slices::echoed(conn)
}

async fn adopt(pipe: DuplexStream) -> Result<AsyncConnection<DuplexStream>, Error> {
    let manager = AsyncIoManager::new(AsyncIoConfig::default());
    let manager = manager.map_err(|e| Error::contender("configuration", e))?;
    let label = Target::host("in-memory", 1).map_err(|e| Error::contender("label", e))?;
    manager
        .adopt(pipe, label)
        .await
        .map_err(|e| Error::contender("adopt", e))
}
