//! Requests as a collector decodes them: what the walker is held to.

use std::fmt;

use evenkeel_otlp_wire::Signal;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, any_value};
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::metrics::v1::{Metric, metric};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;

/// The ids of a trace and of a span.
pub(crate) type Ids = [Option<Vec<u8>>; 2];

fn present(id: &[u8]) -> Option<&[u8]> {
    Some(id).filter(|id| !id.is_empty())
}

/// A span, a log record or a metric.
pub(crate) trait Item {
    fn trace_id(&self) -> Option<&[u8]>;
    fn span_id(&self) -> Option<&[u8]>;

    /// How many items it counts as.
    fn worth(&self) -> usize {
        1
    }
}

impl Item for Span {
    fn trace_id(&self) -> Option<&[u8]> {
        present(&self.trace_id)
    }

    fn span_id(&self) -> Option<&[u8]> {
        present(&self.span_id)
    }
}

impl Item for LogRecord {
    fn trace_id(&self) -> Option<&[u8]> {
        present(&self.trace_id)
    }

    fn span_id(&self) -> Option<&[u8]> {
        present(&self.span_id)
    }
}

impl Item for Metric {
    fn trace_id(&self) -> Option<&[u8]> {
        None
    }

    fn span_id(&self) -> Option<&[u8]> {
        None
    }

    fn worth(&self) -> usize {
        match &self.data {
            None => 0,
            Some(metric::Data::Gauge(data)) => data.data_points.len(),
            Some(metric::Data::Sum(data)) => data.data_points.len(),
            Some(metric::Data::Histogram(data)) => data.data_points.len(),
            Some(metric::Data::ExponentialHistogram(data)) => data.data_points.len(),
            Some(metric::Data::Summary(data)) => data.data_points.len(),
        }
    }
}

/// The service of a resource: the last of that name counts. What is no string is as it is encoded, behind a mark.
pub(crate) fn service(resource: Option<&Resource>) -> Option<Vec<u8>> {
    let mut attributes = resource?.attributes.iter().rev();
    let service = attributes.find(|pair| pair.key == "service.name" && pair.value.is_some())?;
    Some(match service.value.clone()?.value {
        Some(any_value::Value::StringValue(name)) => name.into_bytes(),
        value => [&[ENCODED][..], &AnyValue { value }.encode_to_vec()].concat(),
    })
}

/// No string in UTF-8 begins like this.
pub(crate) const ENCODED: u8 = 0xff;

/// A request of a signal.
pub(crate) trait Request: Message + Default + PartialEq + Clone + fmt::Debug {
    const SIGNAL: Signal;

    /// How many items it counts.
    fn items(&self) -> usize;

    fn ids(&self) -> Vec<Ids>;

    /// With the items that `keep`, asked once for each, wants, without what is empty then.
    fn only_items(&self, keep: &mut dyn FnMut(&dyn Item) -> bool) -> Self;

    /// With the resources that `keep`, asked once for each that has something to count, wants.
    fn only_resources(&self, keep: &mut dyn FnMut(Option<&Resource>) -> bool) -> Self;
}

macro_rules! request {
    ($request:ty, $signal:ident, $resources:ident, $scopes:ident, $items:ident) => {
        impl Request for $request {
            const SIGNAL: Signal = Signal::$signal;

            fn items(&self) -> usize {
                let scopes = self.$resources.iter().flat_map(|one| &one.$scopes);
                scopes.flat_map(|one| &one.$items).map(Item::worth).sum()
            }

            fn ids(&self) -> Vec<Ids> {
                let scopes = self.$resources.iter().flat_map(|one| &one.$scopes);
                let items = scopes.flat_map(|one| &one.$items);
                let ids = items.map(|item| [item.trace_id(), item.span_id()]);
                ids.map(|ids| ids.map(|id| id.map(<[u8]>::to_vec)))
                    .collect()
            }

            fn only_items(&self, keep: &mut dyn FnMut(&dyn Item) -> bool) -> Self {
                let mut request = self.clone();
                for resource in &mut request.$resources {
                    for scope in &mut resource.$scopes {
                        scope.$items.retain(|item| keep(item));
                    }
                    resource.$scopes.retain(|scope| !scope.$items.is_empty());
                }
                request.$resources.retain(|one| !one.$scopes.is_empty());
                request
            }

            fn only_resources(&self, keep: &mut dyn FnMut(Option<&Resource>) -> bool) -> Self {
                let mut request = self.clone();
                request.$resources.retain(|one| {
                    let mut items = one.$scopes.iter().flat_map(|scope| &scope.$items);
                    items.any(|item| item.worth() > 0) && keep(one.resource.as_ref())
                });
                request
            }
        }
    };
}

request!(
    ExportTraceServiceRequest,
    Traces,
    resource_spans,
    scope_spans,
    spans
);
request!(
    ExportLogsServiceRequest,
    Logs,
    resource_logs,
    scope_logs,
    log_records
);
request!(
    ExportMetricsServiceRequest,
    Metrics,
    resource_metrics,
    scope_metrics,
    metrics
);
