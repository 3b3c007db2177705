//! Collectors that ask for less.

use std::time::Duration;

use evenkeel::strategy::LoadBalancingStrategy;
use evenkeel_otlp::rpc::{Code, RpcStatus};
use evenkeel_otlp::{Protocol, SendError, SendOptions};

use crate::collector::{Act, Collector, arrived, client_of, client_with, connected, export};

const BOTH: [Protocol; 2] = [Protocol::Grpc, Protocol::HttpProtobuf];

/// What a collector answers that is to be left alone for so long.
fn busy(wait: Duration) -> Act {
    Act::Status(RpcStatus::new(Code::Unavailable, "busy").with_retry_delay(wait))
}

#[tokio::test]
async fn who_throttles_is_left_alone_for_as_long_and_the_others_carry_on() {
    let grpc = RpcStatus::new(Code::Unavailable, "busy").with_retry_delay(Duration::from_secs(240));
    let exhausted =
        RpcStatus::new(Code::ResourceExhausted, "busy").with_retry_delay(Duration::from_secs(240));
    let seconds: &[_] = &[("retry-after", "240")];
    let date: &[_] = &[
        ("date", "Sun, 06 Nov 1994 08:49:00 GMT"),
        ("retry-after", "Sun, 06 Nov 1994 08:53:00 GMT"),
    ];
    let cases = [
        (Protocol::Grpc, Act::Status(grpc.clone())),
        (Protocol::Grpc, Act::Status(exhausted)),
        (Protocol::HttpProtobuf, Act::Http(429, seconds, Vec::new())),
        (Protocol::HttpProtobuf, Act::Http(503, date, Vec::new())),
        (
            Protocol::HttpProtobuf,
            Act::Http(503, &[], grpc.encode_protobuf()),
        ),
    ];
    for (protocol, act) in cases {
        for strategy in [LoadBalancingStrategy::PeakEwma, LoadBalancingStrategy::RoundRobin] {
            let collectors = Collector::three(protocol).await;
            let client = client_with(&collectors, |config| config.balancer.strategy = strategy);
            collectors[0].usually(act.clone());
            let mut next = 0;
            while collectors[0].count() == 0 {
                client.send(export(next)).await.unwrap();
                next += 1;
            }
            for number in next..next + 200 {
                client.send(export(number)).await.unwrap();
            }
            assert_eq!(collectors[0].count(), 1, "{act:?}");
            assert_eq!(arrived(&collectors[1..]), (0..next + 200).collect());
        }
    }
}

#[tokio::test]
async fn when_all_throttle_the_sender_is_told_for_how_long() {
    for protocol in BOTH {
        let collectors = Collector::three(protocol).await;
        for collector in &collectors {
            collector.usually(match protocol {
                Protocol::Grpc => Act::Status(
                    RpcStatus::new(Code::Unavailable, "busy").with_retry_delay(Duration::from_secs(90)),
                ),
                _ => Act::Http(429, &[("retry-after", "90")], Vec::new()),
            });
        }
        let client = client_with(&collectors, |config| config.balancer.max_retries = 4);
        connected(&client).await;
        for number in 0..3 {
            let error = client.send(export(number)).await.unwrap_err();
            assert!(matches!(error, SendError::Throttled { .. }), "{error}");
            assert!(error.is_retryable());
            let after = error.retry_after().unwrap();
            assert!(
                after <= Duration::from_secs(90) && after > Duration::from_secs(5),
                "{after:?}"
            );
            // Later ones ask nobody in vain again and again.
            let expected = if number == 0 { 3 } else { 1 };
            assert_eq!(error.attempts().unwrap().len(), expected, "{error}");
        }
        let counts = collectors.each_ref().map(Collector::count);
        assert_eq!(counts, [1, 1, 1], "each was asked once");
    }
}

/// The wait is longer than the request has time: to ask again and again until then would only take time.
#[tokio::test]
async fn while_a_lone_collector_is_to_be_left_alone_requests_end_at_once() {
    let collector = Collector::start(Protocol::Grpc).await;
    collector.usually(busy(Duration::from_secs(90)));
    let client = client_of([&collector]);
    for number in 0..5 {
        let error = client.send(export(number)).await.unwrap_err();
        assert!(matches!(error, SendError::Throttled { .. }), "{error}");
        assert_eq!(error.attempts().unwrap().len(), 1, "{error}");
        assert!(error.retry_after().unwrap() > Duration::from_secs(60), "{error}");
    }
    assert_eq!(collector.count(), 1);
}

/// The least of them counts, whichever was asked last.
#[tokio::test]
async fn the_sender_is_told_when_the_first_of_them_may_be_asked() {
    let [soon, late, latest] = Collector::three(Protocol::Grpc).await;
    for (collector, seconds) in [(&soon, 100), (&late, 200), (&latest, 300)] {
        collector.usually(busy(Duration::from_secs(seconds)));
    }
    let client = client_of([&soon, &late, &latest]);
    connected(&client).await;
    client.send(export(0)).await.unwrap_err();
    for number in 1..20 {
        let after = client.send(export(number)).await.unwrap_err().retry_after();
        assert!(after.unwrap() <= Duration::from_secs(100), "{after:?}");
    }
}

#[tokio::test]
async fn a_short_silence_of_all_is_waited_for_without_a_retry() {
    let collector = Collector::start(Protocol::Grpc).await;
    let client = client_with([&collector], |config| config.balancer.max_retries = 0);
    collector.next([busy(Duration::from_millis(300))]);
    let error = client.send(export(0)).await.unwrap_err();
    assert!(matches!(error, SendError::Throttled { .. }), "{error}");
    let accepted = client.send(export(1)).await.unwrap();
    assert_eq!((accepted.attempts, collector.count()), (2, 2));

    // Not for longer than there is time.
    collector.next([busy(Duration::from_secs(60))]);
    let short = SendOptions::new().with_timeout(Duration::from_secs(59));
    for number in 2..4 {
        let error = client.send_with(export(number), &short).await.unwrap_err();
        assert!(matches!(error, SendError::Throttled { .. }), "{error}");
    }
    assert_eq!(collector.count(), 3);
}
