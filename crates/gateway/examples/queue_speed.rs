//! How fast the queue on disk is: records a second, synced, by how many push at once; and what is resident.
//!
//! `cargo run --release -p evenkeel-gateway --example queue_speed -- DIRECTORY`

#![allow(clippy::print_stdout, reason = "it is a program")]

use std::error::Error;
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use evenkeel_gateway::queue::{Queue, QueueConfig};
use evenkeel_otlp::{Compression, Encoding, Export, Signal};
use tokio::task::JoinSet;
use tokio::time::Instant;

/// As 100 spans are.
const LEN: usize = 26_600;

#[tokio::main(worker_threads = 2)]
async fn main() -> Result<(), Box<dyn Error>> {
    let dir = std::env::args_os()
        .nth(1)
        .map_or_else(std::env::temp_dir, PathBuf::from);
    let mut config = QueueConfig::default();
    config.dir = dir.join("evenkeel-queue-speed");
    let queue = Queue::open(config.clone())?;
    let body = Bytes::from((0..LEN).map(|_| fastrand::u8(..)).collect::<Vec<_>>());
    let export = Export::new(Signal::Traces, Encoding::Protobuf, Compression::None, body);
    let drain = tokio::spawn({
        let queue = queue.clone();
        async move {
            while let Some(lease) = queue.take().await {
                lease.acknowledge();
            }
        }
    });
    for round in 1..=3 {
        for pushers in [1, 16, 64] {
            let before = queue.stats();
            let began = Instant::now();
            let mut tasks = JoinSet::new();
            for _ in 0..pushers {
                let (queue, export) = (queue.clone(), export.clone());
                tasks.spawn(async move {
                    while began.elapsed() < Duration::from_secs(3) {
                        queue.push(export.clone()).await?;
                    }
                    Ok::<_, evenkeel_gateway::queue::PushError>(())
                });
            }
            while let Some(ended) = tasks.join_next().await {
                ended??;
            }
            let seconds = began.elapsed().as_secs_f64();
            let after = queue.stats();
            let records = (after.pushed - before.pushed) as f64;
            let commits = (after.commits - before.commits) as f64;
            println!(
                "round {round}, {pushers} at once: {:.0} records/s, {:.1} MB/s, {:.1} a commit, {:.2} ms a push; {}",
                records / seconds,
                records * LEN as f64 / seconds / 1e6,
                records / commits,
                seconds * 1e3 * f64::from(pushers) / records,
                resident(),
            );
        }
    }
    queue.close().await;
    drain.await?;
    std::fs::remove_dir_all(config.dir)?;
    Ok(())
}

/// What the system says of this process's memory, where it does.
fn resident() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let lines = status.lines().filter(|line| line.starts_with("VmHWM"));
    lines.collect::<Vec<_>>().join(" ").replace('\t', " ")
}
