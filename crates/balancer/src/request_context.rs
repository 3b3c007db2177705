//! [`RequestContext`]: what the balancer is told of a request; and whom it has tried.

use std::sync::Arc;
use std::time::Duration;

use evenkeel_strategy::{LoadCell, hash_key};

use crate::{BackendRef, Pick};

/// Whether a request may be sent again when it is not known what became of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Repeat {
    /// Only if no backend can have seen it: nobody listened, no connection was had. The default,
    /// because what has an effect twice can not be taken back.
    #[default]
    IfUnsent,
    /// Always: it has the same effect however often it arrives. Only such requests are hedged.
    Always,
    /// Never, whatever happened.
    Never,
}

/// What one request is picked and called with. Borrowed and cheap to copy; made by
/// [`new`](Self::new) and the `with_` methods, so that it can grow.
///
/// ```
/// use evenkeel_balancer::{Repeat, RequestContext};
///
/// let request = RequestContext::new().with_key(b"tenant-7").with_repeat(Repeat::Always);
/// # let _ = request;
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct RequestContext<'a> {
    pub(crate) hash: Option<u64>,
    pub(crate) session: Option<u64>,
    pub(crate) tried: Option<&'a Tried>,
    pub(crate) repeat: Repeat,
    pub(crate) timeout: Option<Duration>,
}

impl<'a> RequestContext<'a> {
    /// A request of which nothing is known.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            hash: None,
            session: None,
            tried: None,
            repeat: Repeat::IfUnsent,
            timeout: None,
        }
    }

    /// Routed by `key`, where the strategy routes by keys.
    #[must_use]
    pub fn with_key(self, key: &[u8]) -> Self {
        self.with_hash(hash_key(key))
    }

    /// Like [`with_key`](Self::with_key), with the key hashed already.
    #[must_use]
    pub const fn with_hash(mut self, hash: u64) -> Self {
        self.hash = Some(hash);
        self
    }

    /// Of the session `key`: goes where the session's requests before it went, where
    /// [`sticky_sessions`](crate::LoadBalancerConfig::sticky_sessions) are on; else the same as
    /// [`with_key`](Self::with_key).
    ///
    /// A session is known by the 64-bit hash of its key. Two that share one share a backend.
    #[must_use]
    pub fn with_session(mut self, key: &[u8]) -> Self {
        self.session = Some(hash_key(key));
        self
    }

    /// Not to these backends if there is another.
    #[must_use]
    pub const fn with_tried(mut self, tried: &'a Tried) -> Self {
        self.tried = Some(tried);
        self
    }

    /// Whether [`call`](crate::LoadBalancer::call) may send it again.
    #[must_use]
    pub const fn with_repeat(mut self, repeat: Repeat) -> Self {
        self.repeat = repeat;
        self
    }

    /// The backends it was sent to already, if it was told.
    #[must_use]
    pub const fn tried(&self) -> Option<&'a Tried> {
        self.tried
    }

    /// How long [`call`](crate::LoadBalancer::call) may take over it, in place of
    /// [`request_timeout`](crate::LoadBalancerConfig::request_timeout).
    #[must_use]
    pub const fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// How long it may take, if it was told.
    #[must_use]
    pub const fn timeout(&self) -> Option<Duration> {
        self.timeout
    }
}

/// The backends that a request was sent to already.
///
/// For those who retry by themselves; [`call`](crate::LoadBalancer::call) keeps its own.
///
/// ```
/// # use evenkeel_balancer::{BackendServer, LoadBalancer, LoadBalancerConfig, RequestContext, Tried};
/// # use evenkeel_stats::Outcome;
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let servers = ["10.0.0.1:4317", "10.0.0.2:4317"].map(BackendServer::of);
/// let balancer = LoadBalancer::new(servers, LoadBalancerConfig::default())?;
/// let first = balancer.pick(&RequestContext::new())?;
/// let mut tried = Tried::new();
/// tried.add(&first.backend());
/// first.finish(Outcome::Failure);
/// let second = balancer.pick(&RequestContext::new().with_tried(&tried))?;
/// # second.finish(Outcome::Success);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct Tried {
    cells: Vec<Arc<LoadCell>>,
}

/// More than this many are not kept apart: the oldest is forgotten.
const MOST: usize = 40;

impl Tried {
    /// Nobody yet.
    #[must_use]
    pub const fn new() -> Self {
        Self { cells: Vec::new() }
    }

    /// The request was sent there. The last 40 are remembered.
    pub fn add<B>(&mut self, backend: &BackendRef<B>) {
        self.add_cell(backend.0.vitals.cell());
    }

    pub(crate) fn add_pick<B>(&mut self, pick: &Pick<B>) {
        self.add_cell(pick.inner().vitals.cell());
    }

    fn add_cell(&mut self, cell: &Arc<LoadCell>) {
        if self.contains(cell) {
            return;
        }
        if self.cells.len() == MOST {
            self.cells.remove(0);
        }
        self.cells.push(Arc::clone(cell));
    }

    /// How many there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.cells.len()
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.cells.is_empty()
    }

    pub(crate) fn contains(&self, cell: &Arc<LoadCell>) -> bool {
        self.cells.iter().any(|known| Arc::ptr_eq(known, cell))
    }

    /// Hands the cells to `use_them` as a picker wants them, from the stack.
    #[inline]
    pub(crate) fn with_refs<R>(&self, first: &LoadCell, use_them: impl FnOnce(&[&LoadCell]) -> R) -> R {
        let mut refs = [first; MOST];
        for (slot, cell) in refs.iter_mut().zip(&self.cells) {
            *slot = cell;
        }
        use_them(refs.get(..self.cells.len()).unwrap_or(&refs))
    }
}
