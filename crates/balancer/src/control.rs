//! [`Control`]: how whoever sees a change tells the one who rebuilds.

use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Notify;

/// A request to rebuild, coalesced: a storm of changes is one request until it is taken.
#[derive(Debug, Default)]
pub(crate) struct Control {
    asked: AtomicBool,
    notify: Notify,
}

impl Control {
    /// The picker is to be built anew, soon.
    pub(crate) fn ask_rebuild(&self) {
        if !self.asked.swap(true, Ordering::AcqRel) {
            self.notify.notify_one();
        }
    }

    /// Whether a rebuild was asked for since the last time.
    pub(crate) fn take(&self) -> bool {
        self.asked.swap(false, Ordering::AcqRel)
    }

    /// Wakes whoever waits, without asking for anything: to look whether the balancer is still there.
    pub(crate) fn wake(&self) {
        self.notify.notify_one();
    }

    /// Waits until a rebuild is asked for. Cancel safe: what was asked stays so until it is taken.
    pub(crate) async fn asked(&self) {
        self.notify.notified().await;
    }
}
