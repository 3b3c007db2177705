//! Each field of the configuration does what it says: the same steps with two values end differently.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use evenkeel_pool::{CheckoutError, Recycle, ReuseOrder};
use evenkeel_strategy::LoadBalancingStrategy;
use futures::future::BoxFuture;

use super::script::{Act, Script};
use super::*;

fn with(change: impl FnOnce(&mut ConnectionPoolConfig)) -> ConnectionPoolConfig {
    let mut config = config(0, 8);
    change(&mut config);
    config
}

/// Counts what it is asked, and says yes.
#[derive(Clone, Default)]
struct Checks(Arc<AtomicUsize>);

impl Recycle<Conn> for Checks {
    fn check<'a>(&'a self, _: &'a mut Conn) -> BoxFuture<'a, bool> {
        self.0.fetch_add(1, SeqCst);
        Box::pin(std::future::ready(true))
    }
}

#[tokio::test(start_paused = true)]
async fn min_connections_are_opened_before_anybody_asks() {
    for min in [0, 1, 5] {
        let pool = pool(&Script::opening(), config(min, 8));
        tokio::time::sleep(SECOND).await;
        assert_eq!((pool.stats().idle, pool.stats().idle_min), (min, min));
    }
}

#[tokio::test(start_paused = true)]
async fn max_connections_are_never_exceeded_and_are_reached() {
    for max in [1, 3] {
        let script = Script::opening();
        let pool = pool(&script, config(0, max));
        let _held = take(&pool, max).await;
        assert!(pool.checkout_within(SECOND).await.is_err());
        assert_eq!((script.most_open(), pool.stats().max), (max, max));
    }
}

#[tokio::test(start_paused = true)]
async fn max_idle_connections_are_kept_and_no_more() {
    for (max_idle, kept) in [(None, 8), (Some(2), 2)] {
        let pool = pool(&Script::opening(), with(|c| c.max_idle_connections = max_idle));
        drop(take(&pool, 8).await);
        assert_eq!((pool.stats().idle, pool.stats().idle_max), (kept, kept));
    }
}

#[tokio::test(start_paused = true)]
async fn max_connections_per_address_bounds_each_address() {
    for (limit, reached) in [(None, 8), (Some(3), 3)] {
        let pool = pool(
            &Script::opening(),
            with(|c| c.max_connections_per_address = limit),
        );
        let _held = take(&pool, reached).await;
        assert!(pool.checkout_within(SECOND).await.is_err());
        assert_eq!(pool.addresses(), [(target(1), reached)]);
    }
}

#[tokio::test(start_paused = true)]
async fn connect_concurrency_bounds_the_dials_under_way() {
    for limit in [1, 5] {
        let script = Script::always(Act::Hang);
        let pool = pool(&script, with(|c| c.connect_concurrency = limit));
        let mut crowd: Vec<_> = (0..8).map(|_| Box::pin(pool.checkout())).collect();
        for one in &mut crowd {
            assert!(poll_once(one.as_mut()).is_pending());
        }
        settle().await;
        assert_eq!((script.most_dialling(), pool.stats().dialling), (limit, limit));
    }
}

#[tokio::test(start_paused = true)]
async fn connection_timeout_ends_a_dial_that_hangs() {
    for timeout in [40 * MILLI, 2 * SECOND] {
        let pool = pool(
            &Script::always(Act::Hang),
            with(|c| {
                c.connection_timeout = timeout;
                c.retry_attempts = 0;
            }),
        );
        let start = tokio::time::Instant::now();
        assert!(matches!(pool.checkout().await, Err(CheckoutError::Connect(_))));
        assert!((timeout..timeout + 5 * MILLI).contains(&start.elapsed()));
    }
}

#[tokio::test(start_paused = true)]
async fn checkout_timeout_ends_the_whole_wait() {
    for timeout in [30 * MILLI, 3 * SECOND] {
        let pool = pool(&Script::always(Act::Hang), with(|c| c.checkout_timeout = timeout));
        let start = tokio::time::Instant::now();
        assert!(matches!(
            pool.checkout().await,
            Err(CheckoutError::Timeout { .. })
        ));
        assert!((timeout..timeout + 5 * MILLI).contains(&start.elapsed()));
    }
}

#[tokio::test(start_paused = true)]
async fn max_waiters_bounds_the_line() {
    for limit in [1, 4] {
        let pool = pool(&Script::always(Act::Hang), with(|c| c.max_waiters = limit));
        let mut line: Vec<_> = (0..limit).map(|_| Box::pin(pool.checkout())).collect();
        for one in &mut line {
            assert!(poll_once(one.as_mut()).is_pending());
        }
        let refused = pool.checkout().await;
        assert!(matches!(refused, Err(CheckoutError::QueueFull { limit: at }) if at == limit));
    }
}

#[tokio::test(start_paused = true)]
async fn idle_timeout_closes_what_nobody_uses() {
    for timeout in [2 * SECOND, 200 * SECOND] {
        let pool = pool(&Script::opening(), with(|c| c.idle_timeout = timeout));
        drop(take(&pool, 1).await);
        tokio::time::sleep(timeout - 100 * MILLI).await;
        assert_eq!(pool.stats().idle, 1, "too early");
        tokio::time::sleep(200 * MILLI).await;
        assert_eq!((pool.stats().idle, pool.stats().closed.idle), (0, 1), "too late");
    }
}

#[tokio::test(start_paused = true)]
async fn max_lifetime_closes_what_is_old_however_much_it_is_used() {
    for lifetime in [Some(2 * SECOND), Some(20 * SECOND), None] {
        let pool = pool(
            &Script::opening(),
            with(|c| {
                c.max_lifetime = lifetime;
                c.lifetime_jitter = 0.0;
            }),
        );
        drop(take(&pool, 1).await);
        let start = tokio::time::Instant::now();
        while pool.stats().closed.expired == 0 && start.elapsed() < 100 * SECOND {
            drop(pool.checkout().await.unwrap());
            tokio::time::sleep(50 * MILLI).await;
        }
        let ended = (start.elapsed() < 100 * SECOND).then(|| start.elapsed());
        match lifetime {
            Some(lifetime) => {
                let ended = ended.expect("lives for ever");
                assert!(
                    (lifetime - 100 * MILLI..lifetime + 100 * MILLI).contains(&ended),
                    "{ended:?}"
                );
            }
            None => assert_eq!(ended, None, "closed as old, with no limit on age"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn lifetime_jitter_decides_how_far_apart_the_ends_are() {
    for (jitter, most) in [(0.0, 0), (0.2, 200), (1.0, 1000)] {
        let script = Script::opening();
        let pool = pool(
            &script,
            with(|c| {
                c.max_connections = 50;
                c.connect_concurrency = 50;
                c.max_lifetime = Some(1000 * SECOND);
                c.lifetime_jitter = jitter;
                c.idle_timeout = 100_000 * SECOND;
            }),
        );
        drop(take(&pool, 50).await);
        let start = tokio::time::Instant::now();
        let mut first = None;
        while pool.stats().closed.expired < 50 {
            tokio::time::sleep(SECOND).await;
            if pool.stats().closed.expired > 0 {
                first = first.or(Some(start.elapsed()));
            }
        }
        let spread = (start.elapsed() - first.unwrap()).as_secs();
        // Those that fall due together go by and by, within seconds.
        assert!(
            (most * 7 / 10..=most + 5).contains(&spread),
            "{jitter}: {spread} s apart"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn health_check_interval_is_kept_from_the_first_return_on() {
    for interval in [2 * SECOND, 20 * SECOND] {
        let checks = Checks::default();
        let pool = builder(
            &Script::opening(),
            with(|c| {
                c.health_check_interval = interval;
                c.idle_timeout = 1000 * SECOND;
                // Nothing else that would wake the background task.
                c.checkout_timeout = 1000 * SECOND;
            }),
        )
        .recycle(checks.clone())
        .build()
        .unwrap();
        // The background task has looked, and found nothing.
        settle().await;
        let loan = pool.checkout().await.unwrap();
        tokio::time::sleep(interval / 2).await;
        drop(loan);
        for round in 0..5 {
            tokio::time::sleep(interval - 200 * MILLI).await;
            assert_eq!(checks.0.load(SeqCst), round, "{interval:?}: too early");
            tokio::time::sleep(200 * MILLI + 10 * MILLI).await;
            assert_eq!(checks.0.load(SeqCst), round + 1, "{interval:?}: too late");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn validate_after_idle_checks_only_what_lay_longer() {
    for (after, expected) in [(None, 0), (Some(3 * SECOND), 1), (Some(Duration::ZERO), 2)] {
        let checks = Checks::default();
        let pool = builder(&Script::opening(), with(|c| c.validate_after_idle = after))
            .recycle(checks.clone())
            .build()
            .unwrap();
        drop(pool.checkout().await.unwrap());
        for idle in [SECOND, 4 * SECOND] {
            tokio::time::sleep(idle).await;
            drop(pool.checkout().await.unwrap());
        }
        assert_eq!(checks.0.load(SeqCst), expected, "{after:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn retry_attempts_are_made_before_those_who_wait_are_told() {
    for attempts in [0, 1, 4] {
        let script = Script::always(Act::Refuse(MILLI));
        let pool = pool(&script, with(|c| c.retry_attempts = attempts));
        assert!(matches!(pool.checkout().await, Err(CheckoutError::Connect(_))));
        assert_eq!(script.dialled(), 1 + attempts);
    }
}

#[tokio::test(start_paused = true)]
async fn retry_delay_is_the_first_pause_and_max_retry_delay_the_longest() {
    for (first, longest) in [(10, 20), (400, 3000)] {
        let script = Script::always(Act::Refuse(Duration::ZERO));
        let pool = pool(
            &script,
            with(|c| {
                c.retry_delay = MILLI * first;
                c.max_retry_delay = MILLI * longest;
                c.retry_attempts = 12;
            }),
        );
        let start = tokio::time::Instant::now();
        let told = async { pool.checkout_within(1000 * SECOND).await.unwrap_err() };
        let first_pause = async {
            while script.dialled() < 2 {
                tokio::time::sleep(MILLI).await;
            }
            start.elapsed()
        };
        let (_, pause) = tokio::join!(told, first_pause);
        assert!(
            (MILLI * (first / 2)..=MILLI * (first + 5)).contains(&pause),
            "{pause:?}"
        );
        let all: u32 = (0..12).map(|n| (first << n).min(longest)).sum();
        let took = start.elapsed();
        assert!(
            (MILLI * (all / 2)..=MILLI * (all + 50)).contains(&took),
            "{took:?} of {all} ms"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn reuse_order_decides_which_idle_one_goes_out() {
    for (order, first) in [(ReuseOrder::Lifo, 2), (ReuseOrder::Fifo, 0)] {
        let pool = pool(&Script::opening(), with(|c| c.reuse_order = order));
        for loan in take(&pool, 3).await {
            drop(loan);
        }
        assert_eq!(pool.checkout().await.unwrap().id, first, "{order:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn load_balancing_strategy_chooses_the_address() {
    use LoadBalancingStrategy as S;
    // By weight, whatever the weights are, and any with luck.
    let cases: [(S, &[usize]); 3] = [
        (
            S::WeightedLeastConnections(evenkeel_strategy::LeastConnectionsConfig::default()),
            &[6, 2],
        ),
        (S::RoundRobin, &[4, 4]),
        (S::Rendezvous, &[]),
    ];
    for (strategy, expected) in cases {
        let shown = format!("{strategy:?}");
        let pool = builder(&Script::opening(), with(|c| c.load_balancing_strategy = strategy))
            .address(target(2))
            .weights([3, 1])
            .build()
            .unwrap();
        let _held = take(&pool, 8).await;
        let counts: Vec<usize> = pool.addresses().into_iter().map(|(_, n)| n).collect();
        assert_eq!(counts.iter().sum::<usize>(), 8);
        if !expected.is_empty() {
            assert_eq!(counts, expected, "{shown}");
        }
    }
}
