//! Every gRPC code and every HTTP status: what becomes of the request, and of the collector that said it.

use std::time::Duration;

use evenkeel_otlp::rpc::{Code, RpcStatus};
use evenkeel_otlp::{Protocol, SendError};

use crate::collector::{Act, Collector, client_with, connected, export};

/// What is to come of a request whose first collector answers in some way and whose second accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// It is sent again, elsewhere.
    Again,
    /// It is given up.
    Dropped,
}

/// Sends one request to a collector that answers `act` and, if that may be, to another. Says what became of it,
/// and whether the first was blamed.
async fn fate_of(protocol: Protocol, act: Act, expected: Fate) -> bool {
    let (bad, good) = (Collector::start(protocol).await, Collector::start(protocol).await);
    bad.usually(act.clone());
    let client = client_with([&bad], |config| {
        config.balancer.max_retries = 1;
        config.health_checks = evenkeel_otlp::HealthChecks::None;
        // The other is asked only when the first was.
        let mut good = good.described();
        good.weight = 0;
        config.collectors.push(good);
    });
    connected(&client).await;
    let sent = client.send(export(1)).await;
    let what = format!("{protocol} {act:?}: {sent:?}");
    match (expected, &sent) {
        (Fate::Again, Ok(accepted)) => {
            assert_eq!(accepted.attempts, 2, "{what}");
            assert_eq!((bad.count(), good.count()), (1, 1), "{what}");
        }
        (Fate::Dropped, Err(error)) => {
            assert!(!error.is_retryable(), "{what}");
            assert!(!error.status().is_retryable(), "{what}");
            assert!(matches!(error, SendError::Rejected { .. }), "{what}");
            assert_eq!((bad.count(), good.count()), (1, 0), "{what}");
        }
        _ => panic!("{what} is not {expected:?}"),
    }
    // Alone, it is an error that says the same.
    let alone = client_with([&bad], |config| config.balancer.max_retries = 0);
    let error = alone.send(export(2)).await.unwrap_err();
    assert_eq!(error.is_retryable(), expected == Fate::Again, "{what}: {error}");
    assert_eq!(
        error.status().is_retryable(),
        expected == Fate::Again,
        "{what}: {error}"
    );
    let stats = client.balancer().stats();
    let bad = stats
        .backends
        .iter()
        .find(|stats| stats.id.as_str() == bad.url())
        .unwrap();
    bad.requests.failures + bad.requests.overloads > 0
}

#[tokio::test]
async fn each_grpc_code_is_repeated_or_dropped_as_the_specification_says() {
    use Code as C;
    for code in Code::ALL.into_iter().filter(|&code| code != C::Ok) {
        for retry_info in [false, true] {
            let again = match code {
                C::Cancelled
                | C::DeadlineExceeded
                | C::Aborted
                | C::OutOfRange
                | C::Unavailable
                | C::DataLoss => Fate::Again,
                C::ResourceExhausted if retry_info => Fate::Again,
                _ => Fate::Dropped,
            };
            let to_blame = !matches!(
                code,
                C::InvalidArgument
                    | C::AlreadyExists
                    | C::FailedPrecondition
                    | C::NotFound
                    | C::Unimplemented
            );
            let mut status = RpcStatus::new(code, "as you like it");
            if retry_info {
                status = status.with_retry_delay(Duration::from_millis(50));
            }
            let blamed = fate_of(Protocol::Grpc, Act::Status(status), again).await;
            assert_eq!(blamed, to_blame, "{code}");
        }
    }
}

#[tokio::test]
async fn each_http_status_is_repeated_or_dropped_as_the_specification_says() {
    for status in (300..=308).chain(400..=431).chain([451]).chain(500..=511) {
        if status == 304 {
            continue; // has no body, by the rules of HTTP
        }
        let expected = match status {
            429 | 502 | 503 | 504 => Fate::Again,
            _ => Fate::Dropped,
        };
        let to_blame = match status {
            404 | 405 | 415 | 501 => false,
            401 | 403 | 408 | 429 => true,
            _ => !(400..=499).contains(&status),
        };
        let blamed = fate_of(
            Protocol::HttpProtobuf,
            Act::Http(status, &[], Vec::new()),
            expected,
        )
        .await;
        assert_eq!(blamed, to_blame, "{status}");
        // A body that says otherwise changes nothing.
        let otherwise = match expected {
            Fate::Again => RpcStatus::new(Code::InvalidArgument, "no"),
            Fate::Dropped => RpcStatus::new(Code::Unavailable, "yes"),
        };
        let act = Act::Http(status, &[], otherwise.encode_protobuf());
        fate_of(Protocol::HttpProtobuf, act, expected).await;
    }
}

/// A proxy before the collector answers by itself.
#[tokio::test]
async fn an_http_answer_to_grpc_counts_by_the_http_table() {
    for (status, expected) in [
        // No success, whatever it thinks.
        (200, Fate::Dropped),
        (400, Fate::Dropped),
        (401, Fate::Dropped),
        (404, Fate::Dropped),
        (500, Fate::Dropped),
    ]
    .into_iter()
    .chain([429, 502, 503, 504].map(|status| (status, Fate::Again)))
    {
        let page = Act::Http(status, &[("content-type", "text/html")], b"<h1>no</h1>".to_vec());
        let blamed = fate_of(Protocol::Grpc, page, expected).await;
        assert_eq!(blamed, !matches!(status, 400 | 404), "{status}");
    }
}

#[tokio::test]
async fn no_answer_at_all_is_sent_again() {
    for act in [
        Act::Cut,
        Act::NoStatus,
        Act::Reset(h2::Reason::REFUSED_STREAM),
        Act::Reset(h2::Reason::INTERNAL_ERROR),
    ] {
        fate_of(Protocol::Grpc, act, Fate::Again).await;
    }
    fate_of(Protocol::HttpProtobuf, Act::Cut, Fate::Again).await;
}
