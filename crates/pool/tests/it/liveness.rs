//! Connections that are open and no good.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};

use evenkeel_io_core::{AsyncIoConfig, AsyncIoManager, Liveness};
use evenkeel_pool::{CheckoutError, Recycle};
use evenkeel_testkit::{Backend, Behaviour};
use futures::future::BoxFuture;

use super::script::Script;
use super::*;

async fn over_tcp(behaviour: Behaviour) -> (Backend, ConnectionPool) {
    let backend = Backend::start(behaviour).await.unwrap();
    let manager = AsyncIoManager::new(AsyncIoConfig::default()).unwrap();
    let pool = ConnectionPool::new(manager, [backend.addr().into()], config(0, 2)).unwrap();
    (backend, pool)
}

/// Waits for what the kernel does on loopback, without a sleep of our own.
async fn until(mut condition: impl FnMut() -> bool) {
    while !condition() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn half_open_connections_never_reach_a_caller() {
    let (backend, pool) = over_tcp(Behaviour::CloseAfter(4)).await;
    for round in 1..=10 {
        let mut loan = pool.checkout().await.unwrap();
        loan.write_all(b"ping")
            .await
            .expect("a dead connection was handed out");
        let mut answer = [0; 4];
        loan.read_exact(&mut answer)
            .await
            .expect("a dead connection was handed out");
        // The server has closed by now; wait until we have heard.
        until(|| loan.liveness() != Liveness::Quiet).await;
        drop(loan);
        assert_eq!(backend.accepted(), round);
    }
    assert_eq!(pool.stats().closed.unhealthy, 9);
}

#[tokio::test]
async fn a_connection_with_an_answer_nobody_read_is_not_reused() {
    let (backend, pool) = over_tcp(Behaviour::Echo).await;
    let mut loan = pool.checkout().await.unwrap();
    loan.write_all(b"ping").await.unwrap();
    until(|| loan.liveness() != Liveness::Quiet).await;
    drop(loan);
    drop(pool.checkout().await.unwrap());
    assert_eq!(backend.accepted(), 2);
}

#[tokio::test]
async fn a_connection_dropped_while_an_operation_was_under_way_is_not_reused() {
    let (_backend, pool) = over_tcp(Behaviour::Silent).await;
    let task = {
        let pool = pool.clone();
        tokio::spawn(async move {
            let mut loan = pool.checkout().await.unwrap();
            loan.write_all(b"question").await.unwrap();
            let _ = loan.read(&mut [0; 8]).await;
        })
    };
    until(|| pool.stats().used == 1).await;
    settle().await;
    task.abort();
    assert!(task.await.unwrap_err().is_cancelled());
    let stats = pool.stats();
    assert_eq!((stats.idle, stats.closed.broken), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn what_is_said_to_be_broken_is_closed_and_what_is_mended_is_kept() {
    let script = Script::opening();
    let pool = pool(&script, config(0, 1));
    pool.checkout().await.unwrap().mark_broken();
    assert_eq!((script.open(), pool.stats().closed.broken), (0, 1));
    let mut loan = pool.checkout().await.unwrap();
    loan.set_reusable(false);
    loan.set_reusable(true);
    drop(loan);
    assert_eq!(pool.stats().idle, 1);
}

#[tokio::test(start_paused = true)]
async fn what_was_opened_for_a_sleeper_who_left_is_looked_at_before_it_is_lent() {
    let script = Script::opening();
    let pool = builder(&script, config(0, 2))
        .recycle(|conn: &mut Conn| conn.id != 0)
        .build()
        .unwrap();
    let mut sleeper = Box::pin(pool.checkout());
    assert!(poll_once(sleeper.as_mut()).is_pending());
    settle().await;
    assert_eq!(pool.stats().idle, 1);
    drop(sleeper);
    assert_ne!(
        pool.checkout().await.unwrap().id,
        0,
        "a dead connection was handed out"
    );
    assert_eq!(pool.stats().closed.unhealthy, 1);
}

/// Answers `true` after this time.
struct Slow(Duration);

impl Recycle<Conn> for Slow {
    fn check<'a>(&'a self, _: &'a mut Conn) -> BoxFuture<'a, bool> {
        Box::pin(async {
            tokio::time::sleep(self.0).await;
            true
        })
    }
}

#[tokio::test(start_paused = true)]
async fn callers_without_patience_for_a_check_cost_no_connection() {
    let script = Script::opening();
    let pool = builder(
        &script,
        ConnectionPoolConfig {
            validate_after_idle: Some(Duration::ZERO),
            ..config(0, 16)
        },
    )
    .recycle(Slow(5 * MILLI))
    .build()
    .unwrap();
    drop(take(&pool, 16).await);
    let hits = pool.stats().hits;
    for _ in 0..20 {
        let error = pool.checkout_within(2 * MILLI).await.unwrap_err();
        let CheckoutError::Timeout { phase, waited, .. } = error else {
            panic!("{error}");
        };
        assert_eq!(phase, evenkeel_stats::Phase::Read);
        assert!((2 * MILLI..4 * MILLI).contains(&waited), "{waited:?}");
    }
    tokio::time::sleep(10 * MILLI).await;
    let stats = pool.stats();
    assert_eq!((stats.idle, stats.used, stats.timeouts), (16, 0, 20));
    assert_eq!(stats.hits, hits, "nobody was served");
    drop(pool.checkout().await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn checks_leave_most_idle_connections_to_whoever_asks() {
    let script = Script::opening();
    let pool = builder(
        &script,
        ConnectionPoolConfig {
            idle_timeout: 1000 * SECOND,
            ..config(12, 12)
        },
    )
    .recycle(Slow(4 * SECOND))
    .build()
    .unwrap();
    pool.warm_up().await.unwrap();
    tokio::time::sleep(31 * SECOND).await;
    let stats = pool.stats();
    assert_eq!((stats.checking, stats.idle), (3, 9));
    assert!(pool.checkout_within(MILLI).await.is_ok());
    tokio::time::sleep(20 * SECOND).await;
    let stats = pool.stats();
    assert_eq!((stats.checking, stats.idle, script.dialled()), (0, 12, 12));
}

/// Rules that count how they are asked.
#[derive(Clone, Default)]
struct Rules(Arc<Asked>);

#[derive(Default)]
struct Asked {
    checks: AtomicUsize,
    sick: AtomicBool,
    reset_panics: AtomicBool,
}

impl Recycle<Conn> for Rules {
    fn reset(&self, _: &mut Conn) -> bool {
        assert!(!self.0.reset_panics.load(SeqCst), "told to");
        true
    }

    fn check<'a>(&'a self, _: &'a mut Conn) -> BoxFuture<'a, bool> {
        self.0.checks.fetch_add(1, SeqCst);
        Box::pin(async {
            tokio::time::sleep(10 * MILLI).await;
            !self.0.sick.load(SeqCst)
        })
    }
}

#[tokio::test(start_paused = true)]
async fn idle_connections_are_checked_in_the_background_and_dead_ones_replaced() {
    let (script, rules) = (Script::opening(), Rules::default());
    let pool = builder(&script, config(3, 3))
        .recycle(rules.clone())
        .build()
        .unwrap();
    pool.warm_up().await.unwrap();
    tokio::time::sleep(31 * SECOND).await;
    assert_eq!(rules.0.checks.load(SeqCst), 3);
    assert_eq!((pool.stats().idle, script.dialled()), (3, 3));
    rules.0.sick.store(true, SeqCst);
    tokio::time::sleep(31 * SECOND).await;
    rules.0.sick.store(false, SeqCst);
    assert_eq!(pool.stats().closed.unhealthy, 3);
    tokio::time::sleep(SECOND).await;
    assert_eq!(
        (pool.stats().idle, pool.stats().checking, script.open()),
        (3, 0, 3)
    );
}

#[tokio::test(start_paused = true)]
async fn only_what_lay_idle_for_long_is_validated_at_checkout() {
    let (script, rules) = (Script::opening(), Rules::default());
    let pool = builder(
        &script,
        ConnectionPoolConfig {
            validate_after_idle: Some(5 * SECOND),
            ..config(0, 1)
        },
    )
    .recycle(rules.clone())
    .build()
    .unwrap();
    drop(pool.checkout().await.unwrap());
    drop(pool.checkout().await.unwrap());
    assert_eq!(rules.0.checks.load(SeqCst), 0);
    tokio::time::sleep(6 * SECOND).await;
    drop(pool.checkout().await.unwrap());
    assert_eq!((rules.0.checks.load(SeqCst), script.dialled()), (1, 1));
    tokio::time::sleep(6 * SECOND).await;
    rules.0.sick.store(true, SeqCst);
    drop(pool.checkout().await.unwrap());
    assert_eq!(script.dialled(), 2, "a sick connection was handed out");
}

#[tokio::test(start_paused = true)]
async fn a_reset_that_panics_costs_one_connection_and_no_place() {
    let (script, rules) = (Script::opening(), Rules::default());
    let pool = builder(&script, config(0, 1))
        .recycle(rules.clone())
        .build()
        .unwrap();
    let loan = pool.checkout().await.unwrap();
    rules.0.reset_panics.store(true, SeqCst);
    drop(loan);
    rules.0.reset_panics.store(false, SeqCst);
    assert_eq!((pool.stats().size, pool.stats().closed.broken), (0, 1));
    drop(pool.checkout().await.unwrap());
    assert_eq!(pool.stats().idle, 1);
}

#[tokio::test(start_paused = true)]
async fn a_check_that_panics_costs_one_connection_and_spares_those_checked_beside_it() {
    struct FirstPanics;
    impl Recycle<Conn> for FirstPanics {
        fn check<'a>(&'a self, connection: &'a mut Conn) -> BoxFuture<'a, bool> {
            let first = connection.id == 0;
            Box::pin(async move {
                tokio::time::sleep(MILLI).await;
                assert!(!first, "told to");
                tokio::time::sleep(MILLI).await;
                true
            })
        }
    }
    let script = Script::opening();
    let pool = builder(&script, config(0, 4))
        .recycle(FirstPanics)
        .build()
        .unwrap();
    drop(take(&pool, 4).await);
    tokio::time::sleep(31 * SECOND).await;
    let stats = pool.stats();
    assert_eq!((stats.idle, stats.checking, stats.closed.unhealthy), (3, 0, 1));
}
