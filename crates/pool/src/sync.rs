//! The lock of the pool, swapped for loom's when the hand-off is being model-checked.

#[cfg(not(evenkeel_loom))]
pub(crate) use parking_lot::{Mutex, MutexGuard};

#[cfg(evenkeel_loom)]
pub(crate) use self::model::{Mutex, MutexGuard};

#[cfg(evenkeel_loom)]
mod model {
    pub(crate) use loom::sync::MutexGuard;

    /// loom's lock behind `parking_lot`'s interface.
    #[derive(Debug)]
    pub(crate) struct Mutex<T>(loom::sync::Mutex<T>);

    impl<T> Mutex<T> {
        pub(crate) fn new(value: T) -> Self {
            Self(loom::sync::Mutex::new(value))
        }

        #[allow(
            clippy::unwrap_used,
            reason = "only in a model, where a poisoned lock is a failed test already"
        )]
        pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
            self.0.lock().unwrap()
        }
    }
}
