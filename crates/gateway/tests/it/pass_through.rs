//! What comes in goes out as it came, over either protocol.

use evenkeel_gateway::Gateway;
use evenkeel_otlp::rpc::Code;
use evenkeel_otlp::{Encoding, PartialSuccess, Signal};

use crate::collector::{Collector, Do};
use crate::requests::{gzip, log, one_span, spans};
use crate::sender::{Grpc, LOGS, TRACES, framed, post};
use crate::{config_with, gateway};

#[tokio::test]
async fn a_grpc_request_arrives_byte_for_byte_and_is_acknowledged_in_full() {
    let collector = Collector::start().await;
    let gateway = gateway(&[&collector]);
    let mut sender = Grpc::connect(gateway.grpc_address()).await;
    for trace in 0..20 {
        let answer = sender.export(&one_span(trace)).await;
        assert_eq!((answer.http, answer.status.code), (200, Code::Ok));
        assert!(answer.message.is_empty(), "partial_success must not be set");
    }
    let got = collector.got();
    for (trace, got) in (0..20).zip(&got) {
        assert_eq!((got.path.as_str(), &*got.body), (TRACES, &*one_span(trace)));
    }
    assert_eq!(got.len(), 20);
}

#[tokio::test]
async fn a_large_request_in_many_frames_arrives_whole() {
    let collector = Collector::start().await;
    let gateway = gateway(&[&collector]);
    let mut sender = Grpc::connect(gateway.grpc_address()).await;
    let large: Vec<u8> = (0..3_000_000_u32).map(|n| (n % 251) as u8).collect();
    assert_eq!(sender.export(&large).await.status.code, Code::Ok);
    let headers = [("content-type", "application/x-protobuf")];
    let answer = post(gateway.http_address(), "/v1/traces", &headers, large.clone()).await;
    assert_eq!(answer.status, 200);
    assert!(collector.got().iter().all(|got| got.body == large));
    assert_eq!(collector.count(), 2);
}

#[tokio::test]
async fn compressed_bytes_pass_untouched() {
    let collector = Collector::start().await;
    let gateway = gateway(&[&collector]);
    let mut sender = Grpc::connect(gateway.grpc_address()).await;
    // No gzip at all: nothing looks.
    let bytes = b"as good as compressed";
    for encoding in ["gzip", "zstd"] {
        let answer = sender
            .call(TRACES, &[("grpc-encoding", encoding)], framed(true, bytes))
            .await;
        assert_eq!(answer.status.code, Code::Ok);
        let got = collector.got().pop().unwrap();
        assert_eq!(
            (got.headers["grpc-encoding"].to_str().unwrap(), &*got.body),
            (encoding, &bytes[..])
        );
    }
}

#[tokio::test]
async fn every_signal_has_its_path_on_both_ports_and_over_both_protocols() {
    let collector = Collector::start().await;
    let gateway = gateway(&[&collector]);
    let services = [
        ("trace.v1.TraceService", "/v1/traces"),
        ("metrics.v1.MetricsService", "/v1/metrics"),
        ("logs.v1.LogsService", "/v1/logs"),
        (
            "profiles.v1development.ProfilesService",
            "/v1development/profiles",
        ),
        ("profiles.v1development.ProfilesService", "/v1/profiles"),
    ];
    for port in [gateway.grpc_address(), gateway.http_address()] {
        let mut sender = Grpc::connect(port).await;
        for (service, path) in services {
            let method = format!("/opentelemetry.proto.collector.{service}/Export");
            assert_eq!(
                sender.call(&method, &[], framed(false, b"x")).await.status.code,
                Code::Ok
            );
            assert_eq!(collector.got().pop().unwrap().path, method);
            let headers = [("content-type", "application/x-protobuf")];
            let answer = post(port, path, &headers, &b"x"[..]).await;
            assert_eq!(
                (answer.status, answer.header("content-type")),
                (200, "application/x-protobuf")
            );
            assert!(answer.body.is_empty());
            assert_eq!(collector.got().pop().unwrap().path, method);
        }
    }
}

#[tokio::test]
async fn json_reaches_a_collector_as_protobuf_and_is_answered_as_json() {
    let collector = Collector::start().await;
    let gateway = gateway(&[&collector]);
    let json = r#"{"resourceSpans":[{"scopeSpans":[{"spans":[
        {"traceId":"07070707070707070707070707070707","spanId":"0000000000000009"}]}]}]}"#;
    let headers = [("content-type", "application/json; charset=utf-8")];
    let answer = post(gateway.http_address(), "/v1/traces", &headers, json).await;
    assert_eq!(
        (answer.status, answer.header("content-type"), answer.text()),
        (200, "application/json", "{}")
    );
    assert_eq!(spans(&collector.got()[0].body), [(7, 9)]);

    let headers = [("content-type", "application/json"), ("content-encoding", "gzip")];
    let answer = post(
        gateway.http_address(),
        "/v1/traces",
        &headers,
        gzip(json.as_bytes()),
    )
    .await;
    assert_eq!(answer.status, 200);
    assert_eq!(spans(&collector.got()[1].body), [(7, 9)]);
}

#[tokio::test]
async fn a_partial_success_is_passed_up_and_not_sent_again() {
    let (first, second) = (Collector::start().await, Collector::start().await);
    let gateway = gateway(&[&first, &second]);
    first.always(Do::Partial(3, "too old"));
    second.always(Do::Partial(3, "too old"));
    let mut sender = Grpc::connect(gateway.grpc_address()).await;
    let answer = sender.export(&one_span(1)).await;
    assert_eq!(answer.status.code, Code::Ok);
    let read =
        |encoding, body: &[u8]| PartialSuccess::decode_response(Signal::Traces, encoding, body).unwrap();
    let expected = Some(PartialSuccess::new(3, "too old"));
    assert_eq!(read(Encoding::Protobuf, &answer.message), expected);
    let cases = [
        ("application/x-protobuf", Encoding::Protobuf, "x"),
        ("application/json", Encoding::Json, "{}"),
    ];
    for (media, encoding, body) in cases {
        let answer = post(
            gateway.http_address(),
            "/v1/traces",
            &[("content-type", media)],
            body,
        )
        .await;
        assert_eq!((answer.status, answer.header("content-type")), (200, media));
        assert_eq!(read(encoding, &answer.body), expected);
    }
    assert_eq!(first.count() + second.count(), 3);
}

#[tokio::test]
async fn collectors_over_http_get_what_came_over_grpc() {
    let collector = Collector::start().await;
    let config = config_with(&[&collector], "client.protocol = \"http/protobuf\"");
    let gateway = Gateway::start(config).unwrap();
    let mut sender = Grpc::connect(gateway.grpc_address()).await;
    assert_eq!(
        sender.call(LOGS, &[], framed(false, &log())).await.status.code,
        Code::Ok
    );
    let got = collector.got().remove(0);
    assert_eq!((got.path.as_str(), &*got.body), ("/v1/logs", &*log()));
}
