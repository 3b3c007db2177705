//! The stock OpenTelemetry SDK as a client of the gateway.

use std::collections::BTreeSet;

use evenkeel_gateway::Gateway;
use evenkeel_otlp::sdk::Exporters;
use evenkeel_otlp::{Collector as Endpoint, OtlpClientConfig, Protocol};
use opentelemetry::trace::{Span, Tracer, TracerProvider};
use opentelemetry_otlp::{SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_sdk::trace::SdkTracerProvider;
use prost::Message;

use crate::collector::Collector;
use crate::config;

/// Ends 200 spans through `exporter` in four batches, and gives the names of those that arrived.
fn names(exporter: SpanExporter, collectors: &[&Collector]) -> BTreeSet<String> {
    let provider = SdkTracerProvider::builder().with_batch_exporter(exporter).build();
    let tracer = provider.tracer("test");
    for number in 0..200 {
        tracer.start(format!("span {number}")).end();
        if number % 50 == 49 {
            provider.force_flush().unwrap();
        }
    }
    provider.shutdown().unwrap();
    let got = collectors.iter().flat_map(|collector| collector.got());
    let requests = got.map(|got| ExportTraceServiceRequest::decode(got.body).unwrap());
    let scopes = requests
        .flat_map(|request| request.resource_spans)
        .flat_map(|resource| resource.scope_spans);
    scopes
        .flat_map(|scope| scope.spans)
        .map(|span| span.name)
        .collect()
}

fn all() -> BTreeSet<String> {
    (0..200).map(|number| format!("span {number}")).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn its_grpc_exporter_is_understood_and_nothing_is_lost() {
    let (first, second) = (Collector::start().await, Collector::start().await);
    let gateway = Gateway::start(config(&[&first, &second])).unwrap();
    let exporter = SpanExporter::builder()
        .with_tonic()
        .with_endpoint(format!("http://{}", gateway.grpc_address().unwrap()))
        .build()
        .unwrap();
    assert_eq!(names(exporter, &[&first, &second]), all());
    gateway.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn its_http_exporter_is_understood_and_nothing_is_lost() {
    let (first, second) = (Collector::start().await, Collector::start().await);
    let gateway = Gateway::start(config(&[&first, &second])).unwrap();
    let endpoint = format!("http://{}", gateway.http_address().unwrap());
    let exporters = Exporters::start(OtlpClientConfig {
        protocol: Protocol::HttpProtobuf,
        collectors: vec![Endpoint::new(&endpoint).unwrap()],
        ..OtlpClientConfig::default()
    });
    let exporter = SpanExporter::builder()
        .with_http()
        .with_http_client(exporters.unwrap().http_client())
        .build()
        .unwrap();
    assert_eq!(names(exporter, &[&first, &second]), all());
    gateway.shutdown().await;
}
