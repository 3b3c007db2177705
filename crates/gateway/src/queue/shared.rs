//! What the queue's handles, leases and thread share.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::mpsc::Sender;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::ledger::Ledger;
use super::writer::Command;

#[derive(Debug)]
pub(super) struct Inner {
    pub(super) ledger: Mutex<Ledger>,
    /// Something may be there to take. Who takes passes it on if there is more.
    pub(super) ready: Notify,
    /// The queue was closed.
    pub(super) closed: Notify,
    pub(super) counts: Counts,
}

/// How often what happened since the queue was opened.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) commits: AtomicU64,
    pub(super) pushed: AtomicU64,
    pub(super) refused: AtomicU64,
    pub(super) delivered: AtomicU64,
    pub(super) dropped: AtomicU64,
    pub(super) expired: AtomicU64,
    pub(super) damaged: AtomicU64,
    pub(super) retries: AtomicU64,
    /// The last record that was settled was dropped.
    pub(super) dropping: AtomicBool,
}

/// A way to the thread.
#[derive(Clone, Debug)]
pub(super) struct Handle {
    pub(super) inner: Arc<Inner>,
    pub(super) commands: Sender<Command>,
}

impl Handle {
    /// Sees to it that there is something to take, and that somebody knows.
    pub(super) fn keep_going(&self) {
        let (load, more) = {
            let mut ledger = self.inner.ledger.lock();
            (ledger.wants_load(), ledger.can_take())
        };
        if load {
            // If the thread is gone the queue is closed, and nobody waits.
            let _gone = self.commands.send(Command::Load);
        }
        if more {
            self.inner.ready.notify_one();
        }
    }
}

/// Milliseconds of the Unix epoch.
#[expect(
    clippy::disallowed_methods,
    reason = "a record's age spans restarts, and machines' monotonic clocks do not"
)]
pub(super) fn wall_clock() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let now = now.unwrap_or(Duration::ZERO);
    u64::try_from(now.as_millis()).unwrap_or(u64::MAX)
}
