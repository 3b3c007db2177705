//! [`Ledger`]: the queue's rules, as plain data. No I/O, no clock, nobody is woken here.
//!
//! Records are numbered in the order of arrival. Those below `next_load` are in memory, on their way to a
//! collector, or done; those from `next_load` up to `end` are on disk only. So what is in memory is always the
//! oldest, and what is handed out next is the oldest of that.

use std::collections::BTreeMap;

use evenkeel_otlp::Export;

use super::store::{Loaded, Totals};
use super::{PushError, QueueConfig, record};

/// A record in memory.
#[derive(Clone, Debug)]
pub(super) struct Held {
    pub(super) export: Export,
    /// Milliseconds of the Unix epoch.
    pub(super) came_at: u64,
}

#[derive(Debug)]
pub(super) struct Ledger {
    max_bytes: u64,
    max_memory: u64,
    max_pending: u64,
    max_in_flight: usize,
    /// What is on disk.
    stored: Totals,
    /// What is on its way there: by charge, and by length.
    pending_charge: u64,
    pending_bytes: u64,
    ready: BTreeMap<u64, Held>,
    /// Bytes of bodies that are ready or in flight.
    memory: u64,
    in_flight: usize,
    next_load: u64,
    end: u64,
    /// A load was asked for and has not come.
    loading: bool,
    closed: bool,
}

impl Ledger {
    pub(super) fn new(config: &QueueConfig, stored: Totals) -> Self {
        Self {
            max_bytes: config.max_bytes.0 as u64,
            max_memory: config.max_memory_bytes.0 as u64,
            max_pending: config.max_pending_bytes.0 as u64,
            max_in_flight: config.max_in_flight,
            stored,
            pending_charge: 0,
            pending_bytes: 0,
            ready: BTreeMap::new(),
            memory: 0,
            in_flight: 0,
            next_load: 0,
            end: stored.end,
            loading: false,
            closed: false,
        }
    }

    /// Takes room for a record of `len` bytes on disk.
    pub(super) fn reserve(&mut self, len: usize) -> Result<(), PushError> {
        if self.closed {
            return Err(PushError::Closed);
        }
        let (charge, bytes) = (record::charge(len), len as u64);
        if charge > self.max_bytes {
            return Err(PushError::TooLarge {
                bytes: charge,
                limit: self.max_bytes,
            });
        }
        let used = self.stored.bytes + self.pending_charge;
        if used + charge > self.max_bytes {
            return Err(PushError::Full {
                field: "max_bytes",
                used,
                limit: self.max_bytes,
            });
        }
        if self.pending_bytes > 0 && self.pending_bytes + bytes > self.max_pending {
            return Err(PushError::Full {
                field: "max_pending_bytes",
                used: self.pending_bytes,
                limit: self.max_pending,
            });
        }
        self.pending_charge += charge;
        self.pending_bytes += bytes;
        Ok(())
    }

    /// Gives that room back: the record is on disk, or failed to get there.
    pub(super) fn release(&mut self, len: usize) {
        self.pending_charge -= record::charge(len);
        self.pending_bytes -= len as u64;
    }

    /// The number for the next record to be written.
    pub(super) const fn next_id(&self) -> u64 {
        self.end
    }

    /// What the disk holds after a commit, or after it was opened again.
    pub(super) fn stored(&mut self, totals: Totals) {
        self.stored = totals;
        self.end = self.end.max(totals.end);
    }

    /// A record is on disk. Keeps it in memory if it is the next to be handed out and there is room.
    pub(super) fn committed(&mut self, id: u64, held: Held) {
        let len = held.export.body().len() as u64;
        if self.next_load == id && self.memory + len <= self.max_memory {
            self.next_load = id + 1;
            self.memory += len;
            self.ready.insert(id, held);
        }
        self.end = self.end.max(id + 1);
    }

    /// The oldest record that nobody has, unless the most are in flight already.
    pub(super) fn take(&mut self) -> Option<(u64, Held)> {
        if self.closed || self.in_flight >= self.max_in_flight {
            return None;
        }
        let taken = self.ready.pop_first()?;
        self.in_flight += 1;
        Some(taken)
    }

    /// Whether [`take`](Self::take) would give something.
    pub(super) fn can_take(&self) -> bool {
        !self.closed && self.in_flight < self.max_in_flight && !self.ready.is_empty()
    }

    /// A record that was taken is done with.
    pub(super) fn done(&mut self, len: u64) {
        self.in_flight -= 1;
        self.memory -= len;
    }

    /// A record that was taken is to be handed out again, before all that came after it.
    pub(super) fn give_back(&mut self, id: u64, held: Held) {
        self.in_flight -= 1;
        self.ready.insert(id, held);
    }

    /// Whether records are to be fetched from disk; if so, somebody must, and call [`loaded`](Self::loaded).
    pub(super) fn wants_load(&mut self) -> bool {
        let low = self.ready.is_empty() || self.memory <= self.max_memory / 2;
        let room = low && (self.memory == 0 || self.memory < self.max_memory);
        let wants = !self.closed && !self.loading && self.next_load < self.end && room;
        self.loading |= wants;
        wants
    }

    /// From where to load, how many bytes, and whether one record is due however large it is.
    pub(super) const fn load_request(&self) -> (u64, u64, bool) {
        let budget = self.max_memory.saturating_sub(self.memory);
        (self.next_load, budget, self.memory == 0)
    }

    /// What came of a load up to `end`, in order; `due` is whether one record was due however large. The numbers of
    /// those that cannot be read.
    pub(super) fn loaded(&mut self, loaded: Vec<Loaded>, due: bool) -> Vec<u64> {
        self.loading = false;
        let mut damaged = Vec::new();
        // What is in memory now does not tell: it may have been settled since, and the next record was too large then.
        if loaded.is_empty() && due {
            // Nothing is left between: what was numbered there was never written.
            self.next_load = self.end;
        }
        for Loaded { id, record } in loaded {
            self.next_load = id + 1;
            if let Some((export, came_at)) = record {
                self.memory += export.body().len() as u64;
                self.ready.insert(id, Held { export, came_at });
            } else {
                damaged.push(id);
            }
        }
        damaged
    }

    /// Whether the next load is due at once, since nothing is in memory whose end would ask for it.
    pub(super) fn wants_next(&mut self) -> bool {
        self.memory == 0 && self.wants_load()
    }

    /// Nothing is taken or handed out any more.
    pub(super) fn close(&mut self) {
        self.closed = true;
        self.ready.clear();
    }

    pub(super) const fn is_closed(&self) -> bool {
        self.closed
    }

    pub(super) const fn totals(&self) -> Totals {
        self.stored
    }

    pub(super) const fn in_flight(&self) -> usize {
        self.in_flight
    }
}
