//! Addresses that change.

use evenkeel_pool::BuildError;
use evenkeel_strategy::LeastConnections;

use super::script::{Act, Script};
use super::*;

#[tokio::test(start_paused = true)]
async fn invalidate_in_mid_flight_closes_idle_ones_now_others_on_return_and_the_dial_when_open() {
    let script = Script::opening();
    let pool = pool(&script, config(0, 4));
    let mut held = take(&pool, 2).await;
    held.pop();
    script.do_from_now(Act::Open(SECOND));
    let mut held_too = take(&pool, 1).await;
    let dialling = {
        let pool = pool.clone();
        tokio::spawn(async move { pool.checkout().await.map(|loan| loan.id) })
    };
    settle().await;
    held_too.pop();
    settle().await;
    // One idle or handed on, one held, one being opened.
    pool.invalidate(&target(1));
    tokio::time::sleep(2 * SECOND).await;
    held.pop();
    let _ = dialling.await.unwrap();
    tokio::time::sleep(2 * SECOND).await;
    let fresh = pool.checkout().await.unwrap();
    assert!(
        fresh.id >= 3,
        "{} is one of those that were invalidated",
        fresh.id
    );
    assert_eq!(script.open(), pool.stats().size);
    assert_eq!(pool.invalidate(&target(9)), 0, "nobody knows it");
}

#[tokio::test(start_paused = true)]
async fn a_dial_that_hangs_to_what_is_gone_or_invalid_keeps_nobody_waiting() {
    for invalidate in [false, true] {
        let script = Script::opening().then([Act::Hang]);
        let pool = pool(&script, config(0, 4));
        let waiter = {
            let pool = pool.clone();
            tokio::spawn(async move { pool.checkout().await.map(drop) })
        };
        settle().await;
        if invalidate {
            pool.invalidate(&target(1));
        } else {
            pool.set_addresses([target(2)], &[]).unwrap();
        }
        settle().await;
        assert!(
            waiter.is_finished(),
            "waits for a dial that can only be thrown away"
        );
        assert_eq!(pool.stats().dialling, 0);
    }
}

#[tokio::test(start_paused = true)]
async fn weights_decide_where_new_connections_go() {
    let script = Script::opening();
    let pool = builder(&script, config(0, 40))
        .address(target(2))
        .weights([3, 1])
        .build()
        .unwrap();
    let _loans = take(&pool, 40).await;
    assert_eq!(pool.addresses(), [(target(1), 30), (target(2), 10)]);
}

#[tokio::test(start_paused = true)]
async fn least_connections_counts_the_pools_own_connections() {
    let script = Script::opening();
    let pool = builder(&script, config(0, 12))
        .addresses([target(2), target(3)])
        .strategy(LeastConnections::default())
        .build()
        .unwrap();
    let _loans = take(&pool, 12).await;
    assert!(
        pool.addresses().iter().all(|&(_, n)| n == 4),
        "{:?}",
        pool.addresses()
    );
}

#[tokio::test(start_paused = true)]
async fn no_address_gets_more_than_its_limit() {
    let script = Script::always(Act::Open(MILLI));
    let pool = builder(
        &script,
        ConnectionPoolConfig {
            max_connections_per_address: Some(2),
            checkout_timeout: SECOND,
            ..config(0, 10)
        },
    )
    .address(target(2))
    .build()
    .unwrap();
    let mut loans = take(&pool, 4).await;
    assert!(
        pool.checkout().await.is_err(),
        "a fifth connection to two addresses of two"
    );
    assert_eq!(pool.addresses(), [(target(1), 2), (target(2), 2)]);
    loans[0].mark_broken();
    let freed = loans.remove(0).target().clone();
    assert_eq!(*pool.checkout().await.unwrap().target(), freed);
}

#[tokio::test(start_paused = true)]
async fn addresses_change_under_load() {
    let script = Script::opening();
    let pool = builder(&script, config(0, 6)).address(target(2)).build().unwrap();
    let mut held = take(&pool, 6).await;
    held.truncate(3);
    pool.set_addresses([target(2), target(3)], &[]).unwrap();
    let gone = held.iter().filter(|loan| loan.target == target(1)).count();
    held.clear();
    settle().await;
    let kept = pool.addresses();
    assert_eq!(kept[0].0, target(2));
    assert!(pool.stats().closed.removed >= gone as u64);
    let loans = take(&pool, 6).await;
    assert!(loans.iter().all(|loan| loan.target != target(1)));
    assert!(loans.iter().any(|loan| loan.target == target(3)));
    let error = pool.set_addresses([], &[]).unwrap_err();
    assert!(
        matches!(&error, BuildError::Config(e) if e.field == "addresses"),
        "{error}"
    );
    assert_eq!(pool.addresses().len(), 2, "an error changed something");
}
