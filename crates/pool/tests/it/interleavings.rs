//! The whole pool, with its tasks and timers, under any sequence of what users and peers do. (The rules
//! by themselves are tested against a model beside the code.)

use proptest::prelude::*;

use super::script::{Act, Script};
use super::*;

#[derive(Clone, Copy, Debug)]
enum Step {
    /// Somebody asks, and holds for so long.
    Use {
        hold: u16,
        patience: u16,
    },
    /// Somebody asks and is gone after so many polls.
    Cancel {
        polls: u8,
    },
    /// Somebody asks and is not polled again, as one in a `block_on` may be.
    Forget,
    /// Somebody asks and breaks what it got.
    Break,
    Pass(u16),
    Dials(Act),
    Invalidate,
    Resize {
        min: usize,
        max: usize,
    },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..50_u16, 1..400_u16).prop_map(|(hold, patience)| Step::Use { hold, patience }),
        3 => (0..6_u8).prop_map(|polls| Step::Cancel { polls }),
        1 => Just(Step::Forget),
        1 => Just(Step::Break),
        4 => (0..40_u16).prop_map(Step::Pass),
        3 => prop_oneof![
            3 => (0..30_u64).prop_map(|ms| Act::Open(Duration::from_millis(ms))),
            1 => (0..30_u64).prop_map(|ms| Act::Refuse(Duration::from_millis(ms))),
            1 => Just(Act::Hang),
            1 => Just(Act::Panic),
        ]
        .prop_map(Step::Dials),
        1 => Just(Step::Invalidate),
        1 => (0..3_usize, 1..6_usize).prop_map(|(min, max)| Step::Resize { min: min.min(max), max }),
    ]
}

async fn run(steps: Vec<Step>) -> Result<(), TestCaseError> {
    let script = Script::opening();
    let pool = pool(
        &script,
        ConnectionPoolConfig {
            connection_timeout: 100 * MILLI,
            idle_timeout: 300 * MILLI,
            max_lifetime: Some(800 * MILLI),
            retry_delay: 5 * MILLI,
            max_retry_delay: 50 * MILLI,
            connect_concurrency: 2,
            ..config(1, 3)
        },
    );
    let (mut users, mut forgotten, mut largest) = (Vec::new(), Vec::new(), 3);
    for step in steps {
        match step {
            Step::Use { hold, patience } => {
                let pool = pool.clone();
                users.push(tokio::spawn(async move {
                    if let Ok(_loan) = pool.checkout_within(MILLI * patience.into()).await {
                        tokio::time::sleep(MILLI * hold.into()).await;
                    }
                }));
            }
            Step::Cancel { polls } => {
                let mut asking = Box::pin(pool.checkout());
                for _ in 0..polls {
                    if poll_once(asking.as_mut()).is_ready() {
                        break;
                    }
                    tokio::task::yield_now().await;
                }
            }
            Step::Forget => {
                let mut asking = Box::pin(pool.checkout());
                if poll_once(asking.as_mut()).is_pending() {
                    forgotten.push(asking);
                }
            }
            Step::Break => {
                if let Ok(mut loan) = pool.checkout_within(MILLI).await {
                    loan.mark_broken();
                }
            }
            Step::Pass(millis) => tokio::time::sleep(MILLI * millis.into()).await,
            Step::Dials(act) => script.do_from_now(act),
            Step::Invalidate => {
                pool.invalidate(&target(1));
            }
            Step::Resize { min, max } => {
                largest = largest.max(max);
                pool.resize(min, max).unwrap();
            }
        }
        prop_assert!(script.most_open() <= largest, "above the maximum");
        prop_assert!(script.most_dialling() <= 2 + largest, "a stampede");
    }
    script.do_from_now(Act::Open(MILLI));
    for user in users {
        // Every waiter gets an answer, long before an hour is over.
        let answer = tokio::time::timeout(3600 * SECOND, user).await;
        prop_assert!(answer.is_ok(), "a waiter without an answer: {pool:?}");
        answer.unwrap().unwrap();
    }
    // Its own time-out takes what it never came for out of its hands no sooner than this.
    drop(forgotten);
    let warm = tokio::time::timeout(60 * SECOND, async {
        while pool.warm_up().await.is_err() {
            tokio::time::sleep(MILLI).await;
        }
    });
    prop_assert!(warm.await.is_ok(), "below the minimum for ever");
    settle().await;
    let stats = pool.stats();
    prop_assert_eq!((stats.used, stats.pending_requests), (0, 0));
    prop_assert_eq!(stats.created - stats.closed.total(), stats.size as u64);
    prop_assert_eq!(script.open(), stats.size, "what exists is what the pool knows of");
    drop(pool);
    settle().await;
    prop_assert_eq!(
        (script.open(), script.holders()),
        (0, 1),
        "something outlives the pool"
    );
    Ok(())
}

proptest! {
    #[test]
    fn no_connection_turn_or_place_is_ever_lost(steps in prop::collection::vec(step(), 1..60)) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(run(steps))?;
    }
}
