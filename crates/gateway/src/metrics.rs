//! The gateway's own figures, once for everyone who writes them down: `/metrics`, and OTLP to a collector.

mod otlp;
mod prometheus;
mod push;

use std::time::SystemTime;

use evenkeel::balancer::{BackendStats, LoadBalancerStats};
use evenkeel::stats::Readiness;
use evenkeel_otlp::Signal;

use crate::admin::Admin;
use crate::queue::QueueStats;
use crate::telemetry::{Answered, Transport};

pub(crate) use prometheus::text;
pub(crate) use push::Push;

/// The time of day, which collectors go by.
#[expect(clippy::disallowed_methods, reason = "OTLP has the wall's time and no other")]
pub(crate) fn wall_time() -> SystemTime {
    SystemTime::now()
}

/// What a family of figures is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Only grows.
    Counter,
    Gauge,
    /// Quantiles, with how many there were and their sum.
    Summary,
}

/// Labels of a figure: names and values.
type Labels<'a> = &'a [(&'a str, &'a str)];

/// One figure.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Figure {
    Count(u64),
    Real(f64),
}

impl From<u64> for Figure {
    fn from(n: u64) -> Self {
        Self::Count(n)
    }
}

impl From<usize> for Figure {
    fn from(n: usize) -> Self {
        Self::Count(n as u64)
    }
}

impl From<bool> for Figure {
    fn from(yes: bool) -> Self {
        Self::Count(yes.into())
    }
}

impl From<f64> for Figure {
    fn from(real: f64) -> Self {
        Self::Real(real)
    }
}

/// Who writes figures down.
trait Page {
    /// The figures that follow are of this family.
    fn family(&mut self, name: &'static str, kind: Kind, help: &'static str);

    /// A figure of a counter or a gauge.
    fn sample(&mut self, labels: Labels<'_>, value: impl Into<Figure>);

    /// The figures of a summary: quantiles as text and in seconds, then the sum and how many there were.
    fn summary(&mut self, labels: Labels<'_>, quantiles: &[(&str, f64)], sum: f64, count: u64);

    /// A family of one figure.
    fn one(&mut self, name: &'static str, kind: Kind, help: &'static str, value: impl Into<Figure>) {
        self.family(name, kind, help);
        self.sample(&[], value);
    }

    /// A family of one figure for each collector.
    fn collectors<F: Into<Figure>>(
        &mut self,
        name: &'static str,
        kind: Kind,
        help: &'static str,
        stats: &LoadBalancerStats,
        value: impl Fn(&BackendStats) -> F,
    ) {
        self.family(name, kind, help);
        for backend in &stats.backends {
            self.sample(&[("collector", backend.id.as_str())], value(backend));
        }
    }
}

/// All that the gateway counts itself.
fn of_gateway(admin: &Admin, page: &mut impl Page) {
    of_requests(admin, page);
    if let Some(queue) = admin.exchange.queue() {
        of_queue(&queue.stats(), page);
    }
}

fn of_requests(admin: &Admin, page: &mut impl Page) {
    let telemetry = &admin.telemetry;
    page.family(
        "evenkeel_requests_total",
        Kind::Counter,
        "Requests by how they were answered.",
    );
    for transport in Transport::ALL {
        for signal in Signal::ALL {
            for answered in Answered::ALL {
                let labels = [
                    ("transport", transport.as_str()),
                    ("signal", signal.as_str()),
                    ("answer", answered.as_str()),
                ];
                page.sample(&labels, telemetry.answers(transport, signal, answered));
            }
        }
    }
    page.family(
        "evenkeel_received_bytes_total",
        Kind::Counter,
        "Bytes of requests, as they came.",
    );
    for signal in Signal::ALL {
        page.sample(&[("signal", signal.as_str())], telemetry.bytes(signal));
    }
    page.family(
        "evenkeel_refused_total",
        Kind::Counter,
        "What was refused at a limit.",
    );
    page.sample(&[("limit", "requests")], telemetry.refused_requests.get());
    page.sample(&[("limit", "memory")], telemetry.refused_bytes.get());
    page.sample(&[("limit", "connections")], telemetry.refused_connections.get());
    let rejected = "Items that collectors, or the gateway, rejected of requests that were acknowledged.";
    page.one(
        "evenkeel_rejected_items_total",
        Kind::Counter,
        rejected,
        telemetry.rejected_items.get(),
    );
    let unknown = "Requests for no signal: an unknown path, method or content type.";
    page.one(
        "evenkeel_unknown_requests_total",
        Kind::Counter,
        unknown,
        telemetry.unknown.get(),
    );
    let splits = "Requests that were cut into parts for several collectors.";
    page.one(
        "evenkeel_split_requests_total",
        Kind::Counter,
        splits,
        telemetry.splits.get(),
    );
    page.one(
        "evenkeel_parts_total",
        Kind::Counter,
        "The parts of these.",
        telemetry.parts.get(),
    );
    let again =
        "Parts that were sent again by themselves, because they failed and others did not, or not yet.";
    page.one(
        "evenkeel_parts_sent_again_total",
        Kind::Counter,
        again,
        telemetry.parts_again.get(),
    );
    page.family(
        "evenkeel_reloads_total",
        Kind::Counter,
        "Config files that were taken over, or refused.",
    );
    page.sample(&[("result", "taken")], telemetry.reloads.get());
    page.sample(&[("result", "refused")], telemetry.reloads_refused.get());
    let held = "Bytes of requests that are held.";
    page.one(
        "evenkeel_requests_in_flight",
        Kind::Gauge,
        "Requests under way.",
        admin.admission.requests(),
    );
    page.one("evenkeel_held_bytes", Kind::Gauge, held, admin.admission.bytes());
    page.one(
        "evenkeel_connections",
        Kind::Gauge,
        "Open connections of senders.",
        admin.connections.len(),
    );
    page.one(
        "evenkeel_ready",
        Kind::Gauge,
        "Whether /readyz says yes.",
        admin.serving.now(),
    );
}

fn of_queue(queue: &QueueStats, page: &mut impl Page) {
    let gauges = [
        (
            "evenkeel_queue_records",
            "Requests in the queue on disk.",
            queue.records,
        ),
        (
            "evenkeel_queue_bytes",
            "What they take of max_bytes.",
            queue.bytes,
        ),
        ("evenkeel_queue_max_bytes", "The limit.", queue.max_bytes),
        (
            "evenkeel_queue_in_flight",
            "Requests of the queue that are under way to collectors.",
            queue.in_flight,
        ),
    ];
    for (name, help, value) in gauges {
        page.one(name, Kind::Gauge, help, value);
    }
    let ended = "Requests that left the queue, by what became of them.";
    page.family("evenkeel_queue_ended_total", Kind::Counter, ended);
    for (outcome, count) in [
        ("delivered", queue.delivered),
        ("dropped", queue.dropped),
        ("expired", queue.expired),
        ("damaged", queue.damaged),
    ] {
        page.sample(&[("outcome", outcome)], count);
    }
    let counters = [
        (
            "evenkeel_queue_pushed_total",
            "Requests that the queue took.",
            queue.pushed,
        ),
        (
            "evenkeel_queue_refused_total",
            "Requests that it refused at a limit.",
            queue.refused,
        ),
        (
            "evenkeel_queue_retries_total",
            "Deliveries beyond the first of a request.",
            queue.retries,
        ),
        (
            "evenkeel_queue_commits_total",
            "Times the disk was synced.",
            queue.commits,
        ),
        (
            "evenkeel_queue_replayed_total",
            "Requests that were there at the start.",
            queue.replayed,
        ),
    ];
    for (name, help, value) in counters {
        page.one(name, Kind::Counter, help, value);
    }
}

/// What the client knows of its collectors.
fn of_delivery(stats: &LoadBalancerStats, page: &mut impl Page) {
    let counters = [
        (
            "evenkeel_retries_total",
            "Attempts because another failed.",
            stats.retries,
        ),
        (
            "evenkeel_hedges_total",
            "Attempts because another took long.",
            stats.hedges,
        ),
        (
            "evenkeel_hedges_won_total",
            "Hedges that answered first.",
            stats.hedges_won,
        ),
        (
            "evenkeel_retry_budget_exhausted_total",
            "Attempts that the budget did not allow.",
            stats.refused_by_budget,
        ),
        (
            "evenkeel_failovers_total",
            "Requests that failed at one collector and succeeded at another.",
            stats.failovers,
        ),
    ];
    for (name, help, value) in counters {
        page.one(name, Kind::Counter, help, value);
    }
    let panic = "Whether health is ignored because no collector is well.";
    page.one("evenkeel_panic", Kind::Gauge, panic, stats.in_panic);

    page.family(
        "evenkeel_collector_requests_total",
        Kind::Counter,
        "Attempts by how they ended.",
    );
    for backend in &stats.backends {
        let of = &backend.requests;
        let outcomes = [
            ("success", of.successes),
            ("failure", of.failures),
            ("overload", of.overloads),
            ("cancelled", of.cancelled),
        ];
        for (outcome, count) in outcomes {
            page.sample(&[("collector", backend.id.as_str()), ("outcome", outcome)], count);
        }
    }
    page.family(
        "evenkeel_collector_failures_total",
        Kind::Counter,
        "Failed attempts by phase and kind.",
    );
    for backend in &stats.backends {
        for (failure, count) in backend.requests.failures_by_class.iter() {
            let (phase, kind) = (failure.phase.as_str(), failure.kind.as_str());
            let labels = [
                ("collector", backend.id.as_str()),
                ("phase", phase),
                ("kind", kind),
            ];
            page.sample(&labels, count);
        }
    }
    page.family(
        "evenkeel_collector_readiness",
        Kind::Gauge,
        "1 for the readiness that a collector has now.",
    );
    for backend in &stats.backends {
        for readiness in Readiness::ALL {
            let is = readiness == backend.readiness;
            page.sample(
                &[
                    ("collector", backend.id.as_str()),
                    ("readiness", readiness.as_str()),
                ],
                is,
            );
        }
    }
    page.collectors(
        "evenkeel_collector_in_flight",
        Kind::Gauge,
        "Attempts under way.",
        stats,
        |backend| backend.requests.in_flight,
    );
    page.collectors(
        "evenkeel_collector_ejections_total",
        Kind::Counter,
        "How often a judge put it out.",
        stats,
        |backend| backend.ejections,
    );
    let average = "The average that strategies go by.";
    page.collectors(
        "evenkeel_collector_latency_average_seconds",
        Kind::Gauge,
        average,
        stats,
        |backend| backend.latency_average.unwrap_or_default().as_secs_f64(),
    );
    let latency = "The time to a successful answer, since the start.";
    page.family("evenkeel_collector_latency_seconds", Kind::Summary, latency);
    for backend in &stats.backends {
        let of = &backend.requests.latency;
        let quantiles = [
            ("0.5", of.p50),
            ("0.9", of.p90),
            ("0.99", of.p99),
            ("0.999", of.p999),
        ]
        .map(|(quantile, value)| (quantile, value.as_secs_f64()));
        let labels = [("collector", backend.id.as_str())];
        page.summary(&labels, &quantiles, of.sum.as_secs_f64(), of.count);
    }
}
