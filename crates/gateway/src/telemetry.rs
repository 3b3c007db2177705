//! [`Telemetry`]: what the gateway counts of itself.

use std::sync::atomic::{AtomicU64, Ordering};

use evenkeel_otlp::Signal;

/// A number that only grows.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn increment(&self) {
        self.add(1);
    }

    pub(crate) fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// By which protocol a request came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transport {
    Grpc,
    Http,
}

impl Transport {
    pub(crate) const ALL: [Self; 2] = [Self::Grpc, Self::Http];

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Grpc => "grpc",
            Self::Http => "http",
        }
    }
}

/// How a request was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answered {
    /// Acknowledged in full.
    Accepted,
    /// Acknowledged, but for some items.
    Partial,
    /// Not to be sent again: it is bad, or a collector says so.
    Rejected,
    /// To be sent again: the gateway has too much to do, or it came too slowly.
    Refused,
    /// To be sent again: no collector acknowledged it.
    Unavailable,
}

impl Answered {
    pub(crate) const ALL: [Self; 5] = [
        Self::Accepted,
        Self::Partial,
        Self::Rejected,
        Self::Refused,
        Self::Unavailable,
    ];

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Partial => "partial",
            Self::Rejected => "rejected",
            Self::Refused => "refused",
            Self::Unavailable => "unavailable",
        }
    }
}

/// All counts since the start, each an atomic addition.
#[derive(Debug, Default)]
pub(crate) struct Telemetry {
    answers: [[[Counter; Answered::ALL.len()]; Signal::ALL.len()]; Transport::ALL.len()],
    bytes: [Counter; Signal::ALL.len()],
    /// Items that a collector rejected of a request that it accepted, or that were bad.
    pub(crate) rejected_items: Counter,
    /// What admission refused, by limit.
    pub(crate) refused_requests: Counter,
    pub(crate) refused_bytes: Counter,
    /// Connections that were closed at once because all places were busy.
    pub(crate) refused_connections: Counter,
    /// Requests for no signal: an unknown path, method or content type.
    pub(crate) unknown: Counter,
    /// Requests that were cut in several parts, and the parts.
    pub(crate) splits: Counter,
    pub(crate) parts: Counter,
    /// Parts that were sent again because they failed while others did not.
    pub(crate) parts_again: Counter,
    /// Config files that were taken over, and that were refused.
    pub(crate) reloads: Counter,
    pub(crate) reloads_refused: Counter,
}

impl Telemetry {
    pub(crate) fn answered(&self, transport: Transport, signal: Signal, answered: Answered) {
        self.answers[transport as usize][index(signal)][answered as usize].increment();
    }

    pub(crate) fn answers(&self, transport: Transport, signal: Signal, answered: Answered) -> u64 {
        self.answers[transport as usize][index(signal)][answered as usize].get()
    }

    pub(crate) fn received(&self, signal: Signal, bytes: usize) {
        self.bytes[index(signal)].add(bytes as u64);
    }

    pub(crate) fn bytes(&self, signal: Signal) -> u64 {
        self.bytes[index(signal)].get()
    }
}

fn index(signal: Signal) -> usize {
    Signal::ALL.iter().position(|&other| other == signal).unwrap_or(0)
}
