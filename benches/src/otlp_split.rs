//! Splitting requests by trace: as bytes, and by way of objects. And requests to split.

use std::collections::BTreeMap;

use bytes::Bytes;
use evenkeel_otlp_wire::{RouteBy, Signal, split};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;

const COLLECTORS: u32 = 3;

/// The same for both: cheap, and even.
pub fn destination(key: Option<&[u8]>) -> u32 {
    key.map_or(0, |key| {
        key.iter()
            .fold(0_u32, |hash, &byte| hash.wrapping_mul(31) + u32::from(byte))
            % COLLECTORS
    })
}

/// What ours does: walks the frame and copies ranges. The bytes that come out.
pub fn by_bytes(body: &Bytes) -> usize {
    let parts = split(body, Signal::Traces, &RouteBy::TraceId, destination).unwrap_or_default();
    parts.iter().map(|part| part.body.len()).sum()
}

/// What a collector does that decodes: objects, a new request for each destination, bytes again. The bytes
/// that come out.
pub fn by_objects(body: &Bytes) -> usize {
    let request = ExportTraceServiceRequest::decode(&body[..]).unwrap_or_default();
    let mut parts: BTreeMap<u32, ExportTraceServiceRequest> = BTreeMap::new();
    for resource in request.resource_spans {
        let mut resources: BTreeMap<u32, ResourceSpans> = BTreeMap::new();
        for scope in resource.scope_spans {
            let mut scopes: BTreeMap<u32, ScopeSpans> = BTreeMap::new();
            for span in scope.spans {
                let part = scopes.entry(destination(Some(&span.trace_id)));
                let part = part.or_insert_with(|| ScopeSpans {
                    scope: scope.scope.clone(),
                    schema_url: scope.schema_url.clone(),
                    spans: Vec::new(),
                });
                part.spans.push(span);
            }
            for (destination, scope) in scopes {
                let part = resources.entry(destination).or_insert_with(|| ResourceSpans {
                    resource: resource.resource.clone(),
                    schema_url: resource.schema_url.clone(),
                    scope_spans: Vec::new(),
                });
                part.scope_spans.push(scope);
            }
        }
        for (destination, resource) in resources {
            parts
                .entry(destination)
                .or_default()
                .resource_spans
                .push(resource);
        }
    }
    parts.values().map(|part| part.encode_to_vec().len()).sum()
}

/// A request of so many spans of 371 bytes in so many resources, of an eighth as many traces, whose spans lie
/// scattered.
pub fn request(spans: usize, resources: usize) -> ExportTraceServiceRequest {
    let traces = (spans / 8).max(1);
    let text = |key: &str, value: &str| KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue {
            value: Some(any_value::Value::StringValue(value.to_owned())),
        }),
        ..KeyValue::default()
    };
    let span = |index: usize| Span {
        trace_id: (index % traces + 1).to_be_bytes().repeat(2),
        span_id: index.to_be_bytes().to_vec(),
        parent_span_id: (index + 1).to_be_bytes().to_vec(),
        name: "POST /cart/{user}/items".to_owned(),
        kind: 2,
        start_time_unix_nano: 1_700_000_000_000_000_000 + index as u64,
        end_time_unix_nano: 1_700_000_000_001_000_000 + index as u64,
        attributes: vec![
            text("http.request.method", "POST"),
            text("http.route", "/cart/{user}/items"),
            text("server.address", "cart.shop.example"),
            text("network.protocol.version", "1.1"),
            text(
                "user_agent.original",
                "Mozilla/5.0 (X11; Linux x86_64) Gecko/20100101 Firefox/128.0",
            ),
            text("client.address", "203.0.113.42"),
            text("url.scheme", "https"),
        ],
        ..Span::default()
    };
    let resource = |index: usize| ResourceSpans {
        resource: Some(Resource {
            attributes: vec![
                text("service.name", &format!("cart-{index}")),
                text("host.name", "ip-10-0-0-1.compute.internal"),
            ],
            ..Resource::default()
        }),
        scope_spans: vec![ScopeSpans {
            spans: (0..spans / resources)
                .map(|span_index| span(span_index * resources + index))
                .collect(),
            ..ScopeSpans::default()
        }],
        ..ResourceSpans::default()
    };
    ExportTraceServiceRequest {
        resource_spans: (0..resources).map(resource).collect(),
    }
}

/// The same request with each span's trace id moved behind its other fields, as Go's collector writes it.
pub fn trace_ids_last(body: &[u8]) -> Vec<u8> {
    const TRACE_ID: usize = 2 + 16;
    let mut out = body.to_vec();
    let request = ExportTraceServiceRequest::decode(body).unwrap_or_default();
    let mut from = 0;
    for span in request
        .resource_spans
        .iter()
        .flat_map(|r| &r.scope_spans)
        .flat_map(|s| &s.spans)
    {
        let encoded = span.encode_to_vec();
        if let Some(at) = out[from..]
            .windows(encoded.len())
            .position(|window| window == encoded)
        {
            from += at;
            out[from..from + encoded.len()].rotate_left(TRACE_ID);
            from += encoded.len();
        }
    }
    out
}
