//! From a request that was taken in to its acknowledgement: the one place where that is decided.

mod parts;
mod queued;
mod sending;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use bytes::Bytes;
use evenkeel_otlp::rpc::RpcStatus;
use evenkeel_otlp::{
    BuildError, Compression, Export, OtlpClient, PartialSuccess, SendError, SendOptions, Signal,
};
use evenkeel_otlp_wire::{RouteBy, check_split};

use crate::admission::Ticket;
use crate::config::GatewayConfig;
use crate::heavy;
use crate::metrics::wall_time;
use crate::queue::Queue;
use crate::receive::Refusal;
use crate::telemetry::{Answered, Telemetry};

use parts::Planned;
pub(crate) use queued::FromQueue;

/// Where requests are delivered: to the collectors of the config that holds now.
#[derive(Debug)]
pub(crate) struct Exchange {
    now: ArcSwap<Delivery>,
    telemetry: Arc<Telemetry>,
    queue: Option<Queue>,
}

/// What one config says of delivery.
#[derive(Debug)]
pub(crate) struct Delivery {
    pub(crate) client: OtlpClient,
    /// Since when this client counts.
    pub(crate) since: SystemTime,
    /// `None`: a request goes as it is to any collector.
    pub(crate) route: Option<RouteBy>,
    /// The route as the config has it.
    pub(crate) route_name: String,
    /// How long all attempts for a request may take together.
    pub(crate) timeout: Duration,
    /// What is done to requests that are not compressed.
    compression: Compression,
    /// The longest request, decompressed.
    pub(crate) max_body_size: usize,
    /// What senders are told to wait, where nothing better is known.
    pub(crate) retry_after: Duration,
}

impl Exchange {
    pub(crate) fn new(delivery: Delivery, telemetry: Arc<Telemetry>, queue: Option<Queue>) -> Self {
        Self {
            now: ArcSwap::from_pointee(delivery),
            telemetry,
            queue,
        }
    }

    /// What holds now.
    pub(crate) fn now(&self) -> Arc<Delivery> {
        self.now.load_full()
    }

    /// Takes over another config for requests from now on; those under way end by the one they began with,
    /// which is handed back.
    pub(crate) fn replace(&self, delivery: Delivery) -> Arc<Delivery> {
        self.now.swap(Arc::new(delivery))
    }

    /// The queue on disk, if there is one.
    pub(crate) const fn queue(&self) -> Option<&Queue> {
        self.queue.as_ref()
    }

    /// Delivers a request, and returns when collectors have acknowledged all of it, or when it is in the queue on
    /// disk, if there is one. What the ticket holds is held until then.
    ///
    /// # Cancel safety
    /// Dropped, the attempts under way are given up; a collector may have acknowledged them.
    pub(crate) async fn deliver(
        &self,
        export: Export,
        mut ticket: Ticket,
        timeout: Option<Duration>,
    ) -> Result<Option<PartialSuccess>, Refusal> {
        let delivery = self.now();
        if let Some(queue) = &self.queue {
            return queued::push(queue, &delivery, export, &mut ticket).await;
        }
        // The sender's own deadline counts if it is the nearer one.
        let timeout = timeout.map_or(delivery.timeout, |timeout| timeout.min(delivery.timeout));
        match delivery.route_of(export.signal()) {
            None => {
                let export = delivery.compressed(export, &mut ticket).await;
                delivery.send_whole(export, timeout).await
            }
            Some(route) => {
                let split = delivery.split(export, route, &mut ticket).await?;
                let split = split.compressed(delivery.compression, &mut ticket).await;
                sending::send(&delivery, split, timeout, &self.telemetry).await
            }
        }
        .inspect(|partial| {
            let rejected = partial.as_ref().map_or(0, |partial| partial.rejected);
            self.telemetry
                .rejected_items
                .add(rejected.try_into().unwrap_or(0));
        })
    }
}

impl Delivery {
    /// With a client of its own, on the runtime this is called in.
    pub(crate) fn new(config: &GatewayConfig) -> Result<Self, BuildError> {
        Ok(Self::with_client(config, OtlpClient::new(config.client())?))
    }

    /// With this client, which is as the config says.
    pub(crate) fn with_client(config: &GatewayConfig, client: OtlpClient) -> Self {
        Self {
            client,
            since: wall_time(),
            route: config.route.by(),
            route_name: config.route.to_string(),
            timeout: config.client.timeout,
            compression: config.client.compression,
            max_body_size: config.limits.max_body_size.0,
            retry_after: config.limits.retry_after,
        }
    }

    /// Whether some collector is ready, or degraded.
    pub(crate) fn has_collector(&self) -> bool {
        let balancer = self.client.balancer();
        let now = balancer.clock().now();
        let ids = balancer.ids();
        let backends = ids.iter().filter_map(|id| balancer.backend(id.as_str()));
        backends
            .into_iter()
            .any(|backend| backend.readiness(now).is_eligible())
    }

    /// By what requests of a signal are split. Metrics have no trace, and profiles can not be cut.
    fn route_of(&self, signal: Signal) -> Option<&RouteBy> {
        match (&self.route, signal) {
            (Some(RouteBy::TraceId), Signal::Traces | Signal::Logs) => self.route.as_ref(),
            (Some(RouteBy::ResourceAttribute(_)), Signal::Traces | Signal::Logs | Signal::Metrics) => {
                self.route.as_ref()
            }
            _ => None,
        }
    }

    /// As the client would send it, but counted among the work and the bytes that the gateway's limits know of.
    async fn compressed(&self, export: Export, ticket: &mut Ticket) -> Export {
        if self.compression == Compression::None || export.compression() != Compression::None {
            return export;
        }
        let (compression, plain) = (self.compression, export.clone());
        let compressed = heavy::run(ticket, plain.body().len(), move || export.compressed(compression));
        // What fails here fails in the client, which says why.
        compressed.await.unwrap_or(plain)
    }

    async fn send_whole(&self, export: Export, timeout: Duration) -> Result<Option<PartialSuccess>, Refusal> {
        let sent = self
            .client
            .send_with(export, &SendOptions::default().with_timeout(timeout))
            .await;
        sent.map(|accepted| accepted.partial)
            .map_err(|error| self.refusal(&error))
    }

    /// A request decompressed and cut into what belongs together. There is room in the ticket for what the cutting
    /// takes before it is taken; where there is not, the request stays in one piece: a resource goes with each part
    /// that has items of it, so parts may take many times what came, and then better together than not at all.
    async fn split(
        &self,
        export: Export,
        route: &RouteBy,
        ticket: &mut Ticket,
    ) -> Result<parts::Split, Refusal> {
        let decoded = heavy::decoded(&export, self.max_body_size, ticket).await;
        let decoded = decoded.map_err(|error| Refusal::undecoded(error, self.retry_after))?;
        let cut = match self.plan(&export, &decoded, route, ticket).await? {
            Planned::Cut(cut) => cut,
            Planned::NoRoom(whole) => {
                ticket.shrink(export.body().len());
                return Ok(parts::Split(vec![whole]));
            }
        };
        let copies = cut.copies();
        if copies == 0 {
            ticket.shrink(export.body().len());
            return Ok(cut.make(&export));
        }
        let needed = ticket.held().saturating_add(copies);
        if ticket.hold_up_to(needed) < needed {
            ticket.shrink(export.body().len());
            return Ok(cut.together(export));
        }
        drop(decoded);
        let split = heavy::run(ticket, copies / 16, move || cut.make(&export)).await;
        // Parts take the place of what they were cut from.
        ticket.shrink(copies);
        Ok(split)
    }

    /// How a request is to be cut, with as much room in the ticket as it takes to know.
    async fn plan(
        &self,
        export: &Export,
        decoded: &Bytes,
        route: &RouteBy,
        ticket: &mut Ticket,
    ) -> Result<Planned, Refusal> {
        let before = ticket.held();
        let mut room = heavy::AT_ONCE.max(decoded.len() / 2);
        loop {
            let given = ticket.hold_up_to(before.saturating_add(room)) - before;
            let (client, export) = (self.client.clone(), export.clone());
            let (decoded, route) = (decoded.clone(), route.clone());
            let planned = heavy::run(ticket, decoded.len() / 16, move || {
                parts::plan(&client, &export, &decoded, &route, given)
            });
            match planned.await.map_err(Refusal::malformed)? {
                Planned::NoRoom(_) if given == room => room = room.saturating_mul(heavy::GROWTH),
                planned => return Ok(planned),
            }
        }
    }

    /// Whether a request can be split, for when it will be: it is not kept decompressed, nor are parts made.
    async fn check(&self, export: &Export, route: &RouteBy, ticket: &mut Ticket) -> Result<(), Refusal> {
        let before = ticket.held();
        let decoded = heavy::decoded(export, self.max_body_size, ticket).await;
        let decoded = decoded.map_err(|error| Refusal::undecoded(error, self.retry_after))?;
        let (signal, route) = (export.signal(), route.clone());
        let checked = heavy::run(ticket, decoded.len() / 16, move || {
            check_split(&decoded, signal, &route)
        });
        let checked = checked.await;
        ticket.shrink(before);
        checked.map_err(Refusal::malformed)
    }

    /// What the sender is told of a request that no collector acknowledged.
    fn refusal(&self, error: &SendError) -> Refusal {
        // Its code and its delay; as a message who said what.
        let status = error.status();
        let mut status = RpcStatus::new(status.code, error.to_string());
        status.retry_delay = error.retry_after();
        if error.is_retryable() {
            // Said even if nobody said so to us: without it some senders come back at once.
            status.retry_delay.get_or_insert(self.retry_after);
            Refusal {
                status,
                http: None,
                answered: Answered::Unavailable,
            }
        } else {
            Refusal {
                status,
                http: None,
                answered: Answered::Rejected,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use evenkeel_otlp::Encoding;
    use futures::FutureExt;

    use super::*;
    use crate::admission::Admission;

    #[tokio::test]
    async fn a_large_request_is_not_compressed_on_the_runtime() {
        let text = "client.compression = \"gzip\"\n[[collectors]]\nendpoint = \"http://127.0.0.1:1\"";
        let config = GatewayConfig::parse(text, [], |_| {}).unwrap();
        let delivery = Delivery::new(&config).unwrap();
        let admission = Arc::new(Admission::new(1, 1 << 20, Arc::default()));
        let mut ticket = admission.enter().unwrap();
        let body = vec![7; 1 << 19].into();
        let export = Export::new(Signal::Traces, Encoding::Protobuf, Compression::None, body);
        let turns = admission.all_turns();
        let waiting = delivery.compressed(export.clone(), &mut ticket).now_or_never();
        assert!(waiting.is_none(), "it waits its turn");
        drop(turns);
        let compressed = delivery.compressed(export.clone(), &mut ticket).await;
        assert_eq!(compressed.compression(), Compression::Gzip);
        assert_eq!(&compressed.decoded(1 << 20).unwrap(), export.body());
    }
}
