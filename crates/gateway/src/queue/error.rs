//! Why a queue does not open, and why a record is not taken.

use std::path::PathBuf;

use thiserror::Error;

use super::QueueConfigError;

/// Why a queue did not open. Each names the file.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The configuration makes no sense.
    #[error(transparent)]
    Config(#[from] QueueConfigError),
    /// The directory could not be made, or not be synced to disk.
    #[error("queue directory {}: {source}", path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Another process has the queue open, or this one does.
    #[error("queue file {} is in use by another process", path.display())]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// The file is not one of ours, or is damaged. It is left as it is: move it away to start with an empty
    /// queue.
    #[error("queue file {} is damaged or no queue of ours: {reason}", path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What was found.
        reason: String,
    },
    /// The file was written by a version of evenkeel that this one does not know.
    #[error("queue file {} has format {found}; this version reads format {}", path.display(), super::store::FORMAT)]
    Format {
        /// The file.
        path: PathBuf,
        /// The format it has.
        found: u64,
    },
    /// The file could not be read or written.
    #[error("queue file {}: {source}", path.display())]
    Store {
        /// The file.
        path: PathBuf,
        /// What the store said.
        source: Box<redb::Error>,
    },
    /// The queue's thread could not be started.
    #[error("queue thread: {source}")]
    Thread {
        /// What the system said.
        source: std::io::Error,
    },
}

/// Why a record was not taken. Nothing of it is on disk, except after [`PushError::Store`], where it may be:
/// then it is delivered, and once more if it is sent again.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PushError {
    /// A limit is reached: try again later. The sender's to wait, so this is back-pressure.
    #[error("the queue is full: {used} of {limit} bytes ({field})")]
    Full {
        /// The limit's name in [`QueueConfig`](super::QueueConfig).
        field: &'static str,
        /// What is taken.
        used: u64,
        /// The limit.
        limit: u64,
    },
    /// The record would not fit into an empty queue: trying again is of no use.
    #[error("a record that takes {bytes} bytes is larger than max_bytes allows ({limit})")]
    TooLarge {
        /// What the record takes.
        bytes: u64,
        /// The limit.
        limit: u64,
    },
    /// The disk failed. The file is opened anew before the next push.
    #[error("queue file {}: {reason}", path.display())]
    Store {
        /// The file.
        path: PathBuf,
        /// What the store said.
        reason: String,
    },
    /// The queue is closed.
    #[error("the queue is closed")]
    Closed,
}

impl PushError {
    /// Whether the same record may be taken later.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        !matches!(self, Self::TooLarge { .. })
    }
}
