//! A limit: at most so many at a time, the rest wait in line.
//!
//! One word holds both the places taken and the length of the line, so entering and leaving a gate
//! that nobody waits at is one compare-and-swap and no lock. Once somebody waits, newcomers queue
//! behind, and a place that comes free is handed to the head of the line: first come, first served.
//!
//! The same gate bounds connections, connections per host and pending operations.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Waker};

use crate::sync::{Arc, AtomicU64, Mutex};

/// See the module.
#[derive(Debug)]
pub(crate) struct Gate {
    /// Places taken in the low half, length of the line in the high half.
    state: AtomicU64,
    limit: u64,
    line: Mutex<Line>,
}

#[derive(Debug, Default)]
struct Line {
    seats: VecDeque<Arc<Mutex<Seat>>>,
    /// How many of `seats` nobody sits in any more.
    left: usize,
}

#[derive(Debug)]
enum Seat {
    Waiting(Waker),
    Granted,
    Left,
}

/// A turn in a gate's line, kept by the one who waits. Give it back by [`Gate::abandon`].
#[derive(Debug)]
pub(crate) struct Ticket(Arc<Mutex<Seat>>);

const TAKEN: u64 = 0xFFFF_FFFF;
const WAITER: u64 = 1 << 32;

impl Gate {
    /// A gate of `limit` places (at most 2^32 - 2).
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            state: AtomicU64::new(0),
            limit: (limit as u64).min(TAKEN - 1),
            line: Mutex::new(Line::default()),
        }
    }

    /// Places taken now.
    pub(crate) fn taken(&self) -> usize {
        (self.state.load(Ordering::Relaxed) & TAKEN) as usize
    }

    /// The line's length now; those who gave up may be counted for a while.
    pub(crate) fn waiting(&self) -> usize {
        (self.state.load(Ordering::Relaxed) >> 32) as usize
    }

    /// Takes a place if there is one and nobody waits.
    pub(crate) fn try_enter(&self) -> bool {
        self.state
            .fetch_update(Ordering::Acquire, Ordering::Relaxed, |state| {
                (state < self.limit).then(|| state + 1)
            })
            .is_ok()
    }

    /// Takes a place, or a turn in the line. `ticket` is `None` at first and whenever this is ready.
    pub(crate) fn poll_enter(&self, ticket: &mut Option<Ticket>, cx: &mut Context<'_>) -> Poll<()> {
        if let Some(Ticket(seat)) = ticket {
            let mut seat = seat.lock();
            match &mut *seat {
                Seat::Granted => {}
                Seat::Waiting(waker) => {
                    waker.clone_from(cx.waker());
                    return Poll::Pending;
                }
                Seat::Left => return Poll::Pending,
            }
            drop(seat);
            *ticket = None;
            return Poll::Ready(());
        }
        if self.try_enter() {
            return Poll::Ready(());
        }
        let mut line = self.line.lock();
        // Under the lock the line does not change, so either a place is free now or the one who
        // leaves next finds us counted.
        let joined = self
            .state
            .fetch_update(Ordering::Acquire, Ordering::Relaxed, |state| {
                Some(if state < self.limit {
                    state + 1
                } else {
                    state + WAITER
                })
            });
        if matches!(joined, Ok(before) if before < self.limit) {
            return Poll::Ready(());
        }
        let seat = Arc::new(Mutex::new(Seat::Waiting(cx.waker().clone())));
        line.seats.push_back(seat.clone());
        *ticket = Some(Ticket(seat));
        Poll::Pending
    }

    /// Gives a place back: to the head of the line if there is one.
    pub(crate) fn leave(&self) {
        let freed = self
            .state
            .fetch_update(Ordering::Release, Ordering::Relaxed, |state| {
                (state < WAITER).then(|| state - 1)
            });
        if freed.is_err() {
            self.hand_on();
        }
    }

    fn hand_on(&self) {
        let mut line = self.line.lock();
        while let Some(next) = line.seats.pop_front() {
            self.state.fetch_sub(WAITER, Ordering::Relaxed);
            let mut seat = next.lock();
            match std::mem::replace(&mut *seat, Seat::Granted) {
                Seat::Waiting(waker) => {
                    drop(seat);
                    drop(line);
                    waker.wake();
                    return;
                }
                left => {
                    *seat = left;
                    line.left = line.left.saturating_sub(1);
                }
            }
        }
        // The line emptied while we came: the place is simply free.
        self.state.fetch_sub(1, Ordering::Release);
    }

    /// Gives up a turn. If the place was granted already, it goes to the next.
    pub(crate) fn abandon(&self, ticket: Ticket) {
        let mut line = self.line.lock();
        let before = std::mem::replace(&mut *ticket.0.lock(), Seat::Left);
        match before {
            Seat::Granted => {
                drop(line);
                self.leave();
            }
            Seat::Waiting(_) => {
                line.left += 1;
                // Seats that were left are passed over when their turn comes; sweeping them once
                // they are half of the line keeps giving up cheap and the line bounded.
                if line.left * 2 > line.seats.len() {
                    let before = line.seats.len();
                    line.seats.retain(|seat| !matches!(*seat.lock(), Seat::Left));
                    let swept = (before - line.seats.len()) as u64;
                    line.left = 0;
                    self.state.fetch_sub(swept * WAITER, Ordering::Relaxed);
                }
            }
            Seat::Left => {}
        }
    }

    /// A place, if there is one and nobody waits.
    pub(crate) fn try_place(gate: &Arc<Self>) -> Option<Place> {
        gate.try_enter().then(|| Place(gate.clone()))
    }

    /// Waits for a place.
    ///
    /// Cancel safety: dropping the future gives up the turn, and hands on a place granted meanwhile.
    pub(crate) async fn enter(gate: &Arc<Self>) -> Place {
        let mut turn = Turn { gate, ticket: None };
        poll_fn(|cx| turn.gate.poll_enter(&mut turn.ticket, cx)).await;
        Place(gate.clone())
    }
}

/// Gives the turn up when the future that waits for it is dropped.
struct Turn<'a> {
    gate: &'a Gate,
    ticket: Option<Ticket>,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            self.gate.abandon(ticket);
        }
    }
}

/// A place in a gate, given back on drop.
#[derive(Debug)]
pub(crate) struct Place(Arc<Gate>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.leave();
    }
}

#[cfg(all(test, not(evenkeel_loom)))]
mod tests;

#[cfg(all(test, evenkeel_loom))]
mod loom;
