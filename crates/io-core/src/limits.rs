//! The limits of a manager and the places taken at them.

use std::future::Future;
use std::sync::Arc as StdArc;

use dashmap::DashMap;

use crate::error::Limit;
use crate::gate::{Gate, Place};
use crate::sync::Arc;
use crate::{AsyncIoConfig, Target};

/// Everything that bounds a manager.
#[derive(Debug)]
pub(crate) struct Limits {
    pub(crate) connections: Arc<Gate>,
    pub(crate) pending: Arc<Gate>,
    per_host: Option<usize>,
    /// Gates of the targets that are in use now; an entry goes with its last place.
    hosts: StdArc<DashMap<Target, Arc<Gate>>>,
}

/// A connection's places: one at its host's limit, if there is such a limit, one at the manager's.
#[derive(Debug)]
pub(crate) struct Places {
    _connection: Place,
    _host: Option<HostPlace>,
}

impl Limits {
    pub(crate) fn new(config: &AsyncIoConfig) -> Self {
        Self {
            connections: Arc::new(Gate::new(config.max_connections)),
            pending: Arc::new(Gate::new(config.max_pending_operations)),
            per_host: config.max_connections_per_host,
            hosts: StdArc::default(),
        }
    }

    /// Waits for the places a connection needs. `at` is told which limit it waits for.
    ///
    /// The host's comes first: those who wait for a crowded host must not hold places that others
    /// could use.
    ///
    /// Cancel safety: dropping the future gives back what it had got.
    pub(crate) async fn enter(&self, target: &Target, mut at: impl FnMut(Limit)) -> Places {
        let host = match self.per_host {
            Some(limit) => {
                at(Limit::ConnectionsPerHost);
                Some(self.host(target, limit).await)
            }
            None => None,
        };
        at(Limit::Connections);
        Places {
            _connection: Gate::enter(&self.connections).await,
            _host: host,
        }
    }

    fn host(&self, target: &Target, limit: usize) -> impl Future<Output = HostPlace> + use<> {
        let key = HostKey {
            gate: self
                .hosts
                .entry(target.clone())
                .or_insert_with(|| Arc::new(Gate::new(limit)))
                .clone(),
            target: target.clone(),
            hosts: self.hosts.clone(),
        };
        async move {
            HostPlace {
                _place: Gate::enter(&key.gate).await,
                _key: key,
            }
        }
    }
}

/// Holds a host's gate in the map, and takes it out with the last holder.
#[derive(Debug)]
struct HostKey {
    gate: Arc<Gate>,
    target: Target,
    hosts: StdArc<DashMap<Target, Arc<Gate>>>,
}

impl Drop for HostKey {
    fn drop(&mut self) {
        // Clones are made under the map's own lock, so the count can not rise meanwhile: the map
        // holds one and we hold one.
        self.hosts
            .remove_if(&self.target, |_, gate| Arc::strong_count(gate) <= 2);
    }
}

/// Fields drop in this order: the place holds the gate too, so it goes before the key counts who is left.
#[derive(Debug)]
struct HostPlace {
    _place: Place,
    _key: HostKey,
}

#[cfg(all(test, not(evenkeel_loom)))]
mod tests {
    use super::*;

    #[tokio::test]
    async fn hosts_that_nobody_uses_any_more_leave_no_gate_behind() {
        let config = AsyncIoConfig {
            max_connections_per_host: Some(1),
            ..AsyncIoConfig::default()
        };
        let limits = Limits::new(&config);
        let (one, two) = ("one.test:1".parse().unwrap(), "two.test:1".parse().unwrap());
        let first = limits.enter(&one, |_| {}).await;
        let second = limits.enter(&two, |_| {}).await;
        assert_eq!(limits.hosts.len(), 2);
        {
            let mut waiting = Box::pin(limits.enter(&one, |_| {}));
            let cx = &mut std::task::Context::from_waker(std::task::Waker::noop());
            assert!(waiting.as_mut().poll(cx).is_pending());
            drop(first);
            assert_eq!(limits.hosts.len(), 2, "somebody waits there");
        }
        assert_eq!(limits.hosts.len(), 1);
        drop(second);
        assert!(limits.hosts.is_empty());
    }
}
