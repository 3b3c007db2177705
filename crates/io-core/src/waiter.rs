//! Who waits on one side of a connection: woken by its timer and by its manager.

use std::task::Waker;

use parking_lot::Mutex;

/// The waker of the task that waits, set by the connection and woken from anywhere.
///
/// Waking leaves it in place, so that a task that waits again and again, which is the rule, sets it
/// once: the connection keeps a copy and compares ([`Watch`]).
#[derive(Debug, Default)]
pub(crate) struct Waiter(Mutex<Option<Waker>>);

impl Waiter {
    pub(crate) fn wake(&self) {
        // Woken outside the lock: it may run the task's code.
        let waker = self.0.lock().clone();
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// The connection's side of a [`Waiter`].
#[derive(Debug, Default)]
pub(crate) struct Watch(Option<Waker>);

impl Watch {
    /// From now on `waiter` wakes `waker`. The caller looks at what it waits for after this, and
    /// whoever changes that wakes afterwards, so no change is missed.
    #[inline]
    pub(crate) fn set(&mut self, waiter: &Waiter, waker: &Waker) {
        if !self.0.as_ref().is_some_and(|set| set.will_wake(waker)) {
            self.replace(waiter, waker);
        }
    }

    #[cold]
    fn replace(&mut self, waiter: &Waiter, waker: &Waker) {
        let before = waiter.0.lock().replace(waker.clone());
        self.0 = Some(waker.clone());
        // Dropped outside the lock: it may be the last of its task.
        drop(before);
    }
}
