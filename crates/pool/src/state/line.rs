//! The line of those who wait, and who of them is served.
//!
//! A task is served by hand-off: the connection that comes back is its own from that moment, and
//! nobody overtakes it. For a caller that *blocks its thread* the same would be a convoy: every
//! connection would lie still until the operating system has woken a thread, and the thread that
//! gave it back would go to sleep at once. Such a caller is only woken; until it comes, whoever is
//! there first may use the connection, and the caller keeps its place. One idle connection lies there
//! for each who was woken and no more: what comes back beside them is for the next in line. Once a
//! caller at the head has waited [`PATIENCE`], the next connection is handed to it after all.

use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use evenkeel_stats::{Phase, Timestamp};

use super::State;
use crate::effects::Effects;
use crate::live::Live;
use crate::queue::Number;
use crate::seat::{Seat, Seated};
use crate::{CheckoutError, CloseReason};

/// How long a caller that blocks its thread may be overtaken: some hundred wake-ups of a thread, and
/// nothing that a person or a request notices. On the coarse clock it is whatever is left of the tick.
const PATIENCE: Duration = Duration::from_millis(1);

/// How many waits that begin within one tick of the coarse clock are timed. To time one is two
/// readings of the fine clock and a record, a third of what waiting costs.
const TIMED_PER_TICK: u32 = 16;

/// Free seats that are kept: as many as connections come back in a burst, in some kilobytes.
const MOST_SEATS: usize = 64;

/// Who waits.
#[derive(Debug)]
pub(super) struct Waiter<T> {
    who: Seated<T>,
    joined: Timestamp,
    deadline: Timestamp,
    /// Blocks a thread.
    blocks: bool,
    /// Was woken to fetch an idle connection and has not come yet.
    woken: bool,
}

impl<T> Waiter<T> {
    fn is_at(&self, place: &Place<T>) -> bool {
        Arc::ptr_eq(&self.who.seat, &place.seat)
    }
}

/// How somebody asks for a connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Caller {
    pub(crate) joined: Timestamp,
    pub(crate) deadline: Timestamp,
    pub(crate) blocks: bool,
    /// Was served before with a connection that proved dead: goes to the head.
    pub(crate) keeps_turn: bool,
}

/// A place in line, as its owner has it.
#[derive(Debug)]
pub(crate) struct Place<T> {
    pub(crate) seat: Arc<Seat<T>>,
    number: Number,
    pub(crate) blocks: bool,
    /// Whether the wait is to be timed.
    pub(crate) timed: bool,
}

/// What becomes of a connection that is free.
#[derive(Debug)]
pub(super) enum Placed<T> {
    Idle,
    /// It lies idle and somebody is to come for it.
    Wake(Waker),
    /// It is this waiter's, who has left the line.
    Hand(Seated<T>, Box<Live<T>>),
}

impl<T> State<T> {
    /// Joins the line. There is no idle connection: the caller has just looked, under the same lock.
    pub(crate) fn join(
        &mut self,
        caller: Caller,
        waker: Waker,
        now: Timestamp,
        fx: &mut Effects<T>,
    ) -> Result<Place<T>, Box<CheckoutError>> {
        if self.closing {
            return Err(Box::new(CheckoutError::Closed));
        }
        if caller.deadline <= now {
            return Err(Box::new(self.timeout(caller.joined, 0, now)));
        }
        if !caller.keeps_turn && self.line.len() >= self.max_waiters {
            self.counts.refused += 1;
            return Err(Box::new(CheckoutError::QueueFull {
                limit: self.max_waiters,
            }));
        }
        let seat = self.seats.pop().unwrap_or_else(|| Arc::new(Seat::new()));
        let waiter = Waiter {
            who: Seated {
                seat: seat.clone(),
                waker,
            },
            joined: caller.joined,
            deadline: caller.deadline,
            blocks: caller.blocks,
            woken: false,
        };
        let number = if caller.keeps_turn {
            self.line.push_front(waiter)
        } else {
            self.line.push_back(waiter)
        };
        // One that keeps its turn was counted when it first had to wait, if it had to.
        self.waits += u64::from(!caller.keeps_turn);
        // Read by all and written by few.
        if caller.deadline < self.earliest_deadline {
            self.earliest_deadline = caller.deadline;
        }
        self.look_at(caller.deadline, fx);
        self.plan(now, fx);
        Ok(Place {
            seat,
            number,
            blocks: caller.blocks,
            timed: self.is_timed(now),
        })
    }

    /// Whether a wait that begins now is to be timed: rare ones all are, of a crowd the first few in
    /// each tick of the coarse clock.
    fn is_timed(&mut self, now: Timestamp) -> bool {
        if self.timed.0 != now {
            self.timed = (now, 0);
        }
        self.timed.1 += 1;
        self.timed.1 <= TIMED_PER_TICK
    }

    /// A caller that blocks its thread comes for what it was woken for. `None` if others were faster;
    /// it keeps its place then.
    pub(crate) fn fetch(&mut self, place: &Place<T>, fx: &mut Effects<T>) -> Option<Box<Live<T>>> {
        let waiter = self.line.find(place.number, |waiter| waiter.is_at(place))?;
        if !std::mem::take(&mut waiter.woken) {
            return None;
        }
        self.woken = self.woken.saturating_sub(1);
        let live = self.pop_idle()?;
        self.count(&live);
        self.line.remove(place.number, |waiter| waiter.is_at(place));
        self.match_idle(fx);
        Some(live)
    }

    /// The waiter gives up. What it was served with, if anything, it must bring back by
    /// [`take_back`](Self::take_back).
    pub(crate) fn leave(&mut self, place: &Place<T>, fx: &mut Effects<T>) {
        if let Some(waiter) = self.line.remove(place.number, |waiter| waiter.is_at(place)) {
            self.has_gone(&waiter);
            self.match_idle(fx);
            self.give_up_surplus(fx);
        }
    }

    /// Somebody is out of the line.
    #[inline]
    fn has_gone(&mut self, waiter: &Waiter<T>) {
        self.woken = self.woken.saturating_sub(usize::from(waiter.woken));
    }

    /// Whether somebody in line would be served with one more connection: not all were woken already,
    /// each for an idle one that lies there.
    #[inline]
    pub(super) fn is_short(&self) -> bool {
        self.idle.len() < self.woken || self.woken < self.line.len()
    }

    /// Gives a connection that is fit for use to the head of the line, or makes it idle; `cold` puts
    /// it to those that nobody has used for long.
    pub(super) fn place(
        &mut self,
        live: Box<Live<T>>,
        cold: bool,
        now: Timestamp,
        fx: &mut Effects<T>,
    ) -> Placed<T> {
        let mut sent_away = false;
        while let Some(waiter) = self.line.head_mut() {
            if waiter.deadline <= now {
                self.expire_head(now, fx);
                sent_away = true;
                continue;
            }
            if waiter.blocks && now.since(waiter.joined) < PATIENCE {
                return self.place_beside_sleepers(live, cold, now, fx);
            }
            return match self.pop(&live, fx) {
                Some(next) => Placed::Hand(next, live),
                None => break,
            };
        }
        self.lay_idle(live, cold, fx);
        if sent_away {
            // It was kept because somebody waited, whose time was over.
            self.match_idle(fx);
        }
        Placed::Idle
    }

    /// The same while the head of the line is a caller that blocks its thread.
    fn place_beside_sleepers(
        &mut self,
        live: Box<Live<T>>,
        cold: bool,
        now: Timestamp,
        fx: &mut Effects<T>,
    ) -> Placed<T> {
        // If somebody was woken whose connection another has taken, this one is in its place.
        while self.idle.len() >= self.woken
            && let Some((ahead, number, waiter)) = self.line.first(|waiter| !waiter.woken)
        {
            let late = waiter.deadline <= now;
            if waiter.blocks && !late {
                waiter.woken = true;
                self.woken += 1;
                let waker = waiter.who.waker();
                self.lay_idle(live, cold, fx);
                self.match_idle(fx);
                return waker.map_or(Placed::Idle, Placed::Wake);
            }
            let Some(waiter) = self.line.remove(number, |_| true) else {
                break;
            };
            if late {
                let error = self.timeout(waiter.joined, ahead, now);
                fx.lists().serve.push((waiter.who, Err(Box::new(error))));
                continue;
            }
            self.served(&live, fx);
            return Placed::Hand(waiter.who, live);
        }
        self.lay_idle(live, cold, fx);
        self.match_idle(fx);
        Placed::Idle
    }

    /// The same where effects are collected anyway.
    pub(super) fn place_later(
        &mut self,
        live: Box<Live<T>>,
        cold: bool,
        now: Timestamp,
        fx: &mut Effects<T>,
    ) {
        match self.place(live, cold, now, fx) {
            Placed::Idle => {}
            Placed::Wake(waker) => fx.lists().wake.push(waker),
            Placed::Hand(next, live) => fx.lists().serve.push((next, Ok(live))),
        }
    }

    /// Takes the head out of the line, to be served with a connection that was in use, where nothing
    /// else can come of that: it is a task in good time, nothing lies idle or is being opened, and the
    /// pool is not above its maximum.
    #[inline]
    pub(super) fn pop_task(&mut self, now: Timestamp) -> Option<Seated<T>> {
        let head = self.line.head_mut()?;
        if head.blocks || head.deadline <= now {
            return None;
        }
        if !self.idle.is_empty() || !self.dials.is_empty() || self.open > self.max {
            return None;
        }
        self.hits += 1;
        self.line.pop().map(|waiter| waiter.who)
    }

    /// A seat that nobody sits on any more.
    #[inline]
    pub(super) fn free_seat(&mut self, seat: Arc<Seat<T>>) {
        if self.seats.len() < MOST_SEATS {
            self.seats.push(seat);
        }
    }

    /// Takes the head out of the line, to be served with `live`.
    fn pop(&mut self, live: &Live<T>, fx: &mut Effects<T>) -> Option<Seated<T>> {
        let waiter = self.line.pop()?;
        self.has_gone(&waiter);
        self.served(live, fx);
        // What lay there for a sleeper is the next one's now.
        self.match_idle(fx);
        Some(waiter.who)
    }

    /// Somebody has left the line to be served with `live`.
    fn served(&mut self, live: &Live<T>, fx: &mut Effects<T>) {
        self.count(live);
        if !self.dials.is_empty() {
            self.give_up_surplus(fx);
        }
    }

    fn lay_idle(&mut self, mut live: Box<Live<T>>, cold: bool, fx: &mut Effects<T>) {
        // For somebody who waits it stays what was opened for them, until they fetch it.
        live.fresh &= !self.line.is_empty();
        live.rested = true;
        self.look_at(live.expires, fx);
        if cold {
            self.idle.push_front(live);
        } else {
            self.idle.push_back(live);
        }
    }

    /// Somebody left the line or took an idle connection: what lies idle beyond those who were woken
    /// is for the next in line, and beyond everybody as many as may be idle.
    #[inline]
    fn match_idle(&mut self, fx: &mut Effects<T>) {
        if self.idle.len() > self.woken {
            self.match_idle_slowly(fx);
        }
    }

    fn match_idle_slowly(&mut self, fx: &mut Effects<T>) {
        while self.idle.len() > self.woken
            && let Some((_, number, waiter)) = self.line.first(|waiter| !waiter.woken)
        {
            if waiter.blocks {
                waiter.woken = true;
                self.woken += 1;
                fx.lists().wake.extend(waiter.who.waker());
                continue;
            }
            if let Some(waiter) = self.line.remove(number, |_| true)
                && let Some(live) = self.pop_idle()
            {
                self.count(&live);
                fx.lists().serve.push((waiter.who, Ok(live)));
            }
        }
        while self.idle.len() > self.max_idle.max(self.woken)
            && let Some(live) = self.idle.pop_front()
        {
            self.forget(live, CloseReason::Surplus, fx);
        }
    }

    /// Sends away those whose time is over.
    pub(super) fn expire_waiters(&mut self, now: Timestamp, fx: &mut Effects<T>) {
        if now < self.earliest_deadline {
            return;
        }
        let mut earliest = Timestamp::MAX;
        let late = self.line.drain_where(|waiter| {
            let late = waiter.deadline <= now;
            if !late {
                earliest = earliest.min(waiter.deadline);
            }
            late
        });
        self.earliest_deadline = earliest;
        for (waiter, ahead) in late {
            self.has_gone(&waiter);
            let error = self.timeout(waiter.joined, ahead, now);
            fx.lists().serve.push((waiter.who, Err(Box::new(error))));
        }
        self.match_idle(fx);
        self.give_up_surplus(fx);
    }

    fn expire_head(&mut self, now: Timestamp, fx: &mut Effects<T>) {
        if let Some(waiter) = self.line.pop() {
            self.has_gone(&waiter);
            let error = self.timeout(waiter.joined, 0, now);
            fx.lists().serve.push((waiter.who, Err(Box::new(error))));
        }
    }

    fn timeout(&mut self, joined: Timestamp, ahead: usize, now: Timestamp) -> CheckoutError {
        let phase = if ahead < self.dials.len() {
            Phase::Connect
        } else {
            Phase::Queue
        };
        self.timeout_in(phase, joined, ahead, now)
    }

    /// The time of somebody is over who is not in line.
    pub(crate) fn timeout_in(
        &mut self,
        phase: Phase,
        joined: Timestamp,
        ahead: usize,
        now: Timestamp,
    ) -> CheckoutError {
        self.counts.timeouts += 1;
        CheckoutError::Timeout {
            phase,
            waited: now.since(joined),
            ahead,
            last_dial: self.last_dial.clone(),
        }
    }

    /// Gives everybody in line the same error.
    pub(super) fn send_all_away(&mut self, error: &CheckoutError, fx: &mut Effects<T>) {
        while let Some(waiter) = self.line.pop() {
            fx.lists().serve.push((waiter.who, Err(Box::new(error.clone()))));
        }
        self.woken = 0;
        self.earliest_deadline = Timestamp::MAX;
    }

    /// Tells those in line why, once there is nothing to wait for: every address has proved dead, and
    /// nothing that is open may be lent again.
    pub(super) fn give_up_hope(&mut self, fx: &mut Effects<T>) {
        if !self.line.is_empty()
            && self.book.all_dead()
            && !self.book.has_good()
            && let Some(error) = self.last_dial.clone()
        {
            self.send_all_away(&CheckoutError::Connect(error), fx);
        }
    }

    /// How many in line were woken to fetch something.
    #[cfg(all(test, not(evenkeel_loom)))]
    pub(super) fn woken_in_line(&self) -> usize {
        self.line.iter().filter(|waiter| waiter.woken).count()
    }
}
