//! What the gateway tells of itself.

use evenkeel_gateway::Gateway;
use evenkeel_otlp::rpc::Code;
use http_body_util::BodyExt;
use serde_json::Value;

use crate::collector::Collector;
use crate::requests::one_span;
use crate::sender::{Grpc, framed, get, post};
use crate::{config_with, gateway, until};

const CHECK: &str = "/grpc.health.v1.Health/Check";
const WATCH: &str = "/grpc.health.v1.Health/Watch";

#[tokio::test]
async fn ready_is_who_has_a_collector_to_send_to() {
    let collector = Collector::start().await;
    let mut config = config_with(&[&collector], "client.balancer.health_check_interval = \"250ms\"");
    config.client.health_checks = evenkeel_otlp::HealthChecks::Tcp;
    let gateway = Gateway::start(config).unwrap();
    let admin = gateway.admin_address();
    until("it is ready", async || get(admin, "/readyz").await.status == 200).await;
    assert_eq!(get(admin, "/healthz").await.status, 200);
    let mut sender = Grpc::connect(gateway.grpc_address()).await;
    let services = ["", "opentelemetry.proto.collector.trace.v1.TraceService"];
    for service in services {
        let mut request = vec![0x0a, u8::try_from(service.len()).unwrap()];
        request.extend(service.bytes());
        let answer = sender.call(CHECK, &[], framed(false, &request)).await;
        assert_eq!(
            (answer.status.code, &*answer.message),
            (Code::Ok, &[8, 1][..]),
            "{service}"
        );
    }
    assert_eq!(
        sender
            .call(CHECK, &[], framed(false, b"\x0a\x01x"))
            .await
            .status
            .code,
        Code::NotFound
    );
    let mut watch = sender.start(WATCH, &[], framed(false, b"")).await.into_body();
    let mut told = async || watch.frame().await.unwrap().unwrap().into_data().unwrap()[6];
    assert_eq!(told().await, 1);

    drop(collector);
    assert_eq!(told().await, 2);
    let answer = get(admin, "/readyz").await;
    assert_eq!((answer.status, answer.text()), (503, "no collector is ready\n"));
    let answer = sender.call(CHECK, &[], framed(false, b"")).await;
    assert_eq!(&*answer.message, [8, 2]);
    assert_eq!(get(admin, "/healthz").await.status, 200);
}

#[tokio::test]
async fn metrics_count_what_was_answered_and_can_be_read_line_by_line() {
    let collector = Collector::start().await;
    let gateway = gateway(&[&collector]);
    let mut sender = Grpc::connect(gateway.grpc_address()).await;
    for trace in 0..3 {
        assert_eq!(sender.export(&one_span(trace)).await.status.code, Code::Ok);
    }
    let headers = [("content-type", "application/json")];
    assert_eq!(
        post(gateway.http_address(), "/v1/logs", &headers, "nonsense")
            .await
            .status,
        400
    );
    let answer = get(gateway.admin_address(), "/metrics").await;
    assert!(
        answer
            .header("content-type")
            .starts_with("text/plain; version=0.0.4")
    );
    let text = answer.text();
    for expected in [
        "evenkeel_requests_total{transport=\"grpc\",signal=\"traces\",answer=\"accepted\"} 3\n".to_owned(),
        "evenkeel_requests_total{transport=\"http\",signal=\"logs\",answer=\"rejected\"} 1\n".to_owned(),
        format!(
            "evenkeel_collector_requests_total{{collector=\"{}\",outcome=\"success\"}} 3\n",
            collector.url()
        ),
        format!(
            "evenkeel_collector_readiness{{collector=\"{}\",readiness=\"ready\"}} 1\n",
            collector.url()
        ),
        format!(
            "evenkeel_collector_latency_seconds_count{{collector=\"{}\"}} 3\n",
            collector.url()
        ),
        "evenkeel_ready 1\n".to_owned(),
    ] {
        assert!(text.contains(&expected), "{expected} in {text}");
    }
    let mut family = "";
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            family = rest.split(' ').next().unwrap();
        } else if !line.starts_with("# HELP ") {
            let (name, value) = line.rsplit_once(' ').unwrap();
            assert!(name.starts_with(family), "{line} under {family}");
            assert!(value.parse::<f64>().is_ok(), "{line}");
        }
    }
}

#[tokio::test]
async fn the_status_names_each_collector_and_why_it_is_as_it_is() {
    let collector = Collector::start().await;
    let gateway = Gateway::start(config_with(&[&collector], "route = \"trace_id\"")).unwrap();
    let mut sender = Grpc::connect(gateway.grpc_address()).await;
    sender.export(&one_span(1)).await;
    let status = get(gateway.admin_address(), "/status").await;
    let status: Value = serde_json::from_slice(&status.body).unwrap();
    assert_eq!(
        (&status["route"], &status["strategy"]),
        (&"trace_id".into(), &"rendezvous".into())
    );
    let told = &status["collectors"][0];
    assert_eq!(told["id"], collector.url());
    assert_eq!(
        (&told["readiness"], &told["reason"]),
        (&"ready".into(), &"well".into())
    );
    assert_eq!((&told["successes"], &told["share"]), (&1.into(), &1.0.into()));
}

#[tokio::test]
async fn the_admin_port_changes_nothing_and_knows_its_paths() {
    let collector = Collector::start().await;
    let gateway = gateway(&[&collector]);
    let admin = gateway.admin_address();
    assert_eq!(post(admin, "/status", &[], "").await.status, 405);
    let answer = get(admin, "/v1/traces").await;
    assert_eq!(answer.status, 404);
    assert!(answer.text().contains("/metrics"));
}
