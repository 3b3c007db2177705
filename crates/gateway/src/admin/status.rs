//! `/status`: the same for people and scripts, as JSON.

use std::time::Duration;

use evenkeel::balancer::BackendStats;
use serde_json::{Value, json};

use super::Admin;
use crate::queue::QueueStats;

/// All of it.
pub(super) fn write(admin: &Admin) -> String {
    let delivery = admin.exchange.now();
    let balancer = delivery.client.balancer();
    let stats = balancer.stats();
    let status = json!({
        "version": env!("CARGO_PKG_VERSION"),
        "state": admin.serving.state().as_str(),
        "ready": admin.serving.now(),
        "route": delivery.route_name,
        "strategy": balancer.config().strategy.name(),
        "connections": admin.connections.len(),
        "in_flight": admin.admission.requests(),
        "held_bytes": admin.admission.bytes(),
        "panic": stats.in_panic,
        "requests": stats.calls,
        "retries": stats.retries,
        "hedges": stats.hedges,
        "failovers": stats.failovers,
        "latency": {
            "p50_ms": ms(stats.requests.latency.p50),
            "p90_ms": ms(stats.requests.latency.p90),
            "p99_ms": ms(stats.requests.latency.p99),
            "max_ms": ms(stats.requests.latency.max),
        },
        "queue": admin.exchange.queue().map(|queue| of_queue(&queue.stats())),
        "reloads": admin.telemetry.reloads.get(),
        "reloads_refused": admin.telemetry.reloads_refused.get(),
        "collectors": stats.backends.iter().map(collector).collect::<Vec<_>>(),
    });
    format!("{status:#}\n")
}

fn of_queue(queue: &QueueStats) -> Value {
    json!({
        "records": queue.records,
        "bytes": queue.bytes,
        "max_bytes": queue.max_bytes,
        "in_flight": queue.in_flight,
        "replayed": queue.replayed,
        "pushed": queue.pushed,
        "refused": queue.refused,
        "delivered": queue.delivered,
        "dropped": queue.dropped,
        "expired": queue.expired,
        "damaged": queue.damaged,
        "retries": queue.retries,
        "commits": queue.commits,
    })
}

fn collector(backend: &BackendStats) -> Value {
    let requests = &backend.requests;
    json!({
        "id": backend.id.as_str(),
        "readiness": backend.readiness.as_str(),
        "reason": backend.reason.as_str(),
        "check_error": backend.check_error.as_deref(),
        "enabled": backend.enabled,
        "weight": backend.weight,
        "share": backend.share,
        "in_flight": requests.in_flight,
        "requests": requests.requests,
        "successes": requests.successes,
        "failures": requests.failures,
        "overloads": requests.overloads,
        "cancelled": requests.cancelled,
        "retries": backend.retries,
        "hedges": backend.hedges,
        "ejections": backend.ejections,
        "latency": {
            "average_ms": backend.latency_average.map(ms),
            "p50_ms": ms(requests.latency.p50),
            "p99_ms": ms(requests.latency.p99),
            "max_ms": ms(requests.latency.max),
        },
    })
}

/// Milliseconds, to the microsecond.
fn ms(time: Duration) -> f64 {
    time.as_micros() as f64 / 1000.0
}
