//! Ending well.

use std::time::Duration;

use bytes::Bytes;
use evenkeel_gateway::{Drained, Gateway};
use evenkeel_otlp::rpc::Code;
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;

use crate::collector::{Collector, Do};
use crate::requests::one_span;
use crate::sender::{Grpc, TRACES, framed, get};
use crate::{config_with, until};

#[tokio::test]
async fn what_is_under_way_is_answered_and_nothing_new_is_taken() {
    let collector = Collector::start().await;
    collector.always(Do::Hold);
    let gateway = Gateway::start(config_with(&[&collector], "")).unwrap();
    let (grpc, admin) = (gateway.grpc_address(), gateway.admin_address());
    let mut sender = Grpc::connect(grpc).await;
    let idle = Grpc::connect(grpc).await;
    let mut watch = sender
        .start("/grpc.health.v1.Health/Watch", &[], framed(false, b""))
        .await
        .into_body();
    let held = {
        let mut sender = sender.clone();
        tokio::spawn(async move { sender.export(&one_span(1)).await })
    };
    until("it is under way", async || collector.count() == 1).await;
    let draining = tokio::spawn(gateway.shutdown());
    until("it says so", async || get(admin, "/readyz").await.status == 503).await;
    until("the idle one is told", async || idle.is_closed()).await;
    until("nothing new is taken", async || {
        TcpStream::connect(grpc.unwrap()).await.is_err()
    })
    .await;
    assert!(!held.is_finished() && !draining.is_finished());
    collector.release();
    assert_eq!(held.await.unwrap().status.code, Code::Ok);
    assert_eq!(draining.await.unwrap(), Drained::Whole);
    let mut last = 0;
    while let Some(frame) = watch.frame().await {
        if let Some(data) = frame.unwrap().data_ref() {
            last = data[6];
        }
    }
    assert_eq!(last, 2, "who watches is told, and then let go");
}

#[tokio::test]
async fn a_drain_ends_by_its_deadline_and_says_how_many_were_cut_off() {
    let collector = Collector::start().await;
    collector.always(Do::Hold);
    let config = config_with(&[&collector], "drain_timeout = \"200ms\"");
    let gateway = Gateway::start(config).unwrap();
    let mut sender = Grpc::connect(gateway.grpc_address()).await;
    let held = tokio::spawn(async move { sender.export(&one_span(1)).await });
    until("it is under way", async || collector.count() == 1).await;
    assert_eq!(gateway.shutdown().await, Drained::TimedOut { cut: 1 });
    assert!(held.await.is_err(), "its connection is cut");
}

#[tokio::test]
async fn before_the_doors_close_there_is_time_to_notice() {
    let collector = Collector::start().await;
    let config = config_with(&[&collector], "drain_delay = \"1h\"");
    let gateway = Gateway::start(config).unwrap();
    let (grpc, admin) = (gateway.grpc_address(), gateway.admin_address());
    let draining = tokio::spawn(gateway.shutdown());
    until("it says so", async || get(admin, "/readyz").await.status == 503).await;
    let mut late = Grpc::connect(grpc).await;
    assert_eq!(late.export(&one_span(1)).await.status.code, Code::Ok);
    draining.abort();
    let _ = tokio::time::timeout(Duration::from_secs(5), draining).await;
}

#[tokio::test]
async fn a_gateway_that_is_dropped_serves_nobody_any_more() {
    let collector = Collector::start().await;
    let gateway = Gateway::start(config_with(&[&collector], "")).unwrap();
    let grpc = gateway.grpc_address();
    let mut idle = Grpc::connect(grpc).await;
    assert_eq!(idle.export(&one_span(1)).await.status.code, Code::Ok);
    collector.always(Do::Hold);
    let mut sender = Grpc::connect(grpc).await;
    let held = tokio::spawn(async move { sender.try_export(&one_span(2)).await });
    until("it is under way", async || collector.count() == 2).await;
    drop(gateway);
    until("connections end", async || idle.is_closed()).await;
    assert_eq!(held.await.unwrap(), None, "it is cut off");
    until("nothing new is taken", async || {
        TcpStream::connect(grpc.unwrap()).await.is_err()
    })
    .await;
}

#[tokio::test]
async fn an_answer_that_its_sender_has_not_taken_is_not_done() {
    let collector = Collector::start().await;
    let config = config_with(&[&collector], "drain_timeout = \"200ms\"");
    let gateway = Gateway::start(config).unwrap();
    let stream = TcpStream::connect(gateway.grpc_address().unwrap()).await.unwrap();
    let (mut sender, connection) = http2::Builder::new(TokioExecutor::new())
        // No byte of an answer may go out but its head.
        .initial_stream_window_size(0)
        .handshake(TokioIo::new(stream))
        .await
        .unwrap();
    tokio::spawn(connection);
    let request = Request::post(format!("http://gateway{TRACES}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(Full::new(Bytes::from(framed(false, &one_span(1)))))
        .unwrap();
    let answer = sender.send_request(request).await.unwrap();
    assert_eq!(gateway.shutdown().await, Drained::TimedOut { cut: 1 });
    drop(answer);
}
