//! The background task: one per pool, holding nothing that would keep the pool alive.

use std::sync::{Arc, Weak};
use std::time::Duration;

use evenkeel_stats::Timestamp;
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use tokio::sync::Notify;

use crate::check::Held;
use crate::effects::Effects;
use crate::live::Live;
use crate::shared::Shared;

/// Runs until the pool is closed or gone.
pub(crate) async fn run<T: Send + 'static>(shared: Weak<Shared<T>>, nudge: Arc<Notify>) {
    let _ends_with_the_runtime = Shut(shared.clone());
    let mut checking = None;
    loop {
        let Some(pause) = look(&shared, &mut checking) else {
            // What is being checked goes with the pool.
            if let Some(checking) = checking {
                checking.abort();
            }
            return;
        };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = nudge.notified() => {}
        }
    }
}

/// One round. Says how long to sleep; `None` to end.
fn look<T: Send + 'static>(
    shared: &Weak<Shared<T>>,
    checking: &mut Option<tokio::task::JoinHandle<()>>,
) -> Option<Duration> {
    let shared = shared.upgrade()?;
    let now = shared.time.coarse();
    let mut fx = Effects::none();
    let (mut at, check_at) = {
        let mut state = shared.lock();
        (state.upkeep(now, &mut fx)?, state.next_check(now))
    };
    shared.perform(fx);
    if let Some(check_at) = check_at {
        let under_way = checking.as_ref().is_some_and(|task| !task.is_finished());
        if check_at > now {
            at = at.min(check_at);
        } else if !under_way {
            // A task of its own: a peer that does not answer must not hold up the rest.
            *checking = Some(shared.runtime.spawn(check(Arc::downgrade(&shared))));
        }
    }
    Some(pause(at, now))
}

/// At least a millisecond, which is what timers can do.
fn pause(until: Timestamp, now: Timestamp) -> Duration {
    until.since(now).max(Duration::from_millis(1))
}

/// Checks every idle connection that is due, a few at a time.
async fn check<T: Send + 'static>(pool: Weak<Shared<T>>) {
    let mut under_way = FuturesUnordered::new();
    loop {
        if let Some(shared) = pool.upgrade() {
            let now = shared.time.coarse();
            while let Some(live) = take_for_check(&shared, now) {
                under_way.push(Held::in_background(shared.clone(), live).check_in_background());
            }
        }
        if under_way.next().await.is_none() {
            break;
        }
    }
    if let Some(shared) = pool.upgrade() {
        // The next round is due an interval from now.
        shared.nudge.notify_one();
    }
}

fn take_for_check<T: Send + 'static>(shared: &Shared<T>, now: Timestamp) -> Option<Box<Live<T>>> {
    shared.lock().take_for_check(now)
}

/// Closes the pool with its background task: without it nobody would ever be told of a time-out.
struct Shut<T: Send + 'static>(Weak<Shared<T>>);

impl<T: Send + 'static> Drop for Shut<T> {
    fn drop(&mut self) {
        if let Some(shared) = self.0.upgrade() {
            shared.shut();
        }
    }
}
