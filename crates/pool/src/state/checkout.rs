//! Out and back: the two transitions that every use of a connection makes.

use std::task::Waker;

use evenkeel_stats::Timestamp;

use super::State;
use super::line::Placed;
use crate::CloseReason;
use crate::ReuseOrder;
use crate::addresses::Standing;
use crate::effects::Effects;
use crate::live::Live;
use crate::seat::Seated;

/// What to do after a connection came back. The two common answers carry no lists.
#[derive(Debug)]
pub(crate) enum Returned<T> {
    Idle,
    /// It lies idle, and somebody is to come for it.
    Wake(Waker),
    /// It is this waiter's.
    Hand(Seated<T>, Box<Live<T>>),
    More(Effects<T>),
}

impl<T> State<T> {
    /// An idle connection, if there is one.
    ///
    /// Nobody in line is robbed: while connections are idle, nobody is in line but callers that block
    /// their thread and were woken, and those may be overtaken for a while.
    #[inline]
    pub(crate) fn take_idle(&mut self) -> Option<Box<Live<T>>> {
        let mut live = self.pop_idle()?;
        // Whomever it was opened for, it is open before this one asks.
        live.fresh = false;
        self.hits += 1;
        Some(live)
    }

    #[inline]
    pub(super) fn pop_idle(&mut self) -> Option<Box<Live<T>>> {
        match self.order {
            ReuseOrder::Lifo => self.idle.pop_back(),
            ReuseOrder::Fifo => self.idle.pop_front(),
        }
    }

    /// Counts what somebody was served with.
    #[inline]
    pub(super) fn count(&mut self, live: &Live<T>) {
        if live.fresh {
            self.counts.misses += 1;
        } else {
            self.hits += 1;
        }
    }

    /// A connection comes back.
    #[inline]
    pub(crate) fn give_back(&mut self, mut live: Box<Live<T>>, now: Timestamp) -> Returned<T> {
        if let Some(seat) = live.seat.take() {
            self.free_seat(seat);
        }
        if live.epoch == self.epoch && now < live.expires {
            if self.line.is_empty() {
                if self.idle.len() < self.max_idle && live.expires >= self.wake_at {
                    self.idle.push_back(live);
                    return Returned::Idle;
                }
            } else if let Some(next) = self.pop_task(now) {
                return Returned::Hand(next, live);
            }
        }
        self.give_back_slowly(live, now)
    }

    fn give_back_slowly(&mut self, mut live: Box<Live<T>>, now: Timestamp) -> Returned<T> {
        let mut fx = Effects::none();
        if let Some(reason) = self.judge(&mut live, now) {
            self.discard(live, reason, now, &mut fx);
            return Returned::More(fx);
        }
        let placed = self.place(live, false, now, &mut fx);
        if fx.is_none() {
            return match placed {
                Placed::Idle => Returned::Idle,
                Placed::Wake(waker) => Returned::Wake(waker),
                Placed::Hand(next, live) => Returned::Hand(next, live),
            };
        }
        match placed {
            Placed::Idle => {}
            Placed::Wake(waker) => fx.lists().wake.push(waker),
            Placed::Hand(next, live) => fx.lists().serve.push((next, Ok(live))),
        }
        Returned::More(fx)
    }

    /// A connection comes back from a waiter that it was handed to and that has gone.
    pub(crate) fn take_back(&mut self, live: Box<Live<T>>, now: Timestamp, fx: &mut Effects<T>) {
        let count = if live.fresh {
            &mut self.counts.misses
        } else {
            &mut self.hits
        };
        *count = count.saturating_sub(1);
        self.put_back(live, now, fx);
    }

    /// The same for whoever has effects to collect already.
    pub(super) fn put_back(&mut self, mut live: Box<Live<T>>, now: Timestamp, fx: &mut Effects<T>) {
        if let Some(reason) = self.judge(&mut live, now) {
            self.discard(live, reason, now, fx);
        } else {
            self.place_later(live, false, now, fx);
        }
    }

    /// A connection that is open and out goes for good.
    pub(crate) fn discard(
        &mut self,
        live: Box<Live<T>>,
        reason: CloseReason,
        now: Timestamp,
        fx: &mut Effects<T>,
    ) {
        self.forget(live, reason, fx);
        self.plan(now, fx);
        self.give_up_hope(fx);
    }

    /// A connection was taken that only somebody who waits may have: it goes back unused.
    pub(crate) fn lay_back(&mut self, live: Box<Live<T>>, now: Timestamp, fx: &mut Effects<T>) {
        self.uncount();
        self.put_back(live, now, fx);
    }

    /// A connection was counted as a hit, and then proved dead. (One that was just opened is not
    /// looked at.)
    pub(crate) fn uncount(&mut self) {
        self.hits = self.hits.saturating_sub(1);
    }

    /// A connection is taken out by its holder. Gives the place back.
    pub(crate) fn detach(&mut self, live: &Live<T>, now: Timestamp, fx: &mut Effects<T>) {
        self.open = self.open.saturating_sub(1);
        self.counts.closed.detached += 1;
        self.book.closed(&live.address, live.generation);
        if self.closing {
            fx.lists().progress = true;
        }
        self.plan(now, fx);
        self.give_up_hope(fx);
    }

    /// Why a connection may not go back, if it may not.
    pub(super) fn judge(&self, live: &mut Live<T>, now: Timestamp) -> Option<CloseReason> {
        if self.closing {
            return Some(CloseReason::Shutdown);
        }
        if live.epoch != self.epoch {
            match self.book.standing(&live.address, live.generation) {
                Standing::Good => live.epoch = self.epoch,
                Standing::Invalidated => return Some(CloseReason::Invalidated),
                Standing::Removed => return Some(CloseReason::Removed),
            }
        }
        if live.expires <= now {
            return Some(CloseReason::Expired);
        }
        let too_many = self.open > self.max || (!self.is_short() && self.idle.len() >= self.max_idle);
        too_many.then_some(CloseReason::Surplus)
    }
}
