//! [`Maintenance`]: the background task of a balancer.

use std::fmt;
use std::sync::{Arc, Weak};
use std::time::Duration;

use evenkeel_health::Ejection;
use evenkeel_stats::Timestamp;
use tokio::time::{Instant, sleep, sleep_until};

use crate::control::Control;
use crate::explore::EXPLORE_TICK;
use crate::shared::Shared;

/// Between two rebuilds that were asked for: a storm of trips costs one in this time.
const REBUILD_PAUSE: Duration = Duration::from_millis(10);

/// How often the delay of hedges is brought up to date.
const HEDGE_TICK: Duration = Duration::from_secs(1);

/// The background task of a [`LoadBalancer`](crate::LoadBalancer): builds the picker anew when
/// readiness has changed, compares the backends, ends the windows of the statistics.
///
/// It does not keep the balancer alive, and ends with it.
pub struct Maintenance<B> {
    shared: Weak<Shared<B>>,
    control: Arc<Control>,
    due: Due,
}

/// When what is to be done next, in tokio's time.
#[derive(Clone, Copy, Debug)]
struct Due {
    window: Instant,
    outliers: Option<Instant>,
    rebuild: Option<Instant>,
    hedge: Option<Instant>,
    explore: Option<Instant>,
    /// When an ejection ends.
    back: Option<Instant>,
}

impl Due {
    fn next(&self) -> Instant {
        [self.outliers, self.rebuild, self.hedge, self.explore, self.back]
            .into_iter()
            .flatten()
            .fold(self.window, Instant::min)
    }
}

/// Whether `due` has come; if so, it is `every` later.
fn tick(due: &mut Option<Instant>, now: Instant, every: Duration) -> bool {
    match due {
        Some(at) if *at <= now => {
            *at = now + every;
            true
        }
        _ => false,
    }
}

impl<B> Maintenance<B> {
    pub(crate) fn new(shared: &Arc<Shared<B>>) -> Self {
        let now = Instant::now();
        let config = &shared.config;
        Self {
            shared: Arc::downgrade(shared),
            control: shared.control.clone(),
            due: Due {
                window: now + config.stats_window,
                outliers: shared.outliers.as_ref().map(|_| now + config.outlier_interval),
                rebuild: shared.strategy.rebuild_every().map(|every| now + every),
                hedge: config.hedging.as_ref().map(|_| now + HEDGE_TICK),
                explore: Some(now + EXPLORE_TICK),
                back: None,
            },
        }
    }

    /// Runs until the balancer is gone.
    ///
    /// # Cancel safety
    /// Dropped, the upkeep ends; the balancer goes on picking by the last snapshot.
    pub async fn run(mut self) {
        loop {
            tokio::select! {
                () = self.control.asked() => {}
                () = sleep_until(self.due.next()) => {}
            }
            let Some(shared) = self.shared.upgrade() else {
                return;
            };
            let rebuilt = shared.maintain(&mut self.due);
            drop(shared);
            if rebuilt {
                sleep(REBUILD_PAUSE).await;
            }
        }
    }
}

impl<B> Shared<B> {
    /// Does what is due; whether the picker was built anew.
    fn maintain(&self, due: &mut Due) -> bool {
        let at = Instant::now();
        let now = self.clock.now();
        let snapshot = self.snapshot.load_full();
        if tick(&mut due.outliers, at, self.config.outlier_interval)
            && let Some(group) = &self.outliers
        {
            for member in snapshot.backends.iter() {
                member.vitals.before_sweep();
            }
            for Ejection { name, .. } in group.sweep(now) {
                if let Some(member) = snapshot.index.by_id.get(&*name) {
                    member.vitals.reconcile(now);
                }
            }
        }
        let mut back: Option<Timestamp> = None;
        for backend in snapshot.backends.iter() {
            let returns = backend.vitals.returns_at(now);
            back = back.into_iter().chain(returns).min();
        }
        // After the judges were asked: what they have changed asks for a rebuild.
        let mut rebuild = self.control.take();
        due.back = back.map(|back| at + back.since(now));
        if tick(&mut due.explore, at, EXPLORE_TICK) || rebuild {
            self.explore.look(&snapshot.backends, now);
        }
        if let Some(every) = self.strategy.rebuild_every() {
            rebuild |= tick(&mut due.rebuild, at, every);
        }
        if due.window <= at {
            due.window = at + self.config.stats_window;
            let registry = self.registry.lock();
            let mut all = registry.leaving();
            all.extend(registry.members.iter().cloned());
            drop(registry);
            let retired = self.retired.lock().clone();
            let backends = all.iter().map(|backend| (backend.serial, &backend.vitals));
            self.series.lock().roll(backends, retired, now);
        }
        if tick(&mut due.hedge, at, HEDGE_TICK) {
            self.hedge_delay.roll(now);
        }
        if rebuild {
            self.rebuild(now);
        }
        rebuild
    }
}

impl<B> fmt::Debug for Maintenance<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Maintenance")
            .field("due", &self.due)
            .finish_non_exhaustive()
    }
}
