//! [`OtlpClient`]: sends a request to one of several collectors, until one has taken it.

mod members;
mod send;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use evenkeel::balancer::LoadBalancer;
use tokio::sync::{Notify, Semaphore};

pub use send::SendOptions;

use crate::channel::{Channel, Dialer};
use crate::{Accepted, BuildError, Collector, Export, OtlpClientConfig, SendError};

/// Sends export requests to several collectors: balanced, retried as the specification says, hedged. Clones are
/// one client; with the last, its connections and background tasks end.
#[derive(Clone)]
pub struct OtlpClient(Arc<Inner>);

pub(crate) struct Inner {
    balancer: LoadBalancer<Channel>,
    config: OtlpClientConfig,
    dialer: Dialer,
    /// Where it was built: connections of collectors that come later are opened there too.
    runtime: tokio::runtime::Handle,
    /// What is compressed beside the runtime's threads: as many at a time as there are processors.
    turns: Arc<Semaphore>,
    /// As they are now. Locked for each change: there is one at a time.
    collectors: parking_lot::Mutex<Vec<Collector>>,
    closed: AtomicBool,
    under_way: AtomicUsize,
    left: Notify,
}

impl OtlpClient {
    /// A client, on the tokio runtime this is called in. gRPC connections are opened at once, in the background.
    ///
    /// # Errors
    /// Names the field that makes no sense, or the collector that can not be a member.
    pub fn new(config: OtlpClientConfig) -> Result<Self, BuildError> {
        config.validate()?;
        let runtime = tokio::runtime::Handle::try_current();
        let runtime = runtime.map_err(|_| evenkeel::balancer::BuildError::NoRuntime)?;
        let dialer = Dialer::new(&config)?;
        let servers = config.collectors.iter().map(|collector| {
            let channel = Channel::new(collector, &config, &dialer)?;
            Ok(channel.server(collector.id(), collector))
        });
        let servers: Vec<_> = servers.collect::<Result<_, BuildError>>()?;
        let builder = LoadBalancer::builder()
            .config(config.balancer_config())
            .backends(servers);
        #[cfg(feature = "checks")]
        let builder = match config.health_checks {
            crate::HealthChecks::None => builder,
            _ => {
                let plain = dialer.plain().clone();
                builder.health_checks_each(move |channel: &Channel| {
                    (channel.check(&plain), channel.target().clone())
                })
            }
        };
        Ok(Self(Arc::new(Inner {
            balancer: builder.build()?,
            dialer,
            runtime,
            turns: Arc::new(Semaphore::new(processors())),
            collectors: parking_lot::Mutex::new(config.collectors.clone()),
            config,
            closed: AtomicBool::new(false),
            under_way: AtomicUsize::new(0),
            left: Notify::new(),
        })))
    }

    /// Sends a request; [`send_with`](Self::send_with) the default options.
    ///
    /// # Errors
    /// As `send_with`.
    ///
    /// # Cancel safety
    /// As `send_with`.
    pub async fn send(&self, export: Export) -> Result<Accepted, SendError> {
        self.send_with(export, &SendOptions::default()).await
    }

    /// The balancer over the collectors: statistics, readiness, weights, drains.
    #[must_use]
    pub fn balancer(&self) -> &LoadBalancer<Channel> {
        &self.0.balancer
    }

    /// What it goes by. The collectors are those it began with; those of now are
    /// [`collectors`](Self::collectors).
    #[must_use]
    pub fn config(&self) -> &OtlpClientConfig {
        &self.0.config
    }

    /// Refuses new requests, waits until those under way have ended or `deadline` is over, and closes the
    /// connections. Returns how many were still under way.
    ///
    /// # Cancel safety
    /// Dropped, the client still refuses new requests; its connections close when it is dropped.
    pub async fn shutdown(&self, deadline: Duration) -> usize {
        let inner = &*self.0;
        {
            // Whoever is changing the collectors does it before they are removed, or not at all.
            let _none_changes = inner.collectors.lock();
            inner.closed.store(true, Ordering::SeqCst);
        }
        let idle = async {
            loop {
                let mut left = std::pin::pin!(inner.left.notified());
                left.as_mut().enable();
                if inner.under_way.load(Ordering::SeqCst) == 0 {
                    return;
                }
                left.await;
            }
        };
        let _ = tokio::time::timeout(deadline, idle).await;
        for id in inner.balancer.ids() {
            // Another may have removed it meanwhile.
            let _ = inner.balancer.remove(id.as_str());
        }
        inner.under_way.load(Ordering::SeqCst)
    }
}

fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// A request under way.
struct UnderWay<'a>(&'a Inner);

impl<'a> UnderWay<'a> {
    fn begin(inner: &'a Inner) -> Result<Self, SendError> {
        inner.under_way.fetch_add(1, Ordering::SeqCst);
        let under_way = Self(inner);
        // In this order: a shutdown sees the request, or the request sees the shutdown.
        if inner.closed.load(Ordering::SeqCst) {
            return Err(SendError::ShutDown);
        }
        Ok(under_way)
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        if self.0.under_way.fetch_sub(1, Ordering::SeqCst) == 1 && self.0.closed.load(Ordering::SeqCst) {
            self.0.left.notify_waiters();
        }
    }
}

impl fmt::Debug for OtlpClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OtlpClient")
            .field("balancer", &self.0.balancer)
            .finish_non_exhaustive()
    }
}
