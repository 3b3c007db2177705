//! [`Lease`]: a record that is under way.

use std::fmt;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use evenkeel_otlp::Export;

use super::ledger::Held;
use super::shared::{Handle, wall_clock};
use super::writer::Command;

/// A record that is under way to a collector. It stays on disk until it is settled; dropped, it is handed out
/// again, before all that came after it.
pub struct Lease {
    handle: Handle,
    id: u64,
    /// `None` once settled.
    held: Option<Held>,
    export: Export,
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

impl Lease {
    pub(super) fn new(handle: Handle, id: u64, held: Held) -> Self {
        Self {
            handle,
            id,
            export: held.export.clone(),
            held: Some(held),
        }
    }

    /// Where it stands in the order of arrival.
    #[must_use]
    pub const fn id(&self) -> u64 {
        self.id
    }

    /// What is to be sent.
    #[must_use]
    pub const fn export(&self) -> &Export {
        &self.export
    }

    /// How long ago it was taken into the queue, by the wall clock; zero if that went backwards.
    #[must_use]
    pub fn age(&self) -> Duration {
        let came_at = self.held.as_ref().map_or(0, |held| held.came_at);
        Duration::from_millis(wall_clock().saturating_sub(came_at))
    }

    /// It arrived: it leaves the queue, on disk within some ten milliseconds.
    pub fn acknowledge(self) {
        let counts = &self.handle.inner.counts;
        counts.delivered.fetch_add(1, Relaxed);
        if counts.dropping.load(Relaxed) {
            counts.dropping.store(false, Relaxed);
        }
        self.settle();
    }

    /// It will never be taken by anybody: it leaves the queue, and is counted. The first after records that
    /// arrived is logged with its reason.
    pub fn discard(self, reason: &str) {
        self.handle.inner.counts.dropped.fetch_add(1, Relaxed);
        if !self.handle.inner.counts.dropping.swap(true, Relaxed) {
            tracing::warn!(
                signal = self.export.signal().as_str(),
                bytes = self.export.body().len(),
                reason,
                "queue.records_dropped"
            );
        }
        self.settle();
    }

    /// It is too old: it leaves the queue, and is counted.
    pub(super) fn expire(self) {
        self.handle.inner.counts.expired.fetch_add(1, Relaxed);
        self.settle();
    }

    fn settle(mut self) {
        if let Some(held) = self.held.take() {
            self.handle
                .inner
                .ledger
                .lock()
                .done(held.export.body().len() as u64);
            // If the thread is gone the queue is closed; the record is delivered again after the next start.
            let _gone = self.handle.commands.send(Command::Done(self.id));
            self.handle.keep_going();
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(held) = self.held.take() {
            self.handle.inner.ledger.lock().give_back(self.id, held);
            self.handle.keep_going();
        }
    }
}
