//! Deadlines on reads and writes: one timer a connection, touched only when an operation really waits.
//!
//! An operation that has to wait stores its deadline and nothing else. The timer is armed only if it
//! is not armed already for some earlier moment; when it rings too early, because the operation it
//! was armed for is long done, it is armed again for what waits now, if anything does. In the steady
//! state that is one arming per time-out and not one per operation.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Waker};
use std::time::Duration;

use evenkeel_stats::{Clock, Phase, Timestamp};
use tokio::time::{Instant, Sleep};

use crate::gate::{Gate, Ticket};
use crate::registry::Entry;

/// What is done on a connection. Each kind has one operation under way at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Read,
    Write,
    /// A flush or a shutdown. Not a write: one that is done says nothing of a write that still waits.
    Settle,
}

impl Action {
    pub(crate) const fn phase(self) -> Phase {
        match self {
            Self::Read => Phase::Read,
            Self::Write | Self::Settle => Phase::Write,
        }
    }
}

/// The operation of one kind that is under way, if any.
#[derive(Debug)]
pub(crate) struct Operation {
    /// Since when it waits; `None` as long as it does not.
    pub(crate) started: Option<Timestamp>,
    /// Whether it holds a place among the pending ones.
    pub(crate) admitted: bool,
    /// Its turn in the line for such a place.
    pub(crate) ticket: Option<Ticket>,
    /// Whether the timer rang since the deadline was last looked at.
    pub(crate) due: bool,
    /// How long it may take; `None` is for ever.
    pub(crate) timeout: Option<Duration>,
}

impl Operation {
    pub(crate) const fn new(timeout: Duration) -> Self {
        Self {
            started: None,
            admitted: false,
            ticket: None,
            due: false,
            timeout: Some(timeout),
        }
    }

    /// Ends it, however it went: its place and its turn go back at once.
    #[inline]
    pub(crate) fn end(&mut self, gate: &Gate) {
        self.started = None;
        if self.admitted {
            self.admitted = false;
            gate.leave();
        }
        if self.ticket.is_some() {
            self.give_up_turn(gate);
        }
    }

    #[cold]
    fn give_up_turn(&mut self, gate: &Gate) {
        if let Some(ticket) = self.ticket.take() {
            gate.abandon(ticket);
        }
    }
}

/// A connection's timer.
#[derive(Debug)]
pub(crate) struct Timer {
    sleep: Option<Pin<Box<Sleep>>>,
    /// When it will ring, if it is armed.
    armed_for: Option<Timestamp>,
}

impl Timer {
    pub(crate) const fn new() -> Self {
        Self {
            sleep: None,
            armed_for: None,
        }
    }

    /// When the timer was to ring, if it has rung since the last call. Disarms it.
    #[inline]
    pub(crate) fn take_ring(&mut self, entry: &Entry) -> Option<Timestamp> {
        if !entry.timer_rang.load(Ordering::Acquire) {
            return None;
        }
        entry.timer_rang.store(false, Ordering::Relaxed);
        self.armed_for.take()
    }

    /// Sees to it that the timer rings at `deadline` or before.
    #[inline]
    pub(crate) fn ensure(&mut self, deadline: Timestamp, clock: &dyn Clock, entry: &Arc<Entry>) {
        if self.armed_for.is_none_or(|armed_for| deadline < armed_for) {
            self.arm(deadline, clock, entry);
        }
    }

    #[cold]
    fn arm(&mut self, deadline: Timestamp, clock: &dyn Clock, entry: &Arc<Entry>) {
        // tokio's clock and ours may have different origins, so only the difference carries over.
        let at = Instant::now() + deadline.since(clock.now());
        let sleep = match &mut self.sleep {
            Some(sleep) => {
                sleep.as_mut().reset(at);
                sleep
            }
            none => none.insert(Box::pin(tokio::time::sleep_until(at))),
        };
        self.armed_for = Some(deadline);
        let bell = Waker::from(entry.clone());
        if sleep.as_mut().poll(&mut Context::from_waker(&bell)).is_ready() {
            bell.wake();
        }
    }
}
