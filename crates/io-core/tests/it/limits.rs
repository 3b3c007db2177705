//! Limits: who waits, for how long, and what goes back when somebody leaves.

use std::time::Duration;

use evenkeel_io_core::{AsyncIoConfig, ConnectError, IoError, Limit};
use evenkeel_stats::FailureKind;
use evenkeel_testkit::{Backend, Behaviour, BlackHole};
use tokio::io::AsyncWriteExt;
use tokio::time::Instant;

use super::{pair, paused, peer, poll_once, real};

const SECOND: Duration = Duration::from_secs(1);

fn config() -> AsyncIoConfig {
    AsyncIoConfig {
        max_connections: 2,
        connect_timeout: 3 * SECOND,
        ..AsyncIoConfig::default()
    }
}

#[tokio::test(start_paused = true)]
async fn one_connection_too_many_waits_its_timeout_and_learns_which_limit() {
    let manager = paused(config());
    let _first = pair(&manager, 8).await;
    let _second = pair(&manager, 8).await;
    let start = Instant::now();
    let error = manager.connect("127.0.0.1:9").await.unwrap_err();
    assert_eq!(start.elapsed().as_secs(), 3);
    assert!(
        matches!(&error, ConnectError::Limit { limit: Limit::Connections, waited, .. } if *waited == 3 * SECOND),
        "{error}"
    );
    assert!(error.to_string().contains("max_connections"), "{error}");
    assert_eq!(error.failure().kind, FailureKind::Limit);
    let stats = manager.stats();
    assert_eq!(
        (
            stats.active_connections,
            stats.waiting_for_connection,
            stats.failed_connects
        ),
        (2, 0, 1)
    );
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_closes_serves_the_one_who_waits() {
    let manager = paused(config());
    let first = pair(&manager, 8).await;
    let _second = pair(&manager, 8).await;
    let (ours, _theirs) = tokio::io::duplex(8);
    let mut third = Box::pin(manager.adopt(ours, peer()));
    assert!(poll_once(third.as_mut()).is_pending());
    drop(first);
    assert!(third.await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn waiters_that_give_up_lose_no_place() {
    let manager = paused(config());
    let first = pair(&manager, 8).await;
    let second = pair(&manager, 8).await;
    for _ in 0..100 {
        let mut waiting = Box::pin(manager.connect("127.0.0.1:9"));
        assert!(poll_once(waiting.as_mut()).is_pending());
    }
    drop((first, second));
    let again = (pair(&manager, 8).await, pair(&manager, 8).await);
    assert_eq!(manager.stats().active_connections, 2);
    drop(again);
    assert_eq!(manager.stats().active_connections, 0);
}

#[tokio::test]
async fn a_connect_dropped_in_mid_flight_gives_its_place_back_at_once() {
    let hole = BlackHole::start().await.unwrap();
    let backend = Backend::start(Behaviour::Echo).await.unwrap();
    let manager = real(AsyncIoConfig {
        max_connections: 1,
        max_pending_operations: 1,
        ..config()
    });
    let mut dialling = Box::pin(manager.connect(hole.addr()));
    assert!(poll_once(dialling.as_mut()).is_pending());
    assert_eq!(manager.stats().pending_operations, 1);
    drop(dialling);
    assert_eq!(manager.stats().pending_operations, 0);
    manager.connect(backend.addr()).await.unwrap();
}

#[tokio::test]
async fn a_crowded_host_does_not_hold_up_the_others() {
    let crowded = Backend::start(Behaviour::Echo).await.unwrap();
    let other = Backend::start(Behaviour::Echo).await.unwrap();
    let manager = real(AsyncIoConfig {
        max_connections_per_host: Some(1),
        ..config()
    });
    let first = manager.connect(crowded.addr()).await.unwrap();
    let mut second = Box::pin(manager.connect(crowded.addr()));
    assert!(poll_once(second.as_mut()).is_pending());
    // The one who waits for the crowded host holds none of the two places.
    let _other = manager.connect(other.addr()).await.unwrap();
    drop(first);
    drop(second.await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn the_host_limit_is_named_in_the_error() {
    let manager = paused(AsyncIoConfig {
        max_connections_per_host: Some(1),
        ..config()
    });
    let _one = pair(&manager, 8).await;
    let (ours, _theirs) = tokio::io::duplex(8);
    let error = manager.adopt(ours, peer()).await.unwrap_err();
    assert!(
        matches!(
            error,
            ConnectError::Limit {
                limit: Limit::ConnectionsPerHost,
                ..
            }
        ),
        "{error}"
    );
}

#[tokio::test(start_paused = true)]
async fn one_operation_too_many_waits_its_timeout_and_learns_which_limit() {
    let manager = paused(AsyncIoConfig {
        max_pending_operations: 1,
        read_timeout: 5 * SECOND,
        ..config()
    });
    let (mut first, _theirs) = pair(&manager, 8).await;
    let (mut second, mut other) = pair(&manager, 8).await;
    first.set_read_timeout(None);
    let mut buf = [0; 1];
    let mut holder = Box::pin(first.read(&mut buf));
    assert!(poll_once(holder.as_mut()).is_pending());

    let start = Instant::now();
    let error = second.read(&mut [0; 1]).await.unwrap_err();
    assert_eq!(start.elapsed().as_secs(), 5);
    assert!(
        matches!(
            IoError::of(&error),
            Some(IoError::Limit {
                limit: Limit::PendingOperations,
                ..
            })
        ),
        "{error}"
    );

    // What can finish at once never needs a place.
    other.write_all(b"x").await.unwrap();
    assert_eq!(second.read(&mut [0; 1]).await.unwrap(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_dropped_read_frees_its_place_for_the_next_in_line() {
    let manager = paused(AsyncIoConfig {
        max_pending_operations: 1,
        ..config()
    });
    let (mut first, _theirs) = pair(&manager, 8).await;
    let (mut second, mut other) = pair(&manager, 8).await;
    let mut buf = [0; 1];
    let mut holder = Box::pin(first.read(&mut buf));
    assert!(poll_once(holder.as_mut()).is_pending());
    let next = tokio::spawn(async move { second.read(&mut [0; 1]).await });
    tokio::task::yield_now().await;
    assert_eq!(manager.stats().waiting_for_operation, 1);
    drop(holder);
    tokio::task::yield_now().await;
    assert_eq!(
        (
            manager.stats().pending_operations,
            manager.stats().waiting_for_operation
        ),
        (1, 0)
    );
    other.write_all(b"x").await.unwrap();
    assert_eq!(next.await.unwrap().unwrap(), 1);
    assert_eq!(manager.stats().pending_operations, 0);
}

#[tokio::test(start_paused = true)]
async fn a_connection_dropped_while_it_waits_gives_everything_back() {
    let manager = paused(AsyncIoConfig {
        max_pending_operations: 1,
        ..config()
    });
    let (mut first, _theirs) = pair(&manager, 8).await;
    let mut buf = [0; 1];
    // Through the trait, so that nothing tells the connection that its read was dropped.
    let mut read = Box::pin(tokio::io::AsyncReadExt::read(&mut first, &mut buf));
    assert!(poll_once(read.as_mut()).is_pending());
    drop(read);
    assert_eq!(manager.stats().pending_operations, 1);
    drop(first);
    assert_eq!(manager.stats().pending_operations, 0);
}

#[tokio::test(start_paused = true)]
async fn a_read_whose_answer_came_while_it_was_in_line_is_not_failed_for_the_limit() {
    let manager = paused(AsyncIoConfig {
        max_pending_operations: 1,
        ..config()
    });
    let (mut first, _theirs) = pair(&manager, 8).await;
    let (mut second, mut other) = pair(&manager, 8).await;
    first.set_read_timeout(None);
    let mut buf = [0; 1];
    let mut holder = Box::pin(first.read(&mut buf));
    assert!(poll_once(holder.as_mut()).is_pending());
    let answer = async {
        tokio::time::sleep(SECOND).await;
        other.write_all(b"x").await.unwrap();
    };
    let mut buf = [0; 1];
    let (read, ()) = tokio::join!(second.read(&mut buf), answer);
    assert_eq!(read.unwrap(), 1);
    assert!(manager.stats().failures.iter().next().is_none());
}

#[tokio::test(start_paused = true)]
async fn the_line_for_connections_has_an_end() {
    let manager = paused(AsyncIoConfig {
        max_waiting_connects: 2,
        ..config()
    });
    let _first = pair(&manager, 8).await;
    let _second = pair(&manager, 8).await;
    let mut waiting: Vec<_> = (0..2).map(|_| Box::pin(manager.connect("127.0.0.1:9"))).collect();
    for connect in &mut waiting {
        assert!(poll_once(connect.as_mut()).is_pending());
    }
    let error = manager.connect("127.0.0.1:9").await.unwrap_err();
    assert!(
        matches!(
            error,
            ConnectError::Limit {
                limit: Limit::WaitingConnects,
                ..
            }
        ),
        "{error}"
    );
    drop(waiting.pop());
    assert!(poll_once(Box::pin(manager.connect("127.0.0.1:9")).as_mut()).is_pending());
}
