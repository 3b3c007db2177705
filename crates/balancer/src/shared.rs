//! [`Shared`]: what the clones of a balancer and its background task have in common.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Weak};

use arc_swap::ArcSwap;
use evenkeel_health::{CircuitBreakerConfig, OperatorWord, OutlierDetector, RetryBudget};
use evenkeel_stats::{Clock, Observe, Timestamp};
use evenkeel_strategy::{BuildContext, BuildError, Member, RingHash, Strategy};
use parking_lot::Mutex;
use tokio::sync::watch;

use crate::LoadBalancerConfig;
use crate::backend::Backend;
use crate::call::HedgeDelay;
use crate::control::Control;
use crate::explore::Explore;
use crate::sessions::Sessions;
use crate::snapshot::{Index, Snapshot};
use crate::stats::{Retired, Series, Totals};

pub(crate) struct Shared<B> {
    /// What backends leave behind that are gone. The first field, so that it is dropped before them: what they
    /// leave to nobody they need not sum up.
    pub(crate) retired: Arc<Mutex<Retired>>,
    pub(crate) config: LoadBalancerConfig,
    pub(crate) breaker_config: CircuitBreakerConfig,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) control: Arc<Control>,
    pub(crate) strategy: Arc<dyn Strategy>,
    pub(crate) outliers: Option<OutlierDetector>,
    pub(crate) observer: Option<Arc<dyn Observe>>,
    pub(crate) sessions: Option<Sessions>,
    pub(crate) budget: RetryBudget,
    pub(crate) hedge_delay: HedgeDelay,
    pub(crate) explore: Explore,
    pub(crate) totals: Totals,
    pub(crate) series: Mutex<Series>,
    pub(crate) registry: Mutex<Registry<B>>,
    pub(crate) snapshot: ArcSwap<Snapshot<B>>,
    /// Dropped with the balancer; whoever follows a discovery sees it.
    pub(crate) alive: watch::Sender<()>,
    #[cfg(feature = "checks")]
    pub(crate) checks: Option<crate::checks::Start<B>>,
}

/// The members in the order they came. Whoever changes it holds the lock until the snapshot is swapped,
/// so snapshots follow each other in the order of the changes.
pub(crate) struct Registry<B> {
    pub(crate) members: Vec<Arc<Backend<B>>>,
    /// No members any more, but with requests in flight perhaps.
    pub(crate) leaving: Vec<Weak<Backend<B>>>,
    pub(crate) next_serial: u64,
}

impl<B> Registry<B> {
    pub(crate) fn find(&self, id: &str) -> Option<&Arc<Backend<B>>> {
        self.members
            .iter()
            .find(|member| member.vitals.id().as_str() == id)
    }

    /// Those that were removed and are not gone yet.
    pub(crate) fn leaving(&self) -> Vec<Arc<Backend<B>>> {
        self.leaving.iter().filter_map(Weak::upgrade).collect()
    }

    /// One is no member any more.
    pub(crate) fn leave(&mut self, backend: &Arc<Backend<B>>) {
        self.leaving.retain(|gone| gone.strong_count() > 0);
        self.leaving.push(Arc::downgrade(backend));
    }
}

impl<B> Shared<B> {
    /// The snapshot of these members at `now`. `changed` says whether the members are others than
    /// those of the snapshot before, or only their readiness.
    pub(crate) fn build(
        &self,
        members: &[Arc<Backend<B>>],
        changed: bool,
        now: Timestamp,
    ) -> Result<Snapshot<B>, BuildError> {
        let before = self.snapshot.load();
        let (backends, index) = if changed {
            let backends: Arc<[_]> = members
                .iter()
                .filter(|member| member.vitals.operator() == OperatorWord::Auto)
                .cloned()
                .collect();
            let index = Arc::new(Index::of(members, &backends));
            (backends, index)
        } else {
            (before.backends.clone(), before.index.clone())
        };
        let mut described: Vec<Member> = backends
            .iter()
            .map(|backend| backend.vitals.member().clone())
            .collect();
        if described.iter().all(|member| member.weight() == 0) {
            // All others are disabled or draining: the stand-bys are what there is.
            described = described.into_iter().map(|member| member.reweighted(1)).collect();
        }
        let context = BuildContext::new(&described)
            .with_now(now)
            .with_seed(fastrand::u64(..));
        let picker = self.strategy.build(&context.with_previous(&before.picker))?;
        let start = match &self.sessions {
            None => None,
            Some(_) if !changed => before.start.clone(),
            Some(_) => Some(RingHash::default().build(&context)?),
        };
        Ok(Snapshot {
            panic: self.is_panic(&described, now),
            backends,
            picker,
            start,
            index,
        })
    }

    /// Whether so few are healthy that health is to be ignored.
    fn is_panic(&self, members: &[Member], now: Timestamp) -> bool {
        let counted = || members.iter().filter(|member| member.weight() > 0);
        let all = counted().count();
        let eligible = counted()
            .filter(|member| member.load().readiness(now).is_eligible())
            .count();
        // A stand-by that is well is better than panic.
        let anybody = eligible > 0
            || members
                .iter()
                .any(|member| member.load().readiness(now).is_eligible());
        all > 0 && (!anybody || (eligible as f64) < self.config.panic_threshold * all as f64)
    }

    /// Swaps the snapshot. The one before it is returned, so that a drain can see who still uses it.
    pub(crate) fn publish(&self, snapshot: Snapshot<B>) -> Arc<Snapshot<B>> {
        let panic = snapshot.panic;
        let members = snapshot.backends.len();
        let before = self.snapshot.swap(Arc::new(snapshot));
        if panic && !before.panic {
            self.totals.panic();
            tracing::warn!(
                members,
                "panic: too few backends are healthy, the load is spread over all"
            );
        } else if before.panic && !panic {
            tracing::info!(members, "panic is over");
        }
        before
    }

    /// Builds anew for what has become of readiness. A strategy that can not is left as it was.
    pub(crate) fn rebuild(&self, now: Timestamp) {
        let registry = self.registry.lock();
        match self.build(&registry.members, false, now) {
            Ok(snapshot) => drop(self.publish(snapshot)),
            Err(error) => tracing::warn!(%error, "the picker could not be built anew"),
        }
    }
}

impl<B> Index<B> {
    pub(crate) fn of(members: &[Arc<Backend<B>>], backends: &[Arc<Backend<B>>]) -> Self {
        Self {
            by_id: members
                .iter()
                .map(|member| (member.vitals.id().clone(), member.clone()))
                .collect(),
            by_serial: backends
                .iter()
                .enumerate()
                .map(|(index, backend)| (backend.serial, index))
                .collect::<HashMap<_, _>>(),
        }
    }
}

impl<B> Drop for Shared<B> {
    fn drop(&mut self) {
        // The background task sees that it is over.
        self.control.wake();
    }
}

impl<B> fmt::Debug for Shared<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("config", &self.config)
            .field("snapshot", &self.snapshot)
            .finish_non_exhaustive()
    }
}
