//! [`Disk`]: a disk in memory that can lose power, or fail.

use std::fmt;
use std::io;
use std::sync::Arc;

use fastrand::Rng;
use parking_lot::Mutex;
use redb::{BackendError, StorageBackend};

/// What a disk writes at once; between two of these a write may tear.
const SECTOR: usize = 512;

#[derive(Clone, Debug)]
enum Change {
    Length(u64),
    Write(u64, Vec<u8>),
}

impl Change {
    fn apply(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::Length(length) => bytes.resize(*length as usize, 0),
            Self::Write(offset, data) => {
                let end = *offset as usize + data.len();
                if bytes.len() < end {
                    bytes.resize(end, 0);
                }
                bytes[*offset as usize..end].copy_from_slice(data);
            }
        }
    }
}

#[derive(Default)]
struct State {
    /// What a reader sees.
    seen: Vec<u8>,
    /// What is left after a power cut.
    synced: Vec<u8>,
    /// What is seen and not synced.
    unsynced: Vec<Change>,
    /// How many more writes and syncs succeed; then all fail until this is set again.
    budget: Option<usize>,
}

/// A disk; clones are the same one.
#[derive(Clone, Default)]
pub(super) struct Disk(Arc<Mutex<State>>);

impl fmt::Debug for Disk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Disk")
    }
}

impl Disk {
    /// What is there after the power was cut now: of all that was not synced any part, in any sectors.
    pub(super) fn after_power_cut(&self, rng: &mut Rng) -> Self {
        let state = self.0.lock();
        let mut left = state.synced.clone();
        let lost = rng.f64();
        for change in &state.unsynced {
            match change {
                Change::Write(offset, data) => {
                    for (at, sector) in data.chunks(SECTOR).enumerate() {
                        if rng.f64() >= lost {
                            let offset = offset + (at * SECTOR) as u64;
                            Change::Write(offset, sector.to_vec()).apply(&mut left);
                        }
                    }
                }
                Change::Length(_) if rng.f64() < lost => {}
                Change::Length(_) => change.apply(&mut left),
            }
        }
        Self::with(left)
    }

    /// What is there after the process was killed: the kernel has all that was written.
    pub(super) fn after_kill(&self) -> Self {
        Self::with(self.0.lock().seen.clone())
    }

    /// A disk with these bytes.
    pub(super) fn with(bytes: Vec<u8>) -> Self {
        Self(Arc::new(Mutex::new(State {
            synced: bytes.clone(),
            seen: bytes,
            ..State::default()
        })))
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        self.0.lock().seen.clone()
    }

    /// After so many more writes and syncs everything fails, as a full or broken disk does.
    pub(super) fn fail_after(&self, writes: usize) {
        self.0.lock().budget = Some(writes);
    }

    pub(super) fn mend(&self) {
        self.0.lock().budget = None;
    }

    fn change(&self, change: Change) -> Result<(), io::Error> {
        let mut state = self.0.lock();
        state.spend()?;
        change.apply(&mut state.seen);
        state.unsynced.push(change);
        Ok(())
    }
}

impl State {
    fn spend(&mut self) -> Result<(), io::Error> {
        match &mut self.budget {
            Some(0) => Err(io::Error::from(io::ErrorKind::StorageFull)),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> Result<u64, io::Error> {
        Ok(self.0.lock().seen.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), io::Error> {
        let state = self.0.lock();
        let start = offset as usize;
        let found = state.seen.get(start..start + out.len());
        out.copy_from_slice(found.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, length: u64) -> Result<(), io::Error> {
        self.change(Change::Length(length))
    }

    fn sync_data(&self) -> Result<(), io::Error> {
        let mut state = self.0.lock();
        state.spend()?;
        state.synced = state.seen.clone();
        state.unsynced.clear();
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<(), io::Error> {
        self.change(Change::Write(offset, data.to_vec()))
    }

    fn try_lock_range(
        &self,
        _start: std::ops::Bound<u64>,
        _end: std::ops::Bound<u64>,
    ) -> Result<bool, BackendError> {
        Ok(true)
    }

    fn unlock_range(
        &self,
        _start: std::ops::Bound<u64>,
        _end: std::ops::Bound<u64>,
    ) -> Result<(), BackendError> {
        Ok(())
    }
}
