//! Who waits on one side of a connection: woken by its timer and by its manager.

use std::task::Waker;

use crate::sync::Mutex;

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

    /// Wakes nobody from now on.
    pub(crate) fn clear(&mut self, waiter: &Waiter) {
        if self.0.take().is_some() {
            let before = waiter.0.lock().take();
            drop(before);
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

#[cfg(all(test, evenkeel_loom))]
mod loom {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
    use std::task::Wake;

    use ::loom::sync::atomic::{AtomicBool, Ordering};
    use ::loom::{model, thread};

    use super::*;

    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, SeqCst);
        }
    }

    #[test]
    fn loom_who_sets_a_waker_and_looks_misses_no_mark_that_is_made_before_waking() {
        model(|| {
            let shared = ::loom::sync::Arc::new((Waiter::default(), AtomicBool::new(false)));
            let count = Arc::new(Count(AtomicUsize::new(0)));
            let closer = {
                let shared = shared.clone();
                thread::spawn(move || {
                    shared.1.store(true, Ordering::Release);
                    shared.0.wake();
                })
            };
            let mut watch = Watch::default();
            watch.set(&shared.0, &Waker::from(count.clone()));
            let seen = shared.1.load(Ordering::Acquire);
            closer.join().unwrap();
            assert!(seen || count.0.load(SeqCst) == 1, "closed, and nobody was told");
        });
    }
}
