//! [`Client`]: a ready connection to a healthy backend.

mod builder;
mod error;
mod shutdown;
mod stats;

use std::error::Error;

use evenkeel_balancer::{
    BackendRef, CallError, Classification, Classify, LoadBalancer, Outcome, RequestContext, Retry,
};
use evenkeel_io_core::AsyncIoManager;
use evenkeel_pool::{CheckoutError, ConnectionPoolConfig, PooledConnection};
use evenkeel_stats::{FailureKind, Phase};
use tokio::time::Instant;

pub use builder::ClientBuilder;
pub use error::{AttemptError, ConnectionError, TriedBackends};
pub use shutdown::ShutdownReport;
pub use stats::ClientStats;

use crate::{Backend, BuildError, Config, Endpoint, Lease};

/// Connections to several backends, one of which is chosen for each request. Clones are one client.
///
/// When the last clone is dropped, pools and background tasks end; leases that are out stay valid.
#[derive(Clone, Debug)]
pub struct Client {
    manager: AsyncIoManager,
    balancer: LoadBalancer<Endpoint>,
    pool: ConnectionPoolConfig,
}

impl Client {
    /// A client, on the tokio runtime this is called in.
    ///
    /// # Errors
    /// Names the field that makes no sense, or the backend that can not be a member.
    pub fn new(config: Config) -> Result<Self, BuildError> {
        Self::builder(config).build()
    }

    /// For what is not in the config: TLS, a strategy of one's own, the clock, an observer, a probe.
    #[must_use]
    pub const fn builder(config: Config) -> ClientBuilder {
        ClientBuilder::new(config)
    }

    /// A connection for a request of which nothing is known; see [`connection_for`](Self::connection_for).
    ///
    /// # Errors
    /// As `connection_for`.
    ///
    /// # Cancel safety
    /// As `connection_for`.
    pub async fn connection(&self) -> Result<Lease, ConnectionError> {
        self.connection_for(&RequestContext::new()).await
    }

    /// A connection to a backend that is well: picks one, takes a connection out of its pool, and goes on to the
    /// next when there is none to be had, up to
    /// [`max_retries`](evenkeel_balancer::LoadBalancerConfig::max_retries) times. Nothing was sent then, so
    /// the request's `Repeat` does not matter. All of it takes no longer than the request's
    /// [time-out](RequestContext::with_timeout), or else the balancer's
    /// [`request_timeout`](evenkeel_balancer::LoadBalancerConfig::request_timeout).
    ///
    /// # Errors
    /// [`ConnectionError`], with every backend that was tried and why it gave none.
    ///
    /// # Cancel safety
    /// Dropped, it gives up its turn and counts as cancelled; nothing is lost.
    pub async fn connection_for(&self, request: &RequestContext<'_>) -> Result<Lease, ConnectionError> {
        let config = self.balancer.config();
        let limit = request.timeout().unwrap_or(config.request_timeout);
        let started = Instant::now();
        let mut tried = request.tried().cloned().unwrap_or_default();
        let mut failed = Vec::new();
        for _ in 0..=config.max_retries {
            let left = limit.saturating_sub(started.elapsed());
            if left.is_zero() {
                break;
            }
            let pick = match self.balancer.pick(&request.with_tried(&tried)) {
                Ok(pick) => pick,
                Err(source) => return Err(ConnectionError::not_picked(failed, source)),
            };
            let allowed = left.min(self.pool.checkout_timeout);
            match pick.pool.checkout_within(allowed).await {
                Ok(connection) => return Ok(Lease::new(connection, pick)),
                Err(error) => {
                    tried.add(&pick.backend());
                    failed.push((pick.id().clone(), error.clone()));
                    let judged = judge(&error);
                    match judged.failure {
                        Some(failure) => pick.fail(failure),
                        None => pick.finish(judged.outcome),
                    }
                }
            }
        }
        Err(ConnectionError::none(failed))
    }

    /// Sends a request: picks a backend, takes a connection out of its pool, and runs `exchange` with it; again
    /// elsewhere when that fails and the request's [`Repeat`](crate::Repeat) allows it, within the retry budget and one
    /// deadline, and hedged if the config says so.
    ///
    /// `exchange` owns the connection, which goes back to its pool when it is dropped. One on which an
    /// operation failed or was cut short is closed; after an answer that makes no sense,
    /// [`mark_broken`](PooledConnection::mark_broken) it.
    ///
    /// ```
    /// # use std::io;
    /// # use evenkeel::{Backend, Client, Config, Repeat, RequestContext};
    /// # use evenkeel_testkit::{Backend as Server, Behaviour};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = Server::start(Behaviour::Echo).await?;
    /// # let backends = vec![Backend::new(server.addr().into())];
    /// let client = Client::new(Config { backends, ..Config::default() })?;
    /// let request = RequestContext::new().with_repeat(Repeat::Always);
    /// let answer = client
    ///     .call(&request, |mut connection| async move {
    ///         connection.write_all(b"ahoy").await?;
    ///         let mut answer = [0; 4];
    ///         connection.read_exact(&mut answer).await?;
    ///         Ok::<_, io::Error>(answer)
    ///     })
    ///     .await?;
    /// assert_eq!(&answer, b"ahoy");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`CallError`], with every backend that was tried and why it was not the last.
    ///
    /// # Cancel safety
    /// Dropped, all attempts are: they count as cancelled, their connections are closed.
    pub async fn call<T, E, F, Answer>(
        &self,
        request: &RequestContext<'_>,
        exchange: F,
    ) -> Result<T, CallError<AttemptError<E>>>
    where
        E: Error + 'static,
        F: Fn(PooledConnection) -> Answer,
        Answer: Future<Output = Result<T, E>>,
    {
        let exchange = &exchange;
        let attempt = |backend: BackendRef<Endpoint>| async move {
            let connection = backend.pool.checkout().await.map_err(AttemptError::Checkout)?;
            exchange(connection).await.map_err(AttemptError::Exchange)
        };
        self.balancer.call_with(request, &Judge, attempt).await
    }

    /// Adds a backend.
    ///
    /// # Errors
    /// Names the backend that can not be a member; nothing is changed then.
    pub fn add(&self, backend: &Backend) -> Result<(), BuildError> {
        let pool = builder::pool(&self.manager, &self.pool, backend)?;
        self.balancer.add(backend.server(pool))?;
        Ok(())
    }

    /// The balancer: to remove, drain, disable and re-weight backends by their ids, and to pick.
    #[must_use]
    pub const fn balancer(&self) -> &LoadBalancer<Endpoint> {
        &self.balancer
    }

    /// The manager of all connections.
    #[must_use]
    pub const fn io(&self) -> &AsyncIoManager {
        &self.manager
    }
}

/// What a checkout that failed says of its backend. That nobody could be reached is the backend's failure;
/// that our own limits were in the way says nothing of it. Nothing was sent either way.
fn judge(error: &CheckoutError) -> Classification {
    let failure = error.failure();
    let ours = matches!(failure.kind, FailureKind::Limit | FailureKind::Resources);
    let reached = !matches!(error, CheckoutError::Connect(_)) && failure.phase != Phase::Connect;
    if ours || reached {
        Classification::new(Outcome::Cancelled, Retry::Unsent)
    } else {
        Classification::failed(failure.phase, failure.kind, Retry::Unsent)
    }
}

/// Judges an attempt by its error.
struct Judge;

impl<T, E: Error + 'static> Classify<T, AttemptError<E>> for Judge {
    fn classify(&self, result: &Result<T, AttemptError<E>>) -> Classification {
        match result {
            Ok(_) => Classification::SUCCESS,
            Err(AttemptError::Checkout(error)) => judge(error),
            Err(AttemptError::Exchange(error)) => Classification::of_error(error),
        }
    }
}
