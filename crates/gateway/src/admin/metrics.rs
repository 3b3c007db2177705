//! `/metrics`: Prometheus's text format, version 0.0.4.

use std::fmt::{Display, Write};

use evenkeel::balancer::{BackendStats, LoadBalancerStats};
use evenkeel::stats::Readiness;
use evenkeel_otlp::Signal;

use super::Admin;
use crate::queue::QueueStats;
use crate::telemetry::{Answered, Transport};

/// All metrics.
pub(super) fn write(admin: &Admin) -> String {
    let mut page = Page {
        text: String::with_capacity(8 << 10),
        family: "",
    };
    of_requests(admin, &mut page);
    if let Some(queue) = admin.exchange.queue() {
        of_queue(&queue.stats(), &mut page);
    }
    of_delivery(&admin.exchange.now().client.balancer().stats(), &mut page);
    page.text
}

fn of_requests(admin: &Admin, page: &mut Page) {
    let telemetry = &admin.telemetry;
    page.family(
        "evenkeel_requests_total",
        "counter",
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
        "counter",
        "Bytes of requests, as they came.",
    );
    for signal in Signal::ALL {
        page.sample(&[("signal", signal.as_str())], telemetry.bytes(signal));
    }
    page.family(
        "evenkeel_refused_total",
        "counter",
        "What was refused at a limit.",
    );
    page.sample(&[("limit", "requests")], telemetry.refused_requests.get());
    page.sample(&[("limit", "memory")], telemetry.refused_bytes.get());
    page.sample(&[("limit", "connections")], telemetry.refused_connections.get());
    let rejected = "Items that collectors, or the gateway, rejected of requests that were acknowledged.";
    page.one(
        "evenkeel_rejected_items_total",
        "counter",
        rejected,
        telemetry.rejected_items.get(),
    );
    let unknown = "Requests for no signal: an unknown path, method or content type.";
    page.one(
        "evenkeel_unknown_requests_total",
        "counter",
        unknown,
        telemetry.unknown.get(),
    );
    let splits = "Requests that were cut into parts for several collectors.";
    page.one(
        "evenkeel_split_requests_total",
        "counter",
        splits,
        telemetry.splits.get(),
    );
    page.one(
        "evenkeel_parts_total",
        "counter",
        "The parts of these.",
        telemetry.parts.get(),
    );
    let again = "Parts that were sent again by themselves, because they failed and others did not.";
    page.one(
        "evenkeel_parts_sent_again_total",
        "counter",
        again,
        telemetry.parts_again.get(),
    );
    page.family(
        "evenkeel_reloads_total",
        "counter",
        "Config files that were taken over, or refused.",
    );
    page.sample(&[("result", "taken")], telemetry.reloads.get());
    page.sample(&[("result", "refused")], telemetry.reloads_refused.get());
    let held = "Bytes of requests that are held.";
    page.one(
        "evenkeel_requests_in_flight",
        "gauge",
        "Requests under way.",
        admin.admission.requests(),
    );
    page.one("evenkeel_held_bytes", "gauge", held, admin.admission.bytes());
    page.one(
        "evenkeel_connections",
        "gauge",
        "Open connections of senders.",
        admin.connections.len(),
    );
    page.one(
        "evenkeel_ready",
        "gauge",
        "Whether /readyz says yes.",
        u8::from(admin.serving.now()),
    );
}

fn of_queue(queue: &QueueStats, page: &mut Page) {
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
        page.one(name, "gauge", help, value);
    }
    let ended = "Requests that left the queue, by what became of them.";
    page.family("evenkeel_queue_ended_total", "counter", ended);
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
        page.one(name, "counter", help, value);
    }
}

fn of_delivery(stats: &LoadBalancerStats, page: &mut Page) {
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
        page.one(name, "counter", help, value);
    }
    let panic = "Whether health is ignored because no collector is well.";
    page.one("evenkeel_panic", "gauge", panic, u8::from(stats.in_panic));

    page.family(
        "evenkeel_collector_requests_total",
        "counter",
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
        "counter",
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
        "gauge",
        "1 for the readiness that a collector has now.",
    );
    for backend in &stats.backends {
        for readiness in Readiness::ALL {
            let is = u8::from(readiness == backend.readiness);
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
        "gauge",
        "Attempts under way.",
        stats,
        |backend| backend.requests.in_flight as f64,
    );
    page.collectors(
        "evenkeel_collector_ejections_total",
        "counter",
        "How often a judge put it out.",
        stats,
        |backend| backend.ejections as f64,
    );
    let average = "The average that strategies go by.";
    page.collectors(
        "evenkeel_collector_latency_average_seconds",
        "gauge",
        average,
        stats,
        |backend| backend.latency_average.unwrap_or_default().as_secs_f64(),
    );
    let latency = "The time to a successful answer, since the start.";
    page.family("evenkeel_collector_latency_seconds", "summary", latency);
    for backend in &stats.backends {
        let of = &backend.requests.latency;
        let quantiles = [
            ("0.5", of.p50),
            ("0.9", of.p90),
            ("0.99", of.p99),
            ("0.999", of.p999),
        ];
        for (quantile, value) in quantiles {
            let labels = [("collector", backend.id.as_str()), ("quantile", quantile)];
            page.sample(&labels, value.as_secs_f64());
        }
        let labels = [("collector", backend.id.as_str())];
        page.suffixed("_sum", &labels, of.mean.as_secs_f64() * of.count as f64);
        page.suffixed("_count", &labels, of.count);
    }
}

/// The text so far, and the name of the family that samples are of.
struct Page {
    text: String,
    family: &'static str,
}

impl Page {
    fn family(&mut self, name: &'static str, kind: &str, help: &str) {
        self.family = name;
        // Writing to a string does not fail, here and below.
        let _ = writeln!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn one(&mut self, name: &'static str, kind: &str, help: &str, value: impl Display) {
        self.family(name, kind, help);
        self.sample(&[], value);
    }

    fn collectors(
        &mut self,
        name: &'static str,
        kind: &str,
        help: &str,
        stats: &LoadBalancerStats,
        value: impl Fn(&BackendStats) -> f64,
    ) {
        self.family(name, kind, help);
        for backend in &stats.backends {
            self.sample(&[("collector", backend.id.as_str())], value(backend));
        }
    }

    fn sample(&mut self, labels: &[(&str, &str)], value: impl Display) {
        self.suffixed("", labels, value);
    }

    fn suffixed(&mut self, suffix: &str, labels: &[(&str, &str)], value: impl Display) {
        let _ = write!(self.text, "{}{suffix}", self.family);
        for (index, (label, text)) in labels.iter().enumerate() {
            let text = text
                .replace('\\', "\\\\")
                .replace('"', "\\\"")
                .replace('\n', "\\n");
            let _ = write!(
                self.text,
                "{}{label}=\"{text}\"",
                if index == 0 { '{' } else { ',' }
            );
        }
        let _ = writeln!(self.text, "{} {value}", if labels.is_empty() { "" } else { "}" });
    }
}
