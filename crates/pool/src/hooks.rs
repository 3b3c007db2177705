//! [`Hooks`]: a hand in the life of each connection.

use evenkeel_io_core::Target;

use crate::CloseReason;

/// Is shown every connection at the turns of its life. Every method does nothing unless it is written.
///
/// For counting only, [`Observe`](evenkeel_stats::Observe) is the simpler tap. Methods run on the
/// task that caused the event, outside every lock, and must not block. A panic in one costs the
/// connection it was shown, and nothing else; one in [`created`](Self::created) counts as a failed connect.
pub trait Hooks<T>: Send + Sync {
    /// A connection to `target` was opened. Nobody has used it yet.
    fn created(&self, connection: &mut T, target: &Target) {
        let _ = (connection, target);
    }

    /// It is about to be handed out.
    fn checked_out(&self, connection: &mut T) {
        let _ = connection;
    }

    /// It came back and is about to be idle or to go to the next.
    fn returned(&self, connection: &mut T) {
        let _ = connection;
    }

    /// It is about to be dropped. Not called for a connection that was detached.
    fn closed(&self, connection: &mut T, reason: CloseReason) {
        let _ = (connection, reason);
    }
}
