//! What is counted, and that it is counted once.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use evenkeel_io_core::{AsyncIoConfig, AsyncIoManager};
use evenkeel_stats::{CloseEvent, ConnectEvent, FailureKind, Observe, Phase};
use evenkeel_testkit::{Backend, Behaviour, Refusing};
use tokio::io::AsyncWriteExt;
use tokio::time::advance;

use super::{pair, paused, real};

#[tokio::test]
async fn every_connection_byte_and_operation_is_counted_once_open_or_gone() {
    let backend = Backend::start(Behaviour::Echo).await.unwrap();
    let nobody = Refusing::start().unwrap();
    let manager = real(AsyncIoConfig::default());
    let mut kept = Vec::new();
    for i in 0..10 {
        let mut connection = manager.connect(backend.addr()).await.unwrap();
        connection.write_all(&[1; 100]).await.unwrap();
        connection.read_exact(&mut [0; 100]).await.unwrap();
        if i % 2 == 0 {
            kept.push(connection);
        }
    }
    for _ in 0..3 {
        manager.connect(nobody.addr()).await.unwrap_err();
    }
    let stats = manager.stats();
    assert_eq!(stats.active_connections, 5);
    assert_eq!(stats.peak_connections, 6);
    assert_eq!(stats.total_connections, 10);
    assert_eq!(stats.failed_connects, 3);
    assert_eq!(
        (stats.traffic.bytes_read, stats.traffic.bytes_written),
        (1000, 1000)
    );
    assert_eq!(stats.traffic.writes, 10);
    assert_eq!(stats.connect_time.count(), 10);
    assert!(stats.read_wait.count() <= stats.traffic.reads);
    assert_eq!(
        stats.write_wait.count(),
        0,
        "a hundred bytes fit into every socket"
    );
    let failures: Vec<_> = stats.failures.iter().map(|(f, n)| (f.phase, f.kind, n)).collect();
    assert_eq!(failures, [(Phase::Connect, FailureKind::Refused, 3)]);
    assert_eq!(stats.connect_success_rate(), Some(10.0 / 13.0));
}

#[tokio::test(start_paused = true)]
async fn a_read_that_waits_is_timed_from_its_start_to_its_bytes() {
    let manager = paused(AsyncIoConfig::default());
    let (mut connection, mut theirs) = pair(&manager, 8).await;
    let answer = async {
        advance(Duration::from_millis(40)).await;
        theirs.write_all(b"x").await.unwrap();
    };
    let mut buf = [0; 1];
    let (read, ()) = tokio::join!(connection.read(&mut buf), answer);
    read.unwrap();
    let longest = manager.stats().read_wait.max().unwrap();
    assert_eq!(longest, Duration::from_millis(40));
    advance(Duration::from_secs(2)).await;
    let info = connection.info();
    assert_eq!((info.age.as_millis(), info.idle.as_millis()), (2040, 2000));
}

#[derive(Default)]
struct Tally {
    connected: AtomicUsize,
    failed: AtomicUsize,
    closed: AtomicUsize,
}

impl Observe for Tally {
    fn connect(&self, event: &ConnectEvent<'_>) {
        let count = if event.result.is_ok() {
            &self.connected
        } else {
            &self.failed
        };
        count.fetch_add(1, Ordering::SeqCst);
    }

    fn close(&self, event: &CloseEvent<'_>) {
        assert_eq!(event.reason, "dropped");
        self.closed.fetch_add(1, Ordering::SeqCst);
    }
}

#[tokio::test]
async fn an_observer_hears_of_every_connect_failure_and_close() {
    let backend = Backend::start(Behaviour::Echo).await.unwrap();
    let nobody = Refusing::start().unwrap();
    let tally = Arc::new(Tally::default());
    let manager = AsyncIoManager::builder(AsyncIoConfig::default())
        .observer(tally.clone())
        .build()
        .unwrap();
    let connection = manager.connect(backend.addr()).await.unwrap();
    manager.connect(nobody.addr()).await.unwrap_err();
    drop(connection);
    let heard = [&tally.connected, &tally.failed, &tally.closed].map(|n| n.load(Ordering::SeqCst));
    assert_eq!(heard, [1, 1, 1]);
}

#[test]
fn a_config_that_makes_no_sense_builds_no_manager() {
    let error = AsyncIoManager::new(AsyncIoConfig {
        max_connections: 0,
        ..AsyncIoConfig::default()
    })
    .unwrap_err();
    assert_eq!(error.to_string(), "max_connections = 0: must be at least 1");
}
