//! Counts events, and lets a subscriber do what subscribers should be able to.

use std::fmt::Debug;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

/// Counts the events whose message begins so.
pub(crate) struct Events {
    beginning: &'static str,
    count: Arc<AtomicUsize>,
    each: Box<dyn Fn() + Send + Sync>,
}

impl Events {
    /// The subscriber, and its count.
    pub(crate) fn counting(beginning: &'static str) -> (Self, Arc<AtomicUsize>) {
        Self::with(beginning, || {})
    }

    /// Calls `each` at every event.
    pub(crate) fn with(
        beginning: &'static str,
        each: impl Fn() + Send + Sync + 'static,
    ) -> (Self, Arc<AtomicUsize>) {
        let count = Arc::new(AtomicUsize::new(0));
        let events = Self {
            beginning,
            count: count.clone(),
            each: Box::new(each),
        };
        (events, count)
    }
}

struct Message(&'static str, bool);

impl Visit for Message {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.1 |= field.name() == "message" && format!("{value:?}").starts_with(self.0);
    }
}

impl Subscriber for Events {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut message = Message(self.beginning, false);
        event.record(&mut message);
        self.count.fetch_add(usize::from(message.1), Ordering::SeqCst);
        (self.each)();
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}
