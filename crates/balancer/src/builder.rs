//! [`LoadBalancerBuilder`].

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;
use evenkeel_health::{OutlierDetector, RetryBudget};
use evenkeel_stats::{Clock, Observe, RealClock};
use evenkeel_strategy::{BuildContext, RingHash, Strategy};
use parking_lot::Mutex;
use tokio::sync::watch;

use crate::call::HedgeDelay;
use crate::control::Control;
use crate::explore::Explore;
use crate::maintenance::Maintenance;
use crate::sessions::Sessions;
use crate::shared::{Registry, Shared};
use crate::snapshot::{Index, Snapshot};
use crate::stats::{Series, Totals};
use crate::{BackendServer, BuildError, ConfigError, LoadBalancer, LoadBalancerConfig, MemberError, compose};

/// Builds a [`LoadBalancer`]: what is not in the config.
pub struct LoadBalancerBuilder<B> {
    config: LoadBalancerConfig,
    backends: Vec<BackendServer<B>>,
    clock: Option<Arc<dyn Clock>>,
    strategy: Option<Arc<dyn Strategy>>,
    observer: Option<Arc<dyn Observe>>,
    #[cfg(feature = "checks")]
    checks: Option<crate::checks::Checks<B>>,
}

impl<B: Send + Sync + 'static> LoadBalancerBuilder<B> {
    pub(crate) fn new() -> Self {
        Self {
            config: LoadBalancerConfig::default(),
            backends: Vec::new(),
            clock: None,
            strategy: None,
            observer: None,
            #[cfg(feature = "checks")]
            checks: None,
        }
    }

    /// With this config in place of the default one.
    #[must_use]
    pub fn config(mut self, config: LoadBalancerConfig) -> Self {
        self.config = config;
        self
    }

    /// With these backends, beside those given before. None is allowed: they may be
    /// [added](LoadBalancer::add) later.
    #[must_use]
    pub fn backends(mut self, backends: impl IntoIterator<Item = BackendServer<B>>) -> Self {
        self.backends.extend(backends);
        self
    }

    /// On this clock. By default the machine's own, [`RealClock`]; tests that pause tokio's time want
    /// `TokioClock`, which follows it.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = Some(clock);
        self
    }

    /// Choosing by this strategy in place of the one that the config names; inside the wrappers that
    /// the config asks for (slow start by default).
    #[must_use]
    pub fn strategy(mut self, strategy: impl Strategy + 'static) -> Self {
        self.strategy = Some(Arc::new(strategy));
        self
    }

    /// Tells `observer` of each request's end, on the path of the request.
    #[must_use]
    pub fn observer(mut self, observer: Arc<dyn Observe>) -> Self {
        self.observer = Some(observer);
        self
    }

    /// Checks each backend by `probe`, at the address that `target` gives, as the config's
    /// `health_check_interval` and `health_check_timeout` say.
    ///
    /// A backend takes requests until its first check says otherwise. One that a check has found well
    /// again is young, and if its circuit breaker was open, one request decides.
    #[cfg(feature = "checks")]
    #[must_use]
    pub fn health_checks<P: evenkeel_health::Probe>(
        mut self,
        probe: P,
        target: impl Fn(&B) -> crate::Target + Send + Sync + 'static,
    ) -> Self {
        self.checks = Some(crate::checks::Checks::new(probe, target));
        self
    }

    /// Checks each backend by the probe that `probe` gives for it, at the address beside that; else as
    /// [`health_checks`](Self::health_checks). For backends that are not all asked in the same way.
    #[cfg(feature = "checks")]
    #[must_use]
    pub fn health_checks_each<P: evenkeel_health::Probe>(
        mut self,
        probe: impl Fn(&B) -> (P, crate::Target) + Send + Sync + 'static,
    ) -> Self {
        self.checks = Some(crate::checks::Checks::each(probe));
        self
    }

    /// Checks each backend over HTTP at the config's `health_check_path`, which takes the place of the
    /// one in `probe`; else as [`health_checks`](Self::health_checks). `probe` says the rest: version,
    /// headers, which statuses are good. Connections are opened by `connect`.
    #[cfg(feature = "http-checks")]
    #[must_use]
    pub fn http_health_checks<C>(
        mut self,
        connect: C,
        probe: evenkeel_health::HttpProbeConfig,
        target: impl Fn(&B) -> crate::Target + Send + Sync + 'static,
    ) -> Self
    where
        evenkeel_health::HttpProbe<C>: evenkeel_health::Probe,
        C: evenkeel_health::Connect + 'static,
    {
        self.checks = Some(crate::checks::Checks::http(connect, probe, target));
        self
    }

    /// The balancer, with its background task on the tokio runtime this is called in.
    ///
    /// # Errors
    /// Names the field of the config that makes no sense, or the backend that can not be a member;
    /// [`BuildError::NoRuntime`] outside of a runtime.
    pub fn build(self) -> Result<LoadBalancer<B>, BuildError> {
        let runtime = tokio::runtime::Handle::try_current().map_err(|_| BuildError::NoRuntime)?;
        let (balancer, maintenance) = self.build_parts()?;
        drop(runtime.spawn(maintenance.run()));
        Ok(balancer)
    }

    /// The balancer and its background task, to be run wherever. Until it runs, picks work, trips are
    /// seen by the next pick, and nothing is rebuilt for them, compared or rolled up.
    ///
    /// # Errors
    /// As [`build`](Self::build); no runtime is needed, unless there are health checks to run.
    pub fn build_parts(self) -> Result<(LoadBalancer<B>, Maintenance<B>), BuildError> {
        let config = self.config;
        config.validate()?;
        let strategy = match self.strategy {
            Some(own) => compose::wrapped(own, &config, false)?,
            None => compose::strategy(&config)?,
        };
        let clock = self.clock.unwrap_or_else(|| Arc::new(RealClock::new()));
        let now = clock.now();
        let outliers = match &config.outlier_detection {
            None => None,
            Some(outliers) => {
                let group = OutlierDetector::new(outliers.clone());
                Some(group.map_err(|error| ConfigError::health("outlier_detection.", error))?)
            }
        };
        let budget = RetryBudget::new(config.retry_budget.clone());
        let budget = budget.map_err(|error| ConfigError::health("retry_budget.", error))?;
        let sticky = config.sticky_sessions;
        let sessions = sticky.then(|| Sessions::new(config.max_sessions, config.session_timeout));
        let snapshot = empty(&strategy, sticky)?;
        let breaker_config = config.breaker()?;
        #[cfg(feature = "checks")]
        let checks = match self.checks {
            None => None,
            Some(checks) => Some(checks.start(&config)?),
        };
        let shared = Arc::new(Shared {
            breaker_config,
            control: Arc::new(Control::default()),
            strategy,
            outliers,
            observer: self.observer,
            sessions,
            budget,
            hedge_delay: HedgeDelay::new(config.hedging.as_ref()),
            explore: Explore::default(),
            totals: Totals::default(),
            series: Mutex::new(Series::new(config.stats_windows, now)),
            retired: Arc::default(),
            registry: Mutex::new(Registry {
                members: Vec::new(),
                leaving: Vec::new(),
                next_serial: 0,
            }),
            snapshot: ArcSwap::from_pointee(snapshot),
            alive: watch::Sender::new(()),
            #[cfg(feature = "checks")]
            checks,
            clock,
            config,
        });
        let balancer = LoadBalancer { shared };
        balancer.add_first(self.backends)?;
        let maintenance = Maintenance::new(&balancer.shared);
        Ok((balancer, maintenance))
    }
}

/// The snapshot of no members.
fn empty<B>(strategy: &Arc<dyn Strategy>, sticky: bool) -> Result<Snapshot<B>, BuildError> {
    let failed = |source| MemberError::Strategy {
        id: "(none)".into(),
        source,
    };
    let nobody = BuildContext::new(&[]);
    let start = sticky.then(|| RingHash::default().build(&nobody)).transpose();
    Ok(Snapshot {
        backends: Arc::default(),
        picker: strategy.build(&nobody).map_err(failed)?,
        start: start.map_err(failed)?,
        panic: false,
        index: Arc::new(Index {
            by_id: HashMap::new(),
            by_serial: HashMap::new(),
        }),
    })
}

impl<B> fmt::Debug for LoadBalancerBuilder<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoadBalancerBuilder")
            .field("config", &self.config)
            .field("backends", &self.backends.len())
            .field("strategy", &self.strategy)
            .finish_non_exhaustive()
    }
}
