//! [`Backend`]: a member's payload and its state, in one `Arc`; and the handle that users hold.

use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, Weak};

use evenkeel_stats::{Readiness, Timestamp};
use evenkeel_strategy::BackendId;
use parking_lot::Mutex;

use crate::stats::Retired;
use crate::vitals::Vitals;

/// One member. Whoever holds the `Arc` (a snapshot, a guard, a handle) keeps payload and state alive.
pub(crate) struct Backend<B> {
    pub(crate) vitals: Vitals,
    pub(crate) payload: B,
    /// Where what it has counted goes when it is gone.
    pub(crate) retired: Weak<Mutex<Retired>>,
    /// Tells a member from another one that had its id before.
    pub(crate) serial: u64,
}

impl<B> Drop for Backend<B> {
    fn drop(&mut self) {
        if let Some(retired) = self.retired.upgrade() {
            retired.lock().take(&self.vitals);
        }
    }
}

impl<B> fmt::Debug for Backend<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Backend")
            .field("serial", &self.serial)
            .field("vitals", &self.vitals)
            .finish_non_exhaustive()
    }
}

/// A backend, to be kept for as long as it is needed: it derefs to what the backend carries, and keeps
/// that alive also after the backend was removed. Cloning is a reference count.
///
/// It counts as nothing in flight; for that there is the [`Pick`](crate::Pick).
pub struct BackendRef<B>(pub(crate) Arc<Backend<B>>);

impl<B> BackendRef<B> {
    /// Its id.
    #[must_use]
    pub fn id(&self) -> &BackendId {
        self.0.vitals.id()
    }

    /// What it carries.
    #[must_use]
    pub fn payload(&self) -> &B {
        &self.0.payload
    }

    /// Its weight now.
    #[must_use]
    pub fn weight(&self) -> u32 {
        self.0.vitals.member().weight()
    }

    /// How many requests are in flight there.
    #[must_use]
    pub fn in_flight(&self) -> u32 {
        self.0.vitals.cell().in_flight()
    }

    /// Whether it should be given requests, on the balancer's clock.
    #[must_use]
    pub fn readiness(&self, now: Timestamp) -> Readiness {
        self.0.vitals.cell().readiness(now)
    }
}

impl<B> Deref for BackendRef<B> {
    type Target = B;

    fn deref(&self) -> &B {
        &self.0.payload
    }
}

impl<B> Clone for BackendRef<B> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<B> fmt::Debug for BackendRef<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("BackendRef").field(self.id()).finish()
    }
}
