//! How fast the queue on disk is: records a second, synced, by how many push at once; what is resident; and how long
//! it takes to open after a kill -9, by how much is in it.
//!
//! `cargo run --release -p evenkeel-gateway --example queue_speed -- DIRECTORY`

#![allow(clippy::print_stdout, reason = "it is a program")]

use std::error::Error;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use bytes::Bytes;
use evenkeel_gateway::ByteSize;
use evenkeel_gateway::queue::{PushError, Queue, QueueConfig};
use evenkeel_otlp::{Compression, Encoding, Export, Signal};
use tokio::task::JoinSet;
use tokio::time::Instant;

/// As 100 spans are.
const LEN: usize = 26_600;

/// What is in the queue when it is opened after a kill, in MiB of records.
const LEFT: [usize; 3] = [64, 256, 1024];

#[tokio::main(worker_threads = 2)]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args_os().skip(1);
    let dir = arguments.next().map_or_else(std::env::temp_dir, PathBuf::from);
    let dir = dir.join("evenkeel-queue-speed");
    if let Some(mib) = arguments.next() {
        return fill(&dir, mib.to_string_lossy().parse()?).await;
    }
    pushes(&dir).await?;
    for mib in LEFT {
        opens(&dir, mib).await?;
    }
    Ok(())
}

fn config(dir: &Path) -> QueueConfig {
    let mut config = QueueConfig::default();
    config.dir = dir.to_owned();
    config.max_bytes = ByteSize::mib(4096);
    config
}

fn export() -> Export {
    let body = Bytes::from((0..LEN).map(|_| fastrand::u8(..)).collect::<Vec<_>>());
    Export::new(Signal::Traces, Encoding::Protobuf, Compression::None, body)
}

/// Pushes for a while by so many at once, while another task takes all out again.
async fn pushes(dir: &Path) -> Result<(), Box<dyn Error>> {
    let queue = Queue::open(config(dir))?;
    let export = export();
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
                    Ok::<_, PushError>(())
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
    std::fs::remove_dir_all(dir)?;
    Ok(())
}

/// Has another process fill a queue, kills it, and opens what it left: once as after the kill, once as after an
/// orderly end.
async fn opens(dir: &Path, mib: usize) -> Result<(), Box<dyn Error>> {
    let parent = dir.parent().unwrap_or(dir);
    let mut child = Command::new(std::env::current_exe()?)
        .arg(parent)
        .arg(mib.to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut said = String::new();
    if let Some(stdout) = child.stdout.take() {
        BufReader::new(stdout).read_line(&mut said)?;
    }
    child.kill()?;
    child.wait()?;
    if said.trim() != "full" {
        return Err("the process that was to fill the queue did not".into());
    }
    for after in ["a kill", "an orderly end"] {
        let began = Instant::now();
        let queue = Queue::open(config(dir))?;
        let took = began.elapsed();
        let stats = queue.stats();
        let gigabytes = stats.records as f64 * LEN as f64 / 1e9;
        println!(
            "{} records, {gigabytes:.2} GB, after {after}: opens in {:.0} ms, {:.2} s/GB; {}",
            stats.records,
            took.as_secs_f64() * 1e3,
            took.as_secs_f64() / gigabytes,
            resident(),
        );
        queue.close().await;
    }
    std::fs::remove_dir_all(dir)?;
    Ok(())
}

/// Fills a queue, says so, and waits to be killed.
async fn fill(dir: &Path, mib: usize) -> Result<(), Box<dyn Error>> {
    let queue = Queue::open(config(dir))?;
    let export = export();
    let records = (mib << 20) / LEN;
    let mut tasks = JoinSet::new();
    for pusher in 0..64 {
        let (queue, export) = (queue.clone(), export.clone());
        tasks.spawn(async move {
            for _ in (pusher..records).step_by(64) {
                queue.push(export.clone()).await?;
            }
            Ok::<_, PushError>(())
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended??;
    }
    println!("full");
    // Killed while it waits; if nobody is there to do so, it ends.
    std::io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}

/// What the system says of this process's memory, where it does.
fn resident() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let lines = status.lines().filter(|line| line.starts_with("VmHWM"));
    lines.collect::<Vec<_>>().join(" ").replace('\t', " ")
}
