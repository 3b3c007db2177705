//! What a manager counts, and [`AsyncIoStats`], the snapshot of it.

use evenkeel_stats::{
    Counter, Failure, FailureCounts, FailureCountsSnapshot, Histogram, HistogramSnapshot, Precision,
};

/// Bytes moved and operations finished.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Traffic {
    /// Bytes received.
    pub bytes_read: u64,
    /// Bytes sent.
    pub bytes_written: u64,
    /// Reads that finished.
    pub reads: u64,
    /// Writes that finished.
    pub writes: u64,
}

impl Traffic {
    pub(crate) fn add(&mut self, other: Self) {
        self.bytes_read += other.bytes_read;
        self.bytes_written += other.bytes_written;
        self.reads += other.reads;
        self.writes += other.writes;
    }
}

/// A snapshot of a manager's statistics.
///
/// The counts are totals since the manager was built; the histograms and failures can subtract an
/// earlier snapshot's (`since`) for a window. The
/// parts are read one after the other, so under load they may differ by what happened in between;
/// each for itself is exact.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct AsyncIoStats {
    /// Connections open now, those on their way to close included.
    pub active_connections: usize,
    /// The most that were open at a time.
    pub peak_connections: usize,
    /// Connections opened or adopted so far.
    pub total_connections: u64,
    /// Connects that failed; those whose caller gave up are not among them.
    pub failed_connects: u64,
    /// Connects, reads and writes that wait now.
    pub pending_operations: usize,
    /// Those among the callers who wait for a turn at `max_connections`.
    pub waiting_for_connection: usize,
    /// Those among the operations that wait for a turn at `max_pending_operations`.
    pub waiting_for_operation: usize,
    /// Bytes and operations, over connections open and gone.
    pub traffic: Traffic,
    /// From the call of `connect` to a connection ready for use; adopted ones took none of it.
    pub connect_time: HistogramSnapshot,
    /// How long the reads that had to wait for the peer waited: its response time, as the socket sees
    /// it. The others took no time but the system call's and are only counted, in `traffic`.
    pub read_wait: HistogramSnapshot,
    /// How long the writes waited that the socket could not take at once: back-pressure.
    pub write_wait: HistogramSnapshot,
    /// Failures by phase and kind.
    pub failures: FailureCountsSnapshot,
}

impl AsyncIoStats {
    /// The share of connects that gave a connection, from 0 to 1; `None` before the first.
    #[must_use]
    pub fn connect_success_rate(&self) -> Option<f64> {
        let tried = self.total_connections + self.failed_connects;
        (tried > 0).then(|| self.total_connections as f64 / tried as f64)
    }
}

/// Where a manager and its connections count.
#[derive(Debug)]
pub(crate) struct Recorder {
    pub(crate) opened: Counter,
    pub(crate) failed: Counter,
    pub(crate) failures: FailureCounts,
    pub(crate) connect_time: Histogram,
    pub(crate) read_wait: Histogram,
    pub(crate) write_wait: Histogram,
}

impl Recorder {
    pub(crate) fn new() -> Self {
        Self {
            opened: Counter::new(),
            failed: Counter::new(),
            failures: FailureCounts::new(),
            connect_time: Histogram::new(Precision::Fine),
            read_wait: Histogram::new(Precision::Fine),
            write_wait: Histogram::new(Precision::Fine),
        }
    }

    pub(crate) fn connect_failed(&self, failure: Failure) {
        self.failed.increment();
        self.failures.record(failure);
    }
}
