//! Active checks: one watch for each backend, whose verdicts go into its load cell.

use std::fmt;
use std::sync::{Arc, Weak};

use evenkeel_health::{CheckConfig, HealthChecker, HealthWatch, Probe};
use tokio::runtime::Handle;
use tokio::task::AbortHandle;

use crate::backend::Backend;
use crate::{BuildError, ConfigError, LoadBalancerConfig, Target};

/// How many probes may be under way at a time: as many backends as have a black hole for an address.
const CONCURRENT: usize = 1024;

/// Begins to check a backend.
pub(crate) type Start<B> = Box<dyn Fn(&Arc<Backend<B>>) + Send + Sync>;

type MakeStart<B> = dyn FnOnce(&LoadBalancerConfig, Handle) -> Result<Start<B>, evenkeel_health::ConfigError>;

/// A probe and where to, before the config is known.
pub(crate) struct Checks<B>(Box<MakeStart<B>>);

impl<B: Send + Sync + 'static> Checks<B> {
    pub(crate) fn new<P: Probe>(probe: P, target: impl Fn(&B) -> Target + Send + Sync + 'static) -> Self {
        Self(Box::new(move |config, runtime| {
            begin(config, runtime, probe, target)
        }))
    }

    /// Each by a probe of its own.
    pub(crate) fn each<P: Probe>(probe: impl Fn(&B) -> (P, Target) + Send + Sync + 'static) -> Self {
        Self(Box::new(move |config, runtime| {
            // Its intervals and its cap are what counts.
            let nothing = |_: Target| std::future::ready(Ok::<(), std::convert::Infallible>(()));
            let checker = HealthChecker::new(intervals(config), CONCURRENT, nothing)?;
            Ok(Box::new(move |backend: &Arc<Backend<B>>| {
                let (probe, target) = probe(&backend.payload);
                let (watch, checks) = checker.with_probe(probe).watch(target);
                attend(backend, &runtime, watch, checks);
            }))
        }))
    }

    /// By HTTP, at the path that the config says.
    #[cfg(feature = "http-checks")]
    pub(crate) fn http<C>(
        connect: C,
        probe: evenkeel_health::HttpProbeConfig,
        target: impl Fn(&B) -> Target + Send + Sync + 'static,
    ) -> Self
    where
        evenkeel_health::HttpProbe<C>: Probe,
        C: evenkeel_health::Connect + 'static,
    {
        Self(Box::new(move |config, runtime| {
            let probe = evenkeel_health::HttpProbeConfig {
                health_check_path: config.health_check_path.clone(),
                ..probe
            };
            let probe = evenkeel_health::HttpProbe::new(connect, probe)?;
            begin(config, runtime, probe, target)
        }))
    }

    /// With the intervals of `config`, on the runtime this is called in.
    pub(crate) fn start(self, config: &LoadBalancerConfig) -> Result<Start<B>, BuildError> {
        let runtime = Handle::try_current().map_err(|_| BuildError::NoRuntime)?;
        let start = (self.0)(config, runtime);
        Ok(start.map_err(|error| ConfigError::health("", error))?)
    }
}

fn begin<B: Send + Sync + 'static, P: Probe>(
    config: &LoadBalancerConfig,
    runtime: Handle,
    probe: P,
    target: impl Fn(&B) -> Target + Send + Sync + 'static,
) -> Result<Start<B>, evenkeel_health::ConfigError> {
    let checker = HealthChecker::new(intervals(config), CONCURRENT, probe)?;
    Ok(Box::new(move |backend: &Arc<Backend<B>>| {
        let (watch, checks) = checker.watch(target(&backend.payload));
        attend(backend, &runtime, watch, checks);
    }))
}

/// Runs the checks of a backend and tells it what they say.
fn attend<B: Send + Sync + 'static>(
    backend: &Arc<Backend<B>>,
    runtime: &Handle,
    watch: HealthWatch,
    checks: impl Future<Output = ()> + Send + 'static,
) {
    let verdicts = follow(Arc::downgrade(backend), watch.clone());
    drop(runtime.spawn(checks));
    let follower = runtime.spawn(verdicts).abort_handle();
    backend.vitals.watched_by(Watched { watch, follower });
}

fn intervals(config: &LoadBalancerConfig) -> CheckConfig {
    let defaults = CheckConfig::default();
    let interval = config.health_check_interval;
    CheckConfig {
        health_check_interval: interval,
        health_check_timeout: config.health_check_timeout,
        fast_interval: defaults.fast_interval.min(interval),
        // A backend that is down is looked for as often as one that is up: what is wanted is to have
        // it back.
        down_interval: interval,
        ..defaults
    }
}

impl<B> fmt::Debug for Checks<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Checks")
    }
}

/// The checks of one backend. Dropped, it ends who follows them, and with the last watch the
/// checks end.
#[derive(Debug)]
pub(crate) struct Watched {
    watch: HealthWatch,
    follower: AbortHandle,
}

impl Watched {
    /// A real request failed: the next check is due.
    pub(crate) fn hurry(&self) {
        self.watch.hurry();
    }
}

/// Where a backend keeps its checks.
#[derive(Debug, Default)]
pub(crate) struct Slot {
    watched: Option<Watched>,
    closed: bool,
}

impl Slot {
    pub(crate) fn fill(&mut self, watched: Watched) {
        // It may have been removed while its checks were being started.
        if !self.closed {
            self.watched = Some(watched);
        }
    }

    pub(crate) fn hurry(&self) {
        if let Some(watched) = &self.watched {
            watched.hurry();
        }
    }

    /// The backend is no member any more, although somebody may hold it still.
    pub(crate) fn close(&mut self) {
        self.closed = true;
        self.watched = None;
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.follower.abort();
    }
}

/// Tells the backend what its checks say, until either is gone.
async fn follow<B>(backend: Weak<Backend<B>>, mut watch: HealthWatch) {
    while let Some(report) = watch.changed().await {
        let Some(backend) = backend.upgrade() else { return };
        let healthy = report.healthy != Some(false);
        backend
            .vitals
            .set_check(healthy, report.error, backend.vitals.now());
    }
}
