//! Ending connections: one, the idle ones, all; by their owners, by accident, by the manager.

use std::time::Duration;

use evenkeel_io_core::{AsyncIoConfig, CloseReason, ConnectError, ConnectionState, IoError};
use evenkeel_testkit::{Backend, Behaviour, BlackHole};
use tokio::time::{Instant, advance};

use super::{pair, paused, peer, poll_once, real};

const SECOND: Duration = Duration::from_secs(1);

fn closed_for(reason: CloseReason) -> IoError {
    IoError::Closed { peer: peer(), reason }
}

#[tokio::test]
async fn a_connection_closed_from_outside_wakes_whoever_waits_on_it_and_tells_the_peer() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let manager = real(AsyncIoConfig::default());
    let connecting = manager.connect(listener.local_addr().unwrap());
    let (connection, accepted) = tokio::join!(connecting, listener.accept());
    let (mut connection, (mut theirs, _)) = (connection.unwrap(), accepted.unwrap());
    let id = connection.id();
    let reading = tokio::spawn(async move {
        let error = connection.read(&mut [0; 1]).await.unwrap_err();
        (connection, error)
    });
    tokio::task::yield_now().await;
    assert!(manager.close(id));
    assert!(!manager.close(id), "it was closed already");

    // The owner still holds it, and the peer has seen the end all the same.
    assert_eq!(
        tokio::io::AsyncReadExt::read(&mut theirs, &mut [0; 1])
            .await
            .unwrap(),
        0
    );
    let (mut connection, error) = reading.await.unwrap();
    assert!(
        matches!(
            IoError::of(&error),
            Some(IoError::Closed {
                reason: CloseReason::Requested,
                ..
            })
        ),
        "{error}"
    );
    assert_eq!(
        connection.info().state,
        ConnectionState::Closing(CloseReason::Requested)
    );
    assert!(connection.write(b"x").await.is_err());
    assert_eq!(manager.stats().active_connections, 1);
    drop(connection);
    assert_eq!(manager.stats().active_connections, 0);
    assert!(!manager.close(id), "it is gone");
}

#[tokio::test(start_paused = true)]
async fn only_those_idle_long_enough_are_closed() {
    let manager = paused(AsyncIoConfig::default());
    let (mut idle, _theirs) = pair(&manager, 8).await;
    let (mut used, _others) = pair(&manager, 8).await;
    advance(60 * SECOND).await;
    used.write_all(b"x").await.unwrap();
    advance(10 * SECOND).await;

    let closed = manager.close_idle(60 * SECOND);
    assert_eq!(closed.iter().map(|info| info.id).collect::<Vec<_>>(), [idle.id()]);
    assert_eq!(closed[0].idle.as_secs(), 70);
    let error = idle.write_all(b"x").await.unwrap_err();
    assert_eq!(IoError::of(&error), Some(&closed_for(CloseReason::Idle)));
    used.write_all(b"y").await.unwrap();
    assert!(
        manager.close_idle(60 * SECOND).is_empty(),
        "what is closed already is not closed again"
    );
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_waits_for_those_that_end_in_time() {
    let manager = paused(AsyncIoConfig::default());
    let (connection, _theirs) = pair(&manager, 8).await;
    tokio::spawn(async move {
        tokio::time::sleep(3 * SECOND).await;
        drop(connection);
    });
    let start = Instant::now();
    let report = manager.shutdown(10 * SECOND).await;
    assert_eq!(start.elapsed().as_secs(), 3);
    assert_eq!((report.drained, report.cut.len()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_cuts_those_that_do_not_and_reports_them() {
    let manager = paused(AsyncIoConfig::default());
    let (quick, _theirs) = pair(&manager, 8).await;
    let (mut stubborn, _others) = pair(&manager, 8).await;
    let id = stubborn.id();
    drop(quick);
    let reading = tokio::spawn(async move { stubborn.read(&mut [0; 1]).await.unwrap_err() });
    let start = Instant::now();
    let report = manager.shutdown(10 * SECOND).await;
    assert_eq!(start.elapsed().as_secs(), 10);
    assert_eq!(report.cut.iter().map(|info| info.id).collect::<Vec<_>>(), [id]);
    let error = reading.await.unwrap();
    assert_eq!(IoError::of(&error), Some(&closed_for(CloseReason::Shutdown)));
}

#[tokio::test]
async fn newcomers_waiters_and_dials_in_flight_are_refused_during_a_shutdown() {
    let hole = BlackHole::start().await.unwrap();
    let manager = real(AsyncIoConfig {
        max_connections: 1,
        ..AsyncIoConfig::default()
    });
    let dialling = {
        let (manager, addr) = (manager.clone(), hole.addr());
        tokio::spawn(async move { manager.connect(addr).await })
    };
    let waiting = {
        let (manager, addr) = (manager.clone(), hole.addr());
        tokio::spawn(async move { manager.connect(addr).await })
    };
    tokio::task::yield_now().await;
    let report = manager.shutdown(Duration::ZERO).await;
    assert_eq!((report.drained, report.cut.len()), (0, 0));
    for refused in [
        dialling.await.unwrap(),
        waiting.await.unwrap(),
        manager.connect(hole.addr()).await,
    ] {
        let error = refused.unwrap_err();
        assert!(matches!(error, ConnectError::ShuttingDown { .. }), "{error}");
    }
    let stats = manager.stats();
    assert_eq!((stats.pending_operations, stats.waiting_for_connection), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_shutdown_can_be_taken_up_again() {
    let manager = paused(AsyncIoConfig::default());
    let (connection, _theirs) = pair(&manager, 8).await;
    {
        let mut shutdown = Box::pin(manager.shutdown(10 * SECOND));
        assert!(poll_once(shutdown.as_mut()).is_pending());
    }
    assert!(matches!(
        manager.connect("127.0.0.1:9").await,
        Err(ConnectError::ShuttingDown { .. })
    ));
    drop(connection);
    assert!(manager.shutdown(10 * SECOND).await.cut.is_empty());
}

#[tokio::test]
async fn a_task_that_is_aborted_or_panics_leaves_nothing_in_the_registry() {
    let backend = Backend::start(Behaviour::Silent).await.unwrap();
    let manager = real(AsyncIoConfig::default());
    let mut aborted = manager.connect(backend.addr()).await.unwrap();
    let mut doomed = manager.connect(backend.addr()).await.unwrap();
    assert_eq!(manager.connections().len(), 2);

    let task = tokio::spawn(async move {
        let _ = aborted.read(&mut [0; 1]).await;
    });
    tokio::task::yield_now().await;
    task.abort();
    assert!(task.await.unwrap_err().is_cancelled());
    let task = tokio::spawn(async move {
        doomed.write_all(b"x").await.unwrap();
        panic!("on purpose");
    });
    assert!(task.await.unwrap_err().is_panic());

    let stats = manager.stats();
    assert_eq!((stats.active_connections, stats.pending_operations), (0, 0));
    assert_eq!(
        stats.traffic.bytes_written, 1,
        "what the dead have moved still counts"
    );
    assert!(manager.connections().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_does_not_count_as_drained_what_an_owner_still_holds() {
    let manager = paused(AsyncIoConfig::default());
    let (held, _theirs) = pair(&manager, 8).await;
    assert_eq!(manager.close_idle(Duration::ZERO).len(), 1);
    let report = manager.shutdown(SECOND).await;
    assert_eq!((report.drained, report.cut.len(), report.held), (0, 0, 1));
    drop(held);
    let report = manager.shutdown(SECOND).await;
    assert_eq!((report.drained, report.cut.len(), report.held), (0, 0, 0));
}
