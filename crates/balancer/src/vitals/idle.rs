//! Waiting for the end of what is in flight.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use super::Vitals;

impl Vitals {
    /// Waits until nothing is in flight.
    pub(crate) async fn idle(&self) {
        self.watchers.fetch_add(1, Ordering::SeqCst);
        let _watching = Watching(&self.watchers);
        loop {
            let ended = self.idle.notified();
            if self.cell().in_flight() == 0 {
                return;
            }
            // The count is relaxed, so its last change may be seen late; then the time brings it.
            tokio::select! {
                () = ended => {}
                () = tokio::time::sleep(Duration::from_millis(10)) => {}
            }
        }
    }
}

/// Somebody waits for the last request in flight, until this is dropped.
struct Watching<'a>(&'a AtomicU32);

impl Drop for Watching<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}
