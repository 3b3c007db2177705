//! A backend that goes and comes back.

use evenkeel_pool::{CheckoutError, CloseReason};

use super::script::{Act, Script};
use super::*;

#[tokio::test(start_paused = true)]
async fn a_backend_that_restarts_under_load_is_used_again_without_a_stampede() {
    let script = Script::always(Act::Open(5 * MILLI));
    let pool = builder(
        &script,
        ConnectionPoolConfig {
            checkout_timeout: 500 * MILLI,
            ..config(0, 8)
        },
    )
    .recycle(|conn: &mut Conn| conn.alive)
    .build()
    .unwrap();
    let users: Vec<_> = (0..30)
        .map(|_| {
            let (pool, script) = (pool.clone(), script.clone());
            tokio::spawn(async move {
                let mut served_after = 0;
                for round in 0..200 {
                    if let Ok(mut loan) = pool.checkout().await {
                        tokio::time::sleep(10 * MILLI).await;
                        // Down: what is open breaks.
                        loan.alive &= script.is_up();
                        served_after += usize::from(round > 150);
                    }
                }
                served_after
            })
        })
        .collect();
    tokio::time::sleep(SECOND).await;
    script.go_down();
    tokio::time::sleep(5 * SECOND).await;
    let (before, peak) = (script.dialled(), script.most_dialling());
    assert!(peak <= 8, "{peak}");
    script.come_back();
    tokio::time::sleep(6 * SECOND).await;
    assert!(pool.stats().size > 0, "nobody noticed that it is back");
    assert!(
        script.dialled() - before <= 20,
        "a crowd met it: {}",
        script.dialled() - before
    );
    for user in users {
        assert!(user.await.unwrap() > 0, "starved after the outage");
    }
    let stats = pool.stats();
    assert_eq!((stats.used, stats.pending_requests), (0, 0));
    assert!(stats.closed.of(CloseReason::Unhealthy) > 0);
}

#[tokio::test(start_paused = true)]
async fn an_address_that_proves_dead_loses_its_idle_connections_at_once() {
    let script = Script::opening();
    let pool = pool(&script, config(0, 3));
    drop(take(&pool, 2).await);
    let held = take(&pool, 2).await;
    script.do_from_now(Act::Refuse(MILLI));
    let waiter = {
        let pool = pool.clone();
        tokio::spawn(async move { pool.checkout().await.map(drop) })
    };
    tokio::time::sleep(200 * MILLI).await;
    assert!(
        !waiter.is_finished(),
        "it is not proved yet, and something may come back"
    );
    tokio::time::sleep(2 * SECOND).await;
    assert!(matches!(waiter.await.unwrap(), Err(CheckoutError::Connect(_))));
    drop(held);
    assert_eq!(pool.stats().closed.invalidated, 2);
}

#[tokio::test(start_paused = true)]
async fn a_loan_that_lasts_does_not_keep_the_news_of_an_outage_from_the_others() {
    let script = Script::opening();
    let pool = pool(
        &script,
        ConnectionPoolConfig {
            retry_attempts: 0,
            ..config(0, 4)
        },
    );
    let _subscription = pool.checkout().await.unwrap();
    script.do_from_now(Act::Refuse(MILLI));
    for _ in 0..3 {
        let error = pool.checkout_within(SECOND).await.unwrap_err();
        assert!(matches!(error, CheckoutError::Connect(_)), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_last_hope_gone_tells_those_who_wait_at_once() {
    let script = Script::opening();
    let pool = builder(
        &script,
        ConnectionPoolConfig {
            retry_attempts: 0,
            ..config(0, 4)
        },
    )
    .address(target(2))
    .build()
    .unwrap();
    let mut good = take(&pool, 2).await;
    script.do_from_now(Act::Refuse(MILLI));
    // One address proves dead, and then the other, whose loan breaks.
    let waiter = {
        let pool = pool.clone();
        tokio::spawn(async move { pool.checkout().await.map(drop) })
    };
    good.iter_mut().for_each(PooledConnection::mark_broken);
    drop(good);
    tokio::time::sleep(5 * MILLI).await;
    assert!(matches!(waiter.await.unwrap(), Err(CheckoutError::Connect(_))));
}

#[tokio::test(start_paused = true)]
async fn what_opens_after_its_address_proved_dead_proves_the_contrary() {
    let script = Script::opening().then([
        Act::Open(Duration::ZERO),
        Act::Refuse(MILLI),
        Act::Open(3 * MILLI),
    ]);
    let pool = pool(
        &script,
        ConnectionPoolConfig {
            retry_attempts: 0,
            ..config(0, 4)
        },
    );
    let _held = take(&pool, 1).await;
    let users: Vec<_> = (0..2)
        .map(|_| {
            let pool = pool.clone();
            tokio::spawn(async move { pool.checkout().await.map(drop) })
        })
        .collect();
    tokio::time::sleep(50 * MILLI).await;
    let stats = pool.stats();
    assert_eq!(stats.closed.invalidated, 0, "thrown away");
    assert_eq!((stats.created, stats.idle), (2, 1));
    drop(users);
}

#[tokio::test(start_paused = true)]
async fn a_dial_that_hangs_does_not_hold_up_the_retries() {
    let script = Script::opening().then([Act::Refuse(MILLI), Act::Hang]);
    let pool = pool(&script, config(0, 4));
    let users: Vec<_> = (0..2)
        .map(|_| {
            let pool = pool.clone();
            tokio::spawn(async move { pool.checkout().await.map(drop) })
        })
        .collect();
    tokio::time::sleep(150 * MILLI).await;
    for user in users {
        assert!(user.is_finished(), "{} dials in 150 ms", script.dialled());
    }
}

#[tokio::test(start_paused = true)]
async fn one_dead_address_of_three_costs_nobody_anything() {
    let script = Script::opening();
    script.refuse(target(2));
    let pool = builder(&script, config(0, 6))
        .addresses([target(2), target(3)])
        .build()
        .unwrap();
    let loans = take(&pool, 6).await;
    assert!(loans.iter().all(|loan| loan.target != target(2)));
    let counts = pool.addresses();
    assert_eq!(counts.iter().map(|(_, n)| n).sum::<usize>(), 6, "{counts:?}");
}
