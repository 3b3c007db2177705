//! The connections that are open: what each has done, and a hand to end it by.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::task::Wake;
use std::time::Duration;

use dashmap::DashMap;
use evenkeel_stats::{LocalCounter, Timestamp};
use parking_lot::Mutex;

use crate::socket::SocketHandle;
use crate::stats::Traffic;
use crate::waiter::Waiter;
use crate::{CloseReason, Target};

/// A connection's number: unique within its manager, never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(transparent))]
pub struct ConnectionId(pub(crate) u64);

impl fmt::Display for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What is known of an open connection at one moment.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct ConnectionInfo {
    /// Its number.
    pub id: ConnectionId,
    /// Who was asked for.
    #[cfg_attr(feature = "serde", serde(serialize_with = "as_text"))]
    pub target: Target,
    /// The address that answered.
    #[cfg_attr(feature = "serde", serde(serialize_with = "as_text"))]
    pub peer: Target,
    /// Our end, where it has an address.
    pub local: Option<SocketAddr>,
    /// How long it has been open.
    pub age: Duration,
    /// How long ago the last byte moved; since it was opened, if none has.
    pub idle: Duration,
    /// What it has moved.
    pub traffic: Traffic,
    /// Whether it may still be used.
    pub state: ConnectionState,
}

#[cfg(feature = "serde")]
fn as_text<S: serde::Serializer>(target: &Target, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(target)
}

/// Whether a connection may still be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum ConnectionState {
    /// It may.
    Open,
    /// The manager has ended it; its owner has not dropped it yet.
    Closing(CloseReason),
}

/// One connection's entry. The connection writes, everyone else reads.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) id: ConnectionId,
    pub(crate) target: Target,
    pub(crate) peer: Target,
    pub(crate) opened: Timestamp,
    pub(crate) last_used: AtomicU64,
    pub(crate) bytes_read: LocalCounter,
    pub(crate) bytes_written: LocalCounter,
    pub(crate) reads: LocalCounter,
    pub(crate) writes: LocalCounter,
    /// Zero while open, else one more than the reason's place among the reasons.
    closing: AtomicU8,
    pub(crate) socket: SocketHandle,
    /// Who waits to read, and who to write.
    pub(crate) reader: Waiter,
    pub(crate) writer: Waiter,
    /// Raised by the connection's timer, lowered by the connection.
    pub(crate) timer_rang: AtomicBool,
}

/// The timer's waker: one for both directions, so that either may be waiting in a task of its own.
impl Wake for Entry {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.timer_rang.store(true, Ordering::Release);
        self.reader.wake();
        self.writer.wake();
    }
}

impl Entry {
    #[inline]
    pub(crate) fn closing(&self) -> Option<CloseReason> {
        match self.closing.load(Ordering::Acquire) {
            0 => None,
            1 => Some(CloseReason::Idle),
            2 => Some(CloseReason::Shutdown),
            _ => Some(CloseReason::Requested),
        }
    }

    /// Ends the connection, unless that was done before.
    fn close(&self, reason: CloseReason) -> bool {
        let code = match reason {
            CloseReason::Idle => 1,
            CloseReason::Shutdown => 2,
            CloseReason::Requested | CloseReason::Dropped => 3,
        };
        let first = self
            .closing
            .compare_exchange(0, code, Ordering::AcqRel, Ordering::Relaxed)
            .is_ok();
        if first {
            self.socket.shut_down();
            self.reader.wake();
            self.writer.wake();
        }
        first
    }

    fn idle_since(&self) -> Timestamp {
        Timestamp::from_nanos(self.last_used.load(Ordering::Relaxed))
    }

    pub(crate) fn traffic(&self) -> Traffic {
        Traffic {
            bytes_read: self.bytes_read.value(),
            bytes_written: self.bytes_written.value(),
            reads: self.reads.value(),
            writes: self.writes.value(),
        }
    }

    pub(crate) fn info(&self, now: Timestamp) -> ConnectionInfo {
        ConnectionInfo {
            id: self.id,
            target: self.target.clone(),
            peer: self.peer.clone(),
            local: self.socket.local_addr(),
            age: now.since(self.opened),
            idle: now.since(self.idle_since()),
            traffic: self.traffic(),
            state: self
                .closing()
                .map_or(ConnectionState::Open, ConnectionState::Closing),
        }
    }
}

/// Every open connection of a manager.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    entries: DashMap<ConnectionId, Arc<Entry>>,
    next_id: AtomicU64,
    open: AtomicUsize,
    peak: AtomicUsize,
    /// What the connections that are gone had moved. Locked while one moves over, so that a
    /// snapshot counts it once: here or there.
    past: Mutex<Traffic>,
}

/// What an [`Entry`] starts from.
pub(crate) struct NewEntry {
    pub(crate) target: Target,
    pub(crate) peer: Target,
    pub(crate) socket: SocketHandle,
    pub(crate) now: Timestamp,
}

impl Registry {
    pub(crate) fn insert(&self, new: NewEntry) -> Arc<Entry> {
        let entry = Arc::new(Entry {
            id: ConnectionId(self.next_id.fetch_add(1, Ordering::Relaxed)),
            target: new.target,
            peer: new.peer,
            opened: new.now,
            last_used: AtomicU64::new(new.now.as_nanos()),
            bytes_read: LocalCounter::new(),
            bytes_written: LocalCounter::new(),
            reads: LocalCounter::new(),
            writes: LocalCounter::new(),
            closing: AtomicU8::new(0),
            socket: new.socket,
            reader: Waiter::default(),
            writer: Waiter::default(),
            timer_rang: AtomicBool::new(false),
        });
        self.entries.insert(entry.id, entry.clone());
        let open = self.open.fetch_add(1, Ordering::Relaxed) + 1;
        self.peak.fetch_max(open, Ordering::Relaxed);
        entry
    }

    pub(crate) fn remove(&self, entry: &Entry) {
        let mut past = self.past.lock();
        past.add(entry.traffic());
        if self.entries.remove(&entry.id).is_some() {
            self.open.fetch_sub(1, Ordering::Release);
        }
    }

    /// Connections open now.
    pub(crate) fn open(&self) -> usize {
        self.open.load(Ordering::Acquire)
    }

    /// The most that were open at a time.
    pub(crate) fn peak(&self) -> usize {
        self.peak.load(Ordering::Relaxed)
    }

    /// All that was ever moved.
    pub(crate) fn traffic(&self) -> Traffic {
        let past = self.past.lock();
        let mut total = *past;
        for entry in &self.entries {
            total.add(entry.traffic());
        }
        total
    }

    pub(crate) fn infos(&self, now: Timestamp) -> Vec<ConnectionInfo> {
        self.entries.iter().map(|entry| entry.info(now)).collect()
    }

    pub(crate) fn close(&self, id: ConnectionId, reason: CloseReason) -> bool {
        // The entry is cloned out so that no shard is locked while tasks wake.
        let entry = self.entries.get(&id).map(|entry| entry.value().clone());
        entry.is_some_and(|entry| entry.close(reason))
    }

    /// Ends every open connection that `choose` wants ended; gives what it was at that moment.
    pub(crate) fn close_where(
        &self,
        now: Timestamp,
        reason: CloseReason,
        choose: impl Fn(Duration) -> bool,
    ) -> Vec<ConnectionInfo> {
        let chosen: Vec<_> = self
            .entries
            .iter()
            .filter(|entry| choose(now.since(entry.idle_since())))
            .map(|entry| entry.value().clone())
            .collect();
        chosen
            .iter()
            .filter(|entry| entry.close(reason))
            .map(|entry| entry.info(now))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_and_its_timer_leave_a_connection_under_a_kibibyte() {
        let own = size_of::<crate::AsyncConnection>() + size_of::<Entry>() + size_of::<tokio::time::Sleep>();
        assert!(own < 1024, "{own}");
    }
}
