//! Requests to send, and what is in them.

use std::io::Write;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;

/// Of one service: spans with these trace ids, and span ids that count from `first`.
pub(crate) fn of_service(service: &str, traces: &[u8], first: u64) -> ResourceSpans {
    let spans = traces.iter().zip(first..).map(|(&trace, id)| Span {
        trace_id: vec![trace; 16],
        span_id: id.to_be_bytes().to_vec(),
        name: "GET /cart".to_owned(),
        ..Span::default()
    });
    let scope = ScopeSpans {
        spans: spans.collect(),
        ..ScopeSpans::default()
    };
    ResourceSpans {
        resource: Some(Resource {
            attributes: vec![KeyValue {
                key: "service.name".to_owned(),
                value: Some(AnyValue {
                    value: Some(Value::StringValue(service.to_owned())),
                }),
                ..KeyValue::default()
            }],
            ..Resource::default()
        }),
        scope_spans: vec![scope],
        ..ResourceSpans::default()
    }
}

pub(crate) fn traces(resource_spans: Vec<ResourceSpans>) -> Vec<u8> {
    ExportTraceServiceRequest { resource_spans }.encode_to_vec()
}

/// One span of this trace.
pub(crate) fn one_span(trace: u8) -> Vec<u8> {
    traces(vec![of_service("shop", &[trace], 1)])
}

/// The spans of a request: trace and span id.
pub(crate) fn spans(body: &[u8]) -> Vec<(u8, u64)> {
    let request = ExportTraceServiceRequest::decode(body).unwrap();
    let scopes = request
        .resource_spans
        .into_iter()
        .flat_map(|resource| resource.scope_spans);
    let spans = scopes.flat_map(|scope| scope.spans);
    spans
        .map(|span| {
            (
                span.trace_id[0],
                u64::from_be_bytes(span.span_id.try_into().unwrap()),
            )
        })
        .collect()
}

/// A log record without a trace.
pub(crate) fn log() -> Vec<u8> {
    let scope = ScopeLogs {
        log_records: vec![LogRecord::default()],
        ..ScopeLogs::default()
    };
    let resource_logs = vec![ResourceLogs {
        scope_logs: vec![scope],
        ..ResourceLogs::default()
    }];
    ExportLogsServiceRequest { resource_logs }.encode_to_vec()
}

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    writer.write_all(bytes).unwrap();
    writer.finish().unwrap()
}
