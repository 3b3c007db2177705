//! The atomics of the load cell, switched for loom's when a model is checked.

#[cfg(not(evenkeel_loom))]
pub(crate) use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

#[cfg(evenkeel_loom)]
pub(crate) use loom::sync::atomic::{AtomicU32, AtomicU64, Ordering};
