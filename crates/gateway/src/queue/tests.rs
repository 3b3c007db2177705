//! The queue against a model, on a disk that loses what was not synced, and on one that fails.

mod delivery;
mod disk;
mod files;
mod ledger;
mod limits;
mod model;

use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use evenkeel_otlp::{Compression, Encoding, Export, Signal};

use super::store::Store;
use super::{Lease, OpenError, PushError, Queue, QueueConfig};
use disk::Disk;

/// A record that says which it is, `len` bytes long.
fn numbered(number: u64, len: usize) -> Export {
    let mut body = number.to_le_bytes().to_vec();
    body.resize(len.max(8), 0xAB);
    Export::new(
        Signal::Traces,
        Encoding::Protobuf,
        Compression::Gzip,
        Bytes::from(body),
    )
}

fn number(export: &Export) -> u64 {
    u64::from_le_bytes(*export.body().first_chunk().expect("a numbered record"))
}

fn on(disk: &Disk, config: QueueConfig) -> Queue {
    let (store, totals) = open(disk).expect("opens");
    Queue::start(config, store, totals).expect("starts")
}

fn open(disk: &Disk) -> Result<(Store, super::store::Totals), OpenError> {
    let disk = disk.clone();
    let opener = move || redb::Database::builder().create_with_backend(disk.clone());
    Store::open(PathBuf::from("simulated"), Box::new(opener))
}

/// A test that waits for ever says so instead.
async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), future)
        .await
        .expect("it comes")
}

async fn take(queue: &Queue) -> Lease {
    soon(queue.take()).await.expect("open")
}

/// Waits until what was settled is out of the file.
async fn until_empty(queue: &Queue) {
    soon(async {
        while queue.stats().records > 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
}

fn is_full(result: &Result<(), PushError>, name: &str) -> bool {
    matches!(result, Err(PushError::Full { field, .. }) if *field == name)
}
