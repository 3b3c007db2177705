//! [`Signals`]: what makes more of a request's end than counting.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use evenkeel_stats::Timestamp;

/// Nearly always nothing of the kind; a request's end looks at it and goes on. The fields lie beside each other,
/// in an allocation of their own, and are written when something happens.
#[derive(Debug, Default)]
pub(super) struct Signals {
    /// The tracker holds a judge's word against the backend, which a success may have just ended.
    judged: AtomicBool,
    /// So many wait for the last request in flight.
    watchers: AtomicU32,
    /// When the run of failures that is under way began, 0 if none is: the first sign of trouble.
    first_sign: AtomicU64,
}

impl Signals {
    /// Whether there is any.
    #[inline]
    pub(super) fn any(&self) -> bool {
        self.is_judged() || self.is_watched() || self.first_sign.load(Ordering::Relaxed) != 0
    }

    #[inline]
    pub(super) fn is_judged(&self) -> bool {
        self.judged.load(Ordering::Relaxed)
    }

    pub(super) fn set_judged(&self, judged: bool) {
        self.judged.store(judged, Ordering::Relaxed);
    }

    #[inline]
    pub(super) fn is_watched(&self) -> bool {
        self.watchers.load(Ordering::Relaxed) != 0
    }

    /// One more watches, until the guard is dropped.
    pub(super) fn watch(&self) -> Watching<'_> {
        self.watchers.fetch_add(1, Ordering::SeqCst);
        Watching(&self.watchers)
    }

    /// Notes the first sign of trouble; whether this was the first.
    pub(super) fn sign(&self, now: Timestamp) -> bool {
        let now = now.as_nanos().max(1);
        self.first_sign
            .compare_exchange(0, now, Ordering::Relaxed, Ordering::Relaxed)
            .is_ok()
    }

    /// The trouble is over, or was acted upon: when it began.
    pub(super) fn take_sign(&self) -> Option<Timestamp> {
        if self.first_sign.load(Ordering::Relaxed) == 0 {
            return None;
        }
        match self.first_sign.swap(0, Ordering::Relaxed) {
            0 => None,
            sign => Some(Timestamp::from_nanos(sign)),
        }
    }
}

/// See [`Signals::watch`].
pub(super) struct Watching<'a>(&'a AtomicU32);

impl Drop for Watching<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}
