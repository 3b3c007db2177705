//! [`Preview`]: where keys would go.

use std::fmt;
use std::sync::Arc;

use evenkeel_stats::Timestamp;
use evenkeel_strategy::PickContext;

use crate::snapshot::Snapshot;
use crate::{BackendRef, LoadBalancer};

/// Where requests would go at one moment, by the hash of their key: for those who cut a request into parts,
/// one for each backend that some of it belongs to.
///
/// It picks nothing: no count is raised, no trial is taken. What it says holds while members and readiness
/// do; a [`pick`](LoadBalancer::pick) of the same hash right after goes to the same backend, unless that one's
/// breaker turns it away. Only strategies that route by a hash have an answer that holds.
pub struct Preview<B> {
    snapshot: Arc<Snapshot<B>>,
    now: Timestamp,
}

impl<B> LoadBalancer<B> {
    /// Where requests would go now.
    #[must_use]
    pub fn preview(&self) -> Preview<B> {
        Preview {
            snapshot: self.shared.snapshot.load_full(),
            now: self.shared.clock.now(),
        }
    }
}

impl<B> Preview<B> {
    /// The place of the backend that a request with this hash would go to, below [`len`](Self::len); `None`
    /// without backends, or if the strategy refuses it.
    #[must_use]
    pub fn place_of(&self, hash: u64) -> Option<usize> {
        // A strategy that draws by lot draws the same for the same key.
        let mut context = PickContext::new(self.now, hash).with_hash(hash);
        if self.snapshot.panic {
            context = context.ignoring_readiness();
        }
        let place = self.snapshot.picker.pick(&context).ok()?;
        (place < self.len()).then_some(place)
    }

    /// The backend at a place.
    #[must_use]
    pub fn backend(&self, place: usize) -> Option<BackendRef<B>> {
        let backend = self.snapshot.backends.get(place)?;
        Some(BackendRef(Arc::clone(backend)))
    }

    /// How many places there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.snapshot.backends.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.snapshot.backends.is_empty()
    }
}

impl<B> fmt::Debug for Preview<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Preview")
            .field("places", &self.len())
            .finish_non_exhaustive()
    }
}
