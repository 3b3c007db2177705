//! How each contender connects.

use std::future::{Future, poll_fn};
use std::net::SocketAddr;

use evenkeel_io_core::{AsyncConnection, AsyncIoConfig, AsyncIoManager};
use http::Uri;
use hyper_util::client::legacy::connect::HttpConnector;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tower_service::Service;

use crate::Error;
use crate::exchange::{Exchange, Raw, TIMEOUT, Timed};

/// A way to connect to the server it was made for. Clones share what they are made of.
pub trait Dial: Clone + Send + Sync + 'static {
    /// What it connects.
    type Connection: Exchange;

    /// Makes one connection.
    fn dial(&self) -> impl Future<Output = Result<Self::Connection, Error>> + Send;

    /// Checks against the contender's own books that `connections` are open now.
    ///
    /// # Errors
    /// When its books say otherwise.
    fn audit(&self, connections: usize) -> Result<(), Error> {
        let _ = connections;
        Ok(())
    }
}

/// Ours, with its defaults.
#[derive(Debug, Clone)]
pub struct Evenkeel {
    manager: AsyncIoManager,
    addr: SocketAddr,
}

impl Evenkeel {
    /// Connects to `addr`, up to `connections` at a time.
    ///
    /// # Errors
    /// When the manager refuses the configuration.
    pub fn to(addr: SocketAddr, connections: usize) -> Result<Self, Error> {
        let config = AsyncIoConfig {
            max_connections: connections,
            ..AsyncIoConfig::default()
        };
        let manager = AsyncIoManager::new(config).map_err(|e| Error::contender("configuration", e))?;
        Ok(Self { manager, addr })
    }
}

impl Dial for Evenkeel {
    type Connection = AsyncConnection;

    async fn dial(&self) -> Result<Self::Connection, Error> {
        self.manager
            .connect(self.addr)
            .await
            .map_err(|e| Error::contender("connect", e))
    }

    fn audit(&self, connections: usize) -> Result<(), Error> {
        let active = self.manager.stats().active_connections;
        if active == connections {
            return Ok(());
        }
        Err(Error::Contender(format!(
            "{connections} connections are open, its statistics say {active}"
        )))
    }
}

/// tokio as it is, with `TCP_NODELAY`.
#[derive(Debug, Clone)]
pub struct RawTokio(SocketAddr);

impl RawTokio {
    /// Connects to `addr`.
    pub fn to(addr: SocketAddr) -> Self {
        Self(addr)
    }
}

async fn connect(addr: SocketAddr) -> Result<TcpStream, Error> {
    let stream = TcpStream::connect(addr)
        .await
        .map_err(|e| Error::contender("connect", e))?;
    stream
        .set_nodelay(true)
        .map_err(|e| Error::contender("TCP_NODELAY", e))?;
    Ok(stream)
}

impl Dial for RawTokio {
    type Connection = Raw<TcpStream>;

    async fn dial(&self) -> Result<Self::Connection, Error> {
        connect(self.0).await.map(Raw)
    }
}

/// tokio with a time-out written around each operation.
#[derive(Debug, Clone)]
pub struct TokioTimeouts(SocketAddr);

impl TokioTimeouts {
    /// Connects to `addr`.
    pub fn to(addr: SocketAddr) -> Self {
        Self(addr)
    }
}

impl Dial for TokioTimeouts {
    type Connection = Timed<TcpStream>;

    async fn dial(&self) -> Result<Self::Connection, Error> {
        let connected = timeout(TIMEOUT, connect(self.0)).await;
        connected.map_err(|e| Error::contender("connect", e))?.map(Timed)
    }
}

/// hyper-util's connector, with `TCP_NODELAY`.
#[derive(Debug, Clone)]
pub struct HyperUtil {
    connector: HttpConnector,
    uri: Uri,
}

impl HyperUtil {
    /// Connects to `addr`.
    ///
    /// # Errors
    /// When the address makes no URI.
    pub fn to(addr: SocketAddr) -> Result<Self, Error> {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let uri = format!("http://{addr}/")
            .parse()
            .map_err(|e| Error::contender("URI", e))?;
        Ok(Self { connector, uri })
    }
}

impl Dial for HyperUtil {
    type Connection = Raw<TcpStream>;

    async fn dial(&self) -> Result<Self::Connection, Error> {
        let mut connector = self.connector.clone();
        let failed = |e| Error::contender("connect", e);
        poll_fn(|cx| connector.poll_ready(cx)).await.map_err(failed)?;
        let stream = connector.call(self.uri.clone()).await.map_err(failed)?;
        Ok(Raw(stream.into_inner()))
    }
}
