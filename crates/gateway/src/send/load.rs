//! The ways in which requests go out.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::client::{Client, Protocol, Refusal};
use super::pace::Pace;
use super::payload::Template;
use super::tally::{Ended, Tally};
use crate::ledger::SenderId;

/// Requests of a steady rate that may wait for their answers at once. Beyond it the target is overrun, and
/// what is due is counted as failed.
const MAX_OUTSTANDING: usize = 20_000;

/// A closed loop waits so long after a failure: a target that refuses at once would be asked without end.
const AFTER_FAILURE: Duration = Duration::from_millis(10);

/// When to stop sending.
#[derive(Clone, Copy, Debug)]
pub(super) struct Until {
    pub(super) end: Option<Instant>,
    pub(super) requests: u64,
}

/// Attempts beyond the first, as SDKs make them: after a second, and then each time half as long again, up
/// to five; with jitter, and not before the target wants them.
const MAX_ATTEMPTS: u32 = 5;
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// Who sends.
#[derive(Debug)]
pub(super) struct Sender {
    pub(super) client: Client,
    pub(super) id: SenderId,
    pub(super) template: Template,
    /// A request, with all its attempts, has this long.
    pub(super) timeout: Duration,
    pub(super) retries: bool,
    pub(super) start: Instant,
    pub(super) tally: Mutex<Tally>,
}

impl Sender {
    fn body(&self, template: &Template, first: u64) -> Bytes {
        match self.client.protocol() {
            Protocol::Grpc => template.framed(self.id, first),
            Protocol::Http => template.body(self.id, first),
        }
    }

    /// The request of this index, from 0, to its end. Whether it was acknowledged.
    async fn send(&self, index: u64, due: Instant) -> bool {
        let first = index * self.template.spans() + 1;
        self.send_spans(&self.template, first, due).await
    }

    /// Sends the spans from `first` on; whether they were acknowledged.
    async fn send_spans(&self, template: &Template, first: u64, due: Instant) -> bool {
        let body = self.body(template, first);
        let mut attempts = 0;
        let all = async {
            loop {
                attempts += 1;
                let outcome = self.client.export(body.clone()).await;
                let Err(refusal) = outcome else { return Ok(()) };
                match refusal.again {
                    Some(wait) if self.retries && attempts < MAX_ATTEMPTS => {
                        sleep(wait.max(backoff(attempts))).await;
                    }
                    _ => return Err(refusal),
                }
            }
        };
        let outcome = timeout(self.timeout, all).await;
        let outcome = outcome.unwrap_or_else(|_| Err(Refusal::timed_out()));
        let acknowledged = outcome.is_ok();
        self.end(template, first, due, attempts, outcome);
        acknowledged
    }

    fn end(
        &self,
        template: &Template,
        first: u64,
        due: Instant,
        attempts: u32,
        outcome: Result<(), Refusal>,
    ) {
        let ended = Ended {
            spans: (first, template.spans()),
            due: due.saturating_duration_since(self.start),
            took: due.elapsed(),
            attempts,
            outcome,
        };
        self.tally.lock().add(ended);
    }
}

fn backoff(attempts: u32) -> Duration {
    let factor = 1.5_f64.powi(attempts.saturating_sub(1).min(20).cast_signed());
    FIRST_WAIT
        .mul_f64(factor)
        .min(LONGEST_WAIT)
        .mul_f64(0.8 + 0.4 * fastrand::f64())
}

/// So many at a time, each as soon as one before it has ended.
pub(super) async fn closed(sender: &Arc<Sender>, in_flight: usize, until: Until) {
    let next = Arc::new(AtomicU64::new(0));
    let mut workers = JoinSet::new();
    for _ in 0..in_flight {
        let (sender, next) = (sender.clone(), next.clone());
        workers.spawn(async move {
            loop {
                let now = Instant::now();
                let index = next.fetch_add(1, Relaxed);
                if index >= until.requests || until.end.is_some_and(|end| now >= end) {
                    break;
                }
                if !sender.send(index, now).await {
                    sleep(AFTER_FAILURE).await;
                }
            }
        });
    }
    while workers.join_next().await.is_some() {}
}

/// So many a second, each at its time, whatever became of those before it.
///
/// # Errors
///
/// If there can be no thread that keeps the time.
pub(super) async fn steady(sender: &Arc<Sender>, rate: f64, until: Until) -> std::io::Result<()> {
    let start = sender.start;
    let moments = (0..until.requests)
        .map(move |index| start + Duration::from_secs_f64(index as f64 / rate))
        .take_while(move |&due| until.end.is_none_or(|end| due < end));
    let mut pace = Pace::start(moments)?;
    let mut running = JoinSet::new();
    let mut taken = 0;
    while let Some(due) = pace.next().await {
        let index = taken;
        taken += 1;
        while running.try_join_next().is_some() {}
        if running.len() >= MAX_OUTSTANDING {
            let first = index * sender.template.spans() + 1;
            let overrun = Refusal {
                reason: "not sent: too many wait".to_owned(),
                again: None,
            };
            sender.end(&sender.template, first, due, 0, Err(overrun));
            continue;
        }
        let sender = sender.clone();
        running.spawn(async move {
            sender.send(index, due).await;
        });
    }
    while running.join_next().await.is_some() {}
    Ok(())
}

/// What a queue in front of a sender that has one request at a time has come to.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Queued {
    /// Spans there was no room for.
    pub(super) dropped: u64,
    /// The most that were in it.
    pub(super) longest: u64,
}

/// As a stock SDK does it: spans go into a queue of `capacity`, or are dropped; one worker takes a batch at a
/// time, and sends the next when that has ended, one way or the other.
pub(super) async fn serial(sender: &Arc<Sender>, rate: f64, capacity: u64, until: Until) -> Queued {
    let batch = sender.template.spans();
    let mut result = Queued::default();
    // Spans get their numbers as they come out, so those that are dropped have none.
    let (mut queued, mut sent, mut ticks) = (0, 0, 0);
    let mut worker: Option<tokio::task::JoinHandle<()>> = None;
    loop {
        let due = sender.start + Duration::from_secs_f64(ticks as f64 / rate);
        let making = ticks < until.requests && until.end.is_none_or(|end| due < end);
        let idle = worker.as_ref().is_none_or(tokio::task::JoinHandle::is_finished);
        // What is left at the end goes out too, as when an SDK is shut down.
        if idle && (queued >= batch || (!making && queued > 0)) {
            let size = batch.min(queued);
            let (sender, first) = (sender.clone(), sent + 1);
            worker = Some(tokio::spawn(async move {
                let now = Instant::now();
                if size == batch {
                    sender.send_spans(&sender.template, first, now).await;
                } else {
                    let rest = Template::new(size as u32);
                    sender.send_spans(&rest, first, now).await;
                }
            }));
            queued -= size;
            sent += size;
        } else if making {
            let ended = async {
                match &mut worker {
                    Some(worker) if queued >= batch => drop(worker.await),
                    _ => std::future::pending().await,
                }
            };
            if timeout_at(due, ended).await.is_ok() {
                worker = None;
                continue;
            }
            let room = batch.min(capacity - queued);
            queued += room;
            result.dropped += batch - room;
            result.longest = result.longest.max(queued);
            ticks += 1;
        } else if let Some(busy) = worker.take() {
            // What a task did before it panicked is in the tally.
            drop(busy.await);
        } else {
            return result;
        }
    }
}
