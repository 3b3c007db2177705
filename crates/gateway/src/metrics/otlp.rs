//! The same as an export request of metrics.

use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use evenkeel_otlp::{Compression, Encoding, Export, Signal};
use serde_json::{Value, json};

use super::{Figure, Kind, Labels, Page, of_delivery, of_gateway, wall_time};
use crate::admin::Admin;
use crate::json::to_protobuf;

/// `AGGREGATION_TEMPORALITY_CUMULATIVE`.
const CUMULATIVE: u8 = 2;

/// All figures, of this resource. Written as JSON, which the gateway can turn into protobuf already; once a minute
/// that may take the tenth of a millisecond more.
pub(super) fn export(
    admin: &Admin,
    resource: &[(String, String)],
    started: SystemTime,
) -> Result<Export, serde_json::Error> {
    let delivery = admin.exchange.now();
    let mut page = Metrics {
        metrics: Vec::new(),
        kind: Kind::Gauge,
        since: nanos(started),
        now: nanos(wall_time()),
    };
    of_gateway(admin, &mut page);
    // With another client they begin at zero again.
    page.since = nanos(delivery.since.max(started));
    of_delivery(&delivery.client.balancer().stats(), &mut page);
    let resource = resource.iter().map(|(name, value)| attribute(name, value));
    let scope = json!({ "name": env!("CARGO_PKG_NAME"), "version": env!("CARGO_PKG_VERSION") });
    let request = json!({ "resourceMetrics": [{
        "resource": { "attributes": resource.collect::<Vec<_>>() },
        "scopeMetrics": [{ "scope": scope, "metrics": page.metrics }],
    }]});
    let protobuf = to_protobuf(request.to_string().as_bytes(), Signal::Metrics)?;
    let body = Bytes::from(protobuf);
    Ok(Export::new(
        Signal::Metrics,
        Encoding::Protobuf,
        Compression::None,
        body,
    ))
}

fn nanos(time: SystemTime) -> String {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    since.as_nanos().to_string()
}

fn attribute(name: &str, value: &str) -> Value {
    json!({ "key": name, "value": { "stringValue": value } })
}

/// The metrics so far; the last is the family that samples are of.
struct Metrics {
    metrics: Vec<Value>,
    kind: Kind,
    since: String,
    now: String,
}

impl Page for Metrics {
    fn family(&mut self, name: &'static str, kind: Kind, help: &'static str) {
        self.kind = kind;
        let unit = match name {
            _ if name.contains("_seconds") => "s",
            _ if name.contains("_bytes") => "By",
            _ => "1",
        };
        let mut metric = json!({ "name": name, "description": help, "unit": unit });
        metric[self.data()] = match kind {
            Kind::Counter => {
                json!({ "aggregationTemporality": CUMULATIVE, "isMonotonic": true, "dataPoints": [] })
            }
            Kind::Gauge | Kind::Summary => json!({ "dataPoints": [] }),
        };
        self.metrics.push(metric);
    }

    fn sample(&mut self, labels: Labels<'_>, value: impl Into<Figure>) {
        let mut point = self.point(labels);
        match value.into() {
            Figure::Count(count) => point["asInt"] = count.to_string().into(),
            Figure::Real(real) => point["asDouble"] = real.into(),
        }
        self.push(point);
    }

    fn summary(&mut self, labels: Labels<'_>, quantiles: &[(&str, f64)], sum: f64, count: u64) {
        let mut point = self.point(labels);
        let quantiles = quantiles.iter().filter_map(|(quantile, value)| {
            let quantile: f64 = quantile.parse().ok()?;
            Some(json!({ "quantile": quantile, "value": value }))
        });
        point["quantileValues"] = quantiles.collect();
        point["sum"] = sum.into();
        point["count"] = count.to_string().into();
        self.push(point);
    }
}

impl Metrics {
    /// The field of a metric that its points are in.
    const fn data(&self) -> &'static str {
        match self.kind {
            Kind::Counter => "sum",
            Kind::Gauge => "gauge",
            Kind::Summary => "summary",
        }
    }

    fn point(&self, labels: Labels<'_>) -> Value {
        let attributes = labels.iter().map(|(name, value)| attribute(name, value));
        let mut point = json!({ "timeUnixNano": self.now, "attributes": attributes.collect::<Vec<_>>() });
        if self.kind != Kind::Gauge {
            point["startTimeUnixNano"] = self.since.clone().into();
        }
        point
    }

    fn push(&mut self, point: Value) {
        let data = self.data();
        let points = self
            .metrics
            .last_mut()
            .map(|metric| &mut metric[data]["dataPoints"]);
        if let Some(Value::Array(points)) = points {
            points.push(point);
        }
    }
}
