//! [`LoadBalancer`]: picks.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use evenkeel_stats::{Clock, Outcome, Timestamp};
use evenkeel_strategy::{BackendId, PickContext};

use crate::shared::Shared;
use crate::snapshot::Snapshot;
use crate::vitals::{Admission, Ended};
use crate::{
    BackendRef, BackendServer, BuildError, LoadBalancerBuilder, LoadBalancerConfig, MemberError, Pick,
    PickError, RequestContext,
};

/// Chooses a backend for each request, and learns from how it went.
///
/// Cloning is a reference count; clones are one balancer. When the last is dropped, the background
/// task ends; guards and handles that are still out stay valid.
///
/// A pick loads one snapshot of members, readiness and picker, chooses, and raises the count of what
/// is in flight. While all is well it takes no lock (one or two short ones where
/// sessions are sticky, and a breaker's where it is open), allocates nothing, reads
/// the clock once, waits for nothing, and does not slow down with the number of backends.
pub struct LoadBalancer<B> {
    pub(crate) shared: Arc<Shared<B>>,
}

impl<B: Send + Sync + 'static> LoadBalancer<B> {
    /// A balancer over these backends, with a background task on the tokio runtime it is called in.
    ///
    /// # Errors
    /// Names the field of the config that makes no sense, or the backend that can not be a member;
    /// [`BuildError::NoRuntime`] outside of a runtime.
    pub fn new(
        backends: impl IntoIterator<Item = BackendServer<B>>,
        config: LoadBalancerConfig,
    ) -> Result<Self, BuildError> {
        Self::builder().config(config).backends(backends).build()
    }

    /// For whatever is not in the config: clock, strategy, checks.
    #[must_use]
    pub fn builder() -> LoadBalancerBuilder<B> {
        LoadBalancerBuilder::new()
    }
}

impl<B> LoadBalancer<B> {
    /// Chooses a backend for one request.
    ///
    /// A backend that is neither ready nor degraded, or that the request has tried, is chosen only
    /// when there is no other. One that was removed, disabled or sent draining is never chosen by a
    /// pick that begins after that.
    ///
    /// # Errors
    /// [`PickError`] if there is nobody to choose.
    #[inline]
    pub fn pick(&self, request: &RequestContext<'_>) -> Result<Pick<B>, PickError> {
        let shared = &*self.shared;
        let snapshot = shared.snapshot.load();
        let now = shared.clock.now();
        let mut context = PickContext::new(now, fastrand::u64(..));
        if let Some(hash) = request.hash.or(request.session) {
            context = context.with_hash(hash);
        }
        if snapshot.panic {
            context = context.ignoring_readiness();
        }
        if request.session.is_some() || request.tried.is_some() {
            return self.pick_specially(request, &snapshot, &context);
        }
        if shared.explore.is_due()
            && let Some(pick) = self.explore(request, &snapshot, now)
        {
            return Ok(pick);
        }
        let (backend, trial) = snapshot.choose(&snapshot.picker, &context, now)?;
        Ok(Pick::begin(Arc::clone(backend), now, trial))
    }

    /// A backend that was shunned for long, if this request is one to ask it.
    #[cold]
    fn explore(
        &self,
        request: &RequestContext<'_>,
        snapshot: &Snapshot<B>,
        now: Timestamp,
    ) -> Option<Pick<B>> {
        if request.hash.is_some() || snapshot.panic {
            return None;
        }
        let serial = self.shared.explore.take(request.repeat, now)?;
        let &index = snapshot.index.by_serial.get(&serial)?;
        let backend = snapshot.backends.get(index)?;
        if !backend.vitals.cell().readiness(now).is_eligible() {
            return None;
        }
        let trial = match backend.vitals.admit(now) {
            Admission::Open => None,
            Admission::Trial(trial) => Some(trial),
            Admission::Denied => return None,
        };
        Some(Pick::begin(Arc::clone(backend), now, trial).exploring())
    }

    fn pick_specially(
        &self,
        request: &RequestContext<'_>,
        snapshot: &Snapshot<B>,
        context: &PickContext<'_>,
    ) -> Result<Pick<B>, PickError> {
        let tried = request.tried.filter(|tried| !tried.is_empty());
        match (tried, snapshot.backends.first()) {
            (Some(tried), Some(first)) => tried.with_refs(first.vitals.cell(), |refs| {
                self.pick_sticky(request, snapshot, &context.with_tried(refs))
            }),
            _ => self.pick_sticky(request, snapshot, context),
        }
    }

    /// Where the session is kept, if it is; else where it starts, or where the strategy says.
    fn pick_sticky(
        &self,
        request: &RequestContext<'_>,
        snapshot: &Snapshot<B>,
        context: &PickContext<'_>,
    ) -> Result<Pick<B>, PickError> {
        let now = context.now();
        let sessions = self.shared.sessions.as_ref();
        let (Some(sessions), Some(start), Some(session)) = (sessions, &snapshot.start, request.session)
        else {
            let (backend, trial) = snapshot.choose(&snapshot.picker, context, now)?;
            return Ok(Pick::begin(Arc::clone(backend), now, trial));
        };
        let kept = sessions
            .touch(session, now)
            .and_then(|serial| snapshot.index.by_serial.get(&serial))
            .and_then(|&index| snapshot.backends.get(index));
        if let Some(pick) = kept.and_then(|backend| Pick::of_session(backend, context, snapshot.panic)) {
            return Ok(pick);
        }
        let (backend, trial) = snapshot.choose(start, context, now)?;
        // One that failed this request may be well for the next: the session moves when its backend
        // is not ready, not before.
        let moves = kept.is_none_or(|kept| !context.is_excluded(kept.vitals.cell()));
        if moves {
            sessions.keep(session, backend.serial, now);
        }
        Ok(Pick::begin(Arc::clone(backend), now, trial))
    }

    /// Tells how a request went that was not picked here, or whose guard was dropped on purpose: for
    /// those who measure themselves. Counts nothing as in flight.
    ///
    /// # Errors
    /// [`MemberError::Unknown`] if there is no such backend.
    pub fn record_request_result(
        &self,
        backend: &str,
        success: bool,
        response_time: Duration,
    ) -> Result<(), MemberError> {
        let outcome = if success {
            Outcome::Success
        } else {
            Outcome::Failure
        };
        let now = self.shared.clock.now();
        let ended = Ended {
            outcome,
            failure: None,
            relearn: false,
            started: now.saturating_sub(response_time),
            now,
        };
        let snapshot = self.shared.snapshot.load();
        let found = snapshot.index.by_id.get(backend);
        let member = found.ok_or_else(|| MemberError::Unknown { id: backend.into() })?;
        member.vitals.record(&ended);
        Ok(())
    }

    /// The backend of this id, if it is a member.
    #[must_use]
    pub fn backend(&self, id: &str) -> Option<BackendRef<B>> {
        let snapshot = self.shared.snapshot.load();
        snapshot.index.by_id.get(id).cloned().map(BackendRef)
    }

    /// The ids of the members, in the order they came.
    #[must_use]
    pub fn ids(&self) -> Vec<BackendId> {
        let registry = self.shared.registry.lock();
        let members = registry.members.iter();
        members.map(|member| member.vitals.id().clone()).collect()
    }

    /// What it goes by.
    #[must_use]
    pub fn config(&self) -> &LoadBalancerConfig {
        &self.shared.config
    }

    /// The clock of its timestamps.
    #[must_use]
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.shared.clock
    }
}

impl<B> Clone for LoadBalancer<B> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<B> fmt::Debug for LoadBalancer<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let snapshot = self.shared.snapshot.load();
        f.debug_struct("LoadBalancer")
            .field("members", &snapshot.index.by_id.len())
            .field("enabled", &snapshot.backends.len())
            .field("panic", &snapshot.panic)
            .finish_non_exhaustive()
    }
}
