//! Everything the pool knows, and its rules, as plain data under one lock.
//!
//! The counts are the permits: a connection may be dialled when `open` and the dials together leave
//! room below the maximum, and an idle connection is by itself the permission to use it. No method
//! here waits or reads a clock, and the only foreign code that runs here is the strategy, which
//! chooses addresses and must not wait; what has to happen outside is collected in [`Effects`].
//!
//! What always holds:
//! - `open` is the idle, those in use and those being checked; `open + dials <= max_connections`,
//!   save after a `resize` until what is out has come back;
//! - while connections are idle, those in line are callers that block their thread and were woken to
//!   fetch one, or there is no more than one idle connection for each of these (see [`line`]).

mod checkout;
mod dialling;
mod line;
mod upkeep;

use std::collections::VecDeque;
use std::sync::Arc;

use evenkeel_stats::Timestamp;

use crate::addresses::{AddressBook, Standing};
use crate::effects::Effects;
use crate::live::Live;
use crate::queue::Queue;
use crate::reason::ClosedCounts;
use crate::seat::Seat;
use crate::{BuildError, CloseReason, ConfigError, DialError, ReuseOrder};

pub(crate) use checkout::Returned;
pub(crate) use dialling::News;
pub(crate) use line::{Caller, Place};

use self::dialling::Dial;
use self::line::Waiter;

/// See the module.
///
/// In the order of declaration. Under contention the lock goes from core to core and takes along
/// whatever is written to: behind it comes what a hand-off writes, then what joining the line writes,
/// then what both only read.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct State<T> {
    line: Queue<Waiter<T>>,
    hits: u64,
    /// Raised when connections must be looked at again before they go back.
    epoch: u64,
    /// Free ones.
    seats: Vec<Arc<Seat<T>>>,
    waits: u64,
    /// The coarse tick of the last wait, and how many waits began in it.
    timed: (Timestamp, u32),
    /// The earliest deadline in line, or an earlier one of somebody who has left.
    earliest_deadline: Timestamp,
    /// By the time of coming back, the latest last; save that checked ones go to the front.
    idle: VecDeque<Box<Live<T>>>,
    /// When the background task will look by itself.
    wake_at: Timestamp,
    /// How many in line were woken to fetch something idle and have not come yet.
    woken: usize,
    max_idle: usize,
    max: usize,
    open: usize,
    max_waiters: usize,
    /// Oldest first.
    dials: Vec<Dial>,
    order: ReuseOrder,
    closing: bool,
    checking: usize,
    limits: Limits,
    counts: Counts,
    next_dial: u64,
    book: AddressBook,
    last_dial: Option<DialError>,
    /// Expired idle connections that stay until their successor is open.
    retiring: usize,
    /// Nothing is reaped before.
    reap_after: Timestamp,
    /// When the strategy is to see the load anew.
    rebuild_at: Timestamp,
    rng: fastrand::Rng,
}

/// The part of the configuration that rules read.
#[derive(Clone, Debug)]
pub(crate) struct Limits {
    pub(crate) min: usize,
    pub(crate) max: usize,
    pub(crate) max_idle: usize,
    pub(crate) max_waiters: usize,
    pub(crate) connect_concurrency: usize,
    pub(crate) idle_timeout: std::time::Duration,
    /// `None` is for ever.
    pub(crate) max_lifetime: Option<std::time::Duration>,
    pub(crate) lifetime_jitter: f64,
    /// `None` if there is nothing to check with.
    pub(crate) check_every: Option<std::time::Duration>,
    pub(crate) order: ReuseOrder,
}

/// Totals since the pool was built. Plain numbers: whoever changes them holds the lock anyway.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) hits: u64,
    pub(crate) misses: u64,
    pub(crate) waits: u64,
    pub(crate) created: u64,
    pub(crate) closed: ClosedCounts,
    pub(crate) timeouts: u64,
    pub(crate) refused: u64,
    pub(crate) failed_dials: u64,
    pub(crate) surplus_dials: u64,
}

/// The numbers of one moment.
#[derive(Clone, Debug)]
pub(crate) struct Census {
    pub(crate) open: usize,
    pub(crate) idle: usize,
    pub(crate) checking: usize,
    pub(crate) dialling: usize,
    pub(crate) waiting: usize,
    pub(crate) min: usize,
    pub(crate) max: usize,
    pub(crate) max_idle: usize,
    pub(crate) closing: bool,
    pub(crate) counts: Counts,
}

impl<T> State<T> {
    pub(crate) fn new(limits: Limits, book: AddressBook, seed: u64) -> Self {
        Self {
            line: Queue::new(),
            hits: 0,
            epoch: 0,
            seats: Vec::new(),
            waits: 0,
            timed: (Timestamp::ZERO, 0),
            earliest_deadline: Timestamp::MAX,
            idle: VecDeque::new(),
            wake_at: Timestamp::ZERO,
            woken: 0,
            max_idle: limits.max_idle,
            max: limits.max,
            open: 0,
            max_waiters: limits.max_waiters,
            dials: Vec::new(),
            order: limits.order,
            closing: false,
            checking: 0,
            limits,
            counts: Counts::default(),
            next_dial: 0,
            book,
            last_dial: None,
            retiring: 0,
            reap_after: Timestamp::ZERO,
            rebuild_at: Timestamp::ZERO,
            rng: fastrand::Rng::with_seed(seed),
        }
    }

    pub(crate) fn census(&self) -> Census {
        Census {
            open: self.open,
            idle: self.idle.len(),
            checking: self.checking,
            dialling: self.dials.len(),
            waiting: self.line.len(),
            min: self.limits.min,
            max: self.max,
            max_idle: self.max_idle.min(self.max),
            closing: self.closing,
            counts: Counts {
                hits: self.hits,
                waits: self.waits,
                ..self.counts
            },
        }
    }

    /// `max_idle_connections` as it was configured.
    pub(crate) const fn max_idle(&self) -> Option<usize> {
        match self.limits.max_idle {
            usize::MAX => None,
            max_idle => Some(max_idle),
        }
    }

    pub(crate) const fn book(&self) -> &AddressBook {
        &self.book
    }

    /// Whether the minimum is open, and if not, what is in the way.
    pub(crate) fn warm(&self) -> Option<Result<(), crate::CheckoutError>> {
        if self.closing {
            Some(Err(crate::CheckoutError::Closed))
        } else if self.open >= self.limits.min.min(self.book.room()) {
            Some(Ok(()))
        } else if self.book.all_dead() {
            self.last_dial
                .clone()
                .map(|error| Err(crate::CheckoutError::Connect(error)))
        } else {
            None
        }
    }

    /// Connections on loan.
    pub(crate) fn out(&self) -> usize {
        self.open.saturating_sub(self.idle.len() + self.checking)
    }

    /// Whether the addresses have room for a minimum, as far as they are limited.
    pub(crate) fn check_min(&self, min: usize) -> Result<(), ConfigError> {
        self.book.check_min(min)
    }

    /// Changes the limits; what is idle and too much goes at once, what is out on its return.
    pub(crate) fn resize(&mut self, min: usize, max: usize, now: Timestamp, fx: &mut Effects<T>) {
        self.limits.min = min;
        // Whoever waits for the minimum looks again, and what was kept for it may be due.
        fx.lists().progress = true;
        self.look_at(now, fx);
        self.max = max;
        self.epoch += 1;
        let mut surplus = self.open.saturating_sub(max);
        self.sweep(fx, |_, _| {
            let goes = surplus > 0;
            surplus = surplus.saturating_sub(1);
            goes.then_some(CloseReason::Surplus)
        });
        self.give_up_surplus(fx);
        self.plan(now, fx);
    }

    /// Changes the addresses.
    pub(crate) fn set_addresses(
        &mut self,
        targets: Vec<evenkeel_io_core::Target>,
        weights: &[u32],
        now: Timestamp,
        fx: &mut Effects<T>,
    ) -> Result<(), BuildError> {
        let seed = self.rng.u64(..);
        self.book.replace(targets, weights, now, seed)?;
        self.epoch += 1;
        self.sweep(fx, |book, live| {
            let standing = book.standing(&live.address, live.generation);
            (standing == Standing::Removed).then_some(CloseReason::Removed)
        });
        self.give_up_pointless(fx);
        fx.lists().progress = true;
        self.plan(now, fx);
        Ok(())
    }

    /// Gives up every connection to `target`: the idle ones now, the others when they come back.
    /// Says how many went now.
    pub(crate) fn invalidate(
        &mut self,
        target: &evenkeel_io_core::Target,
        now: Timestamp,
        fx: &mut Effects<T>,
    ) -> usize {
        if !self.book.invalidate(target) {
            return 0;
        }
        self.give_up_pointless(fx);
        let gone = self.sweep_old(target, fx);
        self.plan(now, fx);
        gone
    }

    /// Closes what is idle to an address whose generation was raised, and has the others looked at
    /// when they come back. Says how many went.
    fn sweep_old(&mut self, target: &evenkeel_io_core::Target, fx: &mut Effects<T>) -> usize {
        self.epoch += 1;
        let before = self.idle.len();
        self.sweep(fx, |_, live| {
            (live.address.target == *target).then_some(CloseReason::Invalidated)
        });
        before - self.idle.len()
    }

    /// Refuses newcomers, sends those who wait away, closes what is idle, gives up what is being
    /// opened.
    pub(crate) fn close(&mut self, fx: &mut Effects<T>) {
        self.closing = true;
        self.max_idle = 0;
        self.send_all_away(&crate::CheckoutError::Closed, fx);
        self.sweep(fx, |_, _| Some(CloseReason::Shutdown));
        for dial in &mut self.dials {
            fx.lists().give_up.extend(dial.give_up());
        }
        fx.lists().nudge = true;
        fx.lists().progress = true;
    }

    /// Takes out the idle connections for which there is a reason. The others keep their order.
    fn sweep(
        &mut self,
        fx: &mut Effects<T>,
        mut reason: impl FnMut(&AddressBook, &Live<T>) -> Option<CloseReason>,
    ) {
        for _ in 0..self.idle.len() {
            let Some(live) = self.idle.pop_front() else {
                break;
            };
            match reason(&self.book, &live) {
                None => self.idle.push_back(live),
                Some(reason) => self.forget(live, reason, fx),
            }
        }
    }

    /// Strikes a connection off the books; its destructor runs outside.
    fn forget(&mut self, live: Box<Live<T>>, reason: CloseReason, fx: &mut Effects<T>) {
        self.open = self.open.saturating_sub(1);
        *self.counts.closed.slot(reason) += 1;
        self.book.closed(&live.address, live.generation);
        if self.closing {
            fx.lists().progress = true;
        }
        fx.lists().close.push((live, reason));
    }

    /// Makes the background task look at `at` if it would look later.
    fn look_at(&mut self, at: Timestamp, fx: &mut Effects<T>) {
        if at < self.wake_at {
            self.wake_at = at;
            fx.lists().nudge = true;
        }
    }
}

#[cfg(all(test, evenkeel_loom))]
mod loom;
#[cfg(all(test, not(evenkeel_loom)))]
mod tests;
