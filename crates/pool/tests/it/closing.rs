//! The end of a pool.

use evenkeel_pool::CheckoutError;

use super::script::{Act, Script};
use super::*;

#[tokio::test(start_paused = true)]
async fn close_refuses_newcomers_answers_waiters_and_waits_for_what_is_out() {
    let script = Script::opening();
    let pool = pool(&script, config(0, 2));
    let mut held = take(&pool, 2).await;
    let waiting = {
        let pool = pool.clone();
        tokio::spawn(async move { pool.checkout().await.map(drop) })
    };
    settle().await;
    let closing = {
        let pool = pool.clone();
        tokio::spawn(async move { pool.close(10 * SECOND).await })
    };
    settle().await;
    assert!(matches!(waiting.await.unwrap(), Err(CheckoutError::Closed)));
    assert!(matches!(pool.checkout().await, Err(CheckoutError::Closed)));
    assert!(pool.is_closed() && !closing.is_finished());
    held.pop();
    tokio::time::sleep(SECOND).await;
    assert!(!closing.is_finished());
    held.pop();
    let report = closing.await.unwrap();
    assert_eq!((report.drained, report.cut), (2, 0));
    assert_eq!(script.open(), 0);
}

#[tokio::test(start_paused = true)]
async fn close_does_not_wait_for_checks() {
    use evenkeel_pool::Recycle;
    use futures::future::BoxFuture;

    struct NeverAnswers;
    impl Recycle<Conn> for NeverAnswers {
        fn check<'a>(&'a self, _: &'a mut Conn) -> BoxFuture<'a, bool> {
            Box::pin(std::future::pending())
        }
    }
    let script = Script::opening();
    let pool = builder(&script, config(4, 4))
        .recycle(NeverAnswers)
        .build()
        .unwrap();
    pool.warm_up().await.unwrap();
    tokio::time::sleep(31 * SECOND).await;
    assert_eq!((pool.stats().used, pool.stats().checking), (0, 1));
    let start = tokio::time::Instant::now();
    let report = pool.close(10 * SECOND).await;
    assert_eq!((report.drained, report.cut), (0, 0));
    assert_eq!(start.elapsed(), Duration::ZERO);
    settle().await;
    assert_eq!((script.open(), pool.stats().closed.shutdown), (0, 4));
}

#[tokio::test(start_paused = true)]
async fn close_reports_what_is_still_out_at_the_deadline() {
    let script = Script::opening();
    let pool = pool(&script, config(0, 2));
    let mut held = take(&pool, 2).await;
    let (report, ()) = tokio::join!(pool.close(SECOND), async {
        tokio::time::sleep(500 * MILLI).await;
        held.pop();
    });
    assert_eq!((report.drained, report.cut), (1, 1));
    drop(held);
    assert_eq!((script.open(), pool.stats().closed.shutdown), (0, 2));
}

#[tokio::test(start_paused = true)]
async fn a_pool_dropped_while_connections_are_out_closes_them_when_they_come_back() {
    let script = Script::opening();
    let pool = pool(&script, config(0, 3));
    let mut held = take(&pool, 3).await;
    held.pop();
    drop(pool);
    settle().await;
    assert_eq!(script.open(), 2, "the idle one goes with the pool");
    assert_eq!(held[0].id, 0, "what is out can be used");
    drop(held);
    assert_eq!(script.open(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_dropped_pool_leaves_no_task_no_dial_and_no_memory_behind() {
    let script = Script::always(Act::Hang).then([Act::Open(MILLI); 2]);
    let pool = pool(&script, config(2, 5));
    pool.warm_up().await.unwrap();
    let held = take(&pool, 2).await;
    let gone = tokio::time::timeout(MILLI, pool.checkout()).await;
    assert!(gone.is_err(), "the third dial hangs");
    drop((pool, held));
    settle().await;
    assert_eq!(script.open(), 0);
    assert_eq!(script.holders(), 1, "somebody holds on to the connector");
}

#[tokio::test(start_paused = true)]
async fn a_detached_connection_is_its_holders_and_makes_room() {
    let script = Script::opening();
    let pool = pool(&script, config(0, 1));
    let own = pool.checkout().await.unwrap().detach();
    assert_eq!((own.id, pool.stats().size), (0, 0));
    assert_eq!(pool.checkout().await.unwrap().id, 1);
    assert_eq!(pool.stats().closed.detached, 1);
    drop(pool);
    assert_eq!(script.open(), 1, "detached is detached");
}

#[test]
fn a_pool_whose_runtime_has_ended_says_so_instead_of_hanging() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let script = Script::always(Act::Open(SECOND));
    let pool = {
        let _inside = runtime.enter();
        let script = script.clone();
        ConnectionPool::new(
            move |target| script.clone().dial(target),
            [target(1)],
            config(2, 2),
        )
        .unwrap()
    };
    // Dials are under way.
    runtime.block_on(tokio::task::yield_now());
    drop(runtime);
    assert!(matches!(
        futures::executor::block_on(pool.checkout()),
        Err(CheckoutError::Closed)
    ));
    let stats = pool.stats();
    assert_eq!((stats.size, stats.dialling), (0, 0));
}

#[test]
fn closing_after_the_runtime_has_ended_neither_panics_nor_waits() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let script = Script::opening();
    let (pool, held) = runtime.block_on(async {
        let script = script.clone();
        let pool = ConnectionPool::new(
            move |target| script.clone().dial(target),
            [target(1)],
            config(0, 2),
        )
        .unwrap();
        let held = pool.checkout().await.unwrap();
        (pool, held)
    });
    drop(runtime);
    let report = futures::executor::block_on(pool.close(3600 * SECOND));
    assert_eq!((report.drained, report.cut), (0, 1));
    drop(held);
    assert_eq!(script.open(), 0);
}

#[test]
fn a_runtime_that_ends_in_a_panic_is_held_against_no_address() {
    let script = Script::always(Act::Hang);
    let (sender, pools) = std::sync::mpsc::channel();
    let thread = {
        let script = script.clone();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let pool = ConnectionPool::new(
                    move |target| script.clone().dial(target),
                    (1..=50).map(target),
                    config(1, 1),
                )
                .unwrap();
                settle().await;
                sender.send(pool).unwrap();
                panic!("told to");
            });
        })
    };
    assert!(thread.join().is_err());
    let pool = pools.recv().unwrap();
    assert_eq!((pool.stats().failed_dials, script.dialled()), (0, 1));
    assert!(pool.is_closed());
}
