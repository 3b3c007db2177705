//! Every interleaving of few threads at the hand-off: the pool's lock, the seat's lock, and the steps
//! between them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use ::loom::{model, thread};
use evenkeel_strategy::RoundRobin;

use super::*;
use crate::addresses::{Address, Retry};
use crate::backoff::Backoff;
use crate::live::Home;
use crate::seat::{Seated, Served};
use crate::sync::Mutex;

const NOW: Timestamp = Timestamp::from_nanos(1);

/// A pool of one connection that opens no more: it has no addresses.
#[derive(Clone)]
struct Pool(Arc<Mutex<State<u32>>>);

impl Pool {
    fn new() -> Self {
        let limits = Limits {
            min: 0,
            max: 1,
            max_idle: 1,
            max_waiters: 8,
            connect_concurrency: 1,
            idle_timeout: Duration::from_secs(60),
            max_lifetime: None,
            lifetime_jitter: 0.0,
            check_every: None,
            order: ReuseOrder::Lifo,
        };
        let retry = Retry {
            attempts: 0,
            backoff: Backoff {
                first: Duration::from_secs(1),
                longest: Duration::from_secs(1),
            },
        };
        let mut state = State::new(limits, AddressBook::new(Arc::new(RoundRobin), None, retry), 1);
        state.open = 1;
        Self(Arc::new(Mutex::new(state)))
    }

    fn serve(&self, next: Seated<u32>, served: Served<u32>) {
        match next.serve(served) {
            Ok(waker) => waker.wake(),
            Err(Ok(live)) => self.take_back(live),
            Err(Err(_)) => {}
        }
    }

    fn take_back(&self, live: Box<Live<u32>>) {
        let mut fx = Effects::none();
        self.0.lock().take_back(live, NOW, &mut fx);
        self.perform(fx);
    }

    fn perform(&self, fx: Effects<u32>) {
        let Some(lists) = fx.into_lists() else {
            return;
        };
        for waker in lists.wake {
            waker.wake();
        }
        for (next, served) in lists.serve {
            self.serve(next, served);
        }
    }

    fn give_back(&self, live: Box<Live<u32>>) {
        let returned = self.0.lock().give_back(live, NOW);
        match returned {
            Returned::Idle => {}
            Returned::Wake(waker) => waker.wake(),
            Returned::Hand(next, live) => self.serve(next, Ok(live)),
            Returned::More(fx) => self.perform(fx),
        }
    }

    /// An idle connection or a place in line.
    fn ask(&self, blocks: bool) -> Result<Box<Live<u32>>, Waiting> {
        let bell = Arc::new(Bell::default());
        let caller = Caller {
            joined: NOW,
            deadline: Timestamp::MAX,
            blocks,
            keeps_turn: false,
        };
        let mut state = self.0.lock();
        if let Some(live) = state.take_idle() {
            return Ok(live);
        }
        let mut fx = Effects::none();
        let place = state
            .join(caller, Waker::from(bell.clone()), NOW, &mut fx)
            .unwrap();
        drop(state);
        self.perform(fx);
        Err(Waiting { place, bell })
    }

    /// The waiter is polled because it was woken.
    fn poll(&self, waiting: &Waiting) -> Poll<Served<u32>> {
        if !waiting.bell.0.swap(false, Ordering::SeqCst) {
            return Poll::Pending;
        }
        let place = &waiting.place;
        let answer = place
            .seat
            .poll(&Context::from_waker(&Waker::from(waiting.bell.clone())));
        if answer.is_pending() && place.blocks {
            let mut fx = Effects::none();
            let fetched = self.0.lock().fetch(place, &mut fx);
            self.perform(fx);
            return fetched.map_or(Poll::Pending, |live| Poll::Ready(Ok(live)));
        }
        answer
    }

    fn leave(&self, waiting: &Waiting) {
        let place = &waiting.place;
        match place.seat.leave() {
            Some(Ok(live)) => self.take_back(live),
            Some(Err(_)) => {}
            None => {
                let mut fx = Effects::none();
                self.0.lock().leave(place, &mut fx);
                self.perform(fx);
            }
        }
    }

    /// What is there once everybody is done.
    fn rest(&self) -> (usize, usize, u64) {
        let census = self.0.lock().census();
        (census.idle, census.waiting, census.counts.hits)
    }
}

/// A waiter that looks only when it was woken.
#[derive(Debug)]
struct Waiting {
    place: Place<u32>,
    bell: Arc<Bell>,
}

#[derive(Debug, Default)]
struct Bell(AtomicBool);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

fn live() -> Box<Live<u32>> {
    Box::new(Live {
        connection: 1,
        address: Address::stray(),
        generation: 0,
        epoch: 0,
        born: NOW,
        expires: Timestamp::MAX,
        since: NOW,
        checked: NOW,
        fresh: false,
        rested: false,
        reusable: true,
        uses: 0,
        timed: None,
        seat: None,
        home: Home(None),
    })
}

#[test]
fn loom_a_giver_and_a_joiner_never_miss_each_other() {
    for blocks in [false, true] {
        model(move || {
            let pool = Pool::new();
            let joiner = {
                let pool = pool.clone();
                thread::spawn(move || pool.ask(blocks))
            };
            pool.give_back(live());
            if let Err(place) = joiner.join().unwrap() {
                assert!(pool.poll(&place).is_ready(), "in line, and nobody will come");
            }
            assert_eq!(pool.rest(), (0, 0, 1));
        });
    }
}

#[test]
fn loom_a_connection_handed_to_one_who_leaves_is_not_lost() {
    for blocks in [false, true] {
        model(move || {
            let pool = Pool::new();
            let place = pool.ask(blocks).unwrap_err();
            let leaver = {
                let pool = pool.clone();
                thread::spawn(move || pool.leave(&place))
            };
            pool.give_back(live());
            leaver.join().unwrap();
            assert_eq!(pool.rest(), (1, 0, 0), "lost, or counted as used");
        });
    }
}

#[test]
fn loom_the_next_in_line_gets_what_the_first_left_behind() {
    for blocks in [false, true] {
        model(move || {
            let pool = Pool::new();
            let (first, second) = (pool.ask(false).unwrap_err(), pool.ask(blocks).unwrap_err());
            let leaver = {
                let pool = pool.clone();
                thread::spawn(move || pool.leave(&first))
            };
            pool.give_back(live());
            leaver.join().unwrap();
            assert!(pool.poll(&second).is_ready(), "nobody told the next in line");
            assert_eq!(pool.rest(), (0, 0, 1));
        });
    }
}

#[test]
fn loom_a_sleeper_and_a_newcomer_never_both_get_it() {
    model(|| {
        let pool = Pool::new();
        let sleeper = pool.ask(true).unwrap_err();
        pool.give_back(live());
        let newcomer = {
            let pool = pool.clone();
            thread::spawn(move || pool.ask(false))
        };
        let woke = pool.poll(&sleeper).is_ready();
        match newcomer.join().unwrap() {
            Ok(live) => {
                assert!(!woke, "one connection in two hands");
                pool.give_back(live);
                assert!(pool.poll(&sleeper).is_ready(), "nobody woke the sleeper again");
            }
            Err(_) => assert!(woke, "neither got it"),
        }
    });
}
