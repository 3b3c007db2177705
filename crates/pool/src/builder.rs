//! [`ConnectionPoolBuilder`].

use std::fmt;
use std::panic::catch_unwind;
use std::sync::Arc;
use std::time::Duration;

use evenkeel_io_core::{AsyncConnection, Target};
use evenkeel_stats::{Clock, Observe, RealClock};
use evenkeel_strategy::Strategy;
use tokio::runtime::Handle;

use crate::addresses::{AddressBook, Retry};
use crate::backoff::Backoff;
use crate::dial::Dialler;
use crate::effects::Effects;
use crate::shared::{Parts, Settings, Shared, Time};
use crate::state::{Limits, State};
use crate::{BuildError, ConnectionPool, ConnectionPoolConfig, DefaultRecycle, Hooks, Recycle, maintenance};

/// Puts a [`ConnectionPool`] together; from [`ConnectionPool::builder`].
pub struct ConnectionPoolBuilder<T: Send + 'static = AsyncConnection> {
    dialler: Arc<dyn Dialler<T>>,
    config: ConnectionPoolConfig,
    addresses: Vec<Target>,
    weights: Vec<u32>,
    strategy: Option<Arc<dyn Strategy>>,
    clock: Option<Arc<dyn Clock>>,
    recycle: Option<Arc<dyn Recycle<T>>>,
    hooks: Option<Arc<dyn Hooks<T>>>,
    observer: Option<Arc<dyn Observe>>,
    seed: Option<u64>,
}

impl<T: Send + 'static> fmt::Debug for ConnectionPoolBuilder<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectionPoolBuilder")
            .field("config", &self.config)
            .field("addresses", &self.addresses)
            .field("weights", &self.weights)
            .finish_non_exhaustive()
    }
}

impl<T: Send + 'static> ConnectionPoolBuilder<T> {
    pub(crate) fn new(dialler: Arc<dyn Dialler<T>>, config: ConnectionPoolConfig) -> Self {
        Self {
            dialler,
            config,
            addresses: Vec::new(),
            weights: Vec::new(),
            strategy: None,
            clock: None,
            recycle: None,
            hooks: None,
            observer: None,
            seed: None,
        }
    }

    /// One more address to open connections to.
    #[must_use]
    pub fn address(mut self, address: Target) -> Self {
        self.addresses.push(address);
        self
    }

    /// More addresses to open connections to. The strategy chooses one for each new connection.
    #[must_use]
    pub fn addresses(mut self, addresses: impl IntoIterator<Item = Target>) -> Self {
        self.addresses.extend(addresses);
        self
    }

    /// The addresses' weights, in their order; as many as addresses. Default all equal.
    #[must_use]
    pub fn weights(mut self, weights: impl IntoIterator<Item = u32>) -> Self {
        self.weights.extend(weights);
        self
    }

    /// A strategy of one's own in place of the config's `load_balancing_strategy`. It is asked under
    /// the pool's lock, so it must neither wait nor use the pool. If it panics over a choice, any
    /// address that has room is taken.
    #[must_use]
    pub fn strategy(mut self, strategy: impl Strategy + 'static) -> Self {
        self.strategy = Some(Arc::new(strategy));
        self
    }

    /// Where the time comes from. Default [`RealClock`]. Under tokio's paused time give it a clock
    /// that follows tokio's, or deadlines will be late by what was skipped.
    #[must_use]
    pub fn clock(mut self, clock: impl Clock + 'static) -> Self {
        self.clock = Some(Arc::new(clock));
        self
    }

    /// Who decides on reuse. Default [`DefaultRecycle`].
    #[must_use]
    pub fn recycle(mut self, recycle: impl Recycle<T> + 'static) -> Self {
        self.recycle = Some(Arc::new(recycle));
        self
    }

    /// Who is shown every connection. Default nobody.
    #[must_use]
    pub fn hooks(mut self, hooks: impl Hooks<T> + 'static) -> Self {
        self.hooks = Some(Arc::new(hooks));
        self
    }

    /// Who hears of connects, checkouts and closes. Default nobody.
    #[must_use]
    pub fn observer(mut self, observer: impl Observe + 'static) -> Self {
        self.observer = Some(Arc::new(observer));
        self
    }

    /// Where chance starts: jitter of lifetimes and pauses, and the random words of the strategy.
    /// For tests and simulations. Default a seed of the process's own.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// The pool. It starts to open `min_connections` at once, in the background, on the runtime this
    /// is called in.
    ///
    /// # Errors
    ///
    /// [`BuildError`] names the field of the config that makes no sense, or `addresses` or `weights`;
    /// or there is no tokio runtime around.
    pub fn build(self) -> Result<ConnectionPool<T>, BuildError> {
        self.config.validate()?;
        let runtime = Handle::try_current().map_err(|_| BuildError::NoRuntime)?;
        // A runtime does not say whether it has timers.
        catch_unwind(|| drop(tokio::time::sleep(Duration::ZERO))).map_err(|_| BuildError::NoTimers)?;
        let config = &self.config;
        let time = match self.clock {
            None => Time::Real(RealClock::new()),
            Some(clock) => Time::Other(clock),
        };
        // Asked about nothing it knows of, the default would only cost time.
        let recycle = self.recycle.or_else(|| {
            DefaultRecycle::knows::<T>().then(|| Arc::new(DefaultRecycle) as Arc<dyn Recycle<T>>)
        });
        let strategy = match self.strategy {
            Some(strategy) => strategy,
            None => config.load_balancing_strategy.build()?,
        };
        let retry = Retry {
            attempts: config.retry_attempts,
            backoff: Backoff {
                first: config.retry_delay,
                longest: config.max_retry_delay,
            },
        };
        let limits = Limits {
            min: config.min_connections,
            max: config.max_connections,
            max_idle: config.max_idle_connections.unwrap_or(usize::MAX),
            max_waiters: config.max_waiters,
            connect_concurrency: config.connect_concurrency,
            idle_timeout: config.idle_timeout,
            max_lifetime: config.max_lifetime,
            lifetime_jitter: config.lifetime_jitter,
            check_every: recycle.is_some().then_some(config.health_check_interval),
            order: config.reuse_order,
        };
        let book = AddressBook::new(strategy, config.max_connections_per_address, retry);
        let mut state = State::new(limits, book, self.seed.unwrap_or_else(|| fastrand::u64(..)));
        let mut fx = Effects::none();
        state.set_addresses(self.addresses, &self.weights, time.coarse(), &mut fx)?;
        state.check_min(config.min_connections)?;
        let shared = Arc::new(Shared::new(Parts {
            state,
            time,
            recycle,
            hooks: self.hooks,
            observer: self.observer,
            dialler: self.dialler,
            runtime,
            settings: Settings {
                connection_timeout: config.connection_timeout,
                checkout_timeout: config.checkout_timeout,
                validate_after_idle: config.validate_after_idle,
            },
        }));
        shared.perform(fx);
        let nudge = shared.nudge.clone();
        shared
            .runtime
            .spawn(maintenance::run(Arc::downgrade(&shared), nudge));
        Ok(ConnectionPool::of(shared))
    }
}
