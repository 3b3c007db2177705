//! The atomics of the hand-written protocols, switched for loom's when a model is checked.

#[cfg(not(evenkeel_loom))]
pub(crate) use std::sync::atomic::{AtomicU64, Ordering};

#[cfg(evenkeel_loom)]
pub(crate) use loom::sync::atomic::{AtomicU64, Ordering};
