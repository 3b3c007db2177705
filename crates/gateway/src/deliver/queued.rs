//! Requests by way of the queue on disk: acknowledged when they are in it, delivered from it.

use std::sync::Arc;

use evenkeel_otlp::rpc::{Code, RpcStatus};
use evenkeel_otlp::{Export, PartialSuccess, SendOptions};

use super::{Delivery, Exchange, parts, sending};
use crate::admission::{Admission, Ticket};
use crate::queue::{Deliver, PushError, Queue, Undelivered};
use crate::receive::Refusal;
use crate::telemetry::Answered;

/// Puts a request into the queue. What could not be cut by the route later is refused now, while there is a
/// sender to tell.
pub(super) async fn push(
    queue: &Queue,
    delivery: &Delivery,
    export: Export,
    ticket: &mut Ticket,
) -> Result<Option<PartialSuccess>, Refusal> {
    if let Some(route) = delivery.route_of(export.signal()) {
        delivery.check(&export, route, ticket).await?;
    }
    queue
        .push(export)
        .await
        .map_err(|error| delivery.not_queued(&error))?;
    Ok(None)
}

impl Delivery {
    /// What the sender is told of a request that the queue did not take.
    fn not_queued(&self, error: &PushError) -> Refusal {
        let code = match error {
            PushError::Full { .. } | PushError::TooLarge { .. } => Code::ResourceExhausted,
            PushError::Store { .. } | PushError::Closed => Code::Unavailable,
        };
        let status = RpcStatus::new(code, error.to_string());
        if !error.is_retryable() {
            return Refusal::bad(status).with_http(413);
        }
        Refusal {
            status: status.with_retry_delay(self.retry_after),
            http: None,
            answered: Answered::Refused,
        }
    }
}

/// From the queue to the collectors of the config that holds now.
#[derive(Debug)]
pub(crate) struct FromQueue {
    pub(crate) exchange: Arc<Exchange>,
    pub(crate) admission: Arc<Admission>,
}

impl Deliver for FromQueue {
    async fn deliver(&self, export: &Export) -> Result<(), Undelivered> {
        let delivery = self.exchange.now();
        match delivery.route_of(export.signal()) {
            None => self.whole(&delivery, export).await,
            Some(route) => {
                // Decompressed it may be far larger than what the queue holds of it. It is not one of
                // limits.requests: those that come in only make the queue longer.
                let mut ticket = self.admission.beside();
                let split = delivery.split(export.clone(), route, &mut ticket).await;
                match split {
                    Ok(split) => self.in_parts(&delivery, split).await,
                    Err(refusal) if matches!(refusal.answered, Answered::Refused) => Err(later()),
                    // Taken in under another route or limit. It was acknowledged, so whether it is any good is
                    // for a collector to say.
                    Err(_) => self.whole(&delivery, export).await,
                }
            }
        }
    }
}

impl FromQueue {
    async fn whole(&self, delivery: &Delivery, export: &Export) -> Result<(), Undelivered> {
        let options = SendOptions::default().with_timeout(delivery.timeout);
        let export = delivery
            .compressed(export.clone(), &mut self.admission.beside())
            .await;
        match delivery.client.send_with(export, &options).await {
            Ok(accepted) => {
                self.count(accepted.partial.as_ref());
                Ok(())
            }
            Err(error) if error.is_retryable() => Err(Undelivered::Retry {
                after: error.retry_after(),
                rest: None,
            }),
            Err(error) => Err(Undelivered::Never {
                reason: error.to_string(),
            }),
        }
    }

    async fn in_parts(&self, delivery: &Delivery, split: parts::Split) -> Result<(), Undelivered> {
        let round = sending::send_once(delivery, split, delivery.timeout).await;
        match (round.rest, round.rejected) {
            (Some((rest, error)), _) => {
                self.count(Some(&round.partial));
                Err(Undelivered::Retry {
                    after: error.retry_after(),
                    rest: Some(rest),
                })
            }
            (None, Some(refusal)) if round.accepted == 0 => Err(never(&refusal)),
            (None, _) => {
                self.count(Some(&round.partial));
                Ok(())
            }
        }
    }

    fn count(&self, partial: Option<&PartialSuccess>) {
        let rejected = partial.map_or(0, |partial| partial.rejected);
        let rejected = rejected.try_into().unwrap_or(0);
        self.exchange.telemetry.rejected_items.add(rejected);
    }
}

const fn later() -> Undelivered {
    Undelivered::Retry {
        after: None,
        rest: None,
    }
}

fn never(refusal: &Refusal) -> Undelivered {
    Undelivered::Never {
        reason: refusal.status.to_string(),
    }
}
