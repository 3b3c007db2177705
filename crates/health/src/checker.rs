//! [`HealthChecker`]: runs probes as a [`CheckSchedule`] says, and publishes what they say.

use std::fmt;
use std::future::Future;
use std::sync::Arc;

use evenkeel_io_core::Target;
use evenkeel_stats::{Clock, Timestamp, TokioClock};
use tokio::sync::{Notify, Semaphore, watch};
use tokio::time::{sleep, timeout};

use crate::error::Check;
use crate::{CheckConfig, CheckSchedule, ConfigError, Probe, random};

/// What the checks of one backend say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CheckReport {
    /// Whether it is healthy; `None` before the first check.
    pub healthy: Option<bool>,
    /// Since when, on the checker's [`clock`](HealthChecker::clock).
    pub since: Timestamp,
    /// Why it is not, if it is not.
    pub error: Option<Arc<str>>,
}

/// The reader's end of a watch on one backend. Once the last clone is dropped, the checks end.
#[derive(Clone, Debug)]
pub struct HealthWatch {
    reports: watch::Receiver<CheckReport>,
    hurry: Arc<Notify>,
}

impl HealthWatch {
    /// What the checks say now. Checks that have ended (their future was dropped, or the probe panicked)
    /// say nothing any more: `healthy` is `None` then, and `error` says so.
    #[must_use]
    pub fn report(&self) -> CheckReport {
        let report = self.reports.borrow().clone();
        if self.reports.has_changed().is_ok() {
            return report;
        }
        CheckReport {
            healthy: None,
            error: Some("the checks have ended".into()),
            ..report
        }
    }

    /// Waits until the verdict changes, and returns it; `None` once the checks have ended.
    ///
    /// # Cancel safety
    /// Dropped, nothing is missed: the next call returns the change.
    pub async fn changed(&mut self) -> Option<CheckReport> {
        self.reports.changed().await.ok()?;
        Some(self.seen())
    }

    /// What the checks say now, which [`changed`](Self::changed) then does not return again.
    pub(crate) fn seen(&mut self) -> CheckReport {
        self.reports.borrow_and_update().clone()
    }

    /// A real request failed: check at once, but not sooner than the fast interval allows.
    pub fn hurry(&self) {
        self.hurry.notify_one();
    }
}

/// Checks backends, each at its own pace and all at the same time, up to a cap.
///
/// It follows tokio's time, paused time included, and spawns nothing: [`watch`](Self::watch) gives the
/// future that checks one backend, to be spawned or polled wherever.
///
/// ```
/// use evenkeel_health::{CheckConfig, HealthChecker};
/// use evenkeel_io_core::Target;
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let probe = |_: Target| async { Ok::<_, std::io::Error>(()) }; // or a TcpProbe
/// let checker = HealthChecker::new(CheckConfig::default(), 100, probe)?;
/// let (mut health, checks) = checker.watch("collector:4317".parse()?);
/// tokio::spawn(checks);
/// assert_eq!(health.changed().await.and_then(|report| report.healthy), Some(true));
/// # Ok(())
/// # }
/// ```
pub struct HealthChecker<P> {
    config: CheckConfig,
    probe: Arc<P>,
    turns: Arc<Semaphore>,
    clock: TokioClock,
}

/// Clones share the probe and the cap.
impl<P> Clone for HealthChecker<P> {
    fn clone(&self) -> Self {
        Self {
            config: self.config.clone(),
            probe: self.probe.clone(),
            turns: self.turns.clone(),
            clock: self.clock,
        }
    }
}

/// Probes are closures often, which show nothing.
impl<P> fmt::Debug for HealthChecker<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HealthChecker")
            .field("config", &self.config)
            .field("turns", &self.turns.available_permits())
            .finish_non_exhaustive()
    }
}

impl<P: Probe> HealthChecker<P> {
    /// A checker that runs at most `concurrent` probes at a time. Black-holed backends hold their place
    /// for a whole time-out, so it should be the number of backends, unless descriptors are scarce.
    ///
    /// # Errors
    /// Names the field of `config` that is out of range, or `concurrent` if it is zero or more than
    /// a semaphore can hold.
    pub fn new(config: CheckConfig, concurrent: usize, probe: P) -> Result<Self, ConfigError> {
        config.validate()?;
        Check("HealthChecker").that(
            (1..=Semaphore::MAX_PERMITS).contains(&concurrent),
            "concurrent",
            concurrent,
            "at least 1 and no more than a semaphore holds",
        )?;
        Ok(Self {
            config,
            probe: Arc::new(probe),
            turns: Arc::new(Semaphore::new(concurrent)),
            clock: TokioClock::new(),
        })
    }

    /// One that checks by another probe, and shares the cap with this one: where backends are not all asked in the
    /// same way.
    #[must_use]
    pub fn with_probe<Q: Probe>(&self, probe: Q) -> HealthChecker<Q> {
        HealthChecker {
            config: self.config.clone(),
            probe: Arc::new(probe),
            turns: self.turns.clone(),
            clock: self.clock,
        }
    }

    /// The clock of its reports.
    pub const fn clock(&self) -> &TokioClock {
        &self.clock
    }

    /// A watch on `target`, and the future that checks it, at once for the first time. The future ends
    /// when the watch is dropped; dropped itself, it ends the checks and leaves nothing behind.
    pub fn watch(&self, target: Target) -> (HealthWatch, impl Future<Output = ()> + Send + use<P>) {
        let (publish, reports) = watch::channel(CheckReport::default());
        let hurry = Arc::new(Notify::new());
        let health = HealthWatch {
            reports,
            hurry: hurry.clone(),
        };
        let checker = self.clone();
        (health, async move {
            tokio::select! {
                () = publish.closed() => {}
                () = checker.run(&target, &publish, &hurry) => {}
            }
        })
    }

    async fn run(&self, target: &Target, publish: &watch::Sender<CheckReport>, hurry: &Notify) {
        let mut last = self.clock.now();
        // The config was checked when the checker was made.
        let Ok(mut checks) = CheckSchedule::new(self.config.clone(), last) else {
            return;
        };
        let mut random = random::seed();
        let mut kept = P::Kept::default();
        loop {
            let now = self.clock.now();
            if checks.next_at() > now {
                tokio::select! {
                    () = sleep(checks.next_at().since(now)) => {}
                    () = hurry.notified() => checks.hurry(last, self.clock.now()),
                    () = self.probe.news(&mut kept) => checks.bring_forward(last, self.clock.now()),
                }
                continue;
            }
            let Ok(turn) = self.turns.acquire().await else {
                return;
            };
            last = self.clock.now();
            let limit = self.config.health_check_timeout;
            let error: Option<Arc<str>> =
                match timeout(limit, self.probe.probe(target.clone(), &mut kept)).await {
                    Ok(Ok(())) => None,
                    Ok(Err(error)) => Some(error.to_string().into()),
                    Err(_) => Some(format!("no answer within {limit:?}").into()),
                };
            drop(turn);
            let now = self.clock.now();
            if let Some(healthy) = checks.record(error.is_none(), last, now, random::next(&mut random)) {
                tracing::info!(%target, healthy, error = error.as_deref(), "health changed");
                publish.send_replace(CheckReport {
                    healthy: Some(healthy),
                    since: now,
                    error,
                });
            }
        }
    }
}
