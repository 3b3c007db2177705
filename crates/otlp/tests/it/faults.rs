//! Collectors that die, hang, throttle and come back.

use std::time::Duration;

use evenkeel::balancer::HedgeConfig;
use evenkeel_otlp::{OtlpClient, Protocol};
use tokio::task::JoinSet;

use crate::collector::{Act, Collector, arrived, client_of, client_with, export, number};

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
        collectors[0].restart();
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
        collector.restart();
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

/// Takes connections and never says a word.
fn silent() -> (std::net::TcpListener, evenkeel_otlp::Collector) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    (listener, evenkeel_otlp::Collector::new(&url).unwrap())
}

/// Of seven, one refuses connections and five take them and say nothing.
#[tokio::test]
async fn a_dial_that_gets_nowhere_is_not_waited_for_while_another_collector_is_well() {
    let (mut dead, well) = (
        Collector::start(Protocol::Grpc).await,
        Collector::start(Protocol::Grpc).await,
    );
    dead.kill().await;
    let silent: Vec<_> = (0..5).map(|_| silent()).collect();
    let client = client_with([&well, &dead], |config| {
        config.connect_timeout = Duration::from_secs(60);
        config.health_checks = evenkeel_otlp::HealthChecks::None;
        config
            .collectors
            .extend(silent.iter().map(|(_, silent)| silent.clone()));
    });
    for number in 0..50 {
        client.send(export(number)).await.unwrap();
    }
    assert_eq!(well.count(), 50);
}

/// TLS over a long way, say.
#[tokio::test]
async fn a_collector_that_is_dialled_for_the_first_time_is_not_blamed_for_taking_its_time() {
    let well = Collector::start(Protocol::Grpc).await;
    let (_listener, slow) = silent();
    let client = client_with([&well], |config| {
        config.connect_timeout = Duration::from_secs(60);
        config.health_checks = evenkeel_otlp::HealthChecks::None;
        config.balancer.strategy = evenkeel::strategy::LoadBalancingStrategy::RoundRobin;
        config.collectors.push(slow.clone());
    });
    let started = tokio::time::Instant::now();
    for number in 0.. {
        client.send(export(number)).await.unwrap();
        if started.elapsed() > Duration::from_millis(150) {
            break;
        }
    }
    let stats = client.balancer().stats();
    let of_slow = stats.backends.iter().find(|one| one.id == slow.id()).unwrap();
    assert!(of_slow.requests.cancelled > 0, "it was tried");
    assert_eq!(of_slow.requests.failures, 0);
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
