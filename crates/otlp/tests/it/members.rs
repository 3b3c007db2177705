//! Collectors that come and go while requests are under way, and the end of a client.

use std::time::Duration;

use evenkeel_otlp::{BuildError, Protocol, SendError};
use tokio::task::JoinSet;

use crate::collector::{Act, Collector, client_of, export};

#[tokio::test]
async fn collectors_are_replaced_while_requests_are_under_way_and_none_is_lost() {
    let old = Collector::three(Protocol::Grpc).await;
    let new = Collector::three(Protocol::HttpProtobuf).await;
    let client = client_of(&old);
    let mut sending = JoinSet::new();
    for round in 0..40_u32 {
        for number in 0..10 {
            let client = client.clone();
            sending.spawn(async move { client.send(export(round * 10 + number)).await });
        }
        let set = if round % 2 == 0 { &new } else { &old };
        client
            .set_collectors(set.iter().map(Collector::described).collect())
            .unwrap();
        tokio::task::yield_now().await;
    }
    while let Some(sent) = sending.join_next().await {
        sent.unwrap().unwrap();
    }
}

#[tokio::test]
async fn who_is_removed_finishes_what_it_has_and_gets_nothing_new() {
    for protocol in [Protocol::Grpc, Protocol::HttpProtobuf] {
        let (leaving, staying) = (Collector::start(protocol).await, Collector::start(protocol).await);
        let client = client_of([&leaving]);
        leaving.usually(Act::Hold);
        let sending = tokio::spawn({
            let client = client.clone();
            async move { client.send(export(1)).await }
        });
        leaving.until_received(1).await;
        client.set_collectors(vec![staying.described()]).unwrap();
        for number in 2..20 {
            client.send(export(number)).await.unwrap();
        }
        leaving.let_go();
        let accepted = sending.await.unwrap().unwrap();
        assert_eq!(
            (accepted.backend.as_str(), accepted.attempts),
            (&*leaving.url(), 1)
        );
        assert_eq!((leaving.count(), staying.count()), (1, 18));
    }
}

#[tokio::test]
async fn who_stays_keeps_connection_and_record_and_who_changes_starts_anew() {
    let (first, second) = (
        Collector::start(Protocol::Grpc).await,
        Collector::start(Protocol::Grpc).await,
    );
    let client = client_of([&first]);
    client.send(export(0)).await.unwrap();
    let mut heavier = first.described();
    heavier.weight = 5;
    client.set_collectors(vec![heavier, second.described()]).unwrap();
    for number in 0..20 {
        client.send(export(number)).await.unwrap();
    }
    assert_eq!(first.connections(), 1);
    assert_eq!(client.balancer().backend(&first.url()).unwrap().weight(), 5);

    // The same id, somewhere else: alone, so that there is no moment without a collector.
    let mut named = first.described();
    named.id = Some("one".to_owned());
    client.set_collectors(vec![named]).unwrap();
    let mut moved = second.described();
    moved.id = Some("one".to_owned());
    client.set_collectors(vec![moved]).unwrap();
    let before = second.count();
    client.send(export(21)).await.unwrap();
    assert_eq!(second.count(), before + 1);
    assert_eq!(client.balancer().ids().len(), 1);
}

#[tokio::test]
async fn a_thread_without_a_runtime_may_set_the_collectors() {
    for protocol in [Protocol::Grpc, Protocol::HttpProtobuf] {
        let collector = Collector::start(protocol).await;
        let client = client_of([]);
        let setting = std::thread::spawn({
            let (client, set) = (client.clone(), vec![collector.described()]);
            move || client.set_collectors(set)
        });
        setting.join().unwrap().unwrap();
        client.send(export(1)).await.unwrap();
    }
}

#[tokio::test]
async fn whoever_sets_the_collectors_during_a_shutdown_leaves_none_behind() {
    for _ in 0..200 {
        let collector = Collector::start(Protocol::HttpProtobuf).await;
        let client = client_of([]);
        let setting = std::thread::spawn({
            let (client, set) = (client.clone(), vec![collector.described()]);
            move || while client.set_collectors(set.clone()).is_ok() {}
        });
        tokio::task::yield_now().await;
        client.shutdown(Duration::ZERO).await;
        setting.join().unwrap();
        assert!(client.balancer().ids().is_empty());
    }
}

#[tokio::test]
async fn a_client_stays_as_long_as_only_its_collectors_change() {
    let [first, second, third] = Collector::three(Protocol::Grpc).await;
    let client = client_of([&first, &second]);
    client.send(export(0)).await.unwrap();
    let mut config = client.config().clone();
    let same = client.reconfigured(config.clone()).unwrap();
    assert!(same.is_same(&client));

    config.collectors = vec![second.described(), third.described()];
    let same = client.reconfigured(config.clone()).unwrap();
    assert!(same.is_same(&client));
    let ids = || {
        let mut ids = client.balancer().ids();
        ids.sort();
        ids
    };
    let mut expected = vec![second.url().into(), third.url().into()];
    expected.sort();
    assert_eq!(ids(), expected);
    assert_eq!(client.collectors(), config.collectors);

    // A mistake changes nothing, whether it is in the collectors or beside them.
    let mut twice = config.clone();
    twice.collectors = vec![first.described(), first.described()];
    client.reconfigured(twice).unwrap_err();
    let mut nonsense = config.clone();
    nonsense.connections = 0;
    client.reconfigured(nonsense).unwrap_err();
    assert_eq!(ids(), expected);
    assert_eq!(client.collectors(), config.collectors);

    config.timeout += Duration::from_secs(1);
    config.collectors = vec![first.described()];
    let other = client.reconfigured(config).unwrap();
    assert!(!other.is_same(&client));
    assert_eq!(other.balancer().ids().len(), 1);
    assert_eq!(ids(), expected);
    other.send(export(1)).await.unwrap();
    client.send(export(2)).await.unwrap();
}

#[tokio::test]
async fn a_bad_set_changes_nothing() {
    let collector = Collector::start(Protocol::Grpc).await;
    let client = client_of([&collector]);
    let twice = vec![collector.described(), collector.described()];
    let mut bad_header = collector.described();
    bad_header.headers.insert("te".to_owned(), "x".to_owned());
    let mut none_has_weight = collector.described();
    none_has_weight.weight = 0;
    for set in [twice, Vec::new(), vec![bad_header], vec![none_has_weight]] {
        let error = client.set_collectors(set).unwrap_err().to_string();
        assert!(
            error.contains("http://127") || error.contains("no backends"),
            "{error}"
        );
        client.send(export(1)).await.unwrap();
    }
}

#[tokio::test]
async fn shutdown_waits_for_what_is_under_way_and_refuses_the_rest() {
    for protocol in [Protocol::Grpc, Protocol::HttpProtobuf] {
        let collector = Collector::start(protocol).await;
        let client = client_of([&collector]);
        collector.usually(Act::Hold);
        let sending = tokio::spawn({
            let client = client.clone();
            async move { client.send(export(1)).await }
        });
        collector.until_received(1).await;
        let mut ending = std::pin::pin!(client.shutdown(Duration::from_secs(60)));
        assert!(futures::poll!(&mut ending).is_pending());
        assert!(matches!(client.send(export(2)).await, Err(SendError::ShutDown)));
        collector.let_go();
        sending.await.unwrap().unwrap();
        assert_eq!(ending.await, 0);
        let refused = client.set_collectors(vec![collector.described()]);
        assert!(matches!(refused, Err(BuildError::ShutDown)));
    }
}

#[tokio::test]
async fn shutdown_does_not_wait_longer_than_it_is_told() {
    let collector = Collector::start(Protocol::Grpc).await;
    let client = client_of([&collector]);
    collector.usually(Act::Hang);
    let sending = tokio::spawn({
        let client = client.clone();
        async move { client.send(export(1)).await }
    });
    collector.until_received(1).await;
    assert_eq!(client.shutdown(Duration::from_millis(20)).await, 1);
    sending.abort();
}
