//! The stock SDK on this client: what it exports arrives, whatever it is called from and whoever dies.

use std::collections::BTreeSet;
use std::time::Duration;

use evenkeel_otlp::rpc::{Code, RpcStatus};
use evenkeel_otlp::sdk::Exporters;
use evenkeel_otlp::{OtlpClientConfig, PartialSuccess, Protocol};
use opentelemetry::KeyValue;
use opentelemetry::logs::{LogRecord, Logger, LoggerProvider};
use opentelemetry::metrics::MeterProvider;
use opentelemetry::trace::{Span, Tracer, TracerProvider};
use opentelemetry_http::HttpClient;
use opentelemetry_otlp::WithHttpConfig;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::logs::SdkLoggerProvider;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use opentelemetry_sdk::trace::SdkTracerProvider;
use prost::Message;

use crate::collector::{Act, Collector};

#[allow(dead_code, reason = "its main")]
#[path = "../../examples/stock_sdk.rs"]
mod stock_sdk;

fn config(collectors: &[Collector]) -> OtlpClientConfig {
    OtlpClientConfig {
        collectors: collectors.iter().map(Collector::described).collect(),
        ..OtlpClientConfig::default()
    }
}

fn resource() -> Resource {
    Resource::builder_empty().with_service_name("shop").build()
}

/// The names of all spans that arrived at `collectors`, of the service `shop`.
fn spans(collectors: &[Collector]) -> BTreeSet<String> {
    let received = collectors.iter().flat_map(Collector::received);
    let requests = received
        .filter(|request| request.path.to_lowercase().contains("trace"))
        .map(|request| ExportTraceServiceRequest::decode(request.body).unwrap());
    let resources = requests
        .flat_map(|request| request.resource_spans)
        .inspect(|spans| {
            let resource = spans.resource.as_ref().unwrap();
            assert_eq!(resource.attributes[0].key, "service.name");
        });
    let scopes = resources.flat_map(|resource| resource.scope_spans);
    scopes
        .flat_map(|scope| scope.spans)
        .map(|span| span.name)
        .collect()
}

fn named(count: usize) -> BTreeSet<String> {
    (0..count).map(|number| format!("span {number}")).collect()
}

fn end_spans(provider: &SdkTracerProvider, numbers: std::ops::Range<usize>) {
    let tracer = provider.tracer("test");
    for number in numbers {
        tracer.start(format!("span {number}")).end();
    }
}

#[test]
fn an_application_loses_nothing_when_a_collector_dies() {
    let report = stock_sdk::run(90).unwrap();
    assert_eq!(report.arrived, report.ended, "{report:?}");
    assert!(
        report.twice <= 50,
        "one batch at the most was under way: {report:?}"
    );
    assert!(report.shares.iter().all(|requests| *requests > 0), "{report:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn our_exporters_send_every_signal_over_both_protocols() {
    for protocol in [Protocol::Grpc, Protocol::HttpProtobuf] {
        let collectors = Collector::three(protocol).await;
        let exporters = Exporters::start(config(&collectors)).unwrap();

        let tracers = SdkTracerProvider::builder()
            .with_resource(resource())
            .with_batch_exporter(exporters.spans())
            .build();
        end_spans(&tracers, 0..100);
        tracers.shutdown().unwrap();
        assert_eq!(spans(&collectors), named(100));

        let loggers = SdkLoggerProvider::builder()
            .with_resource(resource())
            .with_batch_exporter(exporters.logs())
            .build();
        let logger = loggers.logger("test");
        let mut record = logger.create_log_record();
        record.set_body("sold out".into());
        logger.emit(record);
        loggers.shutdown().unwrap();

        let meters = SdkMeterProvider::builder()
            .with_resource(resource())
            .with_periodic_exporter(exporters.metrics())
            .build();
        let orders = meters.meter("test").u64_counter("orders").build();
        orders.add(7, &[KeyValue::new("paid", true)]);
        meters.shutdown().unwrap();

        let received: Vec<_> = collectors.iter().flat_map(Collector::received).collect();
        let body = |word: &str| {
            let found = received
                .iter()
                .find(|request| request.path.to_lowercase().contains(word));
            found.unwrap_or_else(|| panic!("no {word}")).body.clone()
        };
        let logs = ExportLogsServiceRequest::decode(body("logs")).unwrap();
        assert_eq!(logs.resource_logs[0].scope_logs[0].log_records.len(), 1);
        let metrics = ExportMetricsServiceRequest::decode(body("metrics")).unwrap();
        assert_eq!(
            metrics.resource_metrics[0].scope_metrics[0].metrics[0].name,
            "orders"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_stock_http_exporter_reaches_collectors_over_grpc() {
    let mut collectors = Collector::three(Protocol::Grpc).await;
    let exporters = Exporters::start(config(&collectors)).unwrap();
    let exporter = opentelemetry_otlp::SpanExporter::builder()
        .with_http()
        .with_http_client(exporters.http_client())
        .build()
        .unwrap();
    let provider = SdkTracerProvider::builder()
        .with_resource(resource())
        .with_batch_exporter(exporter)
        .build();
    end_spans(&provider, 0..50);
    provider.force_flush().unwrap();
    collectors[1].kill().await;
    for number in 50..100 {
        end_spans(&provider, number..number + 1);
        provider.force_flush().unwrap();
    }
    provider.shutdown().unwrap();
    assert_eq!(spans(&collectors), named(100));
}

#[test]
fn a_flush_on_the_only_thread_of_a_runtime_does_not_wait_for_itself() {
    let servers = tokio::runtime::Runtime::new().unwrap();
    let collectors = servers.block_on(Collector::three(Protocol::Grpc));
    let application = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    application.block_on(async {
        let exporters = Exporters::start(config(&collectors)).unwrap();
        let provider = SdkTracerProvider::builder()
            .with_resource(resource())
            .with_batch_exporter(exporters.spans())
            .build();
        end_spans(&provider, 0..10);
        provider.force_flush().unwrap();
        provider.shutdown().unwrap();
    });
    assert_eq!(spans(&collectors), named(10));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_that_nobody_takes_is_told_to_the_sdk() {
    let collectors = Collector::three(Protocol::Grpc).await;
    for collector in &collectors {
        collector.usually(Act::Status(RpcStatus::new(
            Code::InvalidArgument,
            "not like this",
        )));
    }
    let exporters = Exporters::start(config(&collectors)).unwrap();
    let provider = SdkTracerProvider::builder()
        .with_batch_exporter(exporters.spans())
        .build();
    end_spans(&provider, 0..1);
    let refused = provider.force_flush().unwrap_err().to_string();
    assert!(refused.contains("not like this"), "{refused}");
}

#[tokio::test]
async fn exporters_on_a_client_and_a_runtime_that_are_there() {
    let collectors = Collector::three(Protocol::Grpc).await;
    let client = evenkeel_otlp::OtlpClient::new(config(&collectors)).unwrap();
    let exporters = Exporters::on(client, tokio::runtime::Handle::current());
    let http = exporters.http_client();
    let response = http
        .send_bytes(request("/v1/logs", "application/x-protobuf"))
        .await;
    assert_eq!(response.unwrap().status(), 200);
    assert_eq!(collectors.iter().map(Collector::count).sum::<usize>(), 1);
}

fn request(path: &str, media: &str) -> http::Request<bytes::Bytes> {
    http::Request::post(format!("http://anything{path}"))
        .header("content-type", media)
        .header("authorization", "for another")
        .body(bytes::Bytes::new())
        .unwrap()
}

#[tokio::test]
async fn the_http_client_answers_as_one_collector_would() {
    let collectors = [Collector::start(Protocol::Grpc).await];
    let client = evenkeel_otlp::OtlpClient::new(config(&collectors)).unwrap();
    let exporters = Exporters::on(client, tokio::runtime::Handle::current());
    let http = exporters.http_client();
    let media = "application/x-protobuf";

    collectors[0].next([Act::Partial(PartialSuccess::new(3, "too old"))]);
    let response = http.send_bytes(request("/any/v1/traces", media)).await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-type"], media);
    let partial = PartialSuccess::decode_response(
        evenkeel_otlp::Signal::Traces,
        evenkeel_otlp::Encoding::Protobuf,
        response.body(),
    );
    assert_eq!(partial.unwrap(), Some(PartialSuccess::new(3, "too old")));
    assert!(collectors[0].received()[0].headers.get("authorization").is_none());

    collectors[0].next([Act::Status(RpcStatus::new(
        Code::InvalidArgument,
        "not like this",
    ))]);
    let response = http.send_bytes(request("/v1/metrics", media)).await.unwrap();
    assert_eq!(response.status(), 400);
    let status = RpcStatus::decode_protobuf(response.body()).unwrap();
    assert_eq!(
        (status.code, &*status.message),
        (Code::InvalidArgument, "not like this")
    );

    let throttled = RpcStatus::new(Code::Unavailable, "later").with_retry_delay(Duration::from_millis(2500));
    collectors[0].usually(Act::Status(throttled));
    let response = http.send_bytes(request("/v1/metrics", media)).await.unwrap();
    assert_eq!(response.status(), 503);
    let seconds: u64 = response.headers()["retry-after"]
        .to_str()
        .unwrap()
        .parse()
        .unwrap();
    assert!((1..=3).contains(&seconds), "{seconds}");
}

#[tokio::test]
async fn what_is_no_export_is_refused_by_name() {
    let collectors = [Collector::start(Protocol::Grpc).await];
    let client = evenkeel_otlp::OtlpClient::new(config(&collectors)).unwrap();
    let http = Exporters::on(client, tokio::runtime::Handle::current()).http_client();
    let refused = http
        .send_bytes(request("/v1/trace", "application/x-protobuf"))
        .await;
    assert!(refused.unwrap_err().to_string().contains("/v1/trace"));
    let refused = http.send_bytes(request("/v1/traces", "text/plain")).await;
    assert_eq!(refused.unwrap_err().to_string(), "content-type: text/plain");
    assert_eq!(collectors[0].count(), 0);
}
