//! Growing old, lying idle, shrinking.

use std::collections::BTreeMap;

use super::script::{Act, Script};
use super::*;

#[tokio::test(start_paused = true)]
async fn a_pool_shrinks_back_after_a_burst_and_keeps_its_minimum() {
    let script = Script::opening();
    let pool = pool(&script, config(2, 50));
    drop(take(&pool, 50).await);
    assert_eq!(pool.stats().idle, 50);
    // Somebody goes on using one: that must not keep the others.
    for _ in 0..70 {
        let _loan = pool.checkout().await.unwrap();
        tokio::time::sleep(SECOND).await;
    }
    let stats = pool.stats();
    assert_eq!((stats.size, script.open()), (2, 2));
    assert_eq!(stats.closed.idle, 48);
}

#[tokio::test(start_paused = true)]
async fn jitter_spreads_the_ends_of_connections_opened_together() {
    let script = Script::opening();
    let pool = pool(
        &script,
        ConnectionPoolConfig {
            max_lifetime: Some(1000 * SECOND),
            lifetime_jitter: 0.5,
            idle_timeout: 100_000 * SECOND,
            connect_concurrency: 100,
            ..config(0, 100)
        },
    );
    drop(take(&pool, 100).await);
    let mut ends: BTreeMap<u64, u64> = BTreeMap::new();
    let mut before = 0;
    for tenth in 0..11 {
        let closed = pool.stats().closed.expired;
        ends.insert(tenth, closed - before);
        before = closed;
        tokio::time::sleep(100 * SECOND).await;
    }
    assert_eq!(pool.stats().closed.expired, 100);
    assert!(ends.values().all(|&n| n <= 35), "together: {ends:?}");
    assert!(ends.range(..=5).all(|(_, &n)| n == 0), "too early: {ends:?}");
}

#[tokio::test(start_paused = true)]
async fn a_connection_in_use_beyond_its_life_is_closed_when_it_comes_back() {
    let script = Script::opening();
    let pool = pool(
        &script,
        ConnectionPoolConfig {
            max_lifetime: Some(10 * SECOND),
            ..config(0, 1)
        },
    );
    let held = pool.checkout().await.unwrap();
    tokio::time::sleep(11 * SECOND).await;
    assert_eq!(script.open(), 1, "closed under its holder");
    drop(held);
    assert_eq!(pool.stats().closed.expired, 1);
}

#[tokio::test(start_paused = true)]
async fn the_minimum_is_renewed_without_ever_being_missed() {
    let script = Script::opening();
    let pool = pool(
        &script,
        ConnectionPoolConfig {
            max_lifetime: Some(60 * SECOND),
            ..config(4, 8)
        },
    );
    pool.warm_up().await.unwrap();
    for _ in 0..3000 {
        tokio::time::sleep(100 * MILLI).await;
        assert!(pool.stats().size >= 4, "below the minimum");
    }
    assert!(pool.stats().closed.expired >= 12, "nobody was renewed");
    assert_eq!(pool.stats().size, 4);
}

#[tokio::test(start_paused = true)]
async fn more_idle_ones_than_allowed_are_closed_on_return() {
    let script = Script::opening();
    let pool = pool(
        &script,
        ConnectionPoolConfig {
            max_idle_connections: Some(3),
            ..config(0, 10)
        },
    );
    drop(take(&pool, 10).await);
    let stats = pool.stats();
    assert_eq!((stats.idle, stats.closed.surplus), (3, 7));
}

#[tokio::test(start_paused = true)]
async fn more_idle_ones_than_allowed_are_closed_although_somebody_sleeps() {
    let pool = pool(
        &Script::opening(),
        ConnectionPoolConfig {
            max_idle_connections: Some(2),
            ..config(0, 8)
        },
    );
    let mut held = take(&pool, 8).await;
    let mut sleepers: Vec<_> = (0..4).map(|_| Box::pin(pool.checkout())).collect();
    for sleeper in &mut sleepers {
        assert!(poll_once(sleeper.as_mut()).is_pending());
    }
    held.clear();
    assert_eq!(pool.stats().idle, 4, "one for each who sleeps");
    drop(sleepers);
    assert_eq!((pool.stats().idle, pool.stats().closed.surplus), (2, 6));
}

#[tokio::test(start_paused = true)]
async fn a_smaller_minimum_is_heard_by_those_who_wait_for_it_and_by_the_reaper() {
    let script = Script::opening();
    let pool = pool(
        &script,
        ConnectionPoolConfig {
            idle_timeout: 3600 * SECOND,
            max_lifetime: None,
            ..config(4, 4)
        },
    );
    pool.warm_up().await.unwrap();
    tokio::time::sleep(2 * 3600 * SECOND).await;
    pool.resize(0, 4).unwrap();
    tokio::time::sleep(SECOND).await;
    assert_eq!(pool.stats().size, 0, "idle for long, and kept for no minimum");

    script.do_from_now(Act::Hang);
    pool.resize(1, 4).unwrap();
    let waiting = {
        let pool = pool.clone();
        tokio::spawn(async move { pool.warm_up().await })
    };
    settle().await;
    pool.resize(0, 4).unwrap();
    settle().await;
    assert!(waiting.is_finished(), "waits for a minimum that is none");
}

#[tokio::test(start_paused = true)]
async fn resizing_works_both_ways_and_refuses_nonsense() {
    let script = Script::opening();
    let pool = pool(&script, config(0, 2));
    let mut held = take(&pool, 2).await;
    let waiter = {
        let pool = pool.clone();
        tokio::spawn(async move { pool.checkout().await.map(drop) })
    };
    settle().await;
    assert!(!waiter.is_finished());
    pool.resize(3, 4).unwrap();
    waiter.await.unwrap().unwrap();
    assert_eq!(pool.warm_up().await.unwrap(), 3);
    pool.resize(0, 1).unwrap();
    assert_eq!(pool.stats().size, 2, "the idle one went at once");
    held.clear();
    assert_eq!(pool.stats().size, 1);
    assert_eq!(pool.resize(2, 1).unwrap_err().field, "min_connections");
    assert_eq!(pool.resize(0, 0).unwrap_err().field, "max_connections");
    assert_eq!(pool.stats().max, 1);
}
