//! The rules against a simple model: every interleaving, without a runtime, a clock or a lock.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod model;
mod rules;

use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use evenkeel_io_core::Target;
use evenkeel_strategy::RoundRobin;

use super::*;
use crate::addresses::Retry;
use crate::backoff::Backoff;
use crate::effects::{DialEnd, DialOrder};
use crate::live::Home;
use crate::seat::{Seated, Served};
use crate::{CheckoutError, DialCause, DialError};

fn limits(min: usize, max: usize) -> Limits {
    Limits {
        min,
        max,
        max_idle: usize::MAX,
        max_waiters: 8,
        connect_concurrency: 3,
        idle_timeout: Duration::from_secs(60),
        max_lifetime: None,
        lifetime_jitter: 0.0,
        check_every: None,
        order: ReuseOrder::Lifo,
    }
}

fn targets(count: u16) -> Vec<Target> {
    (1..=count)
        .map(|port| Target::from(std::net::SocketAddr::from(([127, 0, 0, 1], port))))
        .collect()
}

/// An idle connection, a place in line, or neither.
type Asked = Result<Result<Box<Live<u32>>, Place<u32>>, Box<CheckoutError>>;

/// A state, the time, and what was asked for and not done yet.
struct Bench {
    state: State<u32>,
    now: Timestamp,
    orders: Vec<DialOrder>,
    /// On the way to seats. Delivered at once, unless `slow`.
    deliveries: Vec<(Seated<u32>, Served<u32>)>,
    slow: bool,
    closed: Vec<(u32, CloseReason)>,
    next: u32,
}

impl Bench {
    fn new(limits: Limits, addresses: u16) -> Self {
        let retry = Retry {
            attempts: 1,
            backoff: Backoff {
                first: Duration::from_millis(100),
                longest: Duration::from_secs(1),
            },
        };
        let book = AddressBook::new(Arc::new(RoundRobin), None, retry);
        let mut bench = Self {
            state: State::new(limits, book, 7),
            now: Timestamp::from_nanos(1),
            orders: Vec::new(),
            deliveries: Vec::new(),
            slow: false,
            closed: Vec::new(),
            next: 0,
        };
        bench.run(|state, now, fx| state.set_addresses(targets(addresses), &[], now, fx).unwrap());
        bench
    }

    /// Changes the state and keeps what that asks for.
    fn run<R>(&mut self, change: impl FnOnce(&mut State<u32>, Timestamp, &mut Effects<u32>) -> R) -> R {
        let mut fx = Effects::none();
        let result = change(&mut self.state, self.now, &mut fx);
        self.keep(fx);
        result
    }

    fn keep(&mut self, fx: Effects<u32>) {
        let Some(lists) = fx.into_lists() else {
            return;
        };
        self.orders.extend(lists.dial);
        self.closed.extend(
            lists
                .close
                .into_iter()
                .map(|(live, reason)| (live.connection, reason)),
        );
        for dial in lists.give_up {
            dial.abort();
        }
        for (next, served) in lists.serve {
            self.deliver(next, served);
        }
    }

    fn deliver(&mut self, next: Seated<u32>, served: Served<u32>) {
        self.deliveries.push((next, served));
        if !self.slow {
            self.arrive(0);
        }
    }

    /// A delivery reaches its seat.
    fn arrive(&mut self, at: usize) {
        let (next, served) = self.deliveries.remove(at);
        if let Err(Ok(live)) = next.serve(served) {
            self.run(|state, now, fx| state.take_back(live, now, fx));
        }
    }

    fn join(&mut self, blocks: bool, timeout: Duration) -> Asked {
        if let Some(live) = self.state.take_idle() {
            return Ok(Ok(live));
        }
        let caller = Caller {
            joined: self.now,
            deadline: self.now.saturating_add(timeout),
            blocks,
            keeps_turn: false,
        };
        self.run(|state, now, fx| state.join(caller, Waker::noop().clone(), now, fx))
            .map(Err)
    }

    /// A waiter that is not served at once.
    fn wait(&mut self) -> Place<u32> {
        match self.join(false, Duration::from_secs(3600)) {
            Ok(Err(place)) => place,
            other => panic!("{other:?}"),
        }
    }

    /// The waiter is polled.
    fn claim(&mut self, place: &Place<u32>) -> Poll<Served<u32>> {
        let answer = place.seat.poll(&Context::from_waker(Waker::noop()));
        if answer.is_pending() && place.blocks {
            let fetched = self.run(|state, _, fx| state.fetch(place, fx));
            return fetched.map_or(Poll::Pending, |live| Poll::Ready(Ok(live)));
        }
        answer
    }

    /// The waiter is dropped.
    fn leave(&mut self, place: &Place<u32>) {
        match place.seat.leave() {
            Some(Ok(live)) => self.run(|state, now, fx| state.take_back(live, now, fx)),
            Some(Err(_)) => {}
            None => self.run(|state, _, fx| state.leave(place, fx)),
        }
    }

    fn served(&mut self, place: &Place<u32>) -> Box<Live<u32>> {
        match self.claim(place) {
            Poll::Ready(Ok(live)) => live,
            other => panic!("{other:?}"),
        }
    }

    fn refused(&mut self, place: &Place<u32>) -> CheckoutError {
        match self.claim(place) {
            Poll::Ready(Err(error)) => *error,
            other => panic!("{other:?}"),
        }
    }

    fn give_back(&mut self, live: Box<Live<u32>>) {
        match self.state.give_back(live, self.now) {
            Returned::Idle => {}
            Returned::Wake(waker) => waker.wake(),
            Returned::Hand(next, live) => self.deliver(next, Ok(live)),
            Returned::More(fx) => self.keep(fx),
        }
    }

    /// Ends the `at`-th dial under way: with a connection, with an error, or as given up.
    fn end_dial(&mut self, at: usize, opens: bool) {
        let order = self.orders.remove(at);
        let end = if order.abort.handle().is_aborted() {
            DialEnd::GivenUp
        } else if opens {
            self.next += 1;
            DialEnd::Opened(Box::new(Live {
                connection: self.next,
                address: order.chosen.address.clone(),
                generation: order.chosen.generation,
                epoch: 0,
                born: self.now,
                expires: self.now.saturating_add(order.lifetime),
                since: self.now,
                checked: self.now,
                fresh: true,
                rested: false,
                reusable: true,
                uses: 0,
                timed: None,
                seat: None,
                home: Home(None),
            }))
        } else {
            let target = order.chosen.address.target.clone();
            DialEnd::Failed(DialError::new(target, DialCause::Panicked))
        };
        self.run(|state, now, fx| state.dial_ended(order.id, end, now, fx));
    }

    /// Opens everything that is ordered.
    fn open_all(&mut self) {
        let mut opened = 0;
        while !self.orders.is_empty() {
            self.end_dial(0, true);
            opened += 1;
            assert!(opened < 1_000, "what is opened is closed at once, for ever");
        }
    }

    fn advance(&mut self, by: Duration) {
        self.now = self.now.saturating_add(by);
    }

    fn upkeep(&mut self) -> Option<Timestamp> {
        self.run(State::upkeep)
    }
}
