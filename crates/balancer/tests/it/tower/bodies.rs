//! Bodies: how long a request is in flight, and what can be sent again.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use evenkeel_balancer::{BackendServer, BalancedService, InFlightUntil, LoadBalancer, ReplayBody};
use evenkeel_health::CircuitState;
use evenkeel_stats::TokioClock;
use http::{Request, Response};
use http_body_util::channel::{Channel, Sender};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Bytes, Frame};
use parking_lot::Mutex;
use tokio::time::sleep;
use tower::ServiceExt;

use super::server::{Does, Server};
use super::{balanced, counts, get, in_turn, nobody, post, repeatable};
use crate::quick;

/// A server that streams what is put into the sender.
async fn streaming() -> (Server, Sender<Bytes>) {
    let (sender, channel) = Channel::new(4);
    let does = Does::Streams(Arc::new(Mutex::new(Some(channel))));
    (Server::that(does).await, sender)
}

#[tokio::test]
async fn a_request_is_in_flight_until_its_body_has_ended() {
    let (server, mut sender) = streaming().await;
    let service = balanced(&[server.address], in_turn());
    let balancer = service.balancer().clone();
    sender.send_data("one".into()).await.unwrap();
    let response = service.oneshot(get()).await.unwrap();
    let mut body = response.into_body();
    let first = body.frame().await.unwrap().unwrap();
    assert_eq!(first.into_data().unwrap(), "one");
    assert_eq!(counts(&balancer).in_flight, 1, "there is more to come");
    sender.send_data("two".into()).await.unwrap();
    drop(sender);
    assert_eq!(body.collect().await.unwrap().to_bytes(), "two");
    let counts = counts(&balancer);
    assert_eq!((counts.in_flight, counts.successes), (0, 1));
}

#[tokio::test]
async fn a_body_that_is_dropped_before_its_end_counts_as_cancelled() {
    let (server, mut sender) = streaming().await;
    let service = balanced(&[server.address], in_turn());
    let balancer = service.balancer().clone();
    sender.send_data("one".into()).await.unwrap();
    let mut body = service.oneshot(get()).await.unwrap().into_body();
    body.frame().await.unwrap().unwrap();
    drop(body);
    let counts = counts(&balancer);
    assert_eq!((counts.in_flight, counts.cancelled, counts.successes), (0, 1, 0));
}

#[tokio::test]
async fn for_open_streams_the_head_can_be_the_end() {
    let (server, mut sender) = streaming().await;
    let service = balanced(&[server.address], in_turn()).with_in_flight_until(InFlightUntil::Head);
    let balancer = service.balancer().clone();
    sender.send_data("one".into()).await.unwrap();
    let body = service.oneshot(get()).await.unwrap().into_body();
    let counts = counts(&balancer);
    assert_eq!((counts.in_flight, counts.successes), (0, 1));
    drop(body);
}

#[tokio::test(start_paused = true)]
async fn a_trial_that_streams_is_passed_with_its_first_piece() {
    let (mut sender, channel) = Channel::<Bytes>::new(4);
    let channel = Arc::new(Mutex::new(Some(channel)));
    let backend = tower::service_fn(move |_: Request<ReplayBody>| {
        let channel = channel.lock().take().ok_or("asked twice");
        async move { channel.map(Response::new) }
    });
    let balancer = LoadBalancer::builder()
        .config(quick())
        .backends([BackendServer::new("a", backend)])
        .clock(Arc::new(TokioClock::new()))
        .build()
        .unwrap();
    for _ in 0..3 {
        balancer
            .record_request_result("a", false, Duration::ZERO)
            .unwrap();
    }
    sleep(Duration::from_millis(1_300)).await;
    let state = || balancer.stats().backends[0].breaker.state;
    let response = BalancedService::new(balancer.clone()).oneshot(get()).await;
    let mut body = response.unwrap().into_body();
    assert_eq!(state(), CircuitState::HalfOpen, "it has said nothing yet");
    sender.send_data("one".into()).await.unwrap();
    body.frame().await.unwrap().unwrap();
    assert_eq!(state(), CircuitState::Closed);
    assert_eq!(counts(&balancer).in_flight, 1, "and goes on");
}

#[tokio::test]
async fn a_body_that_breaks_off_is_the_backends_failure() {
    let (server, mut sender) = streaming().await;
    let service = balanced(&[server.address], in_turn());
    let balancer = service.balancer().clone();
    sender.send_data("one".into()).await.unwrap();
    let mut body = service.oneshot(get()).await.unwrap().into_body();
    body.frame().await.unwrap().unwrap();
    drop(server);
    assert!(body.collect().await.is_err());
    let counts = counts(&balancer);
    assert_eq!((counts.in_flight, counts.failures, counts.successes), (0, 1, 0));
}

#[tokio::test]
async fn a_body_that_was_kept_arrives_whole_each_time() {
    let (bad, good) = (
        Server::that(Does::Status(503)).await,
        Server::that(Does::Says("ok")).await,
    );
    for _ in 0..2 {
        let service = balanced(&[bad.address, good.address], in_turn());
        let mut request = post(vec![7; 60_000]);
        request.extensions_mut().insert(repeatable());
        let response = service.oneshot(request).await.unwrap();
        assert_eq!(response.status(), 200);
    }
    // Whoever was asked first, all got all of it.
    for seen in [bad.seen(), good.seen()].concat() {
        assert!(seen.len() == 60_000 && seen.iter().all(|&byte| byte == 7));
    }
    assert_eq!(good.seen().len(), 2);
}

#[tokio::test]
async fn a_body_too_long_to_be_kept_is_sent_once() {
    let bad = Server::that(Does::Status(503)).await;
    let other = Server::that(Does::Status(503)).await;
    let service = balanced(&[bad.address, other.address], in_turn()).with_kept_body(1_000);
    let mut request = post(vec![7; 60_000]);
    request.extensions_mut().insert(repeatable());
    let response = service.oneshot(request).await.unwrap();
    assert_eq!(response.status(), 503, "the answer that there is");
    let seen = [bad.seen(), other.seen()].concat();
    assert_eq!(seen.len(), 1);
    assert_eq!(seen[0].len(), 60_000);
}

#[tokio::test]
async fn a_stream_that_nobody_has_touched_goes_elsewhere() {
    for _ in 0..4 {
        let good = Server::that(Does::Says("ok")).await;
        let service = balanced(&[nobody(), good.address], in_turn());
        let (mut sender, channel) = Channel::<Bytes>::new(1);
        let request = Request::post("/").body(channel).unwrap();
        let answer = tokio::spawn(service.oneshot(request));
        sender.send_data("a stream".into()).await.unwrap();
        drop(sender);
        assert_eq!(answer.await.unwrap().unwrap().status(), 200);
        assert_eq!(good.seen(), ["a stream"]);
    }
}

#[tokio::test]
async fn a_body_of_the_callers_that_fails_is_the_callers_error_and_nobodys_failure() {
    let good = Server::that(Does::Says("ok")).await;
    let service = balanced(&[good.address], in_turn());
    let balancer = service.balancer().clone();
    let broken = [
        Ok(Frame::data(Bytes::from_static(b"a"))),
        Err(std::io::Error::other("the file is gone")),
    ];
    let body = StreamBody::new(futures::stream::iter(broken));
    let error = service
        .oneshot(Request::post("/").body(body).unwrap())
        .await
        .unwrap_err();
    assert!(error.to_string().contains("the file is gone"), "{error}");
    assert_eq!(counts(&balancer).requests, 0);
}

#[tokio::test]
async fn empty_pieces_without_end_take_no_memory_without_end() {
    let good = Server::that(Does::Says("ok")).await;
    let service = balanced(&[good.address], in_turn());
    let pieces = futures::stream::iter((0..100_000).map(|_| Ok::<_, Infallible>(Frame::data(Bytes::new()))));
    let request = Request::post("/").body(StreamBody::new(pieces)).unwrap();
    assert_eq!(service.oneshot(request).await.unwrap().status(), 200);
}
