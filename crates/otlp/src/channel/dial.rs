//! [`Dialer`]: opens connections, plain or over TLS, for all channels of a client.

use std::sync::Arc;
use std::time::Duration;

use evenkeel::balancer::BackendId;
use evenkeel::io_core::{AsyncConnection, AsyncIoConfig, AsyncIoManager, ConnectError, Target};
#[cfg(feature = "tls")]
use evenkeel::io_core::{TlsClient, TlsConfig};
use tokio::sync::watch;

use crate::{BuildError, OtlpClientConfig, Protocol};

/// How many gRPC channels of a client are connected: who has none of its own yet looks here whether to wait.
pub(crate) type Ups = watch::Sender<usize>;

/// How long what was sent may stay unacknowledged by the peer's kernel. A machine that is gone is found by this
/// without a ping, and sooner: a kernel acknowledges at once, however long the process takes to read.
fn user_timeout(config: &OtlpClientConfig) -> Duration {
    // A few packets may be lost and sent again in between.
    let silence = config.keep_alive_interval.saturating_add(Duration::from_secs(2));
    silence.min(Duration::from_secs(24 * 3600))
}

/// What opens the connections of a client.
pub(crate) struct Dialer {
    plain: AsyncIoManager,
    #[cfg(feature = "tls")]
    tls: parking_lot::Mutex<Tls>,
    pub(crate) ups: Arc<Ups>,
}

/// One manager for each protocol, since ALPN names it; made when first needed, since the system's roots take
/// a while to read.
#[cfg(feature = "tls")]
struct Tls {
    config: TlsConfig,
    io: AsyncIoConfig,
    grpc: Option<AsyncIoManager>,
    http: Option<AsyncIoManager>,
}

impl Dialer {
    pub(crate) fn new(config: &OtlpClientConfig) -> Result<Self, BuildError> {
        let io = AsyncIoConfig {
            connect_timeout: config.connect_timeout,
            user_timeout: Some(user_timeout(config)),
            // Each channel has its own limit, and each collector its channel.
            max_connections: 1 << 20,
            max_pending_operations: 1 << 20,
            ..AsyncIoConfig::default()
        };
        Ok(Self {
            plain: AsyncIoManager::new(io.clone())?,
            #[cfg(feature = "tls")]
            tls: parking_lot::Mutex::new(Tls {
                config: config.tls.clone(),
                io,
                grpc: None,
                http: None,
            }),
            ups: Arc::default(),
        })
    }

    /// The manager that speaks no TLS, for checks.
    #[cfg(feature = "checks")]
    pub(crate) const fn plain(&self) -> &AsyncIoManager {
        &self.plain
    }

    #[cfg_attr(
        not(feature = "tls"),
        expect(clippy::unnecessary_wraps, reason = "with TLS it can fail")
    )]
    pub(super) fn for_endpoint(
        &self,
        id: &BackendId,
        tls: bool,
        protocol: Protocol,
    ) -> Result<Connect, BuildError> {
        let _ = (id, protocol);
        #[cfg(feature = "tls")]
        if tls {
            return self.tls.lock().manager(protocol).map(Connect);
        }
        let _ = tls;
        Ok(Connect(self.plain.clone()))
    }
}

#[cfg(feature = "tls")]
impl Tls {
    fn manager(&mut self, protocol: Protocol) -> Result<AsyncIoManager, BuildError> {
        let (place, alpn) = match protocol {
            Protocol::Grpc => (&mut self.grpc, "h2"),
            Protocol::HttpProtobuf => (&mut self.http, "http/1.1"),
        };
        if let Some(manager) = place {
            return Ok(manager.clone());
        }
        let client = TlsClient::new(&TlsConfig {
            alpn: vec![alpn.to_owned()],
            ..self.config.clone()
        })?;
        let manager = AsyncIoManager::builder(self.io.clone()).tls(client).build()?;
        Ok(place.insert(manager).clone())
    }
}

/// Opens the connections of one channel.
#[derive(Clone)]
pub(super) struct Connect(AsyncIoManager);

impl Connect {
    /// What opens them, for checks.
    #[cfg(feature = "grpc-checks")]
    pub(super) const fn manager(&self) -> &AsyncIoManager {
        &self.0
    }

    pub(super) async fn open(&self, target: Target) -> Result<AsyncConnection, ConnectError> {
        let mut connection = self.0.connect(target).await?;
        // A connection that waits for requests reads all the time; pings and attempts have their own deadlines.
        connection.set_read_timeout(None);
        Ok(connection)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_that_is_gone_is_found_by_the_kernel_sooner_than_by_a_ping() {
        let mut config = OtlpClientConfig::default();
        assert_eq!(user_timeout(&config), Duration::from_secs(7));
        config.keep_alive_interval = Duration::from_secs(365 * 24 * 3600);
        assert!(Dialer::new(&config).is_ok());
        config.keep_alive_interval = Duration::from_millis(10);
        config.keep_alive_timeout = Duration::from_millis(10);
        assert_eq!(user_timeout(&config), Duration::from_millis(2010));
    }
}
