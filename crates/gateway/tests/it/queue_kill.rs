//! The queue, killed while it writes: what was acknowledged is there.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use bytes::Bytes;
use evenkeel_gateway::ByteSize;
use evenkeel_gateway::queue::{Queue, QueueConfig};
use evenkeel_otlp::{Compression, Encoding, Export, Signal};

/// Where the child's queue is; without it the child's test does nothing.
const DIR: &str = "EVENKEEL_TEST_QUEUE";

/// Senders in the child, and what each sends.
const SENDERS: u32 = 8;
const LEN: usize = 9_000;

fn config(dir: &std::path::Path) -> QueueConfig {
    let mut config = QueueConfig::default();
    config.dir = dir.to_owned();
    config.max_bytes = ByteSize::mib(64);
    config
}

fn record(sender: u32, number: u32) -> Export {
    let mut body = [sender.to_le_bytes(), number.to_le_bytes()].concat();
    // What the rest is can be told from the beginning, so that mixed-up bytes are seen.
    body.resize(LEN, (sender * 31 + number) as u8);
    Export::new(Signal::Logs, Encoding::Json, Compression::None, Bytes::from(body))
}

fn name(export: &Export) -> (u32, u32) {
    let word = |at: usize| {
        let bytes = export.body()[at..at + 4].try_into().expect("four bytes");
        u32::from_le_bytes(bytes)
    };
    (word(0), word(4))
}

/// Not a test: what [`what_was_acknowledged_before_a_kill_is_delivered_after_it`] starts and kills. Says what was
/// acknowledged, a line each; ends by itself when its queue is full.
#[test]
#[ignore = "a part of another test"]
fn child() {
    let Some(dir) = std::env::var_os(DIR) else {
        return;
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_time()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let queue = Queue::open(config(dir.as_ref())).expect("opens");
        let mut senders = tokio::task::JoinSet::new();
        for sender in 0..SENDERS {
            let queue = queue.clone();
            senders.spawn(async move {
                for number in 0.. {
                    if queue.push(record(sender, number)).await.is_err() {
                        return;
                    }
                    let line = format!("acknowledged {sender} {number}\n");
                    std::io::stdout().write_all(line.as_bytes()).expect("heard");
                }
            });
        }
        let mut held = Vec::new();
        // Some of it is delivered meanwhile, so that the kill falls into that too.
        while let Ok(Some(lease)) = tokio::time::timeout(Duration::from_secs(1), queue.take()).await {
            let (sender, number) = name(lease.export());
            let line = format!("delivered {sender} {number}\n");
            std::io::stdout().write_all(line.as_bytes()).expect("heard");
            if number % 2 == 0 {
                lease.acknowledge();
            } else {
                held.push(lease);
            }
        }
        while senders.join_next().await.is_some() {}
    });
}

fn start(dir: &std::path::Path) -> Child {
    Command::new(std::env::current_exe().expect("this program"))
        .args([
            "--exact",
            "queue_kill::child",
            "--ignored",
            "--nocapture",
            "--quiet",
        ])
        .env(DIR, dir)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("starts")
}

#[tokio::test]
async fn what_was_acknowledged_before_a_kill_is_delivered_after_it() {
    for lines in [1, 30, 150, 400] {
        killed_after(lines).await;
    }
}

async fn killed_after(count: usize) {
    let dir = tempfile::tempdir().expect("a directory");
    // By (sender, number): whether it was handed out.
    let mut acknowledged: BTreeMap<(u32, u32), bool> = BTreeMap::new();
    let mut child = start(dir.path());
    let mut heard = 0;
    for line in BufReader::new(child.stdout.take().expect("piped")).lines() {
        note(&mut acknowledged, &line.expect("text"));
        heard += usize::from(!acknowledged.is_empty());
        if heard == count {
            child.kill().expect("SIGKILL");
        }
    }
    child.wait().expect("ended");
    assert!(heard >= count, "the child ended by itself after {heard} lines");

    let queue = Queue::open(config(dir.path())).expect("opens after the kill");
    let mut next: BTreeMap<u32, u32> = BTreeMap::new();
    let mut came = 0;
    for _ in 0..queue.stats().records {
        let lease = queue.take().await.expect("open");
        let (sender, number) = name(lease.export());
        assert_eq!(lease.export(), &record(sender, number));
        let next = next.entry(sender).or_default();
        assert!(number >= *next, "each sender's in order");
        *next = number + 1;
        acknowledged.remove(&(sender, number));
        came += 1;
        lease.acknowledge();
    }
    assert_eq!(queue.stats().damaged, 0);
    assert!(came > 0);
    // What is not there was delivered, and even: the child settled those.
    let lost: Vec<_> = acknowledged
        .iter()
        .filter(|((_, number), delivered)| !**delivered || number % 2 != 0)
        .collect();
    assert!(lost.is_empty(), "lost {lost:?}");
    queue.close().await;
}

/// Remembers what a line of the child says; the last may be cut.
fn note(acknowledged: &mut BTreeMap<(u32, u32), bool>, line: &str) {
    let mut words = line.split(' ');
    let (Some(what), Some(sender), Some(number)) = (words.next(), words.next(), words.next()) else {
        return;
    };
    let (Ok(sender), Ok(number)) = (sender.parse(), number.parse()) else {
        return;
    };
    match what {
        "acknowledged" => {
            acknowledged.entry((sender, number)).or_insert(false);
        }
        "delivered" => {
            acknowledged.insert((sender, number), true);
        }
        _ => {}
    }
}
