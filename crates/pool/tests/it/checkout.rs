//! Who is served, in what order, and what those hear who are not.

use std::pin::pin;

use evenkeel_pool::{CheckoutError, ConnectionPoolConfig, ReuseOrder};
use evenkeel_stats::Phase;
use futures::executor::block_on;

use super::script::{Act, Script};
use super::*;

#[tokio::test(start_paused = true)]
async fn a_connection_is_reused_and_counted_as_a_hit() {
    let script = Script::opening();
    let pool = pool(&script, config(0, 4));
    let first = pool.checkout().await.unwrap().id;
    for _ in 0..9 {
        assert_eq!(pool.checkout().await.unwrap().id, first);
    }
    let stats = pool.stats();
    assert_eq!((stats.hits, stats.misses, stats.created), (9, 1, 1));
    assert_eq!(stats.hit_rate(), Some(0.9));
    assert_eq!(script.dialled(), 1);
}

#[tokio::test(start_paused = true)]
async fn tasks_are_served_in_the_order_of_asking() {
    let script = Script::opening();
    let pool = pool(&script, config(0, 1));
    let held = pool.checkout().await.unwrap();
    let (sender, mut served) = tokio::sync::mpsc::unbounded_channel();
    for n in 0..20 {
        let (pool, sender) = (pool.clone(), sender.clone());
        tokio::spawn(async move {
            let _loan = pool.checkout().await.unwrap();
            sender.send(n).unwrap();
            tokio::task::yield_now().await;
        });
        settle().await;
    }
    drop((held, sender));
    for n in 0..20 {
        assert_eq!(served.recv().await, Some(n));
    }
}

#[tokio::test(start_paused = true)]
async fn a_task_that_comes_back_at_once_does_not_overtake_those_who_wait() {
    let script = Script::opening();
    let pool = pool(&script, config(0, 1));
    let greedy = {
        let pool = pool.clone();
        tokio::spawn(async move {
            for _ in 0..1000 {
                drop(pool.checkout().await.unwrap());
                tokio::task::yield_now().await;
            }
        })
    };
    settle().await;
    let modest = tokio::spawn(async move { pool.checkout().await.map(drop) });
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
    assert!(modest.is_finished(), "starved");
    greedy.abort();
}

#[tokio::test(start_paused = true)]
async fn a_sleeper_that_nobody_polls_keeps_one_connection_and_not_the_line() {
    let pool = pool(&Script::opening(), config(0, 2));
    let held = take(&pool, 2).await;
    // The body of a test is taken for a thread that blocks.
    let mut sleeper = Box::pin(pool.checkout());
    assert!(poll_once(sleeper.as_mut()).is_pending());
    let task = {
        let pool = pool.clone();
        tokio::spawn(async move { pool.checkout().await.map(drop) })
    };
    settle().await;
    let mut second = Box::pin(pool.checkout());
    assert!(poll_once(second.as_mut()).is_pending());
    drop(held);
    settle().await;
    assert!(task.is_finished(), "{:?}", pool.stats());
    assert!(
        poll_once(second.as_mut()).is_ready(),
        "it was not woken for what the task gave back"
    );
    assert!(poll_once(sleeper.as_mut()).is_ready());
}

#[tokio::test(start_paused = true)]
async fn a_timeout_comes_in_time_and_tells_queueing_from_connecting() {
    let script = Script::always(Act::Open(SECOND)).then([Act::Open(MILLI)]);
    let pool = pool(
        &script,
        ConnectionPoolConfig {
            checkout_timeout: 300 * MILLI,
            ..config(0, 2)
        },
    );
    let _held = pool.checkout().await.unwrap();
    let start = tokio::time::Instant::now();
    let (dialled_for, behind) = tokio::join!(pool.checkout(), pool.checkout());
    assert!(
        (300..305).contains(&start.elapsed().as_millis()),
        "{:?}",
        start.elapsed()
    );
    let Err(CheckoutError::Timeout { phase, ahead, .. }) = dialled_for else {
        panic!("{dialled_for:?}");
    };
    assert_eq!((phase, ahead), (Phase::Connect, 0));
    let Err(CheckoutError::Timeout {
        phase, ahead, waited, ..
    }) = behind
    else {
        panic!("{behind:?}");
    };
    assert_eq!((phase, ahead), (Phase::Queue, 1), "one dial, one ahead");
    assert!(waited >= 300 * MILLI);
    assert_eq!(pool.stats().timeouts, 2);
}

#[tokio::test(start_paused = true)]
async fn one_waiter_too_many_is_told_the_limit_at_once() {
    let script = Script::always(Act::Hang);
    let pool = pool(
        &script,
        ConnectionPoolConfig {
            max_waiters: 2,
            ..config(0, 1)
        },
    );
    let (mut one, mut two) = (pin!(pool.checkout()), pin!(pool.checkout()));
    assert!(poll_once(one.as_mut()).is_pending() && poll_once(two.as_mut()).is_pending());
    let error = pool.checkout().await.unwrap_err();
    assert!(matches!(error, CheckoutError::QueueFull { limit: 2 }), "{error}");
    assert_eq!((pool.stats().refused, pool.stats().pending_requests), (1, 2));
}

#[tokio::test(start_paused = true)]
async fn try_checkout_neither_waits_nor_dials() {
    let script = Script::opening();
    let pool = pool(&script, config(0, 1));
    assert!(pool.try_checkout().is_none());
    settle().await;
    assert_eq!(script.dialled(), 0);
    drop(pool.checkout().await.unwrap());
    assert!(pool.try_checkout().is_some());
}

#[tokio::test(start_paused = true)]
async fn a_storm_of_expiring_waiters_does_not_stop_the_pool() {
    let script = Script::opening();
    let pool = pool(&script, config(0, 2));
    let mut held = take(&pool, 2).await;
    let mut storm = Vec::new();
    for n in 0..500_u32 {
        let pool = pool.clone();
        storm.push(tokio::spawn(async move {
            pool.checkout_within(MILLI * (1 + n % 50)).await.map(drop)
        }));
    }
    settle().await;
    // A patient one behind them all.
    let patient = {
        let pool = pool.clone();
        tokio::spawn(async move { pool.checkout().await.map(drop) })
    };
    tokio::time::sleep(60 * MILLI).await;
    held.pop();
    settle().await;
    assert!(
        patient.is_finished(),
        "the connection went to one whose time was over"
    );
    for one in storm {
        assert!(matches!(one.await.unwrap(), Err(CheckoutError::Timeout { .. })));
    }
    let stats = pool.stats();
    assert_eq!((stats.timeouts, stats.pending_requests, stats.idle), (500, 0, 1));
}

#[tokio::test(start_paused = true)]
async fn fifo_uses_all_connections_alike() {
    let script = Script::opening();
    let pool = pool(
        &script,
        ConnectionPoolConfig {
            reuse_order: ReuseOrder::Fifo,
            ..config(0, 3)
        },
    );
    drop(take(&pool, 3).await);
    let mut seen = Vec::new();
    for _ in 0..6 {
        seen.push(pool.checkout().await.unwrap().id);
    }
    assert_eq!(seen[..3], seen[3..]);
    seen.sort_unstable();
    assert_eq!(seen, [0, 0, 1, 1, 2, 2]);
}

#[tokio::test(start_paused = true)]
async fn checkout_and_return_of_an_idle_connection_allocate_nothing() {
    let pool = pool(&Script::opening(), config(4, 4));
    pool.warm_up().await.unwrap();
    let counted = allocation_counter::measure(|| {
        for _ in 0..1000 {
            let Poll::Ready(Ok(loan)) = poll_once(pin!(pool.checkout())) else {
                panic!("an idle connection was not lent at once");
            };
            drop(loan);
            drop(pool.try_checkout().expect("an idle connection"));
        }
    });
    assert_eq!(counted.count_total, 0);
    let counted = allocation_counter::measure(|| drop(std::hint::black_box(Box::new(1))));
    assert_eq!(counted.count_total, 1, "nothing is counted here");
}

#[tokio::test(start_paused = true)]
async fn waiting_in_line_allocates_nothing_once_there_was_a_line() {
    let script = Script::opening();
    let pool = pool(&script, config(0, 1));
    // A task: a caller that blocks its thread is not served by hand-off.
    let served = tokio::spawn(async move {
        let mut held = Some(pool.checkout().await.unwrap());
        let mut counted = Vec::with_capacity(2);
        for _ in 0..2 {
            let all = allocation_counter::measure(|| {
                for _ in 0..100 {
                    let mut next = std::pin::pin!(pool.checkout());
                    assert!(poll_once(next.as_mut()).is_pending());
                    drop(held.take());
                    let Poll::Ready(loan) = poll_once(next.as_mut()) else {
                        panic!("not handed over");
                    };
                    held = loan.ok();
                }
            });
            counted.push(all.count_total);
        }
        counted
    });
    assert_eq!(served.await.unwrap()[1], 0);
}

/// Real threads and real time: ten of them at four connections, each blocking.
#[test]
fn threads_that_block_share_few_connections_and_none_is_forgotten() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let script = Script::opening();
    let pool = {
        let _inside = runtime.enter();
        let script = script.clone();
        ConnectionPool::new(
            move |target| script.clone().dial(target),
            [target(1)],
            config(0, 4),
        )
        .unwrap()
    };
    std::thread::scope(|scope| {
        for _ in 0..10 {
            // An executor that knows nothing of tokio.
            scope.spawn(|| {
                for _ in 0..500 {
                    drop(block_on(pool.checkout()).unwrap());
                }
            });
        }
    });
    let stats = pool.stats();
    assert_eq!(stats.hits + stats.misses, 5000);
    assert!(script.most_open() <= 4);
    assert_eq!((stats.used, stats.pending_requests), (0, 0));
}
