//! [`Gateway`]: all parts together, running.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use evenkeel::balancer::LoadBalancerStats;
use evenkeel_otlp::BuildError;
use hyper_util::rt::TokioExecutor;
use hyper_util::server::conn::auto;
use nix::sys::resource::{Resource, getrlimit};
use parking_lot::Mutex;
use thiserror::Error;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, oneshot};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tracing::{info, warn};

use crate::admin::Admin;
use crate::admission::Admission;
use crate::config::{GatewayConfig, Listen, ReceiverConfig};
use crate::deliver::{Delivery, Exchange, FromQueue};
use crate::metrics::Push;
use crate::queue::{self, OpenError, Queue};
use crate::readiness::{Readiness, State};
use crate::receive::connections::{Connections, Order};
use crate::receive::listener::{self, Answer};
use crate::receive::{Receiver, WATCHES};
use crate::telemetry::Telemetry;

/// Connections to the admin port: some probes and a scraper.
const ADMIN_CONNECTIONS: usize = 256;

/// Descriptors that connections of senders do not take.
const KEPT_BACK: usize = 256;

/// How often collectors are looked at for `/readyz`.
const LOOK: Duration = Duration::from_millis(100);

/// How long the gateway's last figures may take to arrive.
const LAST_PUSH: Duration = Duration::from_secs(2);

/// How long the last answers may take to leave when time is over.
const LAST_WORD: Duration = Duration::from_millis(500);

/// A running gateway. Dropped, it ends at once; [`shutdown`](Self::shutdown) ends it well.
#[derive(Debug)]
pub struct Gateway {
    config: Mutex<GatewayConfig>,
    exchange: Arc<Exchange>,
    telemetry: Arc<Telemetry>,
    readiness: Arc<Readiness>,
    connections: Arc<Connections>,
    grpc: Option<SocketAddr>,
    http: Option<SocketAddr>,
    admin: Option<SocketAddr>,
    /// What takes new connections of senders.
    accepting: JoinSet<()>,
    /// The admin port and the watches, which go on to the end.
    beside: JoinSet<()>,
    /// What delivers from the queue on disk.
    from_queue: JoinSet<()>,
    /// What sends the gateway's own metrics, and how it is told to end.
    pushing: JoinSet<()>,
    end_pushing: Option<oneshot::Sender<()>>,
}

/// Why a gateway does not start.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StartError {
    /// A port can not be had.
    #[error("{field} = {address}: {source}")]
    Bind {
        /// The field of the config.
        field: &'static str,
        /// The address.
        address: SocketAddr,
        /// Why not.
        source: io::Error,
    },
    /// The client can not be built.
    #[error("client: {0}")]
    Client(#[from] BuildError),
    /// The queue on disk can not be opened.
    #[error(transparent)]
    Queue(#[from] OpenError),
}

/// How a shutdown went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Drained {
    /// Everything under way was answered.
    Whole,
    /// The time was over first.
    TimedOut {
        /// So many requests were cut off.
        cut: usize,
    },
}

impl Gateway {
    /// Starts on the tokio runtime this is called in.
    ///
    /// # Errors
    /// [`StartError`].
    pub fn start(config: GatewayConfig) -> Result<Self, StartError> {
        let telemetry = Arc::<Telemetry>::default();
        let queue = config.queue.clone().map(Queue::open).transpose()?;
        let exchange = Exchange::new(Delivery::new(&config)?, Arc::clone(&telemetry), queue);
        let exchange = Arc::new(exchange);
        let limits = &config.limits;
        let admission = Admission::new(limits.requests, limits.memory.0, Arc::clone(&telemetry));
        let admission = Arc::new(admission);
        let connections = Arc::new(Connections::new(places(config.receiver.max_connections)));
        let (readiness, serving) = Readiness::new();

        let receiver = Arc::new(Receiver {
            exchange: Arc::clone(&exchange),
            admission: Arc::clone(&admission),
            telemetry: Arc::clone(&telemetry),
            serving: serving.clone(),
            limits: limits.clone(),
            watches: Arc::new(Semaphore::new(WATCHES)),
        });
        let admin = Arc::new(Admin {
            exchange: Arc::clone(&exchange),
            admission: Arc::clone(&admission),
            connections: Arc::clone(&connections),
            telemetry: Arc::clone(&telemetry),
            serving: serving.clone(),
        });
        let mut gateway = Self {
            exchange,
            telemetry,
            readiness: Arc::new(readiness),
            connections,
            grpc: None,
            http: None,
            admin: None,
            accepting: JoinSet::new(),
            beside: JoinSet::new(),
            from_queue: JoinSet::new(),
            pushing: JoinSet::new(),
            end_pushing: None,
            config: Mutex::new(config.clone()),
        };
        gateway.listen(&config, &receiver, Arc::clone(&admin))?;
        if let Some(telemetry) = config.telemetry {
            let (end, ended) = oneshot::channel();
            gateway.end_pushing = Some(end);
            gateway.pushing.spawn(Push::new(telemetry)?.run(admin, ended));
        }
        if let Some(queue) = gateway.exchange.queue() {
            let from_queue = Arc::new(FromQueue {
                exchange: Arc::clone(&gateway.exchange),
                admission,
            });
            gateway
                .from_queue
                .spawn(queue::deliver(queue.clone(), from_queue));
        }
        gateway.beside.spawn(watch(
            Arc::clone(&gateway.exchange),
            Arc::clone(&gateway.readiness),
        ));
        Ok(gateway)
    }

    fn listen(
        &mut self,
        config: &GatewayConfig,
        receiver: &Arc<Receiver>,
        admin: Arc<Admin>,
    ) -> Result<(), StartError> {
        let served = &config.receiver;
        let builder = listener::builder(served);
        for (field, listen, bound) in [
            ("receiver.grpc", served.grpc, &mut self.grpc),
            ("receiver.http", served.http, &mut self.http),
        ] {
            let Some((listener, address)) = bind(field, listen)? else {
                continue;
            };
            *bound = Some(address);
            let connections = Arc::clone(&self.connections);
            let accepting = listener::accept(
                listener,
                connections,
                builder.clone(),
                Arc::clone(receiver),
                Arc::clone(&self.telemetry),
            );
            self.accepting.spawn(accepting);
        }
        self.beside.spawn(sweep(&self.connections, served));
        if let Some((listener, address)) = bind("admin.listen", config.admin.listen)? {
            self.admin = Some(address);
            let connections = Arc::new(Connections::new(ADMIN_CONNECTIONS));
            self.beside.spawn(sweep(&connections, served));
            let served = serve_admin(listener, connections, builder, admin, Arc::clone(&self.telemetry));
            self.beside.spawn(served);
        }
        Ok(())
    }

    /// Where gRPC is received.
    #[must_use]
    pub const fn grpc_address(&self) -> Option<SocketAddr> {
        self.grpc
    }

    /// Where HTTP is received.
    #[must_use]
    pub const fn http_address(&self) -> Option<SocketAddr> {
        self.http
    }

    /// Where it tells of itself.
    #[must_use]
    pub const fn admin_address(&self) -> Option<SocketAddr> {
        self.admin
    }

    /// What is known of the collectors now.
    pub(crate) fn stats(&self) -> LoadBalancerStats {
        self.exchange.now().client.balancer().stats()
    }

    /// The config that holds now.
    #[must_use]
    pub fn config(&self) -> GatewayConfig {
        self.config.lock().clone()
    }

    /// Takes over collectors, strategy and whatever else of delivery has changed, for requests from now on.
    /// Collectors that stay keep their connections and what is known of them unless something in `client` has
    /// changed; those that are gone end what they have. Nothing under way is lost.
    ///
    /// # Errors
    /// [`BuildError`] if the client can not be as the new config says; all stays as it was then.
    pub fn reload(&self, config: GatewayConfig) -> Result<(), BuildError> {
        let mut now = self.config.lock();
        let before = self.exchange.now();
        // What is known of collectors is in the client: it stays unless the client itself is to be another.
        let client = before.client.reconfigured(config.client())?;
        let stays = client.is_same(&before.client);
        if *now != config {
            let mut delivery = Delivery::with_client(&config, client);
            if stays {
                delivery.since = before.since;
            }
            self.exchange.replace(delivery);
        }
        if !stays {
            tokio::spawn(retire(before));
        }
        *now = config;
        self.telemetry.reloads.increment();
        Ok(())
    }

    /// Counts a config that could not be taken over.
    pub(crate) fn reload_refused(&self) {
        self.telemetry.reloads_refused.increment();
    }

    /// Ends well: says that it is not ready, goes on for `drain_delay`, then takes no new connections and
    /// no new requests on old ones, and answers what is under way, for `drain_timeout` at most.
    ///
    /// # Cancel safety
    /// Dropped, the gateway ends at once, and what is under way is cut off.
    pub async fn shutdown(mut self) -> Drained {
        let (delay, within) = {
            let config = self.config.lock();
            (config.drain_delay, config.drain_timeout)
        };
        self.readiness.set(State::Draining);
        info!(?delay, ?within, "draining");
        sleep(delay).await;
        self.accepting.shutdown().await;
        self.readiness.set(State::Over);
        self.connections.tell(Order::Finish);
        let deadline = Instant::now() + within;
        let drained = match timeout_at(deadline, self.connections.closed()).await {
            Ok(()) => Drained::Whole,
            Err(_) => {
                let cut = self.connections.busy();
                self.connections.tell(Order::Abort);
                match cut {
                    // Only idle connections whose peers did not say goodbye.
                    0 => Drained::Whole,
                    cut => Drained::TimedOut { cut },
                }
            }
        };
        if let Some(queue) = self.exchange.queue() {
            queue.stop();
            // What is cut off then stays in the queue.
            let ended = async { while self.from_queue.join_next().await.is_some() {} };
            let _ = timeout_at(deadline, ended).await;
            self.from_queue.shutdown().await;
            queue.close().await;
        }
        let left = || deadline.saturating_duration_since(Instant::now()).max(LAST_WORD);
        // The last figures, which say all of this.
        self.end_pushing = None;
        let pushed = async { while self.pushing.join_next().await.is_some() {} };
        let _ = timeout(left().min(LAST_PUSH), pushed).await;
        let left = left();
        self.exchange.now().client.shutdown(left).await;
        self.beside.shutdown().await;
        drained
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        // They run by themselves, and hold what they deliver by.
        self.connections.tell(Order::Abort);
    }
}

/// How many connections of senders there is room for: each takes a descriptor, and some are left for collectors, for
/// probes and for files. Where senders took all of them, no collector could be reached.
fn places(max_connections: usize) -> usize {
    let Ok((descriptors, _)) = getrlimit(Resource::RLIMIT_NOFILE) else {
        return max_connections;
    };
    let descriptors = usize::try_from(descriptors).unwrap_or(usize::MAX);
    let room = descriptors - (descriptors / 2).min(KEPT_BACK);
    if room < max_connections {
        warn!(
            descriptors,
            max_connections,
            room,
            "fewer connections than receiver.max_connections: the limit of open files is low"
        );
    }
    max_connections.min(room).max(1)
}

fn bind(field: &'static str, listen: Listen) -> Result<Option<(TcpListener, SocketAddr)>, StartError> {
    let Some(address) = listen.0 else {
        return Ok(None);
    };
    let bound = listener::bind(address).and_then(|listener| {
        let address = listener.local_addr()?;
        Ok((listener, address))
    });
    let failed = |source| StartError::Bind {
        field,
        address,
        source,
    };
    bound.map(Some).map_err(failed)
}

fn sweep(
    connections: &Arc<Connections>,
    config: &ReceiverConfig,
) -> impl Future<Output = ()> + Send + 'static {
    listener::sweep(
        Arc::clone(connections),
        config.idle_timeout,
        config.header_timeout,
    )
}

/// The admin port; its connections end with it.
async fn serve_admin<A: Answer>(
    listener: TcpListener,
    connections: Arc<Connections>,
    builder: auto::Builder<TokioExecutor>,
    admin: Arc<A>,
    telemetry: Arc<Telemetry>,
) {
    struct EndAll(Arc<Connections>);
    impl Drop for EndAll {
        fn drop(&mut self) {
            self.0.tell(Order::Finish);
        }
    }
    let _end = EndAll(Arc::clone(&connections));
    listener::accept(listener, connections, builder, admin, telemetry).await;
}

/// Says whether there is somewhere to go with a request: a collector to send it to, or a queue.
async fn watch(exchange: Arc<Exchange>, readiness: Arc<Readiness>) {
    loop {
        let state = match exchange.queue().is_some() || exchange.now().has_collector() {
            true => State::Ready,
            false => State::Waiting,
        };
        readiness.set(state);
        sleep(LOOK).await;
    }
}

/// Ends the client of a config that is replaced, after the last request that goes by it.
async fn retire(before: Arc<Delivery>) {
    while Arc::strong_count(&before) > 1 {
        sleep(LOOK).await;
    }
    before.client.shutdown(before.timeout).await;
}
