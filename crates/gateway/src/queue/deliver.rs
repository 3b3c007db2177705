//! [`deliver`]: from the queue to the collectors, until each record is settled.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use evenkeel::health::Backoff;
use evenkeel_otlp::Export;
use tokio::sync::Notify;
use tokio::task::JoinSet;

use super::{Lease, Queue};

/// Sends one record; the gateway's way to its collectors.
pub trait Deliver: Send + Sync + 'static {
    /// Sends `export` once, over as many collectors as it takes.
    ///
    /// # Errors
    /// What is to be done with what did not arrive.
    fn deliver(&self, export: &Export) -> impl Future<Output = Result<(), Undelivered>> + Send;
}

/// What did not arrive, and what is to be done with it.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Undelivered {
    /// To be tried again.
    Retry {
        /// Not before this, as a collector asked.
        after: Option<Duration>,
        /// What is left of it, if a part arrived. All of it by default.
        rest: Option<Export>,
    },
    /// No collector will ever take it.
    Never {
        /// Why not, for whoever looks into what was dropped.
        reason: String,
    },
}

/// Takes records out of `queue` and has them delivered, `max_in_flight` at once, until the queue is closed; then
/// waits for the attempts that are under way, but for no back-off.
///
/// A record that may be tried again waits a growing, jittered time, or as long as a collector asked for, and keeps
/// its place in flight meanwhile: so the oldest are tried first, and a backlog is not sent at collectors that
/// take nothing. One that arrives ends the waits of the others once, except those that a collector asked for: a
/// collector is back, but a record that fails beside others that arrive shall not be tried at each of them.
///
/// # Cancel safety
/// Dropped, the attempts under way are dropped too; their records stay in the queue.
pub async fn deliver<D: Deliver>(queue: Queue, deliverer: Arc<D>) {
    let back = Arc::new(Notify::new());
    let mut tasks = JoinSet::new();
    while let Some(lease) = queue.take().await {
        let worker = Worker {
            queue: queue.clone(),
            deliverer: Arc::clone(&deliverer),
            back: Arc::clone(&back),
        };
        tasks.spawn(worker.settle(lease));
        while tasks.try_join_next().is_some() {}
    }
    while tasks.join_next().await.is_some() {}
}

struct Worker<D> {
    queue: Queue,
    deliverer: Arc<D>,
    /// A record arrived after others had not.
    back: Arc<Notify>,
}

impl<D: Deliver> Worker<D> {
    async fn settle(self, lease: Lease) {
        let config = &*self.queue.config;
        let inner = &self.queue.handle.inner;
        let mut export = lease.export().clone();
        let Ok(mut backoff) = Backoff::new(config.backoff()) else {
            // Checked when the queue was opened.
            return;
        };
        let mut hurry = true;
        loop {
            if config.max_age.is_some_and(|max| lease.age() > max) {
                return lease.expire();
            }
            // Before the attempt, so that one that arrives meanwhile is noticed.
            let back = self.back.notified();
            let closed = inner.closed.notified();
            let (after, rest) = match self.deliverer.deliver(&export).await {
                Ok(()) => {
                    self.back.notify_waiters();
                    return lease.acknowledge();
                }
                Err(Undelivered::Never { reason }) => return lease.discard(&reason),
                Err(Undelivered::Retry { after, rest }) => (after, rest),
            };
            export = rest.unwrap_or(export);
            if inner.ledger.lock().is_closed() {
                return;
            }
            let after = after.map(|after| after.min(config.max_retry_after));
            let wait = backoff.next_wait(after, fastrand::u64(..));
            let sleep = tokio::time::sleep(wait.unwrap_or(config.max_backoff));
            tokio::select! {
                () = sleep => hurry = true,
                () = back, if hurry && after.is_none() => hurry = false,
                () = closed => return,
            }
            inner.counts.retries.fetch_add(1, Relaxed);
        }
    }
}
