//! [`Admission`]: how many requests, and how many bytes of them, may be under way.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::telemetry::Telemetry;

/// What may be under way at a time. Beyond it requests are refused at once, with word of when to come again:
/// a queue in memory would only put off the same answer.
#[derive(Debug)]
pub(crate) struct Admission {
    max_requests: usize,
    max_bytes: usize,
    requests: AtomicUsize,
    bytes: AtomicUsize,
    telemetry: Arc<Telemetry>,
}

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
    pub(crate) const fn new(max_requests: usize, max_bytes: usize, telemetry: Arc<Telemetry>) -> Self {
        Self {
            max_requests,
            max_bytes,
            requests: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
            telemetry,
        }
    }

    /// A place for one request, with no bytes yet.
    pub(crate) fn enter(self: &Arc<Self>) -> Result<Ticket, Full> {
        if !add(&self.requests, 1, self.max_requests) {
            self.telemetry.refused_requests.increment();
            return Err(Full::Requests);
        }
        Ok(Ticket {
            admission: Arc::clone(self),
            bytes: 0,
        })
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
            self.admission.telemetry.refused_bytes.increment();
            return Err(Full::Bytes);
        }
        self.bytes += more;
        Ok(())
    }

    /// What it holds.
    pub(crate) const fn held(&self) -> usize {
        self.bytes
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.admission.requests.fetch_sub(1, Ordering::Relaxed);
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
