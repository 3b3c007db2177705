//! [`Store`]: records and their order in a file, by redb.
//!
//! One table, from a number to a record; numbers grow, so the order of keys is the order of arrival. All methods
//! block and belong to the queue's own thread.

use std::fmt;
use std::fs::{self, File};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use evenkeel_otlp::Export;
use redb::{Database, DatabaseError, ReadableDatabase, ReadableTable, TableDefinition};

use super::OpenError;
use super::record::{self, Draft};

/// The layout that [`FORMAT`] counts.
const RECORDS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("records");
const NUMBERS: TableDefinition<'_, &str, u64> = TableDefinition::new("numbers");

/// What this version reads and writes.
pub(super) const FORMAT: u64 = 1;

/// The file's name in its directory.
const FILE: &str = "records.redb";

/// Pages of the file that are kept in memory: the trunk of the tree and the last few leaves. Records are read
/// once, so more would serve nobody.
const CACHE: usize = 2 << 20;

/// An empty file longer than this is made short when it is opened.
const WORTH_COMPACTING: u64 = 64 << 20;

/// What is said where the store panics: it checks what it reads, and yet damage can get that far.
const NONSENSE: &str = "the store cannot make sense of it";

/// What is in the store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Totals {
    pub(super) records: u64,
    /// By [`record::charge`].
    pub(super) bytes: u64,
    /// One above the last record's number; 0 if there is none.
    pub(super) end: u64,
}

/// One record out of the store.
#[derive(Debug)]
pub(super) struct Loaded {
    pub(super) id: u64,
    /// `None` if its bytes are not those that were written.
    pub(super) record: Option<(Export, u64)>,
}

/// Opens or makes the database; a test's may fail on demand.
pub(super) type Opener = Box<dyn Fn() -> Result<Database, DatabaseError> + Send>;

pub(super) struct Store {
    path: PathBuf,
    open: Opener,
    /// `None` after an error of the disk: redb refuses everything until it is opened again.
    database: Option<Database>,
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

/// Those of a path's directories that are not there, innermost first.
fn missing(dir: &Path) -> Vec<&Path> {
    let all = dir.ancestors().filter(|dir| !dir.as_os_str().is_empty());
    all.take_while(|dir| !dir.exists()).collect()
}

impl Store {
    /// Opens the queue's file in `dir`, or makes both.
    pub(super) fn in_directory(dir: &Path) -> Result<(Self, Totals), OpenError> {
        let failed = |source| OpenError::Directory {
            path: dir.to_owned(),
            source,
        };
        let made = missing(dir);
        fs::create_dir_all(dir).map_err(failed)?;
        let path = dir.join(FILE);
        let file = path.clone();
        let opened = Self::open(
            path,
            Box::new(move || Database::builder().set_cache_size(CACHE).create(&file)),
        )?;
        // A file is there after a power cut only if its directory says so.
        let parents = made.into_iter().filter_map(Path::parent);
        for synced in std::iter::once(dir).chain(parents) {
            // That of a relative path of one name.
            let synced = if synced.as_os_str().is_empty() {
                Path::new(".")
            } else {
                synced
            };
            File::open(synced)
                .and_then(|dir| dir.sync_all())
                .map_err(failed)?;
        }
        Ok(opened)
    }

    pub(super) fn open(path: PathBuf, open: Opener) -> Result<(Self, Totals), OpenError> {
        let mut database = guarded(&path, &open)?;
        let (format, totals) = guarded(&path, || prepare(&database))?;
        if format != FORMAT {
            return Err(OpenError::Format { path, found: format });
        }
        let long = fs::metadata(&path).is_ok_and(|file| file.len() > WORTH_COMPACTING);
        if totals.records == 0 && long {
            guarded(&path, || database.compact())?;
        }
        let store = Self {
            path,
            open,
            database: Some(database),
        };
        Ok((store, totals))
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Writes `pushed` and takes out `done`, all or nothing, and returns when that is on the disk. What is no
    /// longer there is passed over.
    ///
    /// After an error either may be the case; [`totals`](Self::totals) tells.
    pub(super) fn commit(&mut self, pushed: &[(u64, Draft)], done: &[u64]) -> Result<Totals, redb::Error> {
        self.with(|database| {
            let transaction = database.begin_write()?;
            let totals = {
                let mut records = transaction.open_table(RECORDS)?;
                let mut numbers = transaction.open_table(NUMBERS)?;
                let mut bytes = numbers.get("bytes")?.map_or(0, |bytes| bytes.value());
                for id in done {
                    if let Some(removed) = records.remove(id)? {
                        bytes = bytes.saturating_sub(record::charge(removed.value().len()));
                    }
                }
                for (id, draft) in pushed {
                    draft.write(records.insert_reserve(id, draft.len())?.as_mut());
                    bytes += record::charge(draft.len());
                }
                numbers.insert("bytes", bytes)?;
                totals(&records, bytes)?
            };
            transaction.commit()?;
            Ok(totals)
        })
    }

    /// The records from `first` on, in order, until there are more than `budget` bytes of them. The one that is
    /// too much is left, unless it is the first and `at_least_one`.
    pub(super) fn load(
        &mut self,
        first: u64,
        budget: u64,
        at_least_one: bool,
    ) -> Result<Vec<Loaded>, redb::Error> {
        self.with(|database| {
            let records = database.begin_read()?.open_table(RECORDS)?;
            let mut loaded = Vec::new();
            let mut bytes = 0;
            for entry in records.range(first..)? {
                let (id, value) = entry?;
                bytes += value.value().len() as u64;
                if bytes > budget && !(at_least_one && loaded.is_empty()) {
                    break;
                }
                let record = record::read(value.value());
                loaded.push(Loaded {
                    id: id.value(),
                    record,
                });
            }
            Ok(loaded)
        })
    }

    /// What is in the store.
    pub(super) fn totals(&mut self) -> Result<Totals, redb::Error> {
        self.with(|database| {
            let transaction = database.begin_read()?;
            let bytes = transaction.open_table(NUMBERS)?.get("bytes")?;
            totals(
                &transaction.open_table(RECORDS)?,
                bytes.map_or(0, |bytes| bytes.value()),
            )
        })
    }

    /// Runs `work` on the database, opened again first if the last work failed.
    fn with<T>(&mut self, work: impl FnOnce(&Database) -> Result<T, redb::Error>) -> Result<T, redb::Error> {
        let database = match self.database.take() {
            Some(database) => database,
            None => (self.open)()?,
        };
        let result = catch_unwind(AssertUnwindSafe(|| work(&database)))
            .unwrap_or_else(|_| Err(redb::Error::Corrupted(NONSENSE.to_owned())));
        if result.is_ok() {
            self.database = Some(database);
        }
        result
    }
}

/// Makes the tables if they are not there; the file's format, and what is in it.
fn prepare(database: &Database) -> Result<(u64, Totals), redb::Error> {
    let transaction = database.begin_write()?;
    let prepared = {
        let mut numbers = transaction.open_table(NUMBERS)?;
        let found = numbers.get("format")?.map(|format| format.value());
        let format = found.unwrap_or(FORMAT);
        if found.is_none() {
            numbers.insert("format", FORMAT)?;
        }
        let bytes = numbers.get("bytes")?.map_or(0, |bytes| bytes.value());
        (format, totals(&transaction.open_table(RECORDS)?, bytes)?)
    };
    transaction.commit()?;
    Ok(prepared)
}

fn totals(records: &impl ReadableTable<u64, &'static [u8]>, bytes: u64) -> Result<Totals, redb::Error> {
    Ok(Totals {
        records: records.len()?,
        bytes,
        end: records.last()?.map_or(0, |(id, _)| id.value() + 1),
    })
}

/// Runs `work` on a file that anybody may have written: redb finds most damage by its checksums, and what it
/// trips over instead is damage too.
fn guarded<T, E: Into<redb::Error>>(
    path: &Path,
    work: impl FnOnce() -> Result<T, E>,
) -> Result<T, OpenError> {
    let path = path.to_owned();
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(match error.into() {
            redb::Error::DatabaseAlreadyOpen => OpenError::InUse { path },
            redb::Error::Io(source) if source.kind() == std::io::ErrorKind::InvalidData => {
                OpenError::Corrupt {
                    path,
                    reason: "it is no database of redb's".to_owned(),
                }
            }
            source @ (redb::Error::Io(_) | redb::Error::PreviousIo) => OpenError::Store {
                path,
                source: Box::new(source),
            },
            damage => OpenError::Corrupt {
                path,
                reason: damage.to_string(),
            },
        }),
        Err(_) => Err(OpenError::Corrupt {
            path,
            reason: NONSENSE.to_owned(),
        }),
    }
}
