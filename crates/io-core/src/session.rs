//! What every connection carries beside its stream: its deadlines, its place at the limits, its entry
//! in the registry. Dropping it gives all of that back.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::Duration;

use evenkeel_stats::{Clock, Failure, FailureKind, Timestamp};

use crate::AsyncIoConfig;
use crate::deadline::{Action, Operation, Timer};
use crate::error::{CloseReason, IoError, Limit};
use crate::limits::Places;
use crate::manager::Shared;
use crate::registry::Entry;
use crate::waiter::Watch;

/// A task that waits for a deadline comes within this time when it rings, however busy its runtime.
const PROMPT: Duration = Duration::from_secs(1);

/// See the module.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) shared: Arc<Shared>,
    pub(crate) entry: Arc<Entry>,
    read: Operation,
    write: Operation,
    settle: Operation,
    reader: Watch,
    writer: Watch,
    timer: Timer,
    /// Whether anybody was told of this connection, and so has to be told of its end.
    pub(crate) announced: bool,
    /// The moment the timer last rang for.
    rang_for: Timestamp,
    /// Whether an operation ended before it was done.
    cut: bool,
    /// Dropped last: the next in line may connect only when this one has left the registry.
    _places: Places,
}

impl Session {
    pub(crate) fn new(shared: Arc<Shared>, entry: Arc<Entry>, places: Places) -> Self {
        let AsyncIoConfig {
            read_timeout,
            write_timeout,
            ..
        } = shared.config;
        Self {
            shared,
            entry,
            read: Operation::new(read_timeout),
            write: Operation::new(write_timeout),
            settle: Operation::new(write_timeout),
            reader: Watch::default(),
            writer: Watch::default(),
            timer: Timer::new(),
            announced: false,
            rang_for: Timestamp::ZERO,
            cut: false,
            _places: places,
        }
    }

    pub(crate) const fn operation(&mut self, action: Action) -> &mut Operation {
        match action {
            Action::Read => &mut self.read,
            Action::Write => &mut self.write,
            Action::Settle => &mut self.settle,
        }
    }

    /// Runs one poll of a read or a write, and counts it when it is done.
    #[inline]
    pub(crate) fn transfer(
        &mut self,
        action: Action,
        cx: &mut Context<'_>,
        poll: impl FnOnce(&mut Context<'_>) -> Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        let result = self.run(action, cx, poll);
        if let Poll::Ready(Ok(n)) = result {
            // A socket that was shut down under a read gives the same zero as a peer that is done.
            if n == 0
                && let Some(reason) = self.entry.closing()
            {
                return Poll::Ready(Err(self.closed(action, reason)));
            }
            let (bytes, operations) = match action {
                Action::Read => (&self.entry.bytes_read, &self.entry.reads),
                Action::Write | Action::Settle => (&self.entry.bytes_written, &self.entry.writes),
            };
            bytes.add(n as u64);
            operations.increment();
            let now = self.shared.clock.coarse();
            self.entry.last_used.store(now.as_nanos(), Ordering::Relaxed);
        }
        result
    }

    /// Runs one poll of an operation: within its deadline, unless the manager has closed.
    #[inline]
    pub(crate) fn run<T>(
        &mut self,
        action: Action,
        cx: &mut Context<'_>,
        poll: impl FnOnce(&mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if let Some(reason) = self.entry.closing() {
            return Poll::Ready(Err(self.closed(action, reason)));
        }
        if self.operation(action).ticket.is_some() && !self.admit(action, cx) && !self.rung(action) {
            // Still in line: the stream is left alone, or the limit would be none. But when time is up
            // it is looked at once more: what can be done by then needs no turn.
            return self.wait(action, cx);
        }
        match poll(cx) {
            Poll::Ready(Ok(done)) => {
                if let Some(started) = self.operation(action).started {
                    self.waited(action, started);
                }
                Poll::Ready(Ok(done))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(self.failed(action, error))),
            Poll::Pending => self.wait(action, cx),
        }
    }

    /// Whether every operation ran to its end and none is under way.
    pub(crate) const fn is_settled(&self) -> bool {
        let started = self.read.started.is_some() || self.write.started.is_some();
        !(self.cut || started || self.settle.started.is_some())
    }

    /// The caller of `action` has gone; if that was under way, it is cut short.
    #[inline]
    pub(crate) fn walk_away(&mut self, action: Action) {
        self.cut |= self.operation(action).started.is_some();
        self.end(action);
    }

    /// Forgets the operation under way on `action`.
    #[inline]
    pub(crate) fn end(&mut self, action: Action) {
        let Self {
            shared,
            read,
            write,
            settle,
            ..
        } = self;
        let operation = match action {
            Action::Read => read,
            Action::Write => write,
            Action::Settle => settle,
        };
        operation.end(&shared.limits.pending);
    }

    /// Lets go of the tasks that used the connection, if none waits now.
    pub(crate) fn rest(&mut self) {
        if self.read.started.is_none() {
            self.reader.clear(&self.entry.reader);
        }
        if self.write.started.is_none() && self.settle.started.is_none() {
            self.writer.clear(&self.entry.writer);
        }
    }

    /// An operation that had to wait is done.
    #[inline]
    fn waited(&mut self, action: Action, started: Timestamp) {
        let took = self.shared.clock.now().nanos_since(started);
        match action {
            Action::Read => self.shared.recorder.read_wait.record(took),
            Action::Write => self.shared.recorder.write_wait.record(took),
            Action::Settle => {}
        }
        self.end(action);
    }

    /// Whether the operation may wait: it has a place among the pending ones, or gets one now.
    #[inline]
    fn admit(&mut self, action: Action, cx: &mut Context<'_>) -> bool {
        let Self {
            shared,
            read,
            write,
            settle,
            ..
        } = self;
        let operation = match action {
            Action::Read => read,
            Action::Write => write,
            Action::Settle => settle,
        };
        if !operation.admitted {
            operation.admitted = shared
                .limits
                .pending
                .poll_enter(&mut operation.ticket, cx)
                .is_ready();
        }
        operation.admitted
    }

    /// Whether the timer has rung since this operation's deadline was last looked at.
    fn rung(&mut self, action: Action) -> bool {
        self.operation(action).due || self.entry.timer_rang.load(Ordering::Acquire)
    }

    /// The operation has to wait: for the peer, or for its turn to wait for the peer.
    #[inline]
    fn wait<T>(&mut self, action: Action, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        match action {
            Action::Read => self.reader.set(&self.entry.reader, cx.waker()),
            Action::Write | Action::Settle => self.writer.set(&self.entry.writer, cx.waker()),
        }
        // Looked at after the waker is set: whoever closes marks first and wakes then.
        if let Some(reason) = self.entry.closing() {
            return Poll::Ready(Err(self.closed(action, reason)));
        }
        if self.operation(action).ticket.is_none() {
            self.admit(action, cx);
        }
        let started = match self.operation(action).started {
            Some(started) => started,
            None => {
                let now = self.shared.clock.now();
                self.operation(action).started = Some(now);
                now
            }
        };
        let Some(timeout) = self.operation(action).timeout else {
            return Poll::Pending;
        };
        let mut deadline = started.saturating_add(timeout);
        if let Some(rang_for) = self.timer.take_ring(&self.entry) {
            self.read.due = true;
            self.write.due = true;
            self.settle.due = true;
            self.rang_for = rang_for;
        }
        if std::mem::take(&mut self.operation(action).due) {
            // What the timer waited for has passed, whatever the finer clock says.
            let now = self.shared.clock.now().max(self.rang_for);
            if deadline <= now {
                if now.since(deadline) <= timeout.min(PROMPT) {
                    return Poll::Ready(Err(self.timed_out(action)));
                }
                // Nobody came when the timer rang: that wait was given up, through a wrapper that
                // could not say so. This is another one.
                self.operation(action).started = Some(now);
                deadline = now.saturating_add(timeout);
            }
        }
        self.timer.ensure(deadline, &*self.shared.clock, &self.entry);
        Poll::Pending
    }

    #[cold]
    fn timed_out(&mut self, action: Action) -> io::Error {
        let peer = self.entry.peer.clone();
        let phase = action.phase();
        let operation = self.operation(action);
        let after = operation.timeout.unwrap_or_default();
        let queued = operation.ticket.is_some();
        self.cut = true;
        self.end(action);
        if queued {
            self.count(action, FailureKind::Limit);
            IoError::Limit {
                peer,
                phase,
                limit: Limit::PendingOperations,
                after,
            }
            .into()
        } else {
            self.count(action, FailureKind::Timeout);
            IoError::Timeout { peer, phase, after }.into()
        }
    }

    #[cold]
    fn failed(&mut self, action: Action, error: io::Error) -> io::Error {
        // A socket that was shut down under a pending operation says something of its own.
        if let Some(reason) = self.entry.closing() {
            return self.closed(action, reason);
        }
        self.count(action, FailureKind::of_io(&error));
        self.cut = true;
        self.end(action);
        error
    }

    #[cold]
    fn closed(&mut self, action: Action, reason: CloseReason) -> io::Error {
        self.cut = true;
        self.end(action);
        IoError::Closed {
            peer: self.entry.peer.clone(),
            reason,
        }
        .into()
    }

    fn count(&self, action: Action, kind: FailureKind) {
        self.shared.recorder.failures.record(Failure {
            phase: action.phase(),
            kind,
        });
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.end(Action::Read);
        self.end(Action::Write);
        self.end(Action::Settle);
        self.shared.registry.remove(&self.entry);
        self.shared.gone(&self.entry, self.announced);
    }
}
