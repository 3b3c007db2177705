//! [`Admission`]: how many requests, and how many bytes of them, may be under way.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::available_parallelism;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::telemetry::Telemetry;

/// What may be under way at a time. Beyond it requests are refused at once, with word of when to come again:
/// a queue in memory would only put off the same answer.
#[derive(Debug)]
pub(crate) struct Admission {
    max_requests: usize,
    max_bytes: usize,
    requests: AtomicUsize,
    bytes: AtomicUsize,
    /// Work that keeps a processor busy: more of it at a time than there are processors only takes memory.
    turns: Arc<Semaphore>,
    telemetry: Arc<Telemetry>,
}

/// Turns at heavy work for each processor: one at it, and one whose thread is about to begin.
const TURNS: usize = 2;

/// Which limit is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Full {
    Requests,
    Bytes,
}

impl Full {
    /// What the sender is told.
    pub(crate) const fn message(self) -> &'static str {
        match self {
            Self::Requests => "the gateway has limits.requests requests under way",
            Self::Bytes => "the gateway holds limits.memory bytes of requests",
        }
    }
}

impl Admission {
    pub(crate) fn new(max_requests: usize, max_bytes: usize, telemetry: Arc<Telemetry>) -> Self {
        Self {
            max_requests,
            max_bytes,
            requests: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
            turns: Arc::new(Semaphore::new(
                TURNS * available_parallelism().map_or(1, usize::from),
            )),
            telemetry,
        }
    }

    /// A place for one request, with no bytes yet.
    pub(crate) fn enter(self: &Arc<Self>) -> Result<Ticket, Full> {
        if !add(&self.requests, 1, self.max_requests) {
            self.telemetry.refused_requests.increment();
            return Err(Full::Requests);
        }
        let mut ticket = self.beside();
        ticket.requests = 1;
        Ok(ticket)
    }

    /// For what is bounded by something else than the number of requests, such as the queue's records under way:
    /// only its bytes count.
    pub(crate) fn beside(self: &Arc<Self>) -> Ticket {
        Ticket {
            admission: Arc::clone(self),
            requests: 0,
            bytes: 0,
        }
    }

    pub(crate) fn requests(&self) -> usize {
        self.requests.load(Ordering::Relaxed)
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }
}

/// Adds unless it would go beyond `max`. What is given back in between may let a neighbour be refused that
/// would have fitted; the limit is never exceeded.
fn add(counter: &AtomicUsize, n: usize, max: usize) -> bool {
    let before = counter.fetch_add(n, Ordering::Relaxed);
    let fits = before.saturating_add(n) <= max;
    if !fits {
        counter.fetch_sub(n, Ordering::Relaxed);
    }
    fits
}

/// The place of one request and what it holds; given back on drop.
#[derive(Debug)]
pub(crate) struct Ticket {
    admission: Arc<Admission>,
    /// One, or none where only bytes count.
    requests: usize,
    bytes: usize,
}

impl Ticket {
    /// Room for `bytes` in all: for more, if it has less.
    pub(crate) fn hold(&mut self, bytes: usize) -> Result<(), Full> {
        let more = bytes.saturating_sub(self.bytes);
        if more == 0 {
            return Ok(());
        }
        if !add(&self.admission.bytes, more, self.admission.max_bytes) {
            return Err(self.full());
        }
        self.bytes += more;
        Ok(())
    }

    /// Room for `bytes` in all, or for as many as there is room for. What it then holds: never less than before.
    pub(crate) fn hold_up_to(&mut self, bytes: usize) -> usize {
        let more = bytes.saturating_sub(self.bytes);
        let max = self.admission.max_bytes;
        let mut given = 0;
        let held = &self.admission.bytes;
        // Fails only if there is no more to be had.
        let _none = held.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |held| {
            given = more.min(max.saturating_sub(held));
            (given > 0).then_some(held + given)
        });
        self.bytes += given;
        self.bytes
    }

    /// Gives back what it holds beyond `bytes`.
    pub(crate) fn shrink(&mut self, bytes: usize) {
        let less = self.bytes.saturating_sub(bytes);
        self.admission.bytes.fetch_sub(less, Ordering::Relaxed);
        self.bytes -= less;
    }

    /// Counts that there was no room for it.
    pub(crate) fn full(&self) -> Full {
        self.admission.telemetry.refused_bytes.increment();
        Full::Bytes
    }

    /// All of it as another ticket, to go with work that may outlive this one, which holds nothing then.
    pub(crate) fn take(&mut self) -> Self {
        let nothing = self.admission.beside();
        std::mem::replace(self, nothing)
    }

    /// A turn at heavy work, in the order of asking. `None` never: nobody closes it.
    pub(crate) async fn turn(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.admission.turns).acquire_owned().await.ok()
    }

    /// What it holds.
    pub(crate) const fn held(&self) -> usize {
        self.bytes
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.admission
            .requests
            .fetch_sub(self.requests, Ordering::Relaxed);
        self.admission.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admission(requests: usize, bytes: usize) -> Arc<Admission> {
        Arc::new(Admission::new(requests, bytes, Arc::default()))
    }

    #[test]
    fn a_place_is_given_back_with_all_it_held() {
        let admission = admission(1, 10);
        let mut ticket = admission.enter().unwrap();
        ticket.hold(4).unwrap();
        ticket.hold(10).unwrap();
        ticket.hold(3).unwrap();
        assert_eq!((admission.requests(), admission.bytes()), (1, 10));
        assert_eq!(admission.enter().unwrap_err(), Full::Requests);
        drop(ticket);
        assert_eq!((admission.requests(), admission.bytes()), (0, 0));
    }

    impl Admission {
        /// Every turn at heavy work.
        pub(crate) fn all_turns(&self) -> OwnedSemaphorePermit {
            let all = u32::try_from(self.turns.available_permits()).unwrap();
            Arc::clone(&self.turns).try_acquire_many_owned(all).unwrap()
        }
    }

    #[test]
    fn a_ticket_takes_what_there_is_and_gives_back_what_it_does_not_need() {
        let admission = admission(1, 10);
        let mut beside = admission.beside();
        assert_eq!(beside.hold_up_to(4), 4);
        let mut ticket = admission.enter().unwrap();
        assert_eq!(ticket.hold_up_to(usize::MAX), 6);
        assert_eq!(beside.hold_up_to(5), 4);
        ticket.shrink(7);
        ticket.shrink(1);
        assert_eq!(admission.bytes(), 5);
        let taken = ticket.take();
        drop(ticket);
        assert_eq!((admission.requests(), admission.bytes()), (1, 5));
        drop((taken, beside));
        assert_eq!((admission.requests(), admission.bytes()), (0, 0));
    }

    #[test]
    fn what_does_not_fit_takes_nothing() {
        let admission = admission(2, 10);
        let mut first = admission.enter().unwrap();
        first.hold(8).unwrap();
        let mut second = admission.enter().unwrap();
        assert_eq!(second.hold(3), Err(Full::Bytes));
        assert_eq!(second.hold(usize::MAX), Err(Full::Bytes));
        second.hold(2).unwrap();
        drop((first, second));
        assert_eq!((admission.requests(), admission.bytes()), (0, 0));
    }
}
