//! The atomics and the lock of the breaker, swapped for loom's when it is being model-checked.

#[cfg(not(evenkeel_loom))]
pub(crate) use parking_lot::Mutex;
#[cfg(not(evenkeel_loom))]
pub(crate) use std::sync::atomic::{AtomicU64, Ordering};

#[cfg(evenkeel_loom)]
pub(crate) use self::model::{AtomicU64, Mutex, Ordering};

#[cfg(evenkeel_loom)]
mod model {
    pub(crate) use loom::sync::atomic::{AtomicU64, Ordering};

    /// loom's lock behind `parking_lot`'s interface.
    #[derive(Debug, Default)]
    pub(crate) struct Mutex<T>(loom::sync::Mutex<T>);

    impl<T> Mutex<T> {
        pub(crate) fn new(value: T) -> Self {
            Self(loom::sync::Mutex::new(value))
        }

        #[allow(
            clippy::unwrap_used,
            reason = "only in a model, where a poisoned lock is a failed test already"
        )]
        pub(crate) fn lock(&self) -> loom::sync::MutexGuard<'_, T> {
            self.0.lock().unwrap()
        }
    }
}
