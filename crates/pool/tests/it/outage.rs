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
    tokio::time::sleep(2 * SECOND).await;
    assert!(!waiter.is_finished(), "something is open that may come back");
    drop(held);
    tokio::time::sleep(20 * SECOND).await;
    assert_eq!(pool.stats().closed.invalidated, 2);
    assert!(matches!(
        waiter.await.unwrap(),
        Err(CheckoutError::Connect(_) | CheckoutError::Timeout { .. })
    ));
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
