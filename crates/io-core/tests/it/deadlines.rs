//! Reads and writes that wait too long, and those that must not be taken for it.

use std::io;
use std::time::Duration;

use evenkeel_io_core::{AsyncIoConfig, IoError};
use evenkeel_stats::Phase;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, advance, timeout};

use super::{pair, paused, peer, poll_once};

const SECOND: Duration = Duration::from_secs(1);

fn config() -> AsyncIoConfig {
    AsyncIoConfig {
        read_timeout: 30 * SECOND,
        write_timeout: 10 * SECOND,
        ..AsyncIoConfig::default()
    }
}

#[tokio::test(start_paused = true)]
async fn a_silent_peer_costs_the_read_timeout_and_the_error_says_so() {
    let manager = paused(config());
    let (mut connection, mut theirs) = pair(&manager, 64).await;
    let start = Instant::now();
    let error = connection.read(&mut [0; 8]).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    assert_eq!(
        IoError::of(&error),
        Some(&IoError::Timeout {
            peer: peer(),
            phase: Phase::Read,
            after: 30 * SECOND
        })
    );
    assert_eq!(start.elapsed().as_secs(), 30);

    // No byte was lost: what comes later is read by the next read.
    theirs.write_all(b"late").await.unwrap();
    let mut buf = [0; 8];
    assert_eq!(connection.read(&mut buf).await.unwrap(), 4);
    assert_eq!(&buf[..4], b"late");
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_takes_no_bytes_costs_the_write_timeout() {
    let manager = paused(config());
    let (mut connection, _theirs) = pair(&manager, 64).await;
    let start = Instant::now();
    let error = connection.write_all(&[7; 1000]).await.unwrap_err();
    assert_eq!(
        IoError::of(&error),
        Some(&IoError::Timeout {
            peer: peer(),
            phase: Phase::Write,
            after: 10 * SECOND
        })
    );
    assert_eq!(start.elapsed().as_secs(), 10);
}

#[tokio::test(start_paused = true)]
async fn a_slow_reader_that_moves_is_not_cut_off() {
    let manager = paused(config());
    let (mut connection, mut theirs) = pair(&manager, 64).await;
    let reader = tokio::spawn(async move {
        let mut buf = [0; 64];
        let mut total = 0;
        while total < 640 {
            tokio::time::sleep(9 * SECOND).await;
            total += theirs.read(&mut buf).await.unwrap();
        }
    });
    // 90 s in all, and never 10 without a byte taken.
    connection.write_all(&[7; 640]).await.unwrap();
    reader.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_timer_armed_for_an_operation_long_done_does_not_cut_the_next_short() {
    let manager = paused(config());
    let (mut connection, mut theirs) = pair(&manager, 64).await;
    let mut buf = [0; 8];
    // The first read arms the timer for 0 + 30 s and is answered at 20 s.
    let answer = async {
        tokio::time::sleep(20 * SECOND).await;
        theirs.write_all(b"a").await.unwrap();
    };
    let (read, ()) = tokio::join!(connection.read(&mut buf), answer);
    assert_eq!(read.unwrap(), 1);
    // The second, from 20 s on, may wait until 50 s.
    let start = Instant::now();
    connection.read(&mut buf).await.unwrap_err();
    assert_eq!(start.elapsed().as_secs(), 30);
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_read_takes_its_deadline_with_it() {
    let manager = paused(config());
    let (mut connection, _theirs) = pair(&manager, 64).await;
    let mut buf = [0; 8];
    assert!(timeout(20 * SECOND, connection.read(&mut buf)).await.is_err());
    assert_eq!(manager.stats().pending_operations, 0);
    advance(60 * SECOND).await;
    let start = Instant::now();
    connection.read(&mut buf).await.unwrap_err();
    assert_eq!(
        start.elapsed().as_secs(),
        30,
        "the cancelled read's deadline was still running"
    );
}

#[tokio::test(start_paused = true)]
async fn a_read_and_a_write_that_wait_in_two_tasks_each_get_their_own_timeout() {
    let manager = paused(config());
    let (connection, _theirs) = pair(&manager, 64).await;
    let (mut reader, mut writer) = tokio::io::split(connection);
    let start = Instant::now();
    let read = tokio::spawn(async move {
        let error = reader.read_u8().await.unwrap_err();
        (IoError::of(&error).cloned(), start.elapsed().as_secs())
    });
    let write = tokio::spawn(async move {
        let error = writer.write_all(&[0; 1000]).await.unwrap_err();
        (IoError::of(&error).cloned(), start.elapsed().as_secs())
    });
    let (error, after) = write.await.unwrap();
    assert!(matches!(
        error,
        Some(IoError::Timeout {
            phase: Phase::Write,
            ..
        })
    ));
    assert_eq!(after, 10);
    let (error, after) = read.await.unwrap();
    assert!(matches!(
        error,
        Some(IoError::Timeout {
            phase: Phase::Read,
            ..
        })
    ));
    assert_eq!(after, 30);
}

#[tokio::test(start_paused = true)]
async fn a_task_that_gave_up_does_not_take_the_other_ones_timeout_with_it() {
    let manager = paused(config());
    let (connection, _theirs) = pair(&manager, 64).await;
    let (mut reader, mut writer) = tokio::io::split(connection);
    let start = Instant::now();
    let write = tokio::spawn(async move {
        writer.write_all(&[0; 1000]).await.unwrap_err();
        start.elapsed().as_secs()
    });
    tokio::task::yield_now().await;
    // The read polls last and is then dropped; the timer must still reach the writer.
    assert!(timeout(SECOND, reader.read_u8()).await.is_err());
    assert_eq!(write.await.unwrap(), 10);
}

#[tokio::test(start_paused = true)]
async fn a_deadline_can_be_lifted_and_set_for_one_connection() {
    let manager = paused(config());
    let (mut connection, mut theirs) = pair(&manager, 64).await;
    connection.set_read_timeout(None);
    let late = async {
        tokio::time::sleep(1000 * SECOND).await;
        theirs.write_all(b"x").await.unwrap();
    };
    let mut buf = [0];
    let (read, ()) = tokio::join!(connection.read(&mut buf), late);
    assert_eq!(read.unwrap(), 1);

    connection.set_read_timeout(Some(SECOND));
    let start = Instant::now();
    connection.read(&mut buf).await.unwrap_err();
    assert_eq!(start.elapsed().as_secs(), 1);
}

#[tokio::test(start_paused = true)]
async fn data_that_came_while_nobody_polled_is_read_even_after_the_deadline() {
    let manager = paused(config());
    let (mut connection, mut theirs) = pair(&manager, 64).await;
    let mut buf = [0; 4];
    let mut read = Box::pin(AsyncReadExt::read(&mut connection, &mut buf));
    assert!(poll_once(read.as_mut()).is_pending());
    advance(31 * SECOND).await;
    theirs.write_all(b"here").await.unwrap();
    assert_eq!(read.await.unwrap(), 4);
}

#[tokio::test]
async fn a_peer_that_closes_half_way_is_an_unexpected_end() {
    let manager = super::real(config());
    let (mut connection, mut theirs) = pair(&manager, 64).await;
    theirs.write_all(b"hal").await.unwrap();
    drop(theirs);
    let error = connection.read_exact(&mut [0; 8]).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    assert_eq!(connection.read(&mut [0; 8]).await.unwrap(), 0);
}

#[tokio::test]
async fn buffers_have_the_configured_size() {
    let manager = super::real(AsyncIoConfig {
        buffer_size: 16,
        ..config()
    });
    let (connection, mut theirs) = pair(&manager, 1024).await;
    let mut buffered = connection.into_buffered();
    buffered.write_all(&[1; 15]).await.unwrap();
    let mut buf = [0; 64];
    assert!(
        poll_once(Box::pin(theirs.read(&mut buf)).as_mut()).is_pending(),
        "15 bytes fit in the buffer"
    );
    buffered.write_all(&[1; 2]).await.unwrap();
    assert!(theirs.read(&mut buf).await.unwrap() >= 15);
    theirs.write_all(b"line\n").await.unwrap();
    let mut line = String::new();
    tokio::io::AsyncBufReadExt::read_line(&mut buffered, &mut line)
        .await
        .unwrap();
    assert_eq!(line, "line\n");
}

#[tokio::test(start_paused = true)]
async fn a_connection_whose_operation_was_cut_short_is_not_settled() {
    let manager = paused(config());
    let (mut connection, mut theirs) = pair(&manager, 64).await;
    theirs.write_all(b"answer").await.unwrap();
    connection.write_all(b"question").await.unwrap();
    connection.read_exact(&mut [0; 6]).await.unwrap();
    assert!(connection.is_settled(), "all it did ran to its end");
    let dropped = timeout(SECOND, connection.read(&mut [0; 6])).await;
    assert!(dropped.is_err());
    assert!(
        !connection.is_settled(),
        "an answer may come that nobody waits for"
    );

    let (mut connection, _theirs) = pair(&manager, 64).await;
    connection.read(&mut [0; 6]).await.unwrap_err();
    assert!(!connection.is_settled(), "its deadline passed");
}

#[tokio::test(start_paused = true)]
async fn a_read_given_up_through_a_wrapper_does_not_cut_a_later_one_short() {
    let manager = paused(config());
    let (connection, mut theirs) = pair(&manager, 64).await;
    let mut buffered = connection.into_buffered();
    let mut buf = [0; 4];
    assert!(timeout(SECOND, buffered.read(&mut buf)).await.is_err());
    advance(60 * SECOND).await;
    let answer = async {
        tokio::time::sleep(5 * SECOND).await;
        theirs.write_all(b"pong").await.unwrap();
    };
    let (read, ()) = tokio::join!(buffered.read(&mut buf), answer);
    assert_eq!(read.unwrap(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_flush_that_is_done_does_not_lengthen_a_write_that_waits() {
    let manager = paused(config());
    let (mut connection, _theirs) = pair(&manager, 64).await;
    let start = Instant::now();
    let error = std::future::poll_fn(|cx| {
        let mut write = std::pin::Pin::new(&mut connection);
        loop {
            match tokio::io::AsyncWrite::poll_write(write.as_mut(), cx, &[0; 64]) {
                std::task::Poll::Ready(Ok(_)) => {}
                std::task::Poll::Ready(Err(error)) => return std::task::Poll::Ready(error),
                std::task::Poll::Pending => break,
            }
        }
        let _ = tokio::io::AsyncWrite::poll_flush(write.as_mut(), cx);
        std::task::Poll::Pending
    });
    // Somebody who polls both again and again.
    let error = {
        let mut error = std::pin::pin!(error);
        loop {
            tokio::select! {
                biased;
                error = &mut error => break error,
                () = tokio::time::sleep(SECOND) => {}
            }
        }
    };
    assert!(
        matches!(
            IoError::of(&error),
            Some(IoError::Timeout {
                phase: Phase::Write,
                ..
            })
        ),
        "{error}"
    );
    assert_eq!(start.elapsed().as_secs(), 10);
}
