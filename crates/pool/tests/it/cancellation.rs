//! Futures dropped at every point, with nothing lost.

use std::pin::pin;

use super::script::{Act, Script};
use super::*;

#[tokio::test(start_paused = true)]
async fn a_cancelled_waiter_passes_its_turn_on() {
    let script = Script::opening();
    let pool = pool(&script, config(0, 1));
    let held = pool.checkout().await.unwrap();
    let mut cancelled = Box::pin(pool.checkout());
    let mut next = pin!(pool.checkout());
    assert!(poll_once(cancelled.as_mut()).is_pending());
    assert!(poll_once(next.as_mut()).is_pending());
    drop(cancelled);
    drop(held);
    assert!(poll_once(next.as_mut()).is_ready());
}

#[tokio::test(start_paused = true)]
async fn a_waiter_cancelled_after_it_was_served_loses_no_connection() {
    let script = Script::opening();
    let pool = pool(&script, config(0, 1));
    let held = pool.checkout().await.unwrap();
    // In a task, so that the connection is handed to it.
    let cancelled = {
        let pool = pool.clone();
        tokio::spawn(async move { pool.checkout().await.map(drop) })
    };
    settle().await;
    drop(held);
    cancelled.abort();
    settle().await;
    let stats = pool.stats();
    assert_eq!((stats.idle, stats.used, stats.pending_requests), (1, 0, 0));
    assert!(pool.try_checkout().is_some());
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_connect_loses_nothing() {
    let script = Script::always(Act::Open(SECOND));
    let pool = pool(&script, config(0, 1));
    for _ in 0..3 {
        let waiter = pool.checkout();
        assert!(tokio::time::timeout(100 * MILLI, waiter).await.is_err());
    }
    assert_eq!(script.dialled(), 1, "the dial goes on for the next who asks");
    let loan = pool.checkout().await.unwrap();
    assert_eq!(script.dialled(), 1);
    drop(loan);
    assert_eq!((pool.stats().size, pool.stats().idle), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_check_whose_caller_has_gone_goes_on_and_frees_its_place_in_any_case() {
    use evenkeel_pool::Recycle;
    use futures::future::BoxFuture;

    struct NeverAnswers;
    impl Recycle<Conn> for NeverAnswers {
        fn check<'a>(&'a self, _: &'a mut Conn) -> BoxFuture<'a, bool> {
            Box::pin(std::future::pending())
        }
    }
    let script = Script::opening();
    let pool = builder(
        &script,
        ConnectionPoolConfig {
            validate_after_idle: Some(Duration::ZERO),
            ..config(0, 1)
        },
    )
    .recycle(NeverAnswers)
    .build()
    .unwrap();
    drop(pool.checkout().await.unwrap());
    assert!(tokio::time::timeout(100 * MILLI, pool.checkout()).await.is_err());
    settle().await;
    assert_eq!((pool.stats().size, script.open()), (1, 1));
    tokio::time::sleep(5 * SECOND).await;
    assert_eq!((pool.stats().size, script.open()), (0, 0));
    drop(pool.checkout().await.unwrap());
    assert_eq!((pool.stats().hits, pool.stats().misses), (0, 2));
}

#[tokio::test(start_paused = true)]
async fn a_panic_while_a_connection_is_held_closes_it_and_frees_its_place() {
    let script = Script::opening();
    let pool = pool(&script, config(0, 1));
    let task = {
        let pool = pool.clone();
        tokio::spawn(async move {
            let _held = pool.checkout().await.unwrap();
            panic!("told to");
        })
    };
    assert!(task.await.is_err());
    assert_eq!((pool.stats().size, pool.stats().closed.broken), (0, 1));
    drop(pool.checkout().await.unwrap());
}
