//! What happens at the limits.

use std::time::Duration;

use bytes::Bytes;
use evenkeel_gateway::Gateway;
use evenkeel_otlp::rpc::Code;
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

use crate::collector::{Collector, Do};
use crate::requests::one_span;
use crate::sender::{Grpc, framed, get, post};
use crate::{config, config_with, pass, until};

#[tokio::test]
async fn beyond_the_requests_allowed_senders_are_told_when_to_come_back() {
    let collector = Collector::start().await;
    collector.always(Do::Hold);
    let more = "limits.requests = 2\nlimits.retry_after = \"3s\"";
    let gateway = Gateway::start(config_with(&[&collector], more)).unwrap();
    let sender = Grpc::connect(gateway.grpc_address()).await;
    let held: Vec<_> = (0..2)
        .map(|trace| {
            let mut sender = sender.clone();
            tokio::spawn(async move { sender.export(&one_span(trace)).await })
        })
        .collect();
    until("two are under way", async || collector.count() == 2).await;

    let status = sender.clone().export(&one_span(9)).await.status;
    assert_eq!(
        (status.code, status.retry_delay),
        (Code::ResourceExhausted, Some(Duration::from_secs(3)))
    );
    let headers = [("content-type", "application/json")];
    let answer = post(gateway.http_address(), "/v1/traces", &headers, "{}").await;
    assert_eq!((answer.status, answer.header("retry-after")), (429, "3"));
    // Who looks after it still gets an answer.
    assert_eq!(get(gateway.admin_address(), "/healthz").await.status, 200);
    let metrics = get(gateway.admin_address(), "/metrics").await;
    assert!(
        metrics
            .text()
            .contains("evenkeel_refused_total{limit=\"requests\"} 2\n"),
        "{}",
        metrics.text()
    );
    assert!(metrics.text().contains("evenkeel_requests_in_flight 2\n"));

    until("those under way are done", async || {
        collector.release();
        held.iter().all(tokio::task::JoinHandle::is_finished)
    })
    .await;
    collector.always(Do::Accept);
    assert_eq!(sender.clone().export(&one_span(9)).await.status.code, Code::Ok);
    assert_eq!(collector.count(), 3);
}

#[tokio::test]
async fn the_memory_of_requests_is_bounded_and_given_back() {
    let collector = Collector::start().await;
    collector.always(Do::Hold);
    let more = "limits.memory = \"64KiB\"\nlimits.max_body_size = \"64KiB\"";
    let gateway = Gateway::start(config_with(&[&collector], more)).unwrap();
    let large = vec![0; 40 << 10];
    let sender = Grpc::connect(gateway.grpc_address()).await;
    let held = {
        let (mut sender, large) = (sender.clone(), large.clone());
        tokio::spawn(async move { sender.export(&large).await })
    };
    until("it is under way", async || collector.count() == 1).await;
    let status = sender.clone().export(&large).await.status;
    assert_eq!(status.code, Code::ResourceExhausted);
    assert!(status.is_retryable());
    until("it is done", async || {
        collector.release();
        held.is_finished()
    })
    .await;
    collector.always(Do::Accept);
    assert_eq!(sender.clone().export(&large).await.status.code, Code::Ok);
    let metrics = get(gateway.admin_address(), "/metrics").await;
    assert!(metrics.text().contains("evenkeel_held_bytes 0\n"));
}

#[tokio::test]
async fn many_idle_connections_make_room_for_those_that_have_something_to_send() {
    let collector = Collector::start().await;
    let mut config = config(&[&collector]);
    config.receiver.max_connections = 50;
    let gateway = Gateway::start(config).unwrap();
    let mut sender = Grpc::connect(gateway.grpc_address()).await;
    assert_eq!(sender.export(&one_span(0)).await.status.code, Code::Ok);
    let mut idle = Vec::new();
    for _ in 0..500 {
        idle.push(TcpStream::connect(gateway.http_address().unwrap()).await.unwrap());
    }
    let mut closed = 0;
    for stream in &mut idle[..400] {
        // Those that were there first and said nothing.
        let read = tokio::time::timeout(Duration::from_secs(20), stream.read(&mut [0])).await;
        closed += usize::from(!matches!(read, Ok(Ok(1..)) | Err(_)));
    }
    assert_eq!(closed, 400);
    assert!(!sender.is_closed(), "it has sent something, so others go first");
    for trace in 1..10 {
        assert_eq!(sender.export(&one_span(trace)).await.status.code, Code::Ok);
        let mut other = Grpc::connect(gateway.grpc_address()).await;
        assert_eq!(other.export(&one_span(trace)).await.status.code, Code::Ok);
    }
}

#[tokio::test]
async fn a_connection_that_rests_too_long_is_closed() {
    let collector = Collector::start().await;
    let mut config = config(&[&collector]);
    config.receiver.idle_timeout = Duration::from_secs(1);
    let gateway = Gateway::start(config).unwrap();
    let mut sender = Grpc::connect(gateway.grpc_address()).await;
    assert_eq!(sender.export(&one_span(0)).await.status.code, Code::Ok);
    until("it is closed", async || sender.is_closed()).await;
    // Its place is given back a moment after its client sees the end.
    until("its place is free", async || {
        let metrics = get(gateway.admin_address(), "/metrics").await;
        metrics.text().contains("evenkeel_connections 0\n")
    })
    .await;
}

#[tokio::test]
async fn an_http1_connection_rests_longer_than_a_head_may_take() {
    let collector = Collector::start().await;
    let mut config = config(&[&collector]);
    config.receiver.header_timeout = Duration::from_secs(1);
    let gateway = Gateway::start(config).unwrap();
    let stream = TcpStream::connect(gateway.http_address().unwrap()).await.unwrap();
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    for _ in 0..3 {
        let request = Request::post("/v1/traces")
            .header("host", "gateway")
            .header("content-type", "application/x-protobuf")
            .body(Full::new(Bytes::from(one_span(1))))
            .unwrap();
        sender.ready().await.unwrap();
        let response = sender.send_request(request).await.unwrap();
        assert_eq!(response.status(), 200);
        response.into_body().collect().await.unwrap();
        pass(Duration::from_secs(20)).await;
    }
}

const WATCH: &str = "/grpc.health.v1.Health/Watch";

#[tokio::test]
async fn who_watches_the_health_is_not_idle() {
    let collector = Collector::start().await;
    let mut config = config(&[&collector]);
    config.receiver.idle_timeout = Duration::from_secs(1);
    let gateway = Gateway::start(config).unwrap();
    let mut watcher = Grpc::connect(gateway.grpc_address()).await;
    let mut idle = watcher.clone();
    let mut watch = watcher.start(WATCH, &[], framed(false, b"")).await.into_body();
    assert!(watch.frame().await.unwrap().is_ok());
    pass(Duration::from_secs(10)).await;
    assert_eq!(idle.export(&one_span(1)).await.status.code, Code::Ok);
    drop(watch);
    until("it is closed", async || idle.is_closed()).await;
}

#[tokio::test]
async fn watches_of_the_health_are_limited_and_their_places_given_back() {
    let collector = Collector::start().await;
    let gateway = Gateway::start(config(&[&collector])).unwrap();
    let mut watches = Vec::new();
    for _ in 0..4 {
        let mut watcher = Grpc::connect(gateway.grpc_address()).await;
        for _ in 0..256 {
            let watch = watcher.start(WATCH, &[], framed(false, b"")).await;
            assert!(!watch.headers().contains_key("grpc-status"));
            watches.push(watch);
        }
    }
    let mut sender = Grpc::connect(gateway.grpc_address()).await;
    let status = sender.call(WATCH, &[], framed(false, b"")).await.status;
    assert_eq!(status.code, Code::ResourceExhausted);
    let check = "/grpc.health.v1.Health/Check";
    assert_eq!(
        sender.call(check, &[], framed(false, b"")).await.status.code,
        Code::Ok
    );
    drop(watches);
    until("there is a place again", async || {
        let watch = sender.start(WATCH, &[], framed(false, b"")).await;
        !watch.headers().contains_key("grpc-status")
    })
    .await;
}
