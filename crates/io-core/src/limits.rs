//! The limits of a manager and the places taken at them.

use std::sync::Arc as StdArc;
use std::sync::atomic::{AtomicUsize, Ordering};

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
    /// Connects that wait for a turn, and how many may.
    waiting: AtomicUsize,
    max_waiting: usize,
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
            waiting: AtomicUsize::new(0),
            max_waiting: config.max_waiting_connects,
            hosts: StdArc::default(),
        }
    }

    /// Waits for the places a connection needs. `at` is told which limit it waits for.
    ///
    /// The host's comes first: those who wait for a crowded host must not hold places that others
    /// could use.
    ///
    /// `None` if too many wait already.
    ///
    /// Cancel safety: dropping the future gives back what it had got.
    pub(crate) async fn enter(&self, target: &Target, mut at: impl FnMut(Limit)) -> Option<Places> {
        let mut waiting = None;
        let host = match self.per_host {
            Some(limit) => {
                at(Limit::ConnectionsPerHost);
                // Dropped in reverse: the gate, then the key.
                let (key, gate) = self.host(target, limit);
                Some(HostPlace {
                    _place: self.turn(&gate, &mut waiting).await?,
                    _key: key,
                })
            }
            None => None,
        };
        at(Limit::Connections);
        let connection = self.turn(&self.connections, &mut waiting).await?;
        Some(Places {
            _connection: connection,
            _host: host,
        })
    }

    /// A place at once, or by waiting, if not too many do.
    async fn turn<'a>(&'a self, gate: &Arc<Gate>, waiting: &mut Option<Waiting<'a>>) -> Option<Place> {
        if let Some(place) = Gate::try_place(gate) {
            return Some(place);
        }
        if waiting.is_none() {
            *waiting = Some(Waiting::new(self)?);
        }
        Some(Gate::enter(gate).await)
    }

    fn host(&self, target: &Target, limit: usize) -> (HostKey, Arc<Gate>) {
        let key = HostKey {
            target: target.clone(),
            hosts: self.hosts.clone(),
        };
        let gate = self
            .hosts
            .entry(target.clone())
            .or_insert_with(|| Arc::new(Gate::new(limit)))
            .clone();
        (key, gate)
    }
}

/// One connect that waits.
#[derive(Debug)]
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn new(limits: &'a Limits) -> Option<Self> {
        let waiting = Self(&limits.waiting);
        let before = limits.waiting.fetch_add(1, Ordering::Relaxed);
        (before < limits.max_waiting).then_some(waiting)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Takes a host's gate out of the map when nobody holds it any more. Dropped after the holder's own
/// share of the gate: of several who leave at once, the last to look finds only the map's.
#[derive(Debug)]
struct HostKey {
    target: Target,
    hosts: StdArc<DashMap<Target, Arc<Gate>>>,
}

impl Drop for HostKey {
    fn drop(&mut self) {
        // New holders come about under the map's own lock, so there are none once this is one.
        self.hosts
            .remove_if(&self.target, |_, gate| Arc::strong_count(gate) == 1);
    }
}

/// Fields drop in this order.
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
        let first = limits.enter(&one, |_| {}).await.unwrap();
        let second = limits.enter(&two, |_| {}).await.unwrap();
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

    #[tokio::test]
    async fn two_who_leave_a_host_at_once_leave_no_gate_behind() {
        let config = AsyncIoConfig {
            max_connections_per_host: Some(2),
            ..AsyncIoConfig::default()
        };
        let limits = Limits::new(&config);
        let host = "one.test:1".parse().unwrap();
        for _ in 0..2_000 {
            let first = limits.enter(&host, |_| {}).await.unwrap();
            let second = limits.enter(&host, |_| {}).await.unwrap();
            std::thread::scope(|scope| {
                scope.spawn(|| drop(first));
                scope.spawn(|| drop(second));
            });
            assert!(limits.hosts.is_empty());
        }
    }
}
