//! Collectors that die, hang, throttle and come back.

use std::collections::HashSet;
use std::time::Duration;

use evenkeel::balancer::HedgeConfig;
use evenkeel::strategy::LoadBalancingStrategy;
use evenkeel_otlp::rpc::{Code, RpcStatus};
use evenkeel_otlp::{OtlpClient, Protocol, SendError};
use tokio::task::JoinSet;

use crate::collector::{Act, Collector, client_of, client_with, connected, export, number};

const BOTH: [Protocol; 2] = [Protocol::Grpc, Protocol::HttpProtobuf];

/// Sends requests of these numbers, some at a time; all must be acknowledged.
async fn send_all(client: &OtlpClient, numbers: std::ops::Range<u32>) {
    let mut sending = JoinSet::new();
    for number in numbers {
        let client = client.clone();
        sending.spawn(async move { client.send(export(number)).await });
        if sending.len() >= 16 {
            sending.join_next().await.unwrap().unwrap().unwrap();
        }
    }
    while let Some(sent) = sending.join_next().await {
        sent.unwrap().unwrap();
    }
}

/// Which numbers arrived anywhere.
fn arrived(collectors: &[Collector]) -> HashSet<u32> {
    let all = collectors.iter().flat_map(Collector::received);
    all.map(|received| number(&received)).collect()
}

#[tokio::test]
async fn nothing_is_lost_when_a_collector_is_killed_with_requests_on_it() {
    for protocol in BOTH {
        let mut collectors = Collector::three(protocol).await;
        let client = client_of(&collectors);
        send_all(&client, 0..100).await;
        collectors[0].usually(Act::Hang);
        let sending = tokio::spawn({
            let client = client.clone();
            async move { send_all(&client, 100..400).await }
        });
        let before = collectors[0].count();
        collectors[0].until_received(before + 1).await;
        collectors[0].kill().await;
        sending.await.unwrap();
        send_all(&client, 400..500).await;
        assert_eq!(
            arrived(&collectors[1..]).len() + collectors[0].count(),
            500 + duplicates(&collectors),
            "{protocol}"
        );
        assert_eq!(arrived(&collectors), (0..500).collect(), "{protocol}");
    }
}

/// How many arrived more than once.
fn duplicates(collectors: &[Collector]) -> usize {
    let alive = arrived(&collectors[1..]);
    let dead = collectors[0].received();
    dead.iter()
        .filter(|received| alive.contains(&number(received)))
        .count()
}

#[tokio::test]
async fn a_collector_that_was_killed_is_used_again_when_it_is_back() {
    for protocol in BOTH {
        let mut collectors = Collector::three(protocol).await;
        let client = client_of(&collectors);
        send_all(&client, 0..60).await;
        collectors[0].kill().await;
        send_all(&client, 60..160).await;
        let before = collectors[0].count();
        collectors[0].restart().await;
        let mut next = 160;
        while collectors[0].count() < before + 5 {
            send_all(&client, next..next + 10).await;
            next += 10;
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test]
async fn a_lone_collector_that_restarts_costs_time_and_no_request() {
    for protocol in BOTH {
        let mut collector = Collector::start(protocol).await;
        let client = client_of([&collector]);
        client.send(export(1)).await.unwrap();
        collector.kill().await;
        let sending = tokio::spawn(async move { client.send(export(2)).await });
        tokio::task::yield_now().await;
        collector.restart().await;
        sending.await.unwrap().unwrap();
        assert_eq!(number(&collector.received()[1]), 2);
    }
}

#[tokio::test]
async fn a_hang_is_overtaken_by_a_hedge() {
    for protocol in BOTH {
        let collectors = Collector::three(protocol).await;
        let client = client_with(&collectors, |config| {
            config.balancer.hedging = Some(HedgeConfig::default());
        });
        send_all(&client, 0..300).await;
        collectors[0].usually(Act::Hang);
        // Without a hedge each that goes there would end by its time-out.
        for number in 300..360 {
            client.send(export(number)).await.unwrap();
        }
        assert_eq!(
            arrived(&collectors[1..])
                .intersection(&(300..360).collect())
                .count(),
            60
        );
    }
}

#[tokio::test]
async fn a_frozen_process_is_found_by_the_ping_and_its_requests_sent_again() {
    let collector = Collector::start(Protocol::Grpc).await;
    let client = client_with([&collector], |config| {
        config.keep_alive_interval = Duration::from_millis(50);
        config.keep_alive_timeout = Duration::from_millis(500);
    });
    client.send(export(1)).await.unwrap();
    let channel = client.balancer().backend(&collector.url()).unwrap();
    assert_eq!(channel.open_connections(), 1);
    collector.freeze();
    let sending = tokio::spawn({
        let client = client.clone();
        async move { client.send(export(2)).await }
    });
    while channel.open_connections() > 0 {
        tokio::task::yield_now().await;
    }
    collector.thaw();
    sending.await.unwrap().unwrap();
    assert_eq!(number(collector.received().last().unwrap()), 2);
}

/// Servers bear two pings for each silence. Who dies after those were answered is found without a third.
#[tokio::test]
async fn a_process_that_freezes_after_the_last_ping_is_found_too() {
    let collector = Collector::start(Protocol::Grpc).await;
    let client = client_with([&collector], |config| {
        config.keep_alive_interval = Duration::from_millis(20);
        config.keep_alive_timeout = Duration::from_secs(20);
        config.health_checks = evenkeel_otlp::HealthChecks::None;
    });
    client.send(export(0)).await.unwrap();
    let channel = client.balancer().backend(&collector.url()).unwrap();
    // One that is never answered, and given up: two pings.
    collector.next([Act::Hang]);
    let short = evenkeel_otlp::SendOptions::new().with_timeout(Duration::from_millis(300));
    client.send_with(export(1), &short).await.unwrap_err();
    assert_eq!(collector.connections(), 1, "the pings were answered");
    collector.freeze();
    let sending = tokio::spawn({
        let client = client.clone();
        async move { client.send_with(export(2), &short).await }
    });
    while channel.open_connections() > 0 {
        tokio::task::yield_now().await;
    }
    sending.await.unwrap().unwrap_err();
    collector.thaw();
    client.send(export(3)).await.unwrap();
}

#[tokio::test]
async fn slow_answers_are_not_taken_for_a_dead_connection() {
    let collector = Collector::start(Protocol::Grpc).await;
    let client = client_with([&collector], |config| {
        config.keep_alive_interval = Duration::from_millis(10);
        config.keep_alive_timeout = Duration::from_secs(20);
    });
    collector.usually(Act::Hang);
    let options = evenkeel_otlp::SendOptions::new().with_timeout(Duration::from_millis(300));
    client.send_with(export(1), &options).await.unwrap_err();
    collector.usually(Act::Accept);
    client.send(export(2)).await.unwrap();
    assert_eq!(collector.connections(), 1, "the pings were answered");
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
        }
        let counts = collectors.each_ref().map(Collector::count);
        assert_eq!(counts, [1, 1, 1], "each was asked once");
    }
}

#[tokio::test]
async fn a_collector_that_sends_us_away_in_peace_loses_nothing() {
    let collectors = Collector::three(Protocol::Grpc).await;
    let client = client_of(&collectors);
    for round in 0..5 {
        for collector in &collectors {
            collector.next([Act::GoAway]);
        }
        send_all(&client, round * 100..round * 100 + 100).await;
    }
    assert_eq!(arrived(&collectors), (0..500).collect());
}

/// A connection that the server has said farewell to stays open as long as a request is on it.
#[tokio::test]
async fn a_farewell_with_a_request_on_the_way_holds_up_neither_it_nor_others() {
    let collector = Collector::start(Protocol::Grpc).await;
    let client = client_of([&collector]);
    collector.next([Act::Hold, Act::GoAway]);
    let held = tokio::spawn({
        let client = client.clone();
        async move { client.send(export(0)).await }
    });
    collector.until_received(1).await;
    send_all(&client, 1..50).await;
    assert_eq!(collector.connections(), 2);
    collector.let_go();
    assert_eq!(held.await.unwrap().unwrap().attempts, 1);
    assert_eq!(collector.count(), 50);
}

/// Nobody listens at two of the three, and a packet to one of them is never answered.
#[tokio::test]
async fn a_dial_that_gets_nowhere_is_not_waited_for_while_another_collector_is_well() {
    let (mut dead, well) = (
        Collector::start(Protocol::Grpc).await,
        Collector::start(Protocol::Grpc).await,
    );
    dead.kill().await;
    // Takes connections and never says a word.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let client = client_with([&well, &dead], |config| {
        config.connect_timeout = Duration::from_secs(60);
        let url = format!("http://{}", silent.local_addr().unwrap());
        config
            .collectors
            .push(evenkeel_otlp::Collector::new(&url).unwrap());
    });
    for number in 0..50 {
        client.send(export(number)).await.unwrap();
    }
    assert_eq!(well.count(), 50);
}

#[tokio::test]
async fn a_request_that_was_dropped_leaves_nothing_under_way() {
    for protocol in BOTH {
        let collector = Collector::start(protocol).await;
        let client = client_of([&collector]);
        collector.next([Act::Hang]);
        let sending = tokio::spawn({
            let client = client.clone();
            async move { client.send(export(1)).await }
        });
        collector.until_received(1).await;
        sending.abort();
        assert!(sending.await.unwrap_err().is_cancelled());
        let backend = client.balancer().backend(&collector.url()).unwrap();
        assert_eq!(backend.in_flight(), 0);
        client.send(export(2)).await.unwrap();
        assert_eq!(client.shutdown(Duration::from_secs(60)).await, 0);
    }
}
