//! The gateway's own metrics, sent to a collector.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use evenkeel_gateway::{Gateway, TelemetryConfig};
use evenkeel_otlp::rpc::{Code, RpcStatus};
use evenkeel_otlp::{Collector as To, HealthChecks};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value as Number;
use opentelemetry_proto::tonic::metrics::v1::{AggregationTemporality, Metric, NumberDataPoint};
use prost::Message;

use crate::collector::{Collector, Do, Got};
use crate::requests::one_span;
use crate::sender::{Grpc, get};
use crate::{config, until};

const METRICS: &str = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export";

/// A gateway that sends its metrics every so often, to this collector or to its own.
fn start(collector: &Collector, to: Option<&Collector>, interval: Duration) -> Gateway {
    let mut config = config(&[collector]);
    let mut telemetry = TelemetryConfig {
        interval,
        ..TelemetryConfig::default()
    };
    telemetry.client.health_checks = HealthChecks::None;
    telemetry.client.balancer.max_retries = 0;
    telemetry.client.collectors = to.map(|to| To::new(&to.url()).unwrap()).into_iter().collect();
    telemetry
        .resource
        .insert("host.name".to_owned(), "edge-1".to_owned());
    config.telemetry = Some(telemetry);
    Gateway::start(config).unwrap()
}

fn exports(collector: &Collector) -> Vec<ExportMetricsServiceRequest> {
    let got = collector.got().into_iter();
    let own = got.filter(|got: &Got| got.path == METRICS);
    own.map(|got| ExportMetricsServiceRequest::decode(got.body).unwrap())
        .collect()
}

fn text(pairs: &[KeyValue]) -> BTreeMap<String, String> {
    let pairs = pairs.iter().map(|pair| {
        let Some(Value::StringValue(value)) = pair.value.clone().unwrap().value else {
            panic!("{pair:?} is no text");
        };
        (pair.key.clone(), value)
    });
    pairs.collect()
}

fn metrics(export: &ExportMetricsServiceRequest) -> &[Metric] {
    &export.resource_metrics[0].scope_metrics[0].metrics
}

/// The figures of an export as `/metrics` writes them; summaries aside.
fn lines(export: &ExportMetricsServiceRequest) -> BTreeSet<String> {
    let mut lines = BTreeSet::new();
    for metric in metrics(export) {
        let points = match metric.data.as_ref().unwrap() {
            Data::Sum(sum) => {
                assert!(sum.is_monotonic);
                assert_eq!(sum.aggregation_temporality(), AggregationTemporality::Cumulative);
                let began = |point: &NumberDataPoint| point.start_time_unix_nano > 0;
                assert!(sum.data_points.iter().all(began));
                &sum.data_points
            }
            Data::Gauge(gauge) => &gauge.data_points,
            _ => continue,
        };
        for point in points {
            assert!(point.time_unix_nano > point.start_time_unix_nano);
            // In the order that they were written in.
            let labels = point.attributes.iter().map(|pair| {
                let value = &text(std::slice::from_ref(pair))[&pair.key];
                format!("{}=\"{value}\"", pair.key)
            });
            let labels = labels.collect::<Vec<_>>().join(",");
            let braced = if labels.is_empty() {
                labels
            } else {
                format!("{{{labels}}}")
            };
            let value = match point.value.unwrap() {
                Number::AsInt(n) => n.to_string(),
                Number::AsDouble(real) => real.to_string(),
            };
            lines.insert(format!("{}{braced} {value}", metric.name));
        }
    }
    lines
}

#[tokio::test]
async fn what_arrives_is_what_metrics_shows() {
    let (collector, to) = (Collector::start().await, Collector::start().await);
    let gateway = start(&collector, Some(&to), Duration::from_millis(100));
    let mut sender = Grpc::connect(gateway.grpc_address()).await;
    for trace in 0..3 {
        assert_eq!(sender.export(&one_span(trace)).await.status.code, Code::Ok);
    }
    // The average that strategies go by fades with time.
    let stable = |line: &&str| !line.contains("latency_average");
    until("both say the same", async || {
        let shown = get(gateway.admin_address(), "/metrics").await;
        let shown: BTreeSet<_> = shown.text().lines().filter(stable).map(str::to_owned).collect();
        let Some(last) = exports(&to).pop() else {
            return false;
        };
        let sent = lines(&last);
        let sent: BTreeSet<_> = sent.into_iter().filter(|line| stable(&line.as_str())).collect();
        let plain = |line: &&String| !line.starts_with('#') && !line.contains("latency_seconds");
        let shown: BTreeSet<_> = shown.iter().filter(plain).cloned().collect();
        sent == shown && shown.iter().any(|line| line.contains("answer=\"accepted\"} 3"))
    })
    .await;

    let last = exports(&to).pop().unwrap();
    let resource = text(&last.resource_metrics[0].resource.as_ref().unwrap().attributes);
    assert_eq!(resource["service.name"], "evenkeel-gateway");
    assert_eq!(resource["host.name"], "edge-1");
    assert!(!resource["service.instance.id"].is_empty());
    let shown = get(gateway.admin_address(), "/metrics").await;
    let families = shown
        .text()
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE "));
    let families: Vec<_> = families.map(|line| line.split(' ').next().unwrap()).collect();
    let names: Vec<_> = metrics(&last).iter().map(|metric| metric.name.as_str()).collect();
    assert_eq!(names, families);
    let latency = metrics(&last)
        .iter()
        .find_map(|metric| match metric.data.as_ref() {
            Some(Data::Summary(summary)) => Some(&summary.data_points[0]),
            _ => None,
        });
    let latency = latency.unwrap();
    assert_eq!(latency.count, 3);
    assert_eq!(latency.quantile_values.len(), 4);
    let greatest = latency.quantile_values[3].value;
    assert!(latency.sum > 0.0 && latency.sum <= 3.05 * greatest, "{latency:?}");
}

#[tokio::test]
async fn what_did_not_arrive_is_said_by_the_next() {
    let (collector, to) = (Collector::start().await, Collector::start().await);
    to.always(Do::Refuse(RpcStatus::new(Code::Unavailable, "restarting")));
    let gateway = start(&collector, Some(&to), Duration::from_millis(50));
    let mut sender = Grpc::connect(gateway.grpc_address()).await;
    assert_eq!(sender.export(&one_span(1)).await.status.code, Code::Ok);
    until("some were refused", async || exports(&to).len() >= 2).await;
    to.always(Do::Accept);
    let before = exports(&to).len();
    until("others arrive", async || exports(&to).len() > before + 1).await;
    let last = lines(&exports(&to).pop().unwrap());
    let accepted = "evenkeel_requests_total{transport=\"grpc\",signal=\"traces\",answer=\"accepted\"} 1";
    assert!(last.contains(accepted), "{last:?}");
}

#[tokio::test]
async fn the_last_figures_are_sent_when_it_ends_and_go_where_requests_go_unless_told_otherwise() {
    let collector = Collector::start().await;
    let gateway = start(&collector, None, Duration::from_secs(3600));
    let mut sender = Grpc::connect(gateway.grpc_address()).await;
    for trace in 0..3 {
        assert_eq!(sender.export(&one_span(trace)).await.status.code, Code::Ok);
    }
    assert!(exports(&collector).is_empty());
    drop(sender);
    gateway.shutdown().await;
    let last = lines(&exports(&collector).pop().unwrap());
    let accepted = "evenkeel_requests_total{transport=\"grpc\",signal=\"traces\",answer=\"accepted\"} 3";
    assert!(last.contains(accepted), "{last:?}");
    assert!(last.contains("evenkeel_ready 0"), "it is draining: {last:?}");
}

#[tokio::test]
async fn a_collector_that_hangs_does_not_keep_the_gateway_from_ending() {
    let (collector, to) = (Collector::start().await, Collector::start().await);
    to.always(Do::Hold);
    let gateway = start(&collector, Some(&to), Duration::from_millis(50));
    until("it was asked", async || to.count() > 0).await;
    let ended = tokio::time::timeout(Duration::from_secs(10), gateway.shutdown()).await;
    assert!(ended.is_ok(), "drain_timeout is 20 s");
}
