//! Every status a collector can answer with, and what the sender is told.

use std::time::Duration;

use evenkeel_gateway::Gateway;
use evenkeel_otlp::rpc::{Code, RpcStatus};

use crate::collector::{Collector, Do, throttle};
use crate::requests::one_span;
use crate::sender::{Grpc, post};
use crate::{config_with, gateway};

/// A gateway that sends each request once, to a collector that does this.
async fn before(what: Do) -> (Collector, Gateway) {
    let collector = Collector::start().await;
    let config = config_with(&[&collector], "client.balancer.max_retries = 0");
    collector.always(what);
    let gateway = Gateway::start(config).unwrap();
    (collector, gateway)
}

/// One request over each protocol, to gateways that know nothing of the collector yet.
async fn told(what: Do) -> (RpcStatus, u16, String) {
    let (_collector, gateway) = before(what.clone()).await;
    let mut sender = Grpc::connect(gateway.grpc_address()).await;
    let called = sender.export(&one_span(1)).await;
    let (_collector, gateway) = before(what).await;
    let headers = [("content-type", "application/x-protobuf")];
    let answer = post(gateway.http_address(), "/v1/traces", &headers, one_span(1)).await;
    let status = RpcStatus::decode_protobuf(&answer.body).unwrap();
    assert_eq!(status.code, called.status.code, "both protocols say the same");
    assert_eq!(answer.header("content-type"), "application/x-protobuf");
    (
        called.status,
        answer.status,
        answer.header("retry-after").to_owned(),
    )
}

#[tokio::test]
async fn whether_to_send_again_is_passed_on_for_every_code() {
    for code in Code::ALL.into_iter().filter(|&code| code != Code::Ok) {
        for delay in [None, Some(Duration::from_secs(2))] {
            let mut said = RpcStatus::new(code, "because");
            said.retry_delay = delay;
            let may = said.is_retryable();
            let (status, http, retry_after) = told(Do::Refuse(said.clone())).await;
            assert_eq!(status.is_retryable(), may, "{said:?} became {status:?}");
            assert_eq!(
                matches!(http, 429 | 502 | 503 | 504),
                may,
                "{said:?} became {http}"
            );
            assert!(status.message.contains("because"), "{status:?}");
            if !may {
                assert_eq!((status.code, status.retry_delay), (code, None), "{said:?}");
                assert_eq!(retry_after, "");
            } else if delay.is_some() {
                assert_eq!(
                    (status.retry_delay, retry_after.as_str()),
                    (delay, "2"),
                    "{said:?}"
                );
            } else {
                // The gateway's own word, so that nobody comes back at once.
                assert_eq!(retry_after, "1", "{said:?}");
            }
        }
    }
}

#[tokio::test]
async fn a_proxy_that_answers_in_the_place_of_a_collector_does_not_make_senders_drop() {
    for (http, may) in [
        (502, true),
        (503, true),
        (504, true),
        (429, true),
        (500, false),
        (400, false),
        (404, false),
    ] {
        let (status, _, _) = told(Do::Http(http)).await;
        assert_eq!(status.is_retryable(), may, "{http} became {status:?}");
    }
}

#[tokio::test]
async fn what_one_collector_can_not_take_another_gets_and_the_sender_never_knows() {
    let (bad, good) = (Collector::start().await, Collector::start().await);
    let gateway = gateway(&[&bad, &good]);
    bad.always(Do::Refuse(RpcStatus::new(Code::Unavailable, "restarting")));
    let mut sender = Grpc::connect(gateway.grpc_address()).await;
    for trace in 0..50 {
        assert_eq!(sender.export(&one_span(trace)).await.status.code, Code::Ok);
    }
    assert_eq!(good.count(), 50);
    assert!(bad.count() >= 1);
}

#[tokio::test]
async fn a_throttled_sender_is_told_how_long_when_all_collectors_are() {
    let (first, second) = (Collector::start().await, Collector::start().await);
    let config = config_with(&[&first, &second], "client.timeout = \"2s\"");
    let gateway = Gateway::start(config).unwrap();
    for collector in [&first, &second] {
        collector.always(Do::Refuse(throttle(
            Code::ResourceExhausted,
            Duration::from_secs(30),
        )));
    }
    let mut sender = Grpc::connect(gateway.grpc_address()).await;
    let status = sender.export(&one_span(1)).await.status;
    assert!(status.is_retryable(), "{status:?}");
    assert!(status.retry_delay.is_some(), "{status:?}");
}

#[tokio::test]
async fn a_sender_that_waits_less_than_the_gateway_is_answered_in_its_time() {
    let collector = Collector::start().await;
    let gateway = gateway(&[&collector]);
    collector.always(Do::Hold);
    let mut sender = Grpc::connect(gateway.grpc_address()).await;
    let framed = crate::sender::framed(false, &one_span(1));
    let answer = sender
        .call(crate::sender::TRACES, &[("grpc-timeout", "200m")], framed)
        .await;
    assert_eq!(answer.status.code, Code::DeadlineExceeded);
    assert!(answer.status.is_retryable());
}

#[tokio::test]
async fn with_no_collector_reachable_senders_keep_what_they_have() {
    let collector = Collector::start().await;
    let gateway = Gateway::start(config_with(&[&collector], "client.timeout = \"1s\"")).unwrap();
    drop(collector);
    let mut sender = Grpc::connect(gateway.grpc_address()).await;
    let status = sender.export(&one_span(1)).await.status;
    assert!(status.is_retryable(), "{status:?}");
}
