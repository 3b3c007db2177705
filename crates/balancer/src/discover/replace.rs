//! Bringing the members in line with a list.

use std::collections::HashSet;
use std::sync::Arc;

use evenkeel_strategy::LoadCell;

use super::Change;
use crate::backend::Backend;
use crate::shared::Registry;
use crate::{BackendServer, LoadBalancer, MemberError};

impl<B: Send + Sync + 'static> LoadBalancer<B> {
    /// Makes a change of the members, as [`follow`](Self::follow) does.
    ///
    /// # Errors
    /// [`MemberError`]; nothing is changed then.
    pub fn apply(&self, change: Change<B>) -> Result<(), MemberError> {
        match change {
            Change::Add(server) => match self.backend(server.id.as_str()) {
                Some(known) if known.weight() == server.weight => Ok(()),
                Some(known) => self.set_weight(known.id().as_str(), server.weight),
                None => self.add(server).map(|_| ()),
            },
            Change::Remove(id) => match self.remove(id.as_str()) {
                Ok(_) | Err(MemberError::Unknown { .. }) => Ok(()),
                Err(error) => Err(error),
            },
            Change::Unchanged => Ok(()),
            Change::Replace(servers) => self.replace(servers),
        }
    }

    fn replace(&self, servers: Vec<BackendServer<B>>) -> Result<(), MemberError> {
        let mut registry = self.shared.registry.lock();
        let before = registry.members.clone();
        let mut undo = Vec::new();
        match self.replace_all(&mut registry, servers, &mut undo) {
            Ok(new) => {
                let now_members: HashSet<u64> = registry.members.iter().map(|member| member.serial).collect();
                let gone = |member: &&Arc<Backend<B>>| !now_members.contains(&member.serial);
                for member in before.iter().filter(gone) {
                    self.shared.retire(&mut registry, member);
                }
                drop(registry);
                for backend in &new {
                    self.shared.start_checks(backend);
                    tracing::info!(backend = %backend.vitals.id(), "backend added");
                }
                Ok(())
            }
            Err(error) => {
                registry.members = before;
                for (cell, weight) in undo {
                    cell.set_weight(weight);
                }
                Err(error)
            }
        }
    }

    /// Those that are new.
    fn replace_all(
        &self,
        registry: &mut Registry<B>,
        servers: Vec<BackendServer<B>>,
        undo: &mut Vec<(Arc<LoadCell>, Option<u32>)>,
    ) -> Result<Vec<Arc<Backend<B>>>, MemberError> {
        let Some(first) = servers.first().map(|server| server.id.clone()) else {
            return Err(MemberError::Nobody);
        };
        if servers.iter().all(|server| server.weight == 0) {
            return Err(MemberError::AllWeightsZero { id: first });
        }
        let mut ids = HashSet::with_capacity(servers.len());
        if let Some(twice) = servers.iter().find(|server| !ids.insert(server.id.clone())) {
            return Err(MemberError::Duplicate { id: twice.id.clone() });
        }
        let old = std::mem::take(&mut registry.members);
        let by_id: std::collections::HashMap<_, _> =
            old.iter().map(|member| (member.vitals.id(), member)).collect();
        let mut new = Vec::new();
        for server in servers {
            match by_id.get(&server.id).filter(|known| is_same(known, &server)) {
                Some(known) => {
                    let cell = known.vitals.cell();
                    if known.vitals.member().weight() != server.weight {
                        undo.push((cell.clone(), cell.weight()));
                        cell.set_weight(Some(server.weight));
                    }
                    registry.members.push(Arc::clone(known));
                }
                None => new.push(self.shared.admit(registry, server)?),
            }
        }
        if !old.is_empty() {
            let now = self.shared.clock.now();
            for backend in &new {
                backend.vitals.cell().mark_born(now);
            }
        }
        self.shared.publish_members(registry, &first)?;
        Ok(new)
    }
}

/// Whether the member may stay: its place is fixed, only its weight may change.
fn is_same<B>(known: &Backend<B>, server: &BackendServer<B>) -> bool {
    let member = known.vitals.member();
    member.zone() == server.zone.as_deref() && member.priority() == server.priority
}
