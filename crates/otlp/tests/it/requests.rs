//! What goes over the wire, and what comes back.

use std::time::Duration;

use bytes::Bytes;
use evenkeel_otlp::{
    Compression, Encoding, Export, PartialSuccess, Protocol, SendError, SendOptions, Signal,
};

use crate::collector::{Act, Collector, client_of, client_with, connected, export};

const BOTH: [Protocol; 2] = [Protocol::Grpc, Protocol::HttpProtobuf];

#[tokio::test]
async fn each_signal_goes_to_its_place_and_arrives_as_it_was() {
    for protocol in BOTH {
        let collector = Collector::start(protocol).await;
        let client = client_with([&collector], |config| {
            config.headers.insert("x-tenant".to_owned(), "seven".to_owned());
        });
        for (index, signal) in Signal::ALL.into_iter().enumerate() {
            // Larger than a frame, and than a window.
            let body = Bytes::from(vec![index as u8; 2_500_000]);
            let export = Export::new(signal, Encoding::Protobuf, Compression::None, body.clone());
            let accepted = client.send(export).await.unwrap();
            assert_eq!((accepted.attempts, accepted.partial), (1, None));
            let received = collector.received().pop().unwrap();
            assert_eq!(received.body, body);
            assert_eq!(received.headers["x-tenant"], "seven");
            assert!(!received.compressed);
            let place = match (protocol, signal) {
                (Protocol::Grpc, _) => "Service/Export".to_owned(),
                (_, Signal::Profiles) => "/v1development/profiles".to_owned(),
                _ => format!("/v1/{}", signal.as_str()),
            };
            assert!(received.path.ends_with(&place), "{}", received.path);
        }
        if protocol == Protocol::Grpc {
            assert_eq!(collector.connections(), 1);
        }
    }
}

#[tokio::test]
async fn an_empty_request_is_a_request() {
    for protocol in BOTH {
        let collector = Collector::start(protocol).await;
        let export = Export::new(Signal::Logs, Encoding::Protobuf, Compression::None, Bytes::new());
        client_of([&collector]).send(export).await.unwrap();
        assert_eq!(collector.received()[0].body.len(), 0);
    }
}

#[tokio::test]
async fn partial_success_is_passed_up_and_never_sent_again() {
    for protocol in BOTH {
        let collectors = Collector::three(protocol).await;
        let partial = PartialSuccess::new(3, "too old");
        for collector in &collectors {
            collector.usually(Act::Partial(partial.clone()));
        }
        let client = client_of(&collectors);
        connected(&client).await;
        let accepted = client.send(export(1)).await.unwrap();
        assert_eq!((accepted.partial, accepted.attempts), (Some(partial), 1));
        assert_eq!(collectors.iter().map(Collector::count).sum::<usize>(), 1);
    }
}

#[tokio::test]
async fn what_is_compressed_passes_untouched_and_what_is_not_is_compressed_if_asked() {
    for protocol in BOTH {
        let collector = Collector::start(protocol).await;
        let client = client_with([&collector], |config| config.compression = Compression::Gzip);
        let plain = Bytes::from("again and again ".repeat(500));
        let fresh = Export::new(
            Signal::Traces,
            Encoding::Protobuf,
            Compression::None,
            plain.clone(),
        );
        client.send(fresh.clone()).await.unwrap();
        // Not what it says, but nobody looks.
        let passing = Bytes::from_static(b"compressed already");
        let export = Export::new(
            Signal::Traces,
            Encoding::Protobuf,
            Compression::Zstd,
            passing.clone(),
        );
        client.send(export).await.unwrap();
        let received = collector.received();
        let header = if protocol == Protocol::Grpc {
            "grpc-encoding"
        } else {
            "content-encoding"
        };
        assert!(received[0].compressed && received[0].body.len() < 500);
        assert_eq!(received[0].headers[header], "gzip");
        let arrived = Export::new(
            Signal::Traces,
            Encoding::Protobuf,
            Compression::Gzip,
            received[0].body.clone(),
        );
        assert_eq!(arrived.decoded(1 << 20).unwrap(), plain);
        assert_eq!(received[1].headers[header], "zstd");
        assert_eq!(received[1].body, passing);
    }
}

/// Many megabytes of gzip are a second in which nothing else is done on a thread of the runtime.
#[test]
fn a_large_request_is_compressed_beside_the_runtime() {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().max_blocking_threads(1).build().unwrap();
    runtime.block_on(async {
        let collector = Collector::start(Protocol::Grpc).await;
        let client = client_with([&collector], |config| config.compression = Compression::Gzip);
        let (end, ended) = std::sync::mpsc::channel::<()>();
        #[expect(clippy::disallowed_methods, reason = "it is what is tested")]
        tokio::task::spawn_blocking(move || ended.recv());
        let of = |length| {
            let body = vec![7; length];
            Export::new(Signal::Logs, Encoding::Protobuf, Compression::None, body.into())
        };
        client.send(of(10)).await.unwrap();
        let large = tokio::spawn({
            let (client, large) = (client.clone(), of(1 << 20));
            async move { client.send(large).await }
        });
        for number in 2..10 {
            client.send(of(1000)).await.unwrap();
            assert_eq!(collector.count(), number);
        }
        assert!(!large.is_finished(), "only what is small is compressed at once");
        // The time of a request is that of its compression too.
        let options = SendOptions::new().with_timeout(Duration::from_millis(30));
        let error = client.send_with(of(1 << 20), &options).await.unwrap_err();
        assert!(
            matches!(error, SendError::TimedOut { .. }) && error.is_retryable(),
            "{error}"
        );
        drop(end);
        large.await.unwrap().unwrap();
        let received = collector.received().pop().unwrap();
        assert!(received.compressed && received.body.len() < 100_000);
    });
}

#[tokio::test]
async fn json_goes_on_as_json_and_never_over_grpc() {
    let (grpc, http) = (
        Collector::start(Protocol::Grpc).await,
        Collector::start(Protocol::HttpProtobuf).await,
    );
    let json = Export::new(
        Signal::Traces,
        Encoding::Json,
        Compression::None,
        Bytes::from_static(b"{}"),
    );
    let client = client_of([&grpc, &http]);
    for _ in 0..10 {
        client.send(json.clone()).await.unwrap();
    }
    assert_eq!((grpc.count(), http.count()), (0, 10));
    assert_eq!(http.received()[0].headers["content-type"], "application/json");
    let partial = PartialSuccess::new(1, "why");
    http.usually(Act::Partial(partial.clone()));
    assert_eq!(client.send(json.clone()).await.unwrap().partial, Some(partial));
    let error = client_of([&grpc]).send(json).await.unwrap_err();
    assert!(
        matches!(error, SendError::Unsupported { .. }) && !error.is_retryable(),
        "{error}"
    );
}

#[tokio::test]
async fn json_is_not_dropped_while_those_who_take_it_are_down() {
    let (grpc, mut http) = (
        Collector::start(Protocol::Grpc).await,
        Collector::start(Protocol::HttpProtobuf).await,
    );
    let json = Export::new(
        Signal::Traces,
        Encoding::Json,
        Compression::None,
        Bytes::from_static(b"{}"),
    );
    let client = client_with([&grpc, &http], |config| config.balancer.max_retries = 3);
    client.send(json.clone()).await.unwrap();
    http.kill().await;
    for _ in 0..10 {
        let error = client.send(json.clone()).await.unwrap_err();
        assert!(error.is_retryable() && error.status().is_retryable(), "{error}");
    }
}

#[tokio::test]
async fn a_request_that_is_too_large_is_refused_before_it_is_sent() {
    let collector = Collector::start(Protocol::Grpc).await;
    let client = client_with([&collector], |config| config.max_request_size = 999);
    let error = client.send(export(1)).await.unwrap_err();
    assert!(
        matches!(
            error,
            SendError::TooLarge {
                size: 1000,
                limit: 999
            }
        ),
        "{error}"
    );
    assert!(!error.is_retryable());
    assert_eq!(collector.count(), 0);
    // Also if it would not be when it is compressed: then a collector would find it too large.
    let client = client_with([&collector], |config| {
        config.max_request_size = 999;
        config.compression = Compression::Gzip;
    });
    let error = client.send(export(1)).await.unwrap_err();
    assert!(matches!(error, SendError::TooLarge { .. }), "{error}");
}

#[tokio::test]
async fn who_has_taken_it_and_says_too_much_has_taken_it() {
    for protocol in BOTH {
        let collector = Collector::start(protocol).await;
        let client = client_with([&collector], |config| config.max_response_size = 10_000);
        collector.usually(Act::Partial(PartialSuccess::new(1, "x".repeat(20_000))));
        for number in 0..2 {
            let accepted = client.send(export(number)).await.unwrap();
            let message = accepted.partial.unwrap().message;
            assert!(message.contains("max_response_size = 10000"), "{message}");
            assert_eq!(accepted.attempts, 1);
        }
        assert_eq!(collector.count(), 2);
    }
}

#[tokio::test]
async fn a_status_counts_however_long_its_body_is() {
    let page = vec![b'x'; 200_000];
    let (busy, well) = (
        Collector::start(Protocol::HttpProtobuf).await,
        Collector::start(Protocol::HttpProtobuf).await,
    );
    let client = client_with([&busy], |config| {
        config.max_response_size = 10_000;
        let mut well = well.described();
        well.weight = 0;
        config.collectors.push(well);
    });
    busy.usually(Act::Http(503, &[], page.clone()));
    assert_eq!(client.send(export(1)).await.unwrap().attempts, 2);
    let client = client_of([&well]);
    well.usually(Act::Http(400, &[], page));
    let error = client.send(export(2)).await.unwrap_err();
    assert!(matches!(error, SendError::Rejected { .. }), "{error}");
    assert_eq!(well.count(), 2);
}

/// A server that says how long its answer is and closes before its end.
#[tokio::test]
async fn a_status_counts_though_its_body_breaks_off() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    for (status, accepted) in [("200 OK", true), ("400 Bad Request", false)] {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let serving = tokio::spawn(async move {
            let mut requests = 0;
            while let Ok((mut socket, _)) = listener.accept().await {
                let mut read = Vec::new();
                while !read.ends_with(&export(1).body()[..]) {
                    if socket.read_buf(&mut read).await.unwrap() == 0 {
                        break;
                    }
                }
                if read.is_empty() {
                    continue; // A check.
                }
                requests += 1;
                assert_eq!(requests, 1, "it was sent again");
                let head = format!("HTTP/1.1 {status}\r\ncontent-length: 100\r\n\r\nhalf");
                socket.write_all(head.as_bytes()).await.unwrap();
            }
        });
        let client = client_with([], |config| {
            let mut collector = evenkeel_otlp::Collector::new(&url).unwrap();
            collector.protocol = Some(Protocol::HttpProtobuf);
            config.collectors.push(collector);
        });
        match client.send(export(1)).await {
            Ok(taken) => assert!(accepted && taken.partial.is_some(), "{taken:?}"),
            Err(error) => assert!(!accepted && !error.is_retryable(), "{error}"),
        }
        assert!(!serving.is_finished());
        serving.abort();
    }
}

#[tokio::test]
async fn the_time_of_one_request_is_its_own() {
    for protocol in BOTH {
        let collector = Collector::start(protocol).await;
        let client = client_of([&collector]);
        client.send(export(0)).await.unwrap();
        collector.usually(Act::Hang);
        let options = SendOptions::new().with_timeout(Duration::from_millis(30));
        let error = client.send_with(export(1), &options).await.unwrap_err();
        assert!(
            matches!(error, SendError::TimedOut { .. }) && error.is_retryable(),
            "{error}"
        );
        if protocol == Protocol::Grpc {
            collector.until_received(2).await;
            let told = collector.received()[1].headers["grpc-timeout"].clone();
            let told: u64 = told.to_str().unwrap().strip_suffix('u').unwrap().parse().unwrap();
            assert!((1..=30_000).contains(&told), "{told}");
        }
    }
}

#[tokio::test]
async fn a_limit_of_requests_under_way_is_kept_and_named() {
    let collector = Collector::start(Protocol::Grpc).await;
    collector.usually(Act::Hang);
    let client = client_with([&collector], |config| {
        config.max_in_flight = 2;
        config.balancer.max_retries = 0;
    });
    let two = [client.clone(), client.clone()]
        .map(|client| tokio::spawn(async move { client.send(export(1)).await }));
    collector.until_received(2).await;
    let error = client.send(export(2)).await.unwrap_err();
    assert!(
        matches!(error, SendError::Busy { limit: 2, .. }) && error.is_retryable(),
        "{error}"
    );
    // Cancelled, they make room.
    for task in two {
        task.abort();
        assert!(task.await.unwrap_err().is_cancelled());
    }
    collector.usually(Act::Accept);
    client.send(export(3)).await.unwrap();
}

/// h2 would let the second wait behind the first, unseen, until its time is over.
#[tokio::test]
async fn who_allows_one_request_at_a_time_gets_one_and_another_collector_the_next() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let accepted = std::sync::Arc::new(tokio::sync::Notify::new());
    tokio::spawn({
        let accepted = accepted.clone();
        async move {
            let mut held = Vec::new();
            while let Ok((socket, _)) = listener.accept().await {
                let mut builder = h2::server::Builder::new();
                builder.max_concurrent_streams(1);
                let Ok(mut connection) = builder.handshake::<_, Bytes>(socket).await else {
                    continue;
                };
                while let Some(Ok(request)) = connection.accept().await {
                    held.push(request);
                    accepted.notify_one();
                }
            }
        }
    });
    let well = Collector::start(Protocol::Grpc).await;
    let client = client_with([], |config| {
        config.health_checks = evenkeel_otlp::HealthChecks::None;
        let mut well = well.described();
        well.weight = 0;
        let strict = evenkeel_otlp::Collector::new(&url).unwrap();
        config.collectors = vec![strict, well];
    });
    connected(&client).await;
    let first = tokio::spawn({
        let client = client.clone();
        async move { client.send(export(1)).await }
    });
    accepted.notified().await;
    assert_eq!(client.send(export(2)).await.unwrap().attempts, 2);
    assert_eq!(well.count(), 1);
    first.abort();
}

#[tokio::test]
async fn a_client_without_collectors_says_so() {
    let client = client_of([]);
    let error = client.send(export(1)).await.unwrap_err();
    assert!(
        matches!(error, SendError::NoCollector { .. }) && error.is_retryable(),
        "{error}"
    );
}
