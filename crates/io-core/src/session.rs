//! What every connection carries beside its stream: its deadlines, its place at the limits, its entry
//! in the registry. Dropping it gives all of that back.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};

use evenkeel_stats::{Clock, Failure, FailureKind, Timestamp};

use crate::deadline::{Operation, Side, Timer};
use crate::error::{CloseReason, IoError, Limit};
use crate::limits::Places;
use crate::manager::Shared;
use crate::registry::Entry;

/// See the module.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) shared: Arc<Shared>,
    pub(crate) entry: Arc<Entry>,
    read: Operation,
    write: Operation,
    timer: Timer,
    /// The moment the timer last rang for.
    rang_for: Timestamp,
    /// Dropped last: the next in line may connect only when this one has left the registry.
    _places: Places,
}

impl Session {
    pub(crate) fn new(shared: Arc<Shared>, entry: Arc<Entry>, places: Places) -> Self {
        let read = Operation::new(shared.config.read_timeout);
        let write = Operation::new(shared.config.write_timeout);
        Self {
            shared,
            entry,
            read,
            write,
            timer: Timer::new(),
            rang_for: Timestamp::ZERO,
            _places: places,
        }
    }

    pub(crate) fn operation(&mut self, side: Side) -> &mut Operation {
        match side {
            Side::Read => &mut self.read,
            Side::Write => &mut self.write,
        }
    }

    /// Runs one poll of a read or a write, and counts it when it is done.
    #[inline]
    pub(crate) fn transfer(
        &mut self,
        side: Side,
        cx: &mut Context<'_>,
        poll: impl FnOnce(&mut Context<'_>) -> Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        if let Some(reason) = self.entry.closing() {
            return Poll::Ready(Err(self.closed(side, reason)));
        }
        let started = match self.operation(side).started {
            Some(started) => started,
            None => {
                let now = self.shared.clock.now();
                self.operation(side).started = Some(now);
                now
            }
        };
        if self.operation(side).ticket.is_some() && !self.admit(side, cx) {
            // Still in line: the stream is left alone, or the limit would be none.
            return self.wait(side, cx);
        }
        match poll(cx) {
            Poll::Ready(Ok(n)) => {
                self.finish(side, started, n);
                Poll::Ready(Ok(n))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(self.failed(side, error))),
            Poll::Pending => self.wait(side, cx),
        }
    }

    /// Runs one poll of a flush or a shutdown: the write deadline holds, nothing is counted.
    #[inline]
    pub(crate) fn settle(
        &mut self,
        cx: &mut Context<'_>,
        poll: impl FnOnce(&mut Context<'_>) -> Poll<io::Result<()>>,
    ) -> Poll<io::Result<()>> {
        if let Some(reason) = self.entry.closing() {
            return Poll::Ready(Err(self.closed(Side::Write, reason)));
        }
        match poll(cx) {
            Poll::Ready(Ok(())) => {
                self.abandon(Side::Write);
                Poll::Ready(Ok(()))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(self.failed(Side::Write, error))),
            Poll::Pending => {
                let shared = &self.shared;
                self.write.started.get_or_insert_with(|| shared.clock.now());
                self.wait(Side::Write, cx)
            }
        }
    }

    /// Forgets the operation under way on `side`, because its caller has.
    #[inline]
    pub(crate) fn abandon(&mut self, side: Side) {
        match side {
            Side::Read => self.read.end(&self.shared.limits.pending),
            Side::Write => self.write.end(&self.shared.limits.pending),
        }
    }

    #[inline]
    fn finish(&mut self, side: Side, started: Timestamp, n: usize) {
        let now = self.shared.clock.now();
        let took = now.nanos_since(started);
        self.entry.last_used.store(now.as_nanos(), Ordering::Relaxed);
        match side {
            Side::Read => {
                self.shared.recorder.read_time.record(took);
                self.entry.bytes_read.add(n as u64);
                self.entry.reads.increment();
            }
            Side::Write => {
                self.shared.recorder.write_time.record(took);
                self.entry.bytes_written.add(n as u64);
                self.entry.writes.increment();
            }
        }
        self.abandon(side);
    }

    #[cold]
    fn failed(&mut self, side: Side, error: io::Error) -> io::Error {
        // A socket that was shut down under a pending operation says something of its own.
        if let Some(reason) = self.entry.closing() {
            return self.closed(side, reason);
        }
        self.count(side, FailureKind::of_io(&error));
        self.abandon(side);
        error
    }

    #[cold]
    fn closed(&mut self, side: Side, reason: CloseReason) -> io::Error {
        self.abandon(side);
        IoError::Closed {
            peer: self.entry.peer.clone(),
            reason,
        }
        .into()
    }

    /// Whether the operation may wait: it has a place among the pending ones, or gets one now.
    fn admit(&mut self, side: Side, cx: &mut Context<'_>) -> bool {
        let operation = match side {
            Side::Read => &mut self.read,
            Side::Write => &mut self.write,
        };
        if !operation.admitted {
            operation.admitted = self
                .shared
                .limits
                .pending
                .poll_enter(&mut operation.ticket, cx)
                .is_ready();
        }
        operation.admitted
    }

    /// The operation has to wait: for the peer, or for its turn to wait for the peer.
    fn wait<T>(&mut self, side: Side, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        match side {
            Side::Read => self.entry.reader.register(cx.waker()),
            Side::Write => self.entry.writer.register(cx.waker()),
        }
        // Looked at after registering: whoever closes sets the mark first and wakes then.
        if let Some(reason) = self.entry.closing() {
            return Poll::Ready(Err(self.closed(side, reason)));
        }
        if self.operation(side).ticket.is_none() {
            self.admit(side, cx);
        }
        let operation = self.operation(side);
        let (Some(started), Some(timeout)) = (operation.started, operation.timeout) else {
            return Poll::Pending;
        };
        let deadline = started.saturating_add(timeout);
        if let Some(rang_for) = self.timer.take_ring(&self.entry) {
            self.read.due = true;
            self.write.due = true;
            self.rang_for = rang_for;
        }
        if std::mem::take(&mut self.operation(side).due) {
            // What the timer waited for has passed, whatever the finer clock says.
            let now = self.shared.clock.now().max(self.rang_for);
            if deadline <= now {
                return Poll::Ready(Err(self.timed_out(side)));
            }
        }
        self.timer.ensure(deadline, &*self.shared.clock, &self.entry);
        Poll::Pending
    }

    #[cold]
    fn timed_out(&mut self, side: Side) -> io::Error {
        let peer = self.entry.peer.clone();
        let phase = side.phase();
        let operation = self.operation(side);
        let after = operation.timeout.unwrap_or_default();
        let queued = operation.ticket.is_some();
        self.abandon(side);
        if queued {
            self.count(side, FailureKind::Limit);
            IoError::Limit {
                peer,
                phase,
                limit: Limit::PendingOperations,
                after,
            }
            .into()
        } else {
            self.count(side, FailureKind::Timeout);
            IoError::Timeout { peer, phase, after }.into()
        }
    }

    fn count(&self, side: Side, kind: FailureKind) {
        self.shared.recorder.failures.record(Failure {
            phase: side.phase(),
            kind,
        });
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.abandon(Side::Read);
        self.abandon(Side::Write);
        self.shared.registry.remove(&self.entry);
        self.shared.closed(&self.entry);
    }
}
