//! Every limit refuses at once, and gives back what it took.

use super::*;
use crate::config::ByteSize;

#[tokio::test]
async fn a_full_queue_refuses_and_takes_again_when_there_is_room() {
    let config = QueueConfig {
        max_bytes: ByteSize::mib(1),
        ..QueueConfig::default()
    };
    let queue = on(&Disk::default(), config);
    let mut taken = 0;
    let refused = loop {
        match soon(queue.push(numbered(taken, 60_000))).await {
            Ok(()) => taken += 1,
            refused => break refused,
        }
    };
    assert!(is_full(&refused, "max_bytes"), "{refused:?}");
    assert_eq!(taken, 16, "pages of 64 KiB in 1 MiB");
    assert_eq!(queue.stats().refused, 1);
    take(&queue).await.acknowledge();
    soon(async {
        while queue.push(numbered(taken, 60_000)).await.is_err() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
    soon(queue.close()).await;
}

#[tokio::test]
async fn a_record_that_never_fits_is_not_called_retryable() {
    let config = QueueConfig {
        max_bytes: ByteSize::mib(1),
        max_pending_bytes: ByteSize::kib(64),
        ..QueueConfig::default()
    };
    let queue = on(&Disk::default(), config);
    let refused = soon(queue.push(numbered(0, 1 << 20))).await;
    let refused = refused.expect_err("too large");
    assert!(matches!(refused, PushError::TooLarge { .. }), "{refused}");
    assert!(!refused.is_retryable());
    let alone = soon(queue.push(numbered(1, 500_000))).await;
    alone.expect("nothing else waits for the disk");
    soon(queue.close()).await;
}

#[tokio::test]
async fn what_waits_for_the_disk_is_bounded() {
    let config = QueueConfig {
        max_pending_bytes: ByteSize::kib(64),
        ..QueueConfig::default()
    };
    let queue = on(&Disk::default(), config);
    // Polled together before any can be answered: what is beyond the limit is refused at the first poll.
    let pushes = (0..8).map(|number| queue.push(numbered(number, 20_000)));
    let results = soon(futures::future::join_all(pushes)).await;
    let refused = results
        .iter()
        .filter(|result| is_full(result, "max_pending_bytes"))
        .count();
    assert!(refused <= 5, "three fit at least: {results:?}");
    assert_eq!(queue.stats().records, 8 - refused as u64);
    soon(queue.push(numbered(9, 60_000)))
        .await
        .expect("all of it is given back");
    soon(queue.close()).await;
}

#[tokio::test]
async fn no_more_are_handed_out_than_may_be_in_flight() {
    let config = QueueConfig {
        max_in_flight: 2,
        ..QueueConfig::default()
    };
    let queue = on(&Disk::default(), config);
    for number in 0..4 {
        soon(queue.push(numbered(number, 100)))
            .await
            .expect("there is room");
    }
    let first = take(&queue).await;
    let second = take(&queue).await;
    let waiting = tokio::spawn({
        let queue = queue.clone();
        async move { take(&queue).await }
    });
    tokio::task::yield_now().await;
    assert!(!waiting.is_finished());
    assert_eq!(queue.stats().in_flight, 2);
    drop(first);
    let again = soon(waiting).await.expect("no panic");
    assert_eq!(number(again.export()), 0, "given back, it is the oldest again");
    drop((second, again));
    soon(queue.close()).await;
}

#[tokio::test]
async fn a_record_larger_than_the_memory_goes_alone() {
    let config = QueueConfig {
        max_memory_bytes: ByteSize::kib(64),
        ..QueueConfig::default()
    };
    let queue = on(&Disk::default(), config);
    for (number, len) in [(0, 100), (1, 200_000), (2, 100), (3, 200_000)] {
        soon(queue.push(numbered(number, len)))
            .await
            .expect("there is room");
    }
    for expected in 0..4 {
        let lease = take(&queue).await;
        assert_eq!(number(lease.export()), expected);
        lease.acknowledge();
    }
    until_empty(&queue).await;
    assert_eq!(queue.stats().bytes, 0);
    soon(queue.close()).await;
}

#[tokio::test]
async fn a_closed_queue_lets_nobody_wait() {
    let queue = on(&Disk::default(), QueueConfig::default());
    let waiting = tokio::spawn({
        let queue = queue.clone();
        async move { queue.take().await.is_none() }
    });
    tokio::task::yield_now().await;
    soon(queue.close()).await;
    assert!(soon(waiting).await.expect("no panic"));
    assert_eq!(soon(queue.push(numbered(0, 10))).await, Err(PushError::Closed));
    soon(queue.close()).await;
}

#[tokio::test]
async fn takers_that_give_up_do_not_keep_others_waiting() {
    let queue = on(&Disk::default(), QueueConfig::default());
    let mut tasks = Vec::new();
    let mut give_up = Vec::new();
    for _ in 0..8 {
        // First in line.
        let mut first = Box::pin(queue.take());
        assert!(futures::poll!(first.as_mut()).is_pending());
        give_up.push(first);
        let queue = queue.clone();
        tasks.push(tokio::spawn(async move { take(&queue).await.acknowledge() }));
        tokio::task::yield_now().await;
    }
    for number in 0..8 {
        soon(queue.push(numbered(number, 10)))
            .await
            .expect("there is room");
    }
    drop(give_up);
    for task in tasks {
        soon(task).await.expect("each gets one");
    }
    soon(queue.close()).await;
}
