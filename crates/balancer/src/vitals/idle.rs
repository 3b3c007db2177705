//! Waiting for the end of what is in flight.

use std::time::Duration;

use super::Vitals;

impl Vitals {
    /// Waits until nothing is in flight.
    pub(crate) async fn idle(&self) {
        let _watching = self.signals.watch();
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
