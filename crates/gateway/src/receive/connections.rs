//! [`Connections`]: who is connected, who is idle, and who has to go.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::task::Waker;
use std::time::Duration;

use futures::task::AtomicWaker;
use parking_lot::Mutex;
use tokio::sync::Notify;

/// How often idle connections are looked for; also how exactly idleness is known.
pub(super) const TICK: Duration = Duration::from_millis(250);

/// All open connections. The lock is taken when one opens or ends, and by the sweep: not by requests, which
/// leave a mark in their own connection.
#[derive(Debug)]
pub(crate) struct Connections {
    max: usize,
    open: Mutex<HashMap<u64, Arc<Connection>>>,
    /// What all were told; it holds for those that come later too.
    order: AtomicU8,
    serial: AtomicU64,
    /// Sweeps since the start: the clock that idleness is told by.
    ticks: Arc<AtomicU64>,
    changed: Notify,
}

/// One connection as the registry sees it.
#[derive(Debug)]
pub(crate) struct Connection {
    in_flight: AtomicU32,
    /// Whether it has had a request.
    used: AtomicBool,
    last: AtomicU64,
    ticks: Arc<AtomicU64>,
    order: AtomicU8,
    waker: AtomicWaker,
}

/// What a connection is told to do, each going further than the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Order {
    /// Go on.
    Serve,
    /// Answer what has come and take nothing more.
    Finish,
    /// End at once.
    Abort,
}

impl Connections {
    pub(crate) fn new(max: usize) -> Self {
        Self {
            max,
            open: Mutex::default(),
            order: AtomicU8::new(0),
            serial: AtomicU64::new(0),
            ticks: Arc::default(),
            changed: Notify::new(),
        }
    }

    /// A place for a new connection. If all are taken, the one that has been idle longest loses its own,
    /// those that never had a request first; `None` if all are busy.
    pub(crate) fn open(self: &Arc<Self>) -> Option<Seat> {
        let now = self.ticks.load(Ordering::Relaxed);
        let serial = self.serial.fetch_add(1, Ordering::Relaxed);
        let mut open = self.open.lock();
        if open.len() >= self.max && !evict(&mut open) {
            return None;
        }
        let connection = Arc::new(Connection {
            in_flight: AtomicU32::new(0),
            used: AtomicBool::new(false),
            last: AtomicU64::new(now),
            ticks: Arc::clone(&self.ticks),
            order: AtomicU8::new(self.order.load(Ordering::Relaxed)),
            waker: AtomicWaker::new(),
        });
        open.insert(serial, Arc::clone(&connection));
        Some(Seat {
            connections: Arc::clone(self),
            connection,
            serial,
        })
    }

    /// Ends the connection that has been idle longest, as something else lacks room; `false` if none is idle.
    pub(super) fn make_room(&self) -> bool {
        evict(&mut self.open.lock())
    }

    pub(crate) fn len(&self) -> usize {
        self.open.lock().len()
    }

    /// How many requests are under way on all.
    pub(crate) fn busy(&self) -> usize {
        let open = self.open.lock();
        let requests = open
            .values()
            .map(|connection| connection.in_flight.load(Ordering::Relaxed) as usize);
        requests.sum()
    }

    /// One tick: tells those that have been idle for `idle`, or without any request for `unused`, to finish,
    /// and ends those that were told a while ago.
    pub(super) fn sweep(&self, idle: Duration, unused: Duration) {
        let now = self.ticks.fetch_add(1, Ordering::Relaxed) + 1;
        for connection in self.open.lock().values() {
            if !connection.is_idle() {
                continue;
            }
            let used = connection.used.load(Ordering::Relaxed);
            let limit = ticks(if used { idle } else { unused });
            let since = now.saturating_sub(connection.last.load(Ordering::Relaxed));
            // A client that is alive needs a moment to say goodbye too.
            if since > limit + ticks(Duration::from_secs(1)) {
                connection.tell(Order::Abort);
            } else if since > limit {
                connection.tell(Order::Finish);
            }
        }
    }

    /// Tells all, and all that will come.
    pub(crate) fn tell(&self, order: Order) {
        let open = self.open.lock();
        self.order.fetch_max(order as u8, Ordering::Relaxed);
        for connection in open.values() {
            connection.tell(order);
        }
    }

    /// Waits until none is open.
    pub(crate) async fn closed(&self) {
        loop {
            let changed = self.changed.notified();
            if self.len() == 0 {
                return;
            }
            changed.await;
        }
    }
}

/// Ends one that is idle, those that never had a request first; `false` if none is.
fn evict(open: &mut HashMap<u64, Arc<Connection>>) -> bool {
    let idle = open.iter().filter(|(_, connection)| connection.is_idle());
    let longest = idle.min_by_key(|(serial, connection)| {
        let used = connection.used.load(Ordering::Relaxed);
        (used, connection.last.load(Ordering::Relaxed), **serial)
    });
    let Some((&serial, _)) = longest else {
        return false;
    };
    if let Some(connection) = open.remove(&serial) {
        connection.tell(Order::Abort);
    }
    true
}

/// At least one, so that what came within the same tick is not idle yet.
fn ticks(time: Duration) -> u64 {
    u64::try_from(time.as_nanos() / TICK.as_nanos())
        .unwrap_or(u64::MAX / 2)
        .max(1)
}

impl Connection {
    fn is_idle(&self) -> bool {
        self.in_flight.load(Ordering::Relaxed) == 0
    }

    fn tell(&self, order: Order) {
        self.order.fetch_max(order as u8, Ordering::AcqRel);
        self.waker.wake();
    }

    /// What it is told, and whom to wake when that changes.
    pub(super) fn order(&self, waker: &Waker) -> Order {
        self.waker.register(waker);
        match self.order.load(Ordering::Acquire) {
            0 => Order::Serve,
            1 => Order::Finish,
            _ => Order::Abort,
        }
    }

    /// Marks a request as under way.
    pub(super) fn begin(self: &Arc<Self>) -> Busy {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        self.used.store(true, Ordering::Relaxed);
        Busy(Arc::clone(self))
    }
}

/// A request of a connection that is under way.
#[derive(Debug)]
pub(super) struct Busy(Arc<Connection>);

impl Drop for Busy {
    fn drop(&mut self) {
        let connection = &self.0;
        connection
            .last
            .store(connection.ticks.load(Ordering::Relaxed), Ordering::Relaxed);
        connection.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A connection's place, given back on drop.
#[derive(Debug)]
pub(crate) struct Seat {
    connections: Arc<Connections>,
    connection: Arc<Connection>,
    serial: u64,
}

impl Seat {
    pub(super) const fn connection(&self) -> &Arc<Connection> {
        &self.connection
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.connections.open.lock().remove(&self.serial);
        self.connections.changed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(seat: &Seat) -> Order {
        seat.connection().order(Waker::noop())
    }

    #[test]
    fn at_the_limit_the_longest_idle_goes_and_no_busy_one() {
        let connections = Arc::new(Connections::new(3));
        let busy = connections.open().unwrap();
        let request = busy.connection().begin();
        let used = connections.open().unwrap();
        drop(used.connection().begin());
        let unused = connections.open().unwrap();

        let fourth = connections.open().unwrap();
        assert_eq!(
            (order(&busy), order(&used), order(&unused)),
            (Order::Serve, Order::Serve, Order::Abort),
        );
        assert_eq!(connections.len(), 3);
        let requests = (fourth.connection().begin(), used.connection().begin());
        assert!(connections.open().is_none(), "all are busy");
        drop((request, requests));
        drop((busy, used, unused, fourth));
        assert_eq!(connections.len(), 0);
    }

    #[test]
    fn who_comes_after_all_were_told_to_go_is_told_too() {
        let connections = Arc::new(Connections::new(8));
        let before = connections.open().unwrap();
        connections.tell(Order::Abort);
        let after = connections.open().unwrap();
        assert_eq!((order(&before), order(&after)), (Order::Abort, Order::Abort));
    }

    #[test]
    fn a_connection_without_a_request_goes_long_before_one_that_rests() {
        let connections = Arc::new(Connections::new(8));
        let (used, unused) = (connections.open().unwrap(), connections.open().unwrap());
        drop(used.connection().begin());
        let (idle, first) = (TICK * 40, TICK * 4);
        for _ in 0..=4 {
            connections.sweep(idle, first);
        }
        assert_eq!((order(&used), order(&unused)), (Order::Serve, Order::Finish));
        for _ in 0..=36 {
            connections.sweep(idle, first);
        }
        assert_eq!((order(&used), order(&unused)), (Order::Finish, Order::Abort));
    }

    #[test]
    fn a_request_under_way_is_not_idle_however_long_it_takes() {
        let connections = Arc::new(Connections::new(8));
        let seat = connections.open().unwrap();
        let request = seat.connection().begin();
        for _ in 0..100 {
            connections.sweep(TICK, TICK);
        }
        assert_eq!(order(&seat), Order::Serve);
        drop(request);
        connections.sweep(TICK * 2, TICK * 2);
        assert_eq!(order(&seat), Order::Serve);
    }
}
