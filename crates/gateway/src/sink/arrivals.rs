//! What arrived.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use evenkeel_otlp_wire::{Signal, WireError, count_items, for_each_item};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use crate::ledger::{IdSet, Run, SenderId, SpanMark};

/// Spans of more senders are counted and not told apart.
const MAX_SENDERS: usize = 256;

/// A record of the file: the sender, how many in a row, the first.
const RECORD: usize = 4 + 4 + 8;

/// How closely a sink looks at what arrives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub(crate) enum Counting {
    /// Requests and bytes; what is in them is not read.
    Requests,
    /// Items too.
    Items,
    /// Which spans of which sender too, so that loss and duplicates are found.
    #[default]
    Ids,
}

/// What one sender's spans amount to, as a sink reports it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Arrived {
    /// Spans that arrived, each as often as it did.
    pub(crate) arrivals: u64,
    /// Different spans that arrived.
    pub(crate) unique: u64,
    /// Their numbers, those in a row together, if they were asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) runs: Vec<Run>,
}

/// A journal that nobody takes holds so many runs, and no more.
const JOURNAL: usize = 1 << 20;

/// The account of a sink.
#[derive(Debug, Default)]
pub(super) struct Arrivals {
    items: AtomicU64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    senders: BTreeMap<SenderId, (u64, IdSet)>,
    /// Marked spans of requests for whose spans there was no room.
    uncounted: u64,
    file: Option<File>,
    /// Where runs go in place of `senders`, if somebody else keeps the account.
    journal: Option<Vec<(SenderId, Run)>>,
}

impl State {
    fn add(&mut self, sender: SenderId, (first, count): Run) {
        if let Some(journal) = &mut self.journal {
            if journal.len() < JOURNAL {
                journal.push((sender, (first, count)));
            } else {
                self.uncounted += count;
            }
            return;
        }
        if self.senders.len() >= MAX_SENDERS && !self.senders.contains_key(&sender) {
            self.uncounted += count;
            return;
        }
        let (arrivals, ids) = self.senders.entry(sender).or_default();
        *arrivals += count;
        if ids.insert_run((first, count)).is_none() {
            self.uncounted += count;
        }
    }
}

impl Arrivals {
    /// With what the file has from before; what arrives is added to it.
    pub(super) fn with_file(path: &Path) -> io::Result<Self> {
        let mut file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .open(path)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        let mut state = State::default();
        let mut items = 0;
        let records = bytes.chunks_exact(RECORD);
        // Half a record is the end of a sink that was killed while it wrote: that request was not answered.
        let whole = bytes.len() - records.remainder().len();
        file.set_len(whole as u64)?;
        for record in records {
            let (sender, run) = read(record);
            items += run.1;
            state.add(sender, run);
        }
        state.file = Some(file);
        Ok(Self {
            items: AtomicU64::new(items),
            state: Mutex::new(state),
        })
    }

    /// That keeps what arrives until somebody [takes](Self::take) it.
    pub(super) fn with_journal() -> Self {
        let mut arrivals = Self::default();
        arrivals.state.get_mut().journal = Some(Vec::new());
        arrivals
    }

    /// What arrived since it was taken last, if there is a journal.
    pub(super) fn take(&self) -> Vec<(SenderId, Run)> {
        let mut state = self.state.lock();
        state.journal.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// Counts what is in a request, once it is accepted.
    pub(super) fn count(&self, signal: Signal, body: &[u8], counting: Counting) -> Result<(), NotCounted> {
        match counting {
            Counting::Requests => {}
            Counting::Items => {
                let items = count_items(body, signal)? as u64;
                self.items.fetch_add(items, Relaxed);
            }
            Counting::Ids => self.count_ids(signal, body)?,
        }
        Ok(())
    }

    fn count_ids(&self, signal: Signal, body: &[u8]) -> Result<(), NotCounted> {
        // Of metrics the walk shows metrics; data points are what counts.
        let items = count_items(body, signal)?;
        let mut runs: Vec<(SenderId, Run)> = Vec::new();
        for_each_item(body, signal, |ids| {
            let (Some(trace_id), Some(span_id)) = (ids.trace_id, ids.span_id) else {
                return;
            };
            let Some(mark) = SpanMark::of(trace_id, span_id) else {
                return;
            };
            match runs.last_mut() {
                Some((sender, (first, count)))
                    if *sender == mark.sender && *first + *count == mark.number =>
                {
                    *count += 1;
                }
                _ => runs.push((mark.sender, (mark.number, 1))),
            }
        })?;
        let mut record = Vec::with_capacity(runs.len() * RECORD);
        for &(sender, (first, count)) in &runs {
            record.extend_from_slice(&sender.0.to_le_bytes());
            // A request has less than 2^31 bytes, and so fewer spans.
            record.extend_from_slice(&(count as u32).to_le_bytes());
            record.extend_from_slice(&first.to_le_bytes());
        }
        let mut state = self.state.lock();
        if let Some(file) = &mut state.file {
            // One write, so that a kill leaves all of it or, at worst, a tail that is no whole record.
            file.write_all(&record)?;
        }
        for (sender, run) in runs {
            state.add(sender, run);
        }
        drop(state);
        self.items.fetch_add(items as u64, Relaxed);
        Ok(())
    }

    pub(super) fn items(&self) -> u64 {
        self.items.load(Relaxed)
    }

    /// What arrived of each sender, and how many marked spans there was no room to tell apart.
    pub(super) fn senders(&self, with_runs: bool) -> (BTreeMap<SenderId, Arrived>, u64) {
        let state = self.state.lock();
        let arrived = |(arrivals, ids): &(u64, IdSet)| Arrived {
            arrivals: *arrivals,
            unique: ids.len(),
            runs: if with_runs { ids.runs() } else { Vec::new() },
        };
        let senders = state.senders.iter().map(|(&id, kept)| (id, arrived(kept)));
        (senders.collect(), state.uncounted)
    }
}

/// Why a request could not be counted, and must not be accepted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(super) enum NotCounted {
    /// It is no OTLP.
    #[error(transparent)]
    Malformed(#[from] WireError),
    /// The ledger can not be written.
    #[error("the ledger can not be written: {0}")]
    File(#[from] io::Error),
}

fn read(record: &[u8]) -> (SenderId, Run) {
    let number = |range: std::ops::Range<usize>| {
        let mut bytes = [0; 8];
        bytes[..range.len()].copy_from_slice(&record[range]);
        u64::from_le_bytes(bytes)
    };
    (SenderId(number(0..4) as u32), (number(8..16), number(4..8)))
}
