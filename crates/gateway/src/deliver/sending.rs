//! The parts of a request on their way: all at once, and only what failed again.

use std::future::pending;
use std::time::Duration;

use evenkeel_otlp::{Accepted, Export, PartialSuccess, SendError, SendOptions};
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use tokio::time::{Instant, sleep_until};

use super::Delivery;
use super::parts::{Part, Split, joined};
use crate::receive::Refusal;
use crate::telemetry::Telemetry;

/// The wait before a part is sent again: it doubles up to the other, and half of it is drawn.
const FIRST_WAIT: Duration = Duration::from_millis(50);
const LONGEST_WAIT: Duration = Duration::from_secs(2);

/// Sends all parts at once, and those that failed again, each by itself as soon as its own wait is over: while some
/// part was acknowledged, or has yet to say whether it is, and until the time is over. Answered with an error, the
/// sender would send all of them again.
pub(super) async fn send(
    delivery: &Delivery,
    Split(parts): Split,
    timeout: Duration,
    telemetry: &Telemetry,
) -> Result<Option<PartialSuccess>, Refusal> {
    let deadline = Instant::now() + timeout;
    if parts.len() > 1 {
        telemetry.splits.increment();
        telemetry.parts.add(parts.len() as u64);
    }
    let mut tally = Tally::default();
    // Parts whose first attempt is under way.
    let mut undecided = parts.len();
    let first = parts.into_iter().map(|part| attempt(delivery, part, 0, deadline));
    let mut sending: FuturesUnordered<_> = first.collect();
    let mut waiting: Vec<Waiting> = Vec::new();
    loop {
        // A part that waits is worth another attempt only beside one that arrived, or still may at its first.
        let worth = tally.accepted > 0 || undecided > 0;
        let due = waiting
            .iter()
            .map(|waiting| waiting.until)
            .min()
            .filter(|_| worth);
        let ended = tokio::select! {
            biased;
            Some(ended) = sending.next() => ended,
            () = due_at(due), if due.is_some() => {
                let now = Instant::now();
                for Waiting { part, attempts, .. } in waiting.extract_if(.., |waiting| waiting.until <= now) {
                    telemetry.parts_again.increment();
                    sending.push(attempt(delivery, part, attempts, deadline));
                }
                continue;
            }
            // Nothing is under way, and nothing will be.
            else => break,
        };
        undecided -= usize::from(ended.attempts == 1);
        let attempts = ended.attempts;
        let Some((part, error)) = tally.settle(delivery, ended) else {
            continue;
        };
        // A collector that asks for no wait at all gets ours, or it would be asked without end.
        let pause = error.retry_after().unwrap_or_default().max(wait(attempts));
        let until = Instant::now() + pause;
        if until >= deadline {
            // The sender has to send all of it again, whatever becomes of the other parts.
            return Err(delivery.refusal(&error));
        }
        waiting.push(Waiting {
            until,
            part,
            attempts,
            error,
        });
    }
    if let Some(failed) = waiting.pop() {
        return Err(delivery.refusal(&failed.error));
    }
    match (tally.accepted, tally.rejected) {
        (0, Some(rejected)) => Err(rejected),
        _ => Ok(Some(tally.partial).filter(|partial| !partial.is_empty())),
    }
}

/// A part that is to be sent again.
struct Waiting {
    until: Instant,
    part: Part,
    attempts: u32,
    error: SendError,
}

async fn due_at(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due).await,
        None => pending().await,
    }
}

/// How long a part rests after so many attempts.
fn wait(attempts: u32) -> Duration {
    let doubled = FIRST_WAIT.saturating_mul(1 << attempts.saturating_sub(1).min(16));
    let longest = doubled.min(LONGEST_WAIT);
    longest / 2 + longest.mul_f64(fastrand::f64() / 2.0)
}

/// What became of the parts of a request after one attempt at each.
pub(super) struct Round {
    pub(super) accepted: usize,
    pub(super) partial: PartialSuccess,
    /// Why the first was rejected that must not be sent again.
    pub(super) rejected: Option<Refusal>,
    /// Those that may be sent again, as one request, with the last one's reason.
    pub(super) rest: Option<(Export, SendError)>,
}

/// Sends all parts at once, each once over as many collectors as it takes.
pub(super) async fn send_once(delivery: &Delivery, Split(parts): Split, timeout: Duration) -> Round {
    let deadline = Instant::now() + timeout;
    let attempts = parts.into_iter().map(|part| attempt(delivery, part, 0, deadline));
    let mut sending: FuturesUnordered<_> = attempts.collect();
    let mut tally = Tally::default();
    let (mut failed, mut last) = (Vec::new(), None);
    while let Some(ended) = sending.next().await {
        if let Some((part, error)) = tally.settle(delivery, ended) {
            failed.push(part);
            last = Some(error);
        }
    }
    Round {
        accepted: tally.accepted,
        partial: tally.partial,
        rejected: tally.rejected,
        rest: joined(failed).zip(last),
    }
}

/// An attempt at a part, and how many there were with it.
struct Ended {
    part: Part,
    attempts: u32,
    sent: Result<Accepted, SendError>,
}

/// Sends a part, over as many collectors as it takes; there were so many attempts before.
async fn attempt(delivery: &Delivery, part: Part, before: u32, deadline: Instant) -> Ended {
    let options = SendOptions::default()
        .with_timeout(deadline.saturating_duration_since(Instant::now()))
        .with_routing_key(part.key);
    let sent = delivery.client.send_with(part.export.clone(), &options).await;
    Ended {
        part,
        attempts: before.saturating_add(1),
        sent,
    }
}

/// What became of the parts so far.
#[derive(Default)]
struct Tally {
    accepted: usize,
    partial: PartialSuccess,
    /// The first that must not be sent again.
    rejected: Option<Refusal>,
}

impl Tally {
    /// Takes down how an attempt ended, and gives back what may be sent again.
    fn settle(&mut self, delivery: &Delivery, ended: Ended) -> Option<(Part, SendError)> {
        match ended.sent {
            Ok(accepted) => {
                self.accepted += 1;
                if let Some(partial) = accepted.partial {
                    self.add(partial.rejected, &partial.message);
                }
            }
            Err(error) if error.is_retryable() => return Some((ended.part, error)),
            Err(error) => {
                let refusal = delivery.refusal(&error);
                let items = i64::try_from(ended.part.items).unwrap_or(i64::MAX);
                self.add(items, &refusal.status.message);
                self.rejected.get_or_insert(refusal);
            }
        }
        None
    }

    fn add(&mut self, rejected: i64, message: &str) {
        let partial = &mut self.partial;
        partial.rejected = partial.rejected.saturating_add(rejected);
        if !message.is_empty() && !partial.message.contains(message) {
            if !partial.message.is_empty() {
                partial.message.push_str("; ");
            }
            partial.message.push_str(message);
        }
    }
}
