//! The rules by themselves, in orders that threads seldom take.

use super::*;
use crate::config::ByteSize;
use crate::queue::ledger::{Held, Ledger};
use crate::queue::store::{Loaded, Totals};

/// Two records on disk, of which only one fits into memory at a time.
fn ledger() -> Ledger {
    let config = QueueConfig {
        max_memory_bytes: ByteSize::kib(1),
        ..QueueConfig::default()
    };
    let totals = Totals {
        records: 2,
        bytes: 1_800,
        end: 2,
    };
    Ledger::new(&config, totals)
}

fn loaded(id: u64) -> Vec<Loaded> {
    let record = Some((numbered(id, 900), 0));
    vec![Loaded { id, record }]
}

#[test]
fn a_record_that_was_too_large_when_the_load_was_asked_for_is_not_passed_over() {
    let mut ledger = ledger();
    assert!(ledger.wants_load());
    assert_eq!(ledger.load_request(), (0, 1_024, true));
    ledger.loaded(loaded(0), true);
    let (_, held): (u64, Held) = ledger.take().unwrap();
    // In flight, it leaves too little room for the second; while the disk is read for that, it ends.
    assert!(ledger.wants_load());
    let (first, budget, due) = ledger.load_request();
    assert_eq!((first, budget, due), (1, 124, false));
    ledger.done(held.export.body().len() as u64);
    ledger.loaded(Vec::new(), due);
    assert!(ledger.wants_next(), "nothing else would ask for it");
    assert_eq!(ledger.load_request(), (1, 1_024, true));
    ledger.loaded(loaded(1), true);
    assert!(!ledger.wants_next());
    assert_eq!(ledger.take().map(|(id, _)| id), Some(1));
}

#[test]
fn numbers_that_were_never_written_are_passed_over() {
    let mut ledger = ledger();
    assert!(ledger.wants_load());
    ledger.loaded(Vec::new(), true);
    assert!(!ledger.wants_next());
    assert!(ledger.take().is_none());
}
