//! Requests to test with: what a collector decodes, made at random, and encoded in more than one way.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::{
    Gauge, Histogram, HistogramDataPoint, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum, metric,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

pub(crate) fn pair(key: &str, value: any_value::Value) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue { value: Some(value) }),
        ..KeyValue::default()
    }
}

/// Few values, so that traces and services meet again in other resources.
fn trace_id() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        8 => (0_u8..6).prop_map(|id| vec![id; 16]),
        1 => Just(Vec::new()),
    ]
}

fn span() -> impl Strategy<Value = Span> {
    (trace_id(), "[a-z]{0,200}", any::<u64>(), 0_u32..3).prop_map(|(trace_id, name, at, flags)| Span {
        trace_id,
        span_id: at.to_be_bytes().to_vec(),
        name,
        start_time_unix_nano: at,
        flags,
        ..Span::default()
    })
}

fn log_record() -> impl Strategy<Value = LogRecord> {
    (trace_id(), "[a-z]{0,200}", any::<u64>()).prop_map(|(trace_id, body, at)| LogRecord {
        trace_id,
        time_unix_nano: at,
        body: Some(AnyValue {
            value: Some(any_value::Value::StringValue(body)),
        }),
        ..LogRecord::default()
    })
}

fn metric_of() -> impl Strategy<Value = Metric> {
    let numbers = || {
        vec(any::<u64>(), 0..4).prop_map(|times| {
            let point = |time_unix_nano| NumberDataPoint {
                time_unix_nano,
                ..NumberDataPoint::default()
            };
            times.into_iter().map(point).collect::<Vec<_>>()
        })
    };
    let data = prop_oneof![
        numbers().prop_map(|data_points| metric::Data::Gauge(Gauge { data_points })),
        numbers().prop_map(|data_points| metric::Data::Sum(Sum {
            data_points,
            ..Sum::default()
        })),
        (0..4_usize).prop_map(|points| metric::Data::Histogram(Histogram {
            data_points: vec![HistogramDataPoint::default(); points],
            ..Histogram::default()
        })),
    ];
    (option::of(data), "[a-z]{0,9}").prop_map(|(data, name)| Metric {
        name,
        data,
        ..Metric::default()
    })
}

fn scope() -> impl Strategy<Value = Option<InstrumentationScope>> {
    option::of("[a-z]{0,9}".prop_map(|name| InstrumentationScope {
        name,
        ..InstrumentationScope::default()
    }))
}

fn resource() -> impl Strategy<Value = Option<Resource>> {
    let service = prop_oneof![
        3 => (0..4).prop_map(|id| Some(any_value::Value::StringValue(format!("service-{id}")))),
        1 => (0_i64..2).prop_map(|id| Some(any_value::Value::IntValue(id))),
        1 => Just(None),
    ];
    option::of((service, "[a-z]{0,150}").prop_map(|(service, host)| {
        Resource {
            attributes: [
                Some(pair("host.name", any_value::Value::StringValue(host))),
                service.map(|value| pair("service.name", value)),
            ]
            .into_iter()
            .flatten()
            .collect(),
            ..Resource::default()
        }
    }))
}

pub(crate) fn traces() -> impl Strategy<Value = ExportTraceServiceRequest> {
    let scopes =
        (scope(), vec(span(), 0..6), "[a-z]{0,9}").prop_map(|(scope, spans, schema_url)| ScopeSpans {
            scope,
            spans,
            schema_url,
        });
    let resources =
        (resource(), vec(scopes, 0..4), "[a-z]{0,9}").prop_map(|(resource, scope_spans, schema_url)| {
            ResourceSpans {
                resource,
                scope_spans,
                schema_url,
            }
        });
    vec(resources, 0..4).prop_map(|resource_spans| ExportTraceServiceRequest { resource_spans })
}

pub(crate) fn logs() -> impl Strategy<Value = ExportLogsServiceRequest> {
    let scopes = (scope(), vec(log_record(), 0..6)).prop_map(|(scope, log_records)| ScopeLogs {
        scope,
        log_records,
        ..ScopeLogs::default()
    });
    let resources = (resource(), vec(scopes, 0..4)).prop_map(|(resource, scope_logs)| ResourceLogs {
        resource,
        scope_logs,
        ..ResourceLogs::default()
    });
    vec(resources, 0..4).prop_map(|resource_logs| ExportLogsServiceRequest { resource_logs })
}

pub(crate) fn metrics() -> impl Strategy<Value = ExportMetricsServiceRequest> {
    let scopes = (scope(), vec(metric_of(), 0..6)).prop_map(|(scope, metrics)| ScopeMetrics {
        scope,
        metrics,
        ..ScopeMetrics::default()
    });
    let resources = (resource(), vec(scopes, 0..4)).prop_map(|(resource, scope_metrics)| ResourceMetrics {
        resource,
        scope_metrics,
        ..ResourceMetrics::default()
    });
    vec(resources, 0..4).prop_map(|resource_metrics| ExportMetricsServiceRequest { resource_metrics })
}

/// The same request with the fields of its frame, and of its items, in the opposite order: as an encoder
/// writes it that fills its buffer from the end. Repeated fields keep their order among each other.
pub(crate) fn backwards(message: &[u8], levels: usize) -> Vec<u8> {
    let mut fields = fields(message).unwrap();
    fields.sort_by_key(|&(number, ..)| std::cmp::Reverse(number));
    let mut out = Vec::new();
    for (number, whole, inner) in fields {
        match inner {
            Some(inner) if is_frame(number, levels) => field(&mut out, number, &backwards(inner, levels - 1)),
            _ => out.extend_from_slice(whole),
        }
    }
    out
}

/// Whether a field, so many levels above the items' own fields, leads to them.
const fn is_frame(number: u32, levels: usize) -> bool {
    matches!((levels, number), (3, 1) | (2 | 1, 2))
}

/// A field that has a length.
pub(crate) fn field(out: &mut Vec<u8>, number: u32, value: &[u8]) {
    prost::encoding::encode_key(number, prost::encoding::WireType::LengthDelimited, out);
    prost::encoding::encode_varint(value.len() as u64, out);
    out.extend_from_slice(value);
}

type Field<'a> = (u32, &'a [u8], Option<&'a [u8]>);

/// The fields of a message as prost reads them: number, all of it, and what is in it. `None` if it is no message.
pub(crate) fn fields(message: &[u8]) -> Option<Vec<Field<'_>>> {
    use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field};
    let mut rest = message;
    let mut fields = Vec::new();
    while !rest.is_empty() {
        let start = message.len() - rest.len();
        let (number, wire_type) = decode_key(&mut rest).ok()?;
        let inner = if wire_type == WireType::LengthDelimited {
            let len = decode_varint(&mut rest).ok()?;
            let (inner, after) = rest.split_at_checked(usize::try_from(len).ok()?)?;
            rest = after;
            Some(inner)
        } else {
            skip_field(wire_type, number, &mut rest, DecodeContext::default()).ok()?;
            None
        };
        fields.push((number, &message[start..message.len() - rest.len()], inner));
    }
    Some(fields)
}
