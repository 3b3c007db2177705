//! What those hear who listen.

use std::sync::Arc;

use evenkeel_pool::{CloseReason, Hooks};
use evenkeel_stats::{CheckoutEvent, CloseEvent, ConnectEvent, Observe, Reused};
use parking_lot::Mutex;

use super::script::{Act, Script};
use super::*;

#[derive(Clone, Default)]
struct Diary(Arc<Mutex<Vec<String>>>);

impl Diary {
    fn note(&self, what: impl Into<String>) {
        self.0.lock().push(what.into());
    }
}

impl Hooks<Conn> for Diary {
    fn created(&self, connection: &mut Conn, target: &Target) {
        self.note(format!("created {} {target}", connection.id));
    }
    fn checked_out(&self, connection: &mut Conn) {
        self.note(format!("out {}", connection.id));
    }
    fn returned(&self, connection: &mut Conn) {
        self.note(format!("back {}", connection.id));
    }
    fn closed(&self, connection: &mut Conn, reason: CloseReason) {
        self.note(format!("closed {} {reason}", connection.id));
    }
}

impl Observe for Diary {
    fn connect(&self, event: &ConnectEvent<'_>) {
        self.note(format!("connect {:?} {}", event.took, event.result.is_ok()));
    }
    fn checkout(&self, event: &CheckoutEvent<'_>) {
        let how = match event.result {
            Ok(Reused::Yes) => "hit".to_owned(),
            Ok(Reused::No) => "miss".to_owned(),
            Err(failure) => format!("{} {}", failure.phase, failure.kind),
        };
        self.note(format!("checkout {:?} {how}", event.took));
    }
    fn close(&self, event: &CloseEvent<'_>) {
        self.note(format!("close {:?} {}", event.age, event.reason));
    }
}

#[tokio::test(start_paused = true)]
async fn hooks_see_every_turn_in_a_connections_life() {
    let (script, diary) = (Script::opening(), Diary::default());
    let pool = builder(&script, config(0, 1))
        .hooks(diary.clone())
        .build()
        .unwrap();
    drop(pool.checkout().await.unwrap());
    pool.checkout().await.unwrap().mark_broken();
    let _own = pool.checkout().await.unwrap().detach();
    assert_eq!(
        *diary.0.lock(),
        [
            "created 0 backend:1",
            "out 0",
            "back 0",
            "out 0",
            "closed 0 broken",
            "created 1 backend:1",
            "out 1"
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn an_observer_hears_of_connects_checkouts_and_closes() {
    let script = Script::always(Act::Hang).then([Act::Open(20 * MILLI)]);
    let diary = Diary::default();
    let pool = builder(
        &script,
        ConnectionPoolConfig {
            checkout_timeout: 100 * MILLI,
            connection_timeout: 50 * MILLI,
            ..config(0, 2)
        },
    )
    .observer(diary.clone())
    .build()
    .unwrap();
    let first = pool.checkout().await.unwrap();
    let late = pool.checkout().await.unwrap_err();
    drop(first);
    drop(pool.checkout().await.unwrap());
    drop(pool);
    let heard = diary.0.lock().clone();
    assert_eq!(
        heard[..2],
        ["connect 20ms true", "checkout 20ms miss"],
        "{heard:?}"
    );
    assert!(
        heard.iter().any(|line| line.starts_with("connect 50ms false")),
        "{heard:?}"
    );
    assert!(
        heard
            .iter()
            .any(|line| line.contains(&late.failure().kind.to_string())),
        "{heard:?}"
    );
    assert!(heard.contains(&"checkout 0ns hit".to_owned()), "{heard:?}");
    assert!(heard.last().unwrap().ends_with("shutdown"), "{heard:?}");
}

#[tokio::test(start_paused = true)]
async fn the_times_of_opening_waiting_and_using_are_recorded() {
    let script = Script::always(Act::Open(20 * MILLI));
    let pool = pool(&script, config(0, 1));
    let loan = pool.checkout().await.unwrap();
    tokio::time::sleep(300 * MILLI).await;
    drop(loan);
    let stats = pool.stats();
    let near = |time: Option<Duration>, millis: u32| {
        let time = time.unwrap();
        assert!(
            (MILLI * millis..MILLI * (millis + 2)).contains(&time),
            "{time:?}, not {millis} ms"
        );
    };
    near(stats.create_time.max(), 20);
    near(stats.wait_time.max(), 20);
    near(stats.use_time.max(), 300);
    assert_eq!(stats.waits, 1);
}

/// Panics at one turn of a connection's life.
struct Panics(&'static str);

impl Panics {
    fn at(&self, turn: &str) {
        assert!(self.0 != turn, "told to");
    }
}

impl Hooks<Conn> for Panics {
    fn created(&self, _: &mut Conn, _: &Target) {
        self.at("created");
    }
    fn checked_out(&self, _: &mut Conn) {
        self.at("checked out");
    }
    fn returned(&self, _: &mut Conn) {
        self.at("returned");
    }
    fn closed(&self, _: &mut Conn, _: CloseReason) {
        self.at("closed");
    }
}

#[tokio::test(start_paused = true)]
async fn a_hook_that_panics_costs_its_connection_and_neither_a_place_nor_the_pool() {
    for turn in ["created", "checked out", "returned", "closed"] {
        let script = Script::opening();
        let pool = builder(
            &script,
            ConnectionPoolConfig {
                retry_attempts: 0,
                ..config(0, 1)
            },
        )
        .hooks(Panics(turn))
        .build()
        .unwrap();
        for _ in 0..3 {
            let pool = pool.clone();
            let user = tokio::spawn(async move { pool.checkout().await.map(drop) });
            // The panic at checkout is the caller's; the others are nobody's.
            assert_eq!(user.await.is_err(), turn == "checked out", "{turn}");
            // Idle ones go in the background.
            tokio::time::sleep(60 * SECOND).await;
        }
        // A panic over the hook's panic would end the process.
        let user = {
            let pool = pool.clone();
            tokio::spawn(async move {
                let _loan = pool.checkout().await;
                panic!("told to");
            })
        };
        assert!(user.await.is_err());
        assert!(!pool.is_closed(), "{turn}: the pool went with it");
        let stats = pool.stats();
        assert_eq!((stats.size, stats.used, stats.checking), (0, 0, 0), "{turn}");
        assert_eq!(script.open(), 0, "{turn}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_wait_is_counted_once_although_it_was_served_with_a_dead_connection() {
    let script = Script::always(Act::Open(MILLI));
    let pool = builder(&script, config(0, 1))
        .recycle(|conn: &mut Conn| conn.alive)
        .build()
        .unwrap();
    let mut held = pool.checkout().await.unwrap();
    let waiter = {
        let pool = pool.clone();
        tokio::spawn(async move { pool.checkout().await.map(drop) })
    };
    settle().await;
    held.alive = false;
    drop(held);
    waiter.await.unwrap().unwrap();
    let stats = pool.stats();
    assert_eq!((stats.hits, stats.misses, stats.waits), (0, 2, 2));
}
