//! Changing who is a member, at run time.

use std::sync::Arc;
use std::time::Duration;

use evenkeel_health::{CircuitBreaker, OperatorWord};
use evenkeel_strategy::{BackendId, LoadCell, Member};

use crate::backend::Backend;
use crate::drain::Drain;
use crate::shared::{Registry, Shared};
use crate::snapshot::Snapshot;
use crate::vitals::{Compared, Vitals};
use crate::{BackendRef, BackendServer, ConfigError, LoadBalancer, MemberError};

impl<B: Send + Sync + 'static> LoadBalancer<B> {
    /// Takes in a backend. It gets its share little by little, as
    /// [`slow_start`](crate::LoadBalancerConfig::slow_start) says.
    ///
    /// The id of a backend that was removed may be used again: the new one starts anew, with nothing
    /// in flight and nothing held against it, while the requests of the old one end where they began.
    ///
    /// # Errors
    /// [`MemberError`]: a duplicate, one too many, or one that the strategy can not work with.
    pub fn add(&self, server: BackendServer<B>) -> Result<BackendRef<B>, MemberError> {
        let now = self.shared.clock.now();
        let mut registry = self.shared.registry.lock();
        let backend = self.shared.admit(&mut registry, server)?;
        if registry
            .members
            .iter()
            .all(|member| member.vitals.member().weight() == 0)
        {
            registry.members.pop();
            let id = backend.vitals.id().clone();
            return Err(MemberError::AllWeightsZero { id });
        }
        backend.vitals.cell().mark_born(now);
        if let Err(error) = self.shared.publish_members(&registry, backend.vitals.id()) {
            registry.members.pop();
            return Err(error);
        }
        drop(registry);
        self.shared.start_checks(&backend);
        tracing::info!(backend = %backend.vitals.id(), "backend added");
        Ok(BackendRef(backend))
    }

    /// Takes in the backends that the balancer begins with: none of them is young.
    pub(crate) fn add_first(&self, servers: Vec<BackendServer<B>>) -> Result<(), MemberError> {
        let mut registry = self.shared.registry.lock();
        for server in servers {
            self.shared.admit(&mut registry, server)?;
        }
        let Some(first) = registry.members.first().cloned() else {
            return Ok(());
        };
        let id = first.vitals.id();
        if registry
            .members
            .iter()
            .all(|member| member.vitals.member().weight() == 0)
        {
            return Err(MemberError::AllWeightsZero { id: id.clone() });
        }
        self.shared.publish_members(&registry, id)?;
        for member in &registry.members {
            self.shared.start_checks(member);
        }
        Ok(())
    }
}

impl<B: Send + Sync + 'static> LoadBalancer<B> {
    /// Removes a backend at once. If only stand-bys, of weight 0, are left, they take over.
    ///
    /// Requests that are in flight there end as they may; whoever wants
    /// to wait for them takes [`drain`](Self::drain). What it carried is dropped with the last of
    /// them.
    ///
    /// # Errors
    /// [`MemberError::Unknown`]; [`MemberError::Strategy`] if the strategy can not work with the rest.
    pub fn remove(&self, id: &str) -> Result<BackendRef<B>, MemberError> {
        let (backend, _) = self.change(id, |registry, backend| {
            let before = registry.members.clone();
            registry.members.retain(|member| !Arc::ptr_eq(member, backend));
            Ok(Box::new(move |registry| registry.members = before))
        })?;
        Ok(backend)
    }

    /// Removes a backend whose drain has ended. Whether it was still that member, and draining.
    pub(crate) fn remove_draining(&self, backend: &BackendRef<B>, order: u64) -> bool {
        let removed = self.change(backend.id().as_str(), |registry, member| {
            let draining = member.vitals.operator() == OperatorWord::Drain && member.vitals.orders() == order;
            if !Arc::ptr_eq(member, &backend.0) || !draining {
                return Err(MemberError::Unknown {
                    id: backend.id().clone(),
                });
            }
            let before = registry.members.clone();
            registry.members.retain(|member| !Arc::ptr_eq(member, &backend.0));
            Ok(Box::new(move |registry| registry.members = before))
        });
        removed.is_ok()
    }

    /// Gives a backend another weight; its share follows at once. 0 makes it a stand-by.
    ///
    /// # Errors
    /// [`MemberError::Unknown`]; [`MemberError::AllWeightsZero`].
    pub fn set_weight(&self, id: &str, weight: u32) -> Result<(), MemberError> {
        self.change(id, |registry, backend| {
            let others = registry
                .members
                .iter()
                .filter(|member| !Arc::ptr_eq(member, backend));
            if weight == 0
                && others
                    .map(|member| member.vitals.member().weight())
                    .all(|weight| weight == 0)
            {
                return Err(MemberError::AllWeightsZero { id: id.into() });
            }
            let cell = backend.vitals.cell().clone();
            let before = cell.weight();
            cell.set_weight(Some(weight));
            Ok(Box::new(move |_| cell.set_weight(before)))
        })?;
        Ok(())
    }

    /// Takes a backend out of use until it is [enabled](Self::enable). It stays a member, with all
    /// that is known of it.
    ///
    /// # Errors
    /// [`MemberError::Unknown`]; [`MemberError::Strategy`] if the strategy can not work with the rest.
    pub fn disable(&self, id: &str) -> Result<(), MemberError> {
        self.set_operator(id, OperatorWord::Disable).map(|_| ())
    }

    /// Puts a backend to use that was disabled, or was draining.
    ///
    /// # Errors
    /// [`MemberError::Unknown`].
    pub fn enable(&self, id: &str) -> Result<(), MemberError> {
        self.set_operator(id, OperatorWord::Auto).map(|_| ())
    }

    /// Sends a backend draining: nothing new goes there from now on, and once nothing is in flight,
    /// or `within` is over, it is removed. The future says which; it need not be awaited for the
    /// draining to begin, but it is what removes.
    ///
    /// # Errors
    /// [`MemberError::Unknown`]; [`MemberError::Strategy`] if the strategy can not work with the rest.
    ///
    /// # Cancel safety
    /// Dropped, the future leaves the backend draining: it gets nothing, and stays a member until it
    /// is enabled, drained again, or removed.
    pub fn drain(&self, id: &str, within: Duration) -> Result<Drain<B>, MemberError> {
        let (backend, before) = self.set_operator(id, OperatorWord::Drain)?;
        Ok(Drain::new(self.clone(), backend, before, within))
    }

    /// Says what is known of a backend's health from elsewhere: a control plane, a watch of one's own.
    /// It counts as an active check does, and is overruled by the next of these if they are on. One
    /// that turns healthy is young, and no ejection holds; if its breaker was open, one request decides.
    ///
    /// # Errors
    /// [`MemberError::Unknown`].
    pub fn set_health(&self, id: &str, healthy: bool) -> Result<(), MemberError> {
        let found = self.backend(id);
        let backend = found.ok_or_else(|| MemberError::Unknown { id: id.into() })?;
        backend.0.vitals.set_check(healthy, None, self.shared.clock.now());
        Ok(())
    }

    fn set_operator(&self, id: &str, word: OperatorWord) -> Result<Changed<B>, MemberError> {
        let now = self.shared.clock.now();
        let changed = self.change(id, |_, backend| {
            let before = backend.vitals.operator();
            let backend = backend.clone();
            backend.vitals.set_operator(word, now);
            Ok(Box::new(move |_| backend.vitals.set_operator(before, now)))
        })?;
        Ok(changed)
    }

    /// Changes a member and swaps the snapshot; if the strategy can not follow, takes it back.
    fn change(
        &self,
        id: &str,
        change: impl FnOnce(&mut Registry<B>, &Arc<Backend<B>>) -> Result<Undo<B>, MemberError>,
    ) -> Result<Changed<B>, MemberError> {
        let mut registry = self.shared.registry.lock();
        let found = registry.find(id).cloned();
        let backend = found.ok_or_else(|| MemberError::Unknown { id: id.into() })?;
        let undo = change(&mut registry, &backend)?;
        match self.shared.publish_members(&registry, backend.vitals.id()) {
            Ok(before) => {
                if registry.find(id).is_none() {
                    // Still under the lock: whoever reads the statistics sees it here or there.
                    self.shared.retire(&mut registry, &backend);
                }
                Ok((BackendRef(backend), before))
            }
            Err(error) => {
                undo(&mut registry);
                Err(error)
            }
        }
    }
}

/// How a change is taken back.
type Undo<B> = Box<dyn FnOnce(&mut Registry<B>)>;

/// Who was changed, and the snapshot before.
type Changed<B> = (BackendRef<B>, Arc<Snapshot<B>>);

impl<B: Send + Sync + 'static> Shared<B> {
    /// Checks the backend from now on, if there are checks.
    pub(crate) fn start_checks(&self, backend: &Arc<Backend<B>>) {
        #[cfg(feature = "checks")]
        if let Some(start) = &self.checks {
            start(backend);
        }
        #[cfg(not(feature = "checks"))]
        let _ = backend;
    }
}

impl<B> Shared<B> {
    /// Makes a member of `server`, at the end of the registry. The snapshot is not swapped yet.
    pub(crate) fn admit(
        &self,
        registry: &mut Registry<B>,
        server: BackendServer<B>,
    ) -> Result<Arc<Backend<B>>, MemberError> {
        let id = server.id;
        if id.as_str().is_empty() {
            return Err(MemberError::EmptyId);
        }
        if registry.find(id.as_str()).is_some() {
            return Err(MemberError::Duplicate { id });
        }
        let limit = self.config.max_backends;
        if registry.members.len() >= limit {
            return Err(MemberError::TooMany { id, limit });
        }
        let cell = LoadCell::with_config(&self.config.load);
        let cell = cell.map_err(|error| ConfigError::strategy("load.", error))?;
        let breaker = CircuitBreaker::new(self.breaker_config.clone());
        let breaker = breaker.map_err(|error| ConfigError::health("", error))?;
        let name: Arc<str> = Arc::from(id.as_str());
        let rule = self.config.outlier_detection.as_ref();
        let consecutive = rule.map_or(u32::MAX, |config| config.consecutive_failures);
        let outlier = self
            .outliers
            .as_ref()
            .map(|group| Compared::new(group.join(name.clone()), consecutive));
        let mut member = Member::new(id)
            .with_weight(server.weight)
            .with_priority(server.priority)
            .with_load(Arc::new(cell));
        if let Some(zone) = server.zone {
            member = member.with_zone(zone);
        }
        let vitals = Vitals::new(
            member,
            self.clock.clone(),
            self.control.clone(),
            breaker.named(name),
            outlier,
            self.observer.clone(),
        );
        let backend = Arc::new(Backend {
            vitals,
            payload: server.payload,
            retired: Arc::downgrade(&self.retired),
            serial: registry.next_serial,
        });
        registry.next_serial += 1;
        registry.members.push(backend.clone());
        Ok(backend)
    }

    /// The backend is no member any more: its figures stay in the whole's.
    pub(crate) fn retire(&self, registry: &mut Registry<B>, backend: &Arc<Backend<B>>) {
        tracing::info!(backend = %backend.vitals.id(), "backend removed");
        backend.vitals.set_operator(OperatorWord::Drain, self.clock.now());
        backend.vitals.end_checks();
        registry.leave(backend);
    }

    /// Swaps the snapshot for one of the registry's members; `id` is whose change this is.
    pub(crate) fn publish_members(
        &self,
        registry: &Registry<B>,
        id: &BackendId,
    ) -> Result<Arc<Snapshot<B>>, MemberError> {
        match self.build(&registry.members, true, self.clock.now()) {
            Ok(snapshot) => Ok(self.publish(snapshot)),
            Err(source) => Err(MemberError::Strategy {
                id: id.clone(),
                source,
            }),
        }
    }
}
