//! What servers do with HTTP/2 that is allowed, and not what everybody does.

use std::time::Duration;

use bytes::Bytes;
use evenkeel_otlp::rpc::{Code, RpcStatus};
use evenkeel_otlp::{Collector as Described, Compression, Encoding, Export, Protocol, SendError, Signal};
use h2::server::SendResponse;
use http::{Request, Response};

use crate::collector::{Collector, client_with, connected, export};

/// A server that hands each request to `answer`. Returns its URL.
async fn server<F>(answer: F) -> String
where
    F: Fn(Request<h2::RecvStream>, SendResponse<Bytes>) + Clone + Send + 'static,
{
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let answer = answer.clone();
            tokio::spawn(async move {
                let Ok(mut connection) = h2::server::handshake(socket).await else {
                    return;
                };
                while let Some(Ok((request, respond))) = connection.accept().await {
                    answer(request, respond);
                }
            });
        }
    });
    url
}

/// A client of this one.
fn client_of(url: &str) -> evenkeel_otlp::OtlpClient {
    client_with([], |config| {
        config.collectors = vec![Described::new(url).unwrap()];
    })
}

fn head(status: &RpcStatus) -> Response<()> {
    let mut head = Response::builder()
        .header("content-type", "application/grpc")
        .body(())
        .unwrap();
    status.write_trailers(head.headers_mut());
    head
}

fn large() -> Export {
    let body = vec![7; 1 << 20];
    Export::new(Signal::Traces, Encoding::Protobuf, Compression::None, body.into())
}

/// As grpc-go and tonic do with what is too large for them: the answer, and a reset without an error.
#[tokio::test]
async fn an_answer_that_comes_before_all_was_sent_is_the_answer() {
    let url = server(|_unread, mut respond| {
        let status = RpcStatus::new(Code::ResourceExhausted, "message larger than max");
        let _ = respond.send_response(head(&status), true);
    })
    .await;
    let client = client_of(&url);
    let error = client.send(large()).await.unwrap_err();
    assert!(matches!(error, SendError::Rejected { .. }), "{error}");
    assert!(error.to_string().contains("message larger than max"), "{error}");
    assert_eq!(client.balancer().stats().backends[0].requests.failures, 0);
}

#[tokio::test]
async fn a_status_in_the_head_counts_though_the_stream_goes_on() {
    // Ended by an empty frame, as some proxies do; or not at all.
    for ended in [true, false] {
        let url = server(move |request, mut respond| {
            let code = match request.headers().get("x-wanted") {
                Some(_) => Code::InvalidArgument,
                None => Code::Ok,
            };
            let Ok(mut stream) = respond.send_response(head(&RpcStatus::new(code, "because")), false) else {
                return;
            };
            if ended || code == Code::Ok {
                stream.send_data(Bytes::new(), true).unwrap();
            } else {
                tokio::spawn(async move {
                    let _held = (stream, request);
                    std::future::pending::<()>().await;
                });
            }
        })
        .await;
        let accepted = client_of(&url).send(export(1)).await.unwrap();
        assert_eq!((accepted.attempts, accepted.partial), (1, None));
        let refused = client_with([], |config| {
            config.collectors = vec![Described::new(&url).unwrap()];
            config.headers.insert("x-wanted".to_owned(), "no".to_owned());
        });
        let error = refused.send(export(2)).await.unwrap_err();
        assert!(matches!(error, SendError::Rejected { .. }), "{error}");
    }
}

/// A server that wakes and finds more than 20 requests with their resets takes that for an attack, and ends the
/// connection.
#[tokio::test]
async fn a_burst_of_cancels_while_a_server_stands_still_takes_nobody_else_with_it() {
    let collector = Collector::start(Protocol::Grpc).await;
    let client = client_with([&collector], |config| {
        config.balancer.max_retries = 0;
        config.health_checks = evenkeel_otlp::HealthChecks::None;
    });
    connected(&client).await;
    client.send(export(0)).await.unwrap();
    for round in 1..=5 {
        collector.freeze();
        settle().await;
        let staying = tokio::spawn({
            let client = client.clone();
            async move { client.send(export(round)).await }
        });
        settle().await;
        let mut leaving: Vec<_> = (0..100)
            .map(|number| Box::pin(client.send(export(1000 * round + number))))
            .collect();
        for one in &mut leaving {
            assert!(futures::poll!(one).is_pending());
        }
        settle().await;
        drop(leaving);
        settle().await;
        collector.thaw();
        assert_eq!(staying.await.unwrap().unwrap().attempts, 1);
    }
    client.send(export(9)).await.unwrap();
    assert_eq!(collector.connections(), 1);
    // They are given up all the same: their places are free again.
    let backend = client.balancer().backend(&collector.url()).unwrap();
    assert_eq!(backend.in_flight(), 0);
    for number in 0..300 {
        client.send(export(number)).await.unwrap();
    }
}

/// Lets every task do what it can do now.
async fn settle() {
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn each_attempt_is_told_the_time_that_is_left() {
    let collector = Collector::start(Protocol::Grpc).await;
    let client = client_with([&collector], |config| {
        config.balancer.retry_delay = Duration::from_millis(20);
    });
    let busy = RpcStatus::new(Code::Aborted, "again");
    collector.next([
        crate::collector::Act::Status(busy.clone()),
        crate::collector::Act::Status(busy),
    ]);
    assert_eq!(client.send(export(1)).await.unwrap().attempts, 3);
    let told = collector.received().into_iter().map(|received| {
        let value = received.headers["grpc-timeout"].to_str().unwrap().to_owned();
        let micros: u64 = value.strip_suffix('u').unwrap().parse().unwrap();
        micros
    });
    let told: Vec<_> = told.collect();
    assert_eq!(told[0], 60_000_000);
    assert!(told[0] > told[1] && told[1] > told[2], "{told:?}");
}
