//! [`ClientBuilder`].

use std::fmt;
use std::sync::Arc;

use evenkeel_balancer::LoadBalancer;
use evenkeel_io_core::AsyncIoManager;
use evenkeel_pool::{ConnectionPool, ConnectionPoolConfig};
use evenkeel_stats::Observe;
use evenkeel_strategy::Strategy;

use crate::{Backend, BuildError, Client, Config, Endpoint};

/// Builds a [`Client`]: what is not in the [`Config`].
pub struct ClientBuilder {
    config: Config,
    manager: Option<AsyncIoManager>,
    customize: Option<Box<Customize>>,
}

type Balancer = evenkeel_balancer::LoadBalancerBuilder<Endpoint>;
type Customize = dyn FnOnce(Balancer) -> Balancer + Send;

impl ClientBuilder {
    pub(crate) const fn new(config: Config) -> Self {
        Self {
            config,
            manager: None,
            customize: None,
        }
    }

    /// Opens connections by this manager, which may have TLS, a resolver or a clock of its own. The config's
    /// `io` is not looked at then.
    #[must_use]
    pub fn manager(mut self, manager: AsyncIoManager) -> Self {
        self.manager = Some(manager);
        self
    }

    /// Chooses by a strategy of one's own, in place of the one in the config.
    #[must_use]
    pub fn strategy(self, strategy: impl Strategy + 'static) -> Self {
        self.balancer(|balancer| balancer.strategy(strategy))
    }

    /// Tells `observer` of each request's end.
    #[must_use]
    pub fn observer(self, observer: Arc<dyn Observe>) -> Self {
        self.balancer(|balancer| balancer.observer(observer))
    }

    /// Whatever else the balancer's builder offers: its clock, a probe of one's own.
    #[must_use]
    pub fn balancer(mut self, customize: impl FnOnce(Balancer) -> Balancer + Send + 'static) -> Self {
        let before = self.customize.take();
        self.customize = Some(Box::new(move |balancer| {
            customize(match before {
                Some(before) => before(balancer),
                None => balancer,
            })
        }));
        self
    }

    /// The client, on the tokio runtime this is called in.
    ///
    /// # Errors
    /// Names the field that makes no sense, or the backend that can not be a member.
    pub fn build(self) -> Result<Client, BuildError> {
        let config = self.config;
        let manager = match self.manager {
            Some(manager) => manager,
            None => AsyncIoManager::new(config.io)?,
        };
        let servers = config.backends.iter().map(|backend| {
            let pool = pool(&manager, &config.pool, backend)?;
            Ok(backend.server(pool))
        });
        let servers: Vec<_> = servers.collect::<Result<_, BuildError>>()?;
        let mut balancer = LoadBalancer::builder().config(config.balancer).backends(servers);
        #[cfg(feature = "checks")]
        {
            balancer = checked(balancer, &manager, config.health_checks);
        }
        if let Some(customize) = self.customize {
            balancer = customize(balancer);
        }
        Ok(Client {
            balancer: balancer.build()?,
            pool: config.pool,
            manager,
        })
    }
}

/// With the checks that the config names.
#[cfg(feature = "checks")]
fn checked(balancer: Balancer, manager: &AsyncIoManager, checks: crate::HealthChecks) -> Balancer {
    let target = |endpoint: &Endpoint| endpoint.target.clone();
    match checks {
        crate::HealthChecks::Tcp => {
            balancer.health_checks(evenkeel_health::TcpProbe::new(manager.clone()), target)
        }
        #[cfg(feature = "http-checks")]
        crate::HealthChecks::Http => {
            let probe = evenkeel_health::HttpProbeConfig::default();
            balancer.http_health_checks(manager.clone(), probe, target)
        }
        crate::HealthChecks::None => balancer,
    }
}

/// The pool of one backend.
pub(super) fn pool(
    manager: &AsyncIoManager,
    config: &ConnectionPoolConfig,
    backend: &Backend,
) -> Result<ConnectionPool, BuildError> {
    let pool = ConnectionPool::new(manager.clone(), [backend.address.clone()], config.clone());
    pool.map_err(|source| BuildError::Pool {
        backend: backend.name(),
        source,
    })
}

impl fmt::Debug for ClientBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientBuilder")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}
