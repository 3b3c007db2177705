//! [`QueueConfig`]: where the queue is and how large it may grow.

use std::path::PathBuf;
use std::time::Duration;

use evenkeel::health::{BackoffConfig, Jitter};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::config::ByteSize;

/// Where the queue is and how large it may grow.
///
/// No knob for the time a push waits for others before the disk is asked: while one commit is under way the
/// next group gathers, so a busy queue commits in large groups and a quiet one at once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct QueueConfig {
    /// The directory of the queue's file; made if it is not there. `evenkeel-queue` by default, in the
    /// directory where the process runs. One process at a time.
    pub dir: PathBuf,
    /// The most bytes that records may take on disk; a push beyond it is refused, which is what a sender
    /// sees as back-pressure. A record counts with the pages it fills: up to twice its size. 1 MiB .. 1 TiB;
    /// 1 GiB by default: at 2 000 spans a second, some twenty minutes without any collector.
    pub max_bytes: ByteSize,
    /// The most bytes of records in memory that wait for a collector or are under way to one; the others are
    /// on disk only. One record that is larger goes alone. 64 KiB or more; 8 MiB by default.
    pub max_memory_bytes: ByteSize,
    /// The most bytes of records that wait for the disk; a push beyond it is refused. One record that is larger
    /// goes alone. At least 64 KiB; 16 MiB by default: four commits.
    pub max_pending_bytes: ByteSize,
    /// How many records may be under way to collectors at once. 1 .. 65 536; 64 by default: beyond it the
    /// collectors' own queues grow, not the throughput.
    pub max_in_flight: usize,
    /// How old a record may become before it is dropped (and counted) instead of being tried again. None by
    /// default: nothing is dropped for its age. By the wall clock, since a record outlives the process.
    #[serde(with = "humantime_serde")]
    pub max_age: Option<Duration>,
    /// The shortest wait before a record is tried again; each is drawn from between it and three times the last.
    /// Above zero; 100 ms by default: the client has tried every collector already.
    #[serde(with = "humantime_serde")]
    pub min_backoff: Duration,
    /// The longest wait before a record is tried again, unless a collector asks for longer. At least
    /// `min_backoff`; 5 s by default, the OTLP exporters' usual.
    #[serde(with = "humantime_serde")]
    pub max_backoff: Duration,
    /// The most that a collector's word of when to come back is believed. At least `max_backoff`; 300 s by
    /// default.
    #[serde(with = "humantime_serde")]
    pub max_retry_after: Duration,
}

impl Default for QueueConfig {
    fn default() -> Self {
        Self {
            dir: PathBuf::from("evenkeel-queue"),
            max_bytes: ByteSize::mib(1024),
            max_memory_bytes: ByteSize::mib(8),
            max_pending_bytes: ByteSize::mib(16),
            max_in_flight: 64,
            max_age: None,
            min_backoff: Duration::from_millis(100),
            max_backoff: Duration::from_secs(5),
            max_retry_after: Duration::from_secs(300),
        }
    }
}

/// A field of [`QueueConfig`] that is out of its range.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("queue.{field} is {value}, must be {expected}")]
pub struct QueueConfigError {
    /// The field's name.
    pub field: &'static str,
    /// What it was.
    pub value: String,
    /// What it may be.
    pub expected: &'static str,
}

impl QueueConfig {
    /// Whether every field is in its range.
    ///
    /// # Errors
    /// Names the field that is not.
    pub fn validate(&self) -> Result<(), QueueConfigError> {
        let wrong = |field, value: String, expected| {
            Err(QueueConfigError {
                field,
                value,
                expected,
            })
        };
        if self.dir.as_os_str().is_empty() {
            return wrong("dir", "empty".to_owned(), "a directory");
        }
        if !(1 << 20..=1 << 40).contains(&self.max_bytes.0) {
            return wrong("max_bytes", self.max_bytes.to_string(), "1 MiB .. 1 TiB");
        }
        for (field, value) in [
            ("max_memory_bytes", self.max_memory_bytes),
            ("max_pending_bytes", self.max_pending_bytes),
        ] {
            if value.0 < 64 << 10 {
                return wrong(field, value.to_string(), "at least 64 KiB");
            }
        }
        if !(1..=65_536).contains(&self.max_in_flight) {
            return wrong("max_in_flight", self.max_in_flight.to_string(), "1 .. 65536");
        }
        if self.max_age.is_some_and(|age| age.is_zero()) {
            return wrong("max_age", "0".to_owned(), "above zero");
        }
        if self.min_backoff.is_zero() {
            return wrong("min_backoff", "0".to_owned(), "above zero");
        }
        if self.max_backoff < self.min_backoff {
            return wrong(
                "max_backoff",
                format!("{:?}", self.max_backoff),
                "at least min_backoff",
            );
        }
        if self.max_retry_after < self.max_backoff {
            let value = format!("{:?}", self.max_retry_after);
            return wrong("max_retry_after", value, "at least max_backoff");
        }
        Ok(())
    }

    /// How long a record waits between attempts, for as long as it takes.
    pub(super) fn backoff(&self) -> BackoffConfig {
        BackoffConfig {
            base: self.min_backoff,
            max: self.max_backoff,
            max_retry_after: self.max_retry_after,
            retries: u32::MAX,
            // The client has tried every collector: at once again is never right.
            jitter: Jitter::Decorrelated,
        }
    }
}
