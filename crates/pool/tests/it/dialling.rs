//! Dials: how many, for whom, and what a bad one may not do.

use std::error::Error;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use evenkeel_pool::CheckoutError;
use evenkeel_strategy::{BuildContext, PickContext, PickError, Picker, RoundRobin, Strategy};

use super::script::{Act, Script};
use super::*;

#[tokio::test(start_paused = true)]
async fn a_stampede_is_bounded() {
    let script = Script::always(Act::Open(10 * MILLI));
    let pool = pool(
        &script,
        ConnectionPoolConfig {
            connect_concurrency: 3,
            ..config(0, 40)
        },
    );
    let crowd: Vec<_> = (0..100)
        .map(|_| {
            let pool = pool.clone();
            tokio::spawn(async move {
                let _loan = pool.checkout().await.unwrap();
                tokio::time::sleep(SECOND).await;
            })
        })
        .collect();
    for one in crowd {
        one.await.unwrap();
    }
    assert_eq!(script.most_dialling(), 3);
    assert_eq!(script.most_open(), 40);
    assert_eq!(script.dialled(), 40);
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_comes_back_first_serves_the_waiter_and_the_surplus_dial_is_given_up() {
    // HikariCP's spike: 50 callers, 5 idle, a dial of 150 ms, a use of 2 ms.
    let script = Script::always(Act::Open(150 * MILLI)).then([Act::Open(MILLI); 5]);
    let pool = pool(&script, config(5, 50));
    assert_eq!(pool.warm_up().await.unwrap(), 5);
    let crowd: Vec<_> = (0..50)
        .map(|_| {
            let pool = pool.clone();
            tokio::spawn(async move {
                let _loan = pool.checkout().await.unwrap();
                tokio::time::sleep(2 * MILLI).await;
            })
        })
        .collect();
    for one in crowd {
        one.await.unwrap();
    }
    tokio::time::sleep(SECOND).await;
    let stats = pool.stats();
    assert!(
        stats.size <= 6,
        "{} connections for a spike that 5 could serve",
        stats.size
    );
    assert!(stats.surplus_dials > 0);
    assert_eq!((stats.hits, script.open()), (50, stats.size));
}

#[tokio::test(start_paused = true)]
async fn a_connect_that_panics_or_never_ends_does_not_stop_a_pool_of_two() {
    let script = Script::opening().then([Act::Panic, Act::Hang, Act::Panic, Act::Hang, Act::Hang]);
    let pool = pool(
        &script,
        ConnectionPoolConfig {
            retry_attempts: 10,
            connection_timeout: 500 * MILLI,
            ..config(0, 2)
        },
    );
    let held = take(&pool, 2).await;
    assert_eq!(script.dialled(), 7);
    drop(held);
    for _ in 0..10 {
        take(&pool, 2).await;
    }
    assert_eq!(pool.stats().size, 2);
}

#[tokio::test(start_paused = true)]
async fn waiters_are_told_why_connecting_fails_with_the_source() {
    let script = Script::always(Act::Refuse(MILLI));
    let pool = pool(&script, config(0, 4));
    let (one, two) = tokio::join!(pool.checkout(), pool.checkout());
    for result in [one, two] {
        let error = result.unwrap_err();
        let CheckoutError::Connect(dial) = &error else {
            panic!("{error}");
        };
        assert_eq!(*dial.target(), target(1));
        let source = dial.source().unwrap().downcast_ref::<io::Error>().unwrap();
        assert_eq!(source.kind(), io::ErrorKind::ConnectionRefused);
    }
    // Two at first, together one failure; then one for each of three retries.
    assert_eq!(script.dialled(), 5);
}

#[tokio::test(start_paused = true)]
async fn retries_pause_longer_each_time_and_never_longer_than_the_cap() {
    let script = Script::always(Act::Refuse(Duration::ZERO));
    let pool = pool(
        &script,
        ConnectionPoolConfig {
            retry_delay: 100 * MILLI,
            max_retry_delay: 800 * MILLI,
            retry_attempts: 1_000_000,
            ..config(1, 1)
        },
    );
    let mut last = tokio::time::Instant::now();
    let mut pauses = Vec::new();
    settle().await;
    for dials in 2..10 {
        while script.dialled() < dials {
            tokio::time::sleep(MILLI).await;
            settle().await;
        }
        pauses.push(last.elapsed().as_millis());
        last = tokio::time::Instant::now();
    }
    for (pause, whole) in pauses.iter().zip([100, 200, 400, 800, 800, 800, 800, 800]) {
        assert!((whole / 2..=whole + 5).contains(pause), "{pauses:?}");
    }
    drop(pool);
}

#[tokio::test(start_paused = true)]
async fn a_minimum_that_can_not_be_opened_is_told_by_warm_up_and_tried_for_ever() {
    let script = Script::always(Act::Refuse(MILLI));
    let pool = pool(&script, config(2, 2));
    assert!(matches!(pool.warm_up().await, Err(CheckoutError::Connect(_))));
    script.do_from_now(Act::Open(MILLI));
    tokio::time::sleep(10 * SECOND).await;
    assert_eq!(pool.warm_up().await.unwrap(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_slow_dial_gives_way_to_its_deadline_and_the_timeout_names_it() {
    let script = Script::always(Act::Hang);
    let pool = pool(
        &script,
        ConnectionPoolConfig {
            connection_timeout: 50 * MILLI,
            checkout_timeout: SECOND,
            retry_attempts: 100,
            ..config(0, 1)
        },
    );
    let error = pool.checkout().await.unwrap_err();
    let CheckoutError::Timeout {
        last_dial: Some(dial),
        ..
    } = &error
    else {
        panic!("{error}");
    };
    assert!(dial.to_string().contains("not done within 50ms"), "{error}");
}

/// Round robin that panics when it is told to.
#[derive(Clone, Debug)]
struct Fragile(Arc<AtomicBool>, Arc<dyn Picker>);

impl Strategy for Fragile {
    fn build(&self, context: &BuildContext<'_>) -> Result<Arc<dyn Picker>, evenkeel_strategy::BuildError> {
        let inner = RoundRobin.build(context)?;
        Ok(Arc::new(Self(self.0.clone(), inner)))
    }
}

impl Picker for Fragile {
    fn pick(&self, context: &PickContext<'_>) -> Result<usize, PickError> {
        assert!(!self.0.load(SeqCst), "told to");
        self.1.pick(context)
    }
}

#[tokio::test(start_paused = true)]
async fn a_strategy_that_panics_loses_nobody_and_the_pool_goes_on() {
    let script = Script::opening();
    let panics = Arc::new(AtomicBool::new(false));
    let empty = RoundRobin.build(&BuildContext::new(&[])).unwrap();
    let pool = builder(&script, config(0, 3))
        .address(target(2))
        .strategy(Fragile(panics.clone(), empty))
        .build()
        .unwrap();
    let held = take(&pool, 1).await;
    panics.store(true, SeqCst);
    let more = take(&pool, 2).await;
    panics.store(false, SeqCst);
    drop((held, more));
    let stats = pool.stats();
    assert_eq!((stats.idle, stats.used, stats.pending_requests), (3, 0, 0));
}
