//! Splitting and counting OTLP requests as bytes, beside decoding them with `prost`.
//!
//! `cargo bench -p evenkeel-benches --features peers --bench otlp_wire`; groups are `otlp_wire/<operation>`. The request has
//! 1000 spans of 371 bytes in 4 resources, of 125 traces whose spans lie scattered; each trace id is
//! the first field of its span, or (`_backwards`) after all others, as Go's collector writes it.

use std::hint::black_box;
use std::time::Duration;

use bytes::Bytes;
use criterion::{Criterion, Throughput};
use evenkeel_benches::otlp_split::{by_bytes, by_objects, destination, request, trace_ids_last};
use evenkeel_otlp_wire::{RouteBy, Signal, count_items, split};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;

const SPANS: usize = 1_000;
const RESOURCES: usize = 4;

fn main() {
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
        .sample_size(30)
        .configure_from_args();
    let body = Bytes::from(request(SPANS, RESOURCES).encode_to_vec());
    let backwards = Bytes::from(trace_ids_last(&body));

    let mut group = criterion.benchmark_group("otlp_wire/split_by_trace");
    group.throughput(Throughput::Elements(SPANS as u64));
    group.bench_function("evenkeel", |bencher| bencher.iter(|| by_bytes(&body)));
    group.bench_function("prost", |bencher| bencher.iter(|| by_objects(&body)));
    group.bench_function("evenkeel_backwards", |bencher| {
        bencher.iter(|| by_bytes(&backwards));
    });
    group.bench_function("prost_backwards", |bencher| {
        bencher.iter(|| by_objects(&backwards));
    });
    group.finish();

    let mut group = criterion.benchmark_group("otlp_wire/split_by_service");
    group.throughput(Throughput::Elements(SPANS as u64));
    group.bench_function("evenkeel", |bencher| {
        let by = RouteBy::service_name();
        bencher.iter(|| split(&body, Signal::Traces, &by, destination));
    });
    group.finish();

    let mut group = criterion.benchmark_group("otlp_wire/count");
    group.throughput(Throughput::Elements(SPANS as u64));
    group.bench_function("evenkeel", |bencher| {
        bencher.iter(|| count_items(black_box(&body), Signal::Traces));
    });
    group.bench_function("prost", |bencher| {
        bencher.iter(|| {
            let request = ExportTraceServiceRequest::decode(black_box(&body[..])).unwrap_or_default();
            let scopes = request
                .resource_spans
                .iter()
                .flat_map(|resource| &resource.scope_spans);
            scopes.map(|scope| scope.spans.len()).sum::<usize>()
        });
    });
    group.finish();
    criterion.final_summary();
}
