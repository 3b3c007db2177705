//! What comes out decodes to what went in, item by item.

use std::collections::BTreeSet;
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};

use bytes::Bytes;
use evenkeel_otlp_wire::{RouteBy, Signal, count_items, for_each_item, split};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, any_value};
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::metrics::v1::{Metric, metric};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::Span;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::Index;
use prost::Message;

use crate::requests::{backwards, logs, metrics, traces};

/// Where something of this key goes, of `n`.
fn choose(key: Option<&[u8]>, n: u32) -> u32 {
    let mut hasher = DefaultHasher::new();
    key.hash(&mut hasher);
    (hasher.finish() % u64::from(n)) as u32
}

/// The key of a resource, as the decoded message has it.
fn service(resource: Option<&Resource>) -> Option<Vec<u8>> {
    let attributes = &resource?.attributes;
    let value = attributes
        .iter()
        .find(|pair| pair.key == "service.name")?
        .value
        .clone()?;
    Some(match value.value? {
        any_value::Value::StringValue(name) => name.into_bytes(),
        // What is not a string counts as it is encoded.
        other => AnyValue { value: Some(other) }.encode_to_vec(),
    })
}

/// An item, as decoded.
trait Item {
    fn trace_id(&self) -> Option<&[u8]>;

    fn worth(&self) -> usize {
        1
    }
}

impl Item for Span {
    fn trace_id(&self) -> Option<&[u8]> {
        Some(&self.trace_id[..]).filter(|id| !id.is_empty())
    }
}

impl Item for LogRecord {
    fn trace_id(&self) -> Option<&[u8]> {
        Some(&self.trace_id[..]).filter(|id| !id.is_empty())
    }
}

impl Item for Metric {
    fn trace_id(&self) -> Option<&[u8]> {
        None
    }

    fn worth(&self) -> usize {
        match &self.data {
            None => 0,
            Some(metric::Data::Gauge(data)) => data.data_points.len(),
            Some(metric::Data::Sum(data)) => data.data_points.len(),
            Some(metric::Data::Histogram(data)) => data.data_points.len(),
            Some(other) => panic!("not generated: {other:?}"),
        }
    }
}

/// A request, as decoded, and what of it goes where, decided item by item.
trait Request: Message + Default + PartialEq + Clone + fmt::Debug {
    const SIGNAL: Signal;

    fn items(&self) -> usize;

    /// The items whose key `keep` wants, without what is empty then.
    fn only(&self, by: &RouteBy, keep: &dyn Fn(Option<&[u8]>) -> bool) -> Self;
}

macro_rules! request {
    ($request:ty, $signal:ident, $resources:ident, $scopes:ident, $items:ident) => {
        impl Request for $request {
            const SIGNAL: Signal = Signal::$signal;

            fn items(&self) -> usize {
                let scopes = self
                    .$resources
                    .iter()
                    .flat_map(|resource| &resource.$scopes);
                scopes
                    .flat_map(|scope| &scope.$items)
                    .map(Item::worth)
                    .sum()
            }

            fn only(&self, by: &RouteBy, keep: &dyn Fn(Option<&[u8]>) -> bool) -> Self {
                let mut request = self.clone();
                for resource in &mut request.$resources {
                    if *by == RouteBy::TraceId {
                        for scope in &mut resource.$scopes {
                            scope.$items.retain(|item| keep(item.trace_id()));
                        }
                        resource.$scopes.retain(|scope| !scope.$items.is_empty());
                    } else if !keep(service(resource.resource.as_ref()).as_deref()) {
                        resource.$scopes.clear();
                    }
                }
                request.$resources.retain(|resource| {
                    let mut items = resource.$scopes.iter().flat_map(|scope| &scope.$items);
                    if *by == RouteBy::TraceId {
                        items.next().is_some()
                    } else {
                        items.any(|item| item.worth() > 0)
                    }
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

fn check<R: Request>(request: &R, by: &RouteBy, n: u32, reverse: bool) {
    let mut encoded = request.encode_to_vec();
    if reverse {
        encoded = backwards(&encoded, 3);
        assert_eq!(
            R::decode(&encoded[..]).as_ref(),
            Ok(request),
            "the helper is wrong"
        );
    }
    let body = Bytes::from(encoded);
    assert_eq!(count_items(&body, R::SIGNAL), Ok(request.items()));

    let parts = split(&body, R::SIGNAL, by, |key| choose(key, n)).unwrap();
    let mut seen = BTreeSet::new();
    for part in &parts {
        assert!(seen.insert(part.destination), "a destination with two parts");
        let expected = request.only(by, &|key| choose(key, n) as usize == part.destination);
        let decoded = R::decode(&part.body[..]).unwrap();
        assert_eq!(decoded.items(), part.items);
        // A body that was not divided keeps its empty resources and scopes.
        assert_eq!(decoded.only(by, &|_| true), expected);
        assert!(parts.len() > 1 || part.body == body);
    }
    for destination in (0..n).filter(|&d| !seen.contains(&(d as usize))) {
        let missing = request.only(by, &|key| choose(key, n) == destination);
        assert_eq!(missing, R::default(), "{destination} went nowhere");
    }
}

/// What the visitor shows, each id whole.
fn visited(body: &[u8], signal: Signal) -> Vec<[Option<Vec<u8>>; 2]> {
    let mut seen = Vec::new();
    for_each_item(body, signal, |ids| {
        seen.push([ids.trace_id, ids.span_id].map(|id| id.map(<[u8]>::to_vec)));
    })
    .unwrap();
    seen
}

fn present(id: &[u8]) -> Option<Vec<u8>> {
    Some(id.to_vec()).filter(|id| !id.is_empty())
}

/// The request as it is, or with its fields backwards.
fn encoded(request: &impl Message, reverse: bool) -> Vec<u8> {
    let body = request.encode_to_vec();
    if reverse { backwards(&body, 3) } else { body }
}

proptest! {
    #[test]
    fn the_ids_of_every_span_are_seen_in_order(request in traces(), reverse: bool) {
        let spans = request.resource_spans.iter().flat_map(|r| &r.scope_spans).flat_map(|s| &s.spans);
        let ids: Vec<_> = spans.map(|span| [present(&span.trace_id), present(&span.span_id)]).collect();
        prop_assert_eq!(visited(&encoded(&request, reverse), Signal::Traces), ids);
    }

    #[test]
    fn the_ids_of_every_log_record_are_seen_in_order(request in logs(), reverse: bool) {
        let records = request.resource_logs.iter().flat_map(|r| &r.scope_logs).flat_map(|s| &s.log_records);
        let ids: Vec<_> = records.map(|log| [present(&log.trace_id), present(&log.span_id)]).collect();
        prop_assert_eq!(visited(&encoded(&request, reverse), Signal::Logs), ids);
    }

    #[test]
    fn a_split_by_trace_keeps_every_span(request in traces(), n in 1_u32..5, reverse: bool) {
        check(&request, &RouteBy::TraceId, n, reverse);
    }

    #[test]
    fn a_split_by_service_keeps_every_span(request in traces(), n in 1_u32..5, reverse: bool) {
        check(&request, &RouteBy::service_name(), n, reverse);
    }

    #[test]
    fn a_split_keeps_every_log_record(request in logs(), n in 1_u32..5, reverse: bool, by_trace: bool) {
        let by = if by_trace { RouteBy::TraceId } else { RouteBy::service_name() };
        check(&request, &by, n, reverse);
    }

    #[test]
    fn a_split_keeps_every_data_point(request in metrics(), n in 1_u32..5, reverse: bool, by_trace: bool) {
        let by = if by_trace { RouteBy::TraceId } else { RouteBy::service_name() };
        check(&request, &by, n, reverse);
    }

    #[test]
    fn a_damaged_body_is_refused_or_read_as_a_collector_reads_it(
        request in traces(),
        damage in vec((any::<Index>(), any::<u8>()), 0..4),
        cut in option::of(any::<Index>()),
    ) {
        let mut body = request.encode_to_vec();
        for (index, byte) in damage {
            if !body.is_empty() {
                let at = index.index(body.len());
                body[at] = byte;
            }
        }
        if let Some(cut) = cut {
            body.truncate(cut.index(body.len() + 1));
        }
        let counted = count_items(&body, Signal::Traces);
        let parts = split(&body.clone().into(), Signal::Traces, &RouteBy::TraceId, |key| choose(key, 3));
        if let Ok(request) = ExportTraceServiceRequest::decode(&body[..]) {
            prop_assert_eq!(counted, Ok(request.items()));
            let items: usize = parts.unwrap().iter().map(|part| part.items).sum();
            prop_assert_eq!(items, request.items());
        }
    }

    #[test]
    fn any_bytes_at_all_do_no_harm(body in vec(any::<u8>(), 0..200)) {
        for signal in Signal::ALL {
            let _ = count_items(&body, signal);
            let _ = for_each_item(&body, signal, |_| {});
            for by in [RouteBy::TraceId, RouteBy::service_name()] {
                let _ = split(&body.clone().into(), signal, &by, |key| choose(key, 3));
            }
        }
    }
}
