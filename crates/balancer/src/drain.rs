//! [`Drain`]: waits until a backend has finished what it has.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use evenkeel_health::OperatorWord;
use tokio::time::Instant;

use crate::snapshot::Snapshot;
use crate::{BackendRef, LoadBalancer};

/// How a drain ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Drained {
    /// Nothing is in flight, and the backend is no member any more.
    Idle,
    /// The time was over first, and the backend is no member any more.
    TimedOut {
        /// What was in flight still; it ends as it may.
        in_flight: u32,
    },
    /// The backend was enabled, drained anew or removed meanwhile, so this one changed nothing.
    Overtaken,
}

/// A drain that has begun, from [`LoadBalancer::drain`]. Nothing new goes to the backend already;
/// [`finish`](Self::finish) waits for the rest.
#[must_use = "the drain has begun, but only `finish` removes the backend"]
pub struct Drain<B> {
    balancer: LoadBalancer<B>,
    backend: BackendRef<B>,
    before: Arc<Snapshot<B>>,
    until: Instant,
    /// Which word of the operator's this is.
    order: u64,
}

impl<B: Send + Sync + 'static> Drain<B> {
    pub(crate) fn new(
        balancer: LoadBalancer<B>,
        backend: BackendRef<B>,
        before: Arc<Snapshot<B>>,
        within: Duration,
    ) -> Self {
        Self {
            order: backend.0.vitals.orders(),
            balancer,
            backend,
            before,
            until: deadline(within),
        }
    }

    /// The backend.
    #[must_use]
    pub const fn backend(&self) -> &BackendRef<B> {
        &self.backend
    }

    /// Waits until nothing is in flight at the backend or its time is over, and removes it.
    ///
    /// # Cancel safety
    /// Dropped, the backend stays draining: it gets nothing, and is a member until it is enabled,
    /// drained again, or removed.
    pub async fn finish(self) -> Drained {
        let vitals = &self.backend.0.vitals;
        let idle = async {
            // A pick that began before the snapshot was swapped may still choose from the old one.
            while Arc::strong_count(&self.before) > 1 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            vitals.idle().await;
        };
        let in_time = tokio::time::timeout_at(self.until, idle).await.is_ok();
        if vitals.operator() != OperatorWord::Drain || vitals.orders() != self.order {
            return Drained::Overtaken;
        }
        let removed = self.balancer.remove_draining(&self.backend, self.order);
        match (removed, in_time) {
            (false, _) => Drained::Overtaken,
            (true, true) => Drained::Idle,
            (true, false) => Drained::TimedOut {
                in_flight: vitals.cell().in_flight(),
            },
        }
    }
}

/// As far away as a timer reaches, if `within` is further.
pub(crate) fn deadline(within: Duration) -> Instant {
    const FAR: Duration = Duration::from_secs(365 * 24 * 3600);
    Instant::now() + within.min(FAR)
}

impl<B> fmt::Debug for Drain<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Drain")
            .field("backend", self.backend.id())
            .field("until", &self.until)
            .finish_non_exhaustive()
    }
}
