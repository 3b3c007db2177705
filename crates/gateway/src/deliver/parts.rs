//! Requests that are routed by their content: cut into a part for each collector, sent together, and only what
//! failed sent again.

use std::time::Duration;

use bytes::Bytes;
use evenkeel::strategy::hash_key;
use evenkeel_otlp::{Compression, Encoding, Export, OtlpClient, PartialSuccess, SendError, SendOptions};
use evenkeel_otlp_wire::{RouteBy, WireError, split as cut};
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use tokio::time::{Instant, sleep_until};

use super::Delivery;
use crate::admission::Ticket;
use crate::heavy;
use crate::receive::Refusal;
use crate::telemetry::Telemetry;

/// The parts of a request.
#[derive(Debug)]
pub(super) struct Split(Vec<Part>);

#[derive(Debug)]
struct Part {
    export: Export,
    /// A key of its own items: it leads to the collector that all of them belong to.
    key: u64,
    items: usize,
}

/// The wait before a part is sent again: it doubles up to the other, and half of it is drawn.
const FIRST_WAIT: Duration = Duration::from_millis(50);
const LONGEST_WAIT: Duration = Duration::from_secs(2);

/// Cuts a request by where the strategy would send each of its keys now.
pub(super) fn split(
    client: &OtlpClient,
    export: Export,
    decoded: &Bytes,
    route: &RouteBy,
) -> Result<Split, WireError> {
    let preview = client.balancer().preview();
    // What has no key belongs nowhere, so all such go together to any one.
    let lot = fastrand::u64(..);
    let mut keys = vec![None; preview.len().max(1)];
    let mut last: Option<(Box<[u8]>, u32)> = None;
    let mut place = |key: Option<&[u8]>| {
        let hash = key.map_or(lot, hash_key);
        let place = preview.place_of(hash).unwrap_or(0);
        if let Some(first) = keys.get_mut(place) {
            first.get_or_insert(hash);
        }
        u32::try_from(place).unwrap_or(0)
    };
    let parts = cut(decoded, export.signal(), route, |key| match (key, &last) {
        // Items of a trace mostly lie side by side.
        (Some(key), Some((before, at))) if **before == *key => *at,
        (Some(key), _) => {
            let at = place(Some(key));
            match &mut last {
                Some((before, place)) if before.len() == key.len() => {
                    before.copy_from_slice(key);
                    *place = at;
                }
                last => *last = Some((key.into(), at)),
            }
            at
        }
        (None, _) => place(None),
    })?;
    let whole = parts.len() <= 1;
    let parts = parts.into_iter().map(|part| Part {
        export: if whole {
            // As it came, compressed if it was.
            export.clone()
        } else {
            Export::new(export.signal(), Encoding::Protobuf, Compression::None, part.body)
        },
        key: keys.get(part.destination).copied().flatten().unwrap_or(lot),
        items: part.items,
    });
    Ok(Split(parts.collect()))
}

impl Split {
    /// How many bytes the parts take, if there are several: then they are copies.
    pub(super) fn copied(&self) -> usize {
        match &*self.0 {
            [_, _, ..] => self.0.iter().map(|part| part.export.body().len()).sum(),
            _ => 0,
        }
    }

    /// Each part as the client would send it: beside the runtime's threads if they are large, and once however
    /// often a part is sent.
    pub(super) async fn compressed(self, compression: Compression, ticket: &mut Ticket) -> Self {
        if compression == Compression::None {
            return self;
        }
        let parts = self.0;
        let bytes = parts.iter().map(|part| part.export.body().len()).sum();
        let compress = move |mut part: Part| {
            // What fails here fails in the client, which says why.
            if let Ok(export) = part.export.clone().compressed(compression) {
                part.export = export;
            }
            part
        };
        Self(heavy::run(ticket, bytes, move || parts.into_iter().map(compress).collect()).await)
    }

    /// All of the request as one part, which goes where the first would.
    pub(super) fn together(mut self, whole: Export) -> Self {
        let items = self.0.iter().map(|part| part.items).sum();
        self.0.truncate(1);
        if let Some(first) = self.0.first_mut() {
            first.export = whole;
            first.items = items;
        }
        self
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

/// Sends all parts at once. While some were acknowledged and others not, those others are sent again by
/// themselves, until the time is over: answered with an error, the sender would send all of them again.
pub(super) async fn send(
    delivery: &Delivery,
    Split(mut parts): Split,
    timeout: Duration,
    telemetry: &Telemetry,
) -> Result<Option<PartialSuccess>, Refusal> {
    let deadline = Instant::now() + timeout;
    if parts.len() > 1 {
        telemetry.splits.increment();
        telemetry.parts.add(parts.len() as u64);
    }
    let mut tally = Tally::default();
    let mut wait = FIRST_WAIT;
    loop {
        let (failed, last) = round(delivery, parts, deadline, &mut tally).await;
        let Some(last) = last else { break };
        if tally.accepted == 0 {
            return Err(delivery.refusal(&last));
        }
        // A collector that asks for no wait at all gets ours, or it would be asked without end.
        let pause = last
            .retry_after()
            .unwrap_or_default()
            .max(wait / 2 + wait.mul_f64(fastrand::f64() / 2.0));
        if Instant::now() + pause >= deadline {
            return Err(delivery.refusal(&last));
        }
        sleep_until(Instant::now() + pause).await;
        wait = (wait * 2).min(LONGEST_WAIT);
        telemetry.parts_again.add(failed.len() as u64);
        parts = failed;
    }
    match (tally.accepted, tally.rejected) {
        (0, Some(rejected)) => Err(rejected),
        _ => Ok(Some(tally.partial).filter(|partial| !partial.is_empty())),
    }
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
    let mut tally = Tally::default();
    let (failed, last) = round(delivery, parts, Instant::now() + timeout, &mut tally).await;
    Round {
        accepted: tally.accepted,
        partial: tally.partial,
        rejected: tally.rejected,
        rest: joined(failed).zip(last),
    }
}

/// Parts of one request put together again: messages one behind the other are one with the items of all.
fn joined(mut parts: Vec<Part>) -> Option<Export> {
    let first = parts.pop()?.export;
    if parts.is_empty() {
        return Some(first);
    }
    let mut body = first.body().to_vec();
    for part in &parts {
        body.extend_from_slice(part.export.body());
    }
    Some(Export::new(
        first.signal(),
        first.encoding(),
        first.compression(),
        body.into(),
    ))
}

/// Sends these parts, and gives back those that may be sent again, with the last one's reason.
async fn round(
    delivery: &Delivery,
    parts: Vec<Part>,
    deadline: Instant,
    tally: &mut Tally,
) -> (Vec<Part>, Option<SendError>) {
    let left = deadline.saturating_duration_since(Instant::now());
    let mut sending: FuturesUnordered<_> = parts
        .into_iter()
        .map(|part| async {
            let options = SendOptions::default()
                .with_timeout(left)
                .with_routing_key(part.key);
            (
                delivery.client.send_with(part.export.clone(), &options).await,
                part,
            )
        })
        .collect();
    let (mut failed, mut last) = (Vec::new(), None);
    while let Some((sent, part)) = sending.next().await {
        match sent {
            Ok(accepted) => {
                tally.accepted += 1;
                if let Some(partial) = accepted.partial {
                    tally.add(partial.rejected, &partial.message);
                }
            }
            Err(error) if error.is_retryable() => {
                failed.push(part);
                last = Some(error);
            }
            Err(error) => {
                let refusal = delivery.refusal(&error);
                tally.add(
                    i64::try_from(part.items).unwrap_or(i64::MAX),
                    &refusal.status.message,
                );
                tally.rejected.get_or_insert(refusal);
            }
        }
    }
    (failed, last)
}

impl Tally {
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
