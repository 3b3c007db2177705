//! [`AsyncIoManager`]: opens connections within limits, keeps count of them, and ends them in order.

use std::sync::Arc;
use std::time::Duration;

use evenkeel_stats::{Clock, Observe, RealClock};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{Notify, watch};

use crate::limits::Limits;
use crate::registry::Registry;
use crate::resolve::{Resolve, SystemResolver};
use crate::stats::Recorder;
#[cfg(feature = "tls")]
use crate::tls::TlsClient;
use crate::{
    AsyncConnection, AsyncIoConfig, AsyncIoStats, CloseReason, ConfigError, Connect, ConnectError,
    ConnectionId, ConnectionInfo, Target,
};

/// Opens connections and looks after them until they are dropped.
///
/// Clones share everything: limits, registry and statistics. See the [crate](crate) for an example.
///
/// Connecting needs a tokio runtime with its I/O and time drivers on.
#[derive(Clone, Debug)]
pub struct AsyncIoManager {
    shared: Arc<Shared>,
}

/// What a manager's clones and connections share.
pub(crate) struct Shared {
    pub(crate) config: AsyncIoConfig,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) observer: Arc<dyn Observe>,
    pub(crate) resolver: Arc<dyn Resolve>,
    #[cfg(feature = "tls")]
    pub(crate) tls: Option<TlsClient>,
    pub(crate) limits: Limits,
    pub(crate) registry: Registry,
    pub(crate) recorder: Recorder,
    /// True from the start of a shutdown.
    pub(crate) closing: watch::Sender<bool>,
    /// Told of every connection that goes during one.
    pub(crate) left: Notify,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared")
            .field("config", &self.config)
            .field("open", &self.registry.open())
            .field("closing", &*self.closing.borrow())
            .finish_non_exhaustive()
    }
}

impl AsyncIoManager {
    /// A manager with the real clock, the system's resolver, no TLS and nobody observing.
    ///
    /// # Errors
    ///
    /// The first field of `config` that makes no sense.
    pub fn new(config: AsyncIoConfig) -> Result<Self, ConfigError> {
        Self::builder(config).build()
    }

    /// A manager with parts of one's own.
    #[must_use]
    pub fn builder(config: AsyncIoConfig) -> AsyncIoManagerBuilder {
        AsyncIoManagerBuilder {
            config,
            clock: None,
            observer: Arc::new(()),
            resolver: Arc::new(SystemResolver::default()),
            #[cfg(feature = "tls")]
            tls: None,
        }
    }

    /// What it was built with.
    #[must_use]
    pub fn config(&self) -> &AsyncIoConfig {
        &self.shared.config
    }

    /// Connects to a host name (`"collector:4317"`), a socket address or a Unix socket
    /// (`"unix:/run/collector.sock"`).
    ///
    /// In this order, all within `connect_timeout`: a turn at the limits, first come first served;
    /// the name's addresses; the addresses raced by Happy Eyeballs v2 (RFC 8305); the TLS handshake,
    /// if the manager was given TLS. Socket options are set before the first packet.
    ///
    /// # Errors
    ///
    /// [`ConnectError`] names the target, the phase and the limit or the addresses.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes what was half open and gives back every turn and place at once. A
    /// look-up by the system's resolver, once begun, ends in the background, unheard.
    pub async fn connect<T>(&self, target: T) -> Result<AsyncConnection, ConnectError>
    where
        T: TryInto<Target>,
        ConnectError: From<T::Error>,
    {
        self.shared.open(target.try_into()?).await
    }

    /// Takes over a stream that was opened elsewhere: it then counts, has deadlines and ends with the
    /// others. `peer` is what to call the other end.
    ///
    /// Ending an adopted connection from outside refuses its next operation and wakes those that wait;
    /// the peer sees the end when the owner drops it, since only the owner can reach the stream.
    ///
    /// # Errors
    ///
    /// [`ConnectError::Limit`] if `max_connections` leaves no room within `connect_timeout`;
    /// [`ConnectError::ShuttingDown`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the stream.
    pub async fn adopt<S>(&self, stream: S, peer: Target) -> Result<AsyncConnection<S>, ConnectError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        self.shared.adopt(stream, peer).await
    }

    /// The statistics now. Takes some microseconds, more with many open connections.
    #[must_use]
    pub fn stats(&self) -> AsyncIoStats {
        let Shared {
            recorder,
            registry,
            limits,
            ..
        } = &*self.shared;
        AsyncIoStats {
            active_connections: registry.open(),
            peak_connections: registry.peak(),
            total_connections: recorder.opened.value(),
            failed_connects: recorder.failed.value(),
            pending_operations: limits.pending.taken(),
            waiting_for_connection: limits.connections.waiting(),
            waiting_for_operation: limits.pending.waiting(),
            traffic: registry.traffic(),
            connect_time: recorder.connect_time.snapshot(),
            read_wait: recorder.read_wait.snapshot(),
            write_wait: recorder.write_wait.snapshot(),
            failures: recorder.failures.snapshot(),
        }
    }

    /// Every open connection, in no particular order.
    #[must_use]
    pub fn connections(&self) -> Vec<ConnectionInfo> {
        self.shared.registry.infos(self.shared.clock.coarse())
    }

    /// Ends one connection, wherever it is: the peer sees the end at once (of an
    /// [`adopt`](Self::adopt)ed one, when it is dropped), pending operations and all later ones fail with [`IoError::Closed`](crate::IoError::Closed). The descriptor goes when
    /// the owner drops the connection. Says whether there was such an open connection.
    pub fn close(&self, id: ConnectionId) -> bool {
        self.shared.registry.close(id, CloseReason::Requested)
    }

    /// Ends, as [`close`](Self::close) does, every connection that has moved no byte for `idle_for`
    /// or longer; gives what they were. A connection whose peer takes that long over an answer is idle
    /// by this measure: choose a time above the longest answer.
    pub fn close_idle(&self, idle_for: Duration) -> Vec<ConnectionInfo> {
        let now = self.shared.clock.coarse();
        self.shared
            .registry
            .close_where(now, CloseReason::Idle, |idle| idle >= idle_for)
    }

    /// Refuses newcomers from now on, waits until the open connections are dropped by their owners,
    /// and ends those that are still open after `deadline`.
    ///
    /// Connects that wait or are under way fail with [`ConnectError::ShuttingDown`].
    ///
    /// # Cancel safety
    ///
    /// The manager stays closed to newcomers; calling it again goes on waiting.
    pub async fn shutdown(&self, deadline: Duration) -> DrainReport {
        let shared = &self.shared;
        let begun = !shared.closing.send_replace(true);
        // Counted after the mark: whoever registers later looks at it and leaves again.
        let open = shared.registry.open();
        if begun {
            tracing::info!(open, ?deadline, "shutting down");
        }
        let drained = async {
            loop {
                let left = shared.left.notified();
                if shared.registry.open() == 0 {
                    return;
                }
                left.await;
            }
        };
        let cut = match tokio::time::timeout(deadline, drained).await {
            Ok(()) => Vec::new(),
            Err(_) => {
                let now = shared.clock.coarse();
                shared.registry.close_where(now, CloseReason::Shutdown, |_| true)
            }
        };
        let still_open = shared.registry.open();
        let report = DrainReport {
            drained: open.saturating_sub(still_open),
            held: still_open.saturating_sub(cut.len()),
            cut,
        };
        let DrainReport { drained, held, .. } = report;
        tracing::info!(drained, held, cut = report.cut.len(), "shut down");
        report
    }
}

/// How a [`shutdown`](AsyncIoManager::shutdown) went.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct DrainReport {
    /// Connections that their owners finished with in time.
    pub drained: usize,
    /// Those that were ended under them.
    pub cut: Vec<ConnectionInfo>,
    /// Those that had been ended before, and that their owners still have not dropped.
    pub held: usize,
}

impl Connect for AsyncIoManager {
    type Connection = AsyncConnection;
    type Error = ConnectError;

    async fn connect(&self, target: Target) -> Result<AsyncConnection, ConnectError> {
        self.shared.open(target).await
    }
}

/// Puts an [`AsyncIoManager`] together; from [`AsyncIoManager::builder`].
#[derive(Clone)]
pub struct AsyncIoManagerBuilder {
    config: AsyncIoConfig,
    clock: Option<Arc<dyn Clock>>,
    observer: Arc<dyn Observe>,
    resolver: Arc<dyn Resolve>,
    #[cfg(feature = "tls")]
    tls: Option<TlsClient>,
}

impl std::fmt::Debug for AsyncIoManagerBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AsyncIoManagerBuilder")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

impl AsyncIoManagerBuilder {
    /// Where the time comes from. Default [`RealClock`]. Under tokio's paused time give it a clock
    /// that follows tokio's, or deadlines will be late by what was skipped.
    #[must_use]
    pub fn clock(mut self, clock: impl Clock + 'static) -> Self {
        self.clock = Some(Arc::new(clock));
        self
    }

    /// Who hears of connects and closes. Default nobody.
    #[must_use]
    pub fn observer(mut self, observer: impl Observe + 'static) -> Self {
        self.observer = Arc::new(observer);
        self
    }

    /// What turns host names into addresses. Default [`SystemResolver`].
    #[must_use]
    pub fn resolver(mut self, resolver: impl Resolve + 'static) -> Self {
        self.resolver = Arc::new(resolver);
        self
    }

    /// Speaks TLS on every connection it opens. Default plain.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn tls(mut self, tls: TlsClient) -> Self {
        self.tls = Some(tls);
        self
    }

    /// The manager.
    ///
    /// # Errors
    ///
    /// The first field of the config that makes no sense.
    pub fn build(self) -> Result<AsyncIoManager, ConfigError> {
        self.config.validate()?;
        Ok(AsyncIoManager {
            shared: Arc::new(Shared {
                limits: Limits::new(&self.config),
                config: self.config,
                clock: self.clock.unwrap_or_else(|| Arc::new(RealClock::new())),
                observer: self.observer,
                resolver: self.resolver,
                #[cfg(feature = "tls")]
                tls: self.tls,
                registry: Registry::default(),
                recorder: Recorder::new(),
                closing: watch::Sender::new(false),
                left: Notify::new(),
            }),
        })
    }
}
