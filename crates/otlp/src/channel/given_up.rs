//! [`GivenUp`]: the requests on a connection that nobody waits for any more.
//!
//! To give a request up is to reset its stream. A server that has stood still for a moment finds, when it wakes, such
//! requests together with their resets, and more than a few of these look to it like an attack (rapid reset,
//! CVE-2023-44487): it ends the connection, and with it the requests of others. So a few are reset at once, and the
//! others when the server has shown that it knows of them: by the answer to a later request, or to a ping.

use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;

/// How many resets a server may find before the requests they belong to were accepted. h2's servers, and so hyper's
/// and tonic's, bear 20.
const RESETS: u32 = 16;

/// The most that the bodies of requests that wait for their reset may hold; beyond it there is no waiting.
const BYTES: usize = 4 << 20;

/// What was given up on one connection, where `S` is a stream: dropped, it is reset.
#[derive(Debug)]
pub(super) struct GivenUp<S> {
    /// Whether there is anything to look at: all that answers look at otherwise.
    any: AtomicBool,
    state: Mutex<State<S>>,
}

#[derive(Debug)]
struct State<S> {
    /// How many were reset of which the server may not know yet, and the number of the last.
    resets: u32,
    last: u64,
    waiting: Vec<Waiting<S>>,
    bytes: usize,
}

#[derive(Debug)]
struct Waiting<S> {
    number: u64,
    bytes: usize,
    stream: S,
}

impl<S> Default for GivenUp<S> {
    fn default() -> Self {
        Self {
            any: AtomicBool::new(false),
            state: Mutex::new(State {
                resets: 0,
                last: 0,
                waiting: Vec::new(),
                bytes: 0,
            }),
        }
    }
}

impl<S> GivenUp<S> {
    /// The request of this number, with a body of so many bytes, is given up. Handed back is what may be reset now.
    pub(super) fn add(&self, number: u64, bytes: usize, stream: S) -> Option<S> {
        let mut state = self.state.lock();
        self.any.store(true, Ordering::Relaxed);
        if state.resets < RESETS || state.bytes.saturating_add(bytes) > BYTES {
            state.resets = state.resets.saturating_add(1);
            state.last = state.last.max(number);
            return Some(stream);
        }
        state.bytes += bytes;
        state.waiting.push(Waiting {
            number,
            bytes,
            stream,
        });
        None
    }

    /// The server has answered the request of this number. Handed back are those before it: it knows of them.
    pub(super) fn answered(&self, number: u64) -> Vec<S> {
        if self.any.load(Ordering::Relaxed) {
            self.known(number)
        } else {
            Vec::new()
        }
    }

    /// The server knows of the requests before this number.
    #[cold]
    pub(super) fn known(&self, number: u64) -> Vec<S> {
        let mut state = self.state.lock();
        if number > state.last {
            state.resets = 0;
        }
        let waiting = std::mem::take(&mut state.waiting);
        let mut known = Vec::new();
        for one in waiting {
            if one.number < number {
                state.bytes -= one.bytes;
                known.push(one.stream);
            } else {
                state.waiting.push(one);
            }
        }
        let any = state.resets > 0 || !state.waiting.is_empty();
        self.any.store(any, Ordering::Relaxed);
        // To be dropped where nobody waits for this lock.
        known
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_are_reset_at_once_and_the_others_when_the_server_knows_of_them() {
        let given_up = GivenUp::default();
        assert!(given_up.answered(5).is_empty());
        let at_once = |from, to| {
            let added = (from..to).filter_map(|number| given_up.add(number, 10, number));
            added.collect::<Vec<_>>()
        };
        assert_eq!(at_once(0, 40), (0..16).collect::<Vec<_>>());
        // An answer to an earlier one says nothing of those after it.
        assert!(given_up.answered(10).is_empty());
        assert_eq!(given_up.add(40, 10, 40), None);
        assert_eq!(given_up.answered(30), (16..30).collect::<Vec<_>>());
        // All that were reset are known by now.
        assert_eq!(at_once(41, 60), (41..57).collect::<Vec<_>>());
        assert_eq!(given_up.known(100), (30..41).chain(57..60).collect::<Vec<_>>());
        assert!(!given_up.any.load(Ordering::Relaxed));
        assert_eq!(given_up.state.lock().bytes, 0);
    }

    #[test]
    fn what_waits_does_not_hold_more_than_it_may() {
        let given_up = GivenUp::default();
        for number in 0..u64::from(RESETS) {
            assert!(given_up.add(number, BYTES, ()).is_some());
        }
        assert!(given_up.add(20, BYTES, ()).is_none());
        assert!(given_up.add(21, 1, ()).is_some());
        assert_eq!(given_up.known(22).len(), 1);
        assert!(given_up.add(23, BYTES, ()).is_some());
    }
}
