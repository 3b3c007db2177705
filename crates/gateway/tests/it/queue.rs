//! The gateway with its queue on disk: acknowledged is kept, whatever becomes of collectors and gateway.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use evenkeel_gateway::{Gateway, GatewayConfig};
use evenkeel_otlp::rpc::{Code, RpcStatus};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::binary::{File, Running, file_for};
use crate::collector::{Collector, Do, throttle};
use crate::requests::{gzip, of_service, one_span, spans, traces};
use crate::sender::{Grpc, TRACES, framed, get, post};
use crate::{config_with, until};

fn queued(dir: &Path, collectors: &[&Collector], more: &str) -> GatewayConfig {
    let dir = dir.join("queue");
    config_with(collectors, &format!("queue.dir = {dir:?}\n{more}"))
}

/// A request with one span of this number.
fn numbered(number: u64) -> Vec<u8> {
    traces(vec![of_service("shop", &[1], number)])
}

/// The numbers of all spans that arrived.
fn arrived(collectors: &[&Collector]) -> Vec<u64> {
    let got = collectors.iter().flat_map(|collector| collector.got());
    let mut numbers: Vec<u64> = got
        .flat_map(|got| spans(&got.body))
        .map(|(_, number)| number)
        .collect();
    numbers.sort_unstable();
    numbers
}

async fn metric(gateway: &Gateway, line: &str) -> bool {
    let page = get(gateway.admin_address(), "/metrics").await;
    page.text().contains(&format!("\n{line}\n"))
}

fn unavailable() -> Do {
    Do::Refuse(RpcStatus::new(Code::Unavailable, "not now"))
}

#[tokio::test]
async fn a_request_is_acknowledged_without_a_collector_and_arrives_when_there_is_one() {
    let dir = tempfile::tempdir().unwrap();
    let collector = Collector::start().await;
    collector.always(unavailable());
    let gateway = Gateway::start(queued(dir.path(), &[&collector], "")).unwrap();
    let mut sender = Grpc::connect(gateway.grpc_address()).await;
    for number in 0..5 {
        assert_eq!(sender.export(&numbered(number)).await.status.code, Code::Ok);
    }
    let ready = get(gateway.admin_address(), "/readyz").await;
    assert_eq!(ready.status, 200, "there is room in the queue");
    until("it is tried", async || collector.count() > 0).await;
    assert!(metric(&gateway, "evenkeel_queue_records 5").await);
    let before = collector.count();
    collector.always(Do::Accept);
    until("all arrive", async || {
        metric(&gateway, "evenkeel_queue_records 0").await
    })
    .await;
    let after: BTreeSet<u64> = collector.got()[before..]
        .iter()
        .flat_map(|got| spans(&got.body))
        .map(|(_, n)| n)
        .collect();
    assert_eq!(after, (0..5).collect());
    assert!(metric(&gateway, "evenkeel_queue_ended_total{outcome=\"delivered\"} 5").await);
    gateway.shutdown().await;
}

#[tokio::test]
async fn what_was_acknowledged_arrives_after_a_restart_compressed_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let dead = Collector::start().await;
    dead.always(unavailable());
    let gateway = Gateway::start(queued(dir.path(), &[&dead], "")).unwrap();
    let mut sender = Grpc::connect(gateway.grpc_address()).await;
    let compressed = gzip(&one_span(7));
    let answer = sender
        .call(TRACES, &[("grpc-encoding", "gzip")], framed(true, &compressed))
        .await;
    assert_eq!(answer.status.code, Code::Ok);
    drop(sender);
    gateway.shutdown().await;

    let collector = Collector::start().await;
    let gateway = Gateway::start(queued(dir.path(), &[&collector], "")).unwrap();
    until("it arrives", async || collector.count() == 1).await;
    let got = &collector.got()[0];
    assert_eq!(got.body, compressed);
    assert_eq!(got.headers["grpc-encoding"], "gzip");
    until("it is gone", async || {
        metric(&gateway, "evenkeel_queue_records 0").await
    })
    .await;
    assert!(metric(&gateway, "evenkeel_queue_replayed_total 1").await);
    gateway.shutdown().await;
}

#[tokio::test]
async fn a_full_queue_is_back_pressure_in_both_protocols() {
    let dir = tempfile::tempdir().unwrap();
    let dead = Collector::start().await;
    dead.always(unavailable());
    let more = "queue.max_bytes = \"1MiB\"\nlimits.max_body_size = \"256KiB\"";
    let gateway = Gateway::start(queued(dir.path(), &[&dead], more)).unwrap();
    let mut sender = Grpc::connect(gateway.grpc_address()).await;
    let large = traces(vec![of_service(&"x".repeat(200_000), &[1], 1)]);
    let mut taken = 0;
    let refused = loop {
        let answer = sender.export(&large).await;
        if answer.status.code != Code::Ok {
            break answer.status;
        }
        taken += 1;
    };
    assert_eq!(taken, 4, "pages of 256 KiB in 1 MiB");
    assert_eq!(refused.code, Code::ResourceExhausted);
    assert_eq!(refused.retry_delay, Some(Duration::from_secs(1)), "{refused}");
    let media = [("content-type", "application/x-protobuf")];
    let answer = post(gateway.http_address(), "/v1/traces", &media, large).await;
    assert_eq!((answer.status, answer.header("retry-after")), (429, "1"));
    gateway.shutdown().await;
}

#[tokio::test]
async fn what_no_collector_will_ever_take_is_dropped_and_counted() {
    let dir = tempfile::tempdir().unwrap();
    let collector = Collector::start().await;
    collector.next(Do::Refuse(RpcStatus::new(Code::InvalidArgument, "not like this")));
    collector.next(Do::Refuse(throttle(Code::Unavailable, Duration::from_millis(1))));
    let gateway = Gateway::start(queued(dir.path(), &[&collector], "queue.max_in_flight = 1")).unwrap();
    let mut sender = Grpc::connect(gateway.grpc_address()).await;
    for number in 0..2 {
        assert_eq!(sender.export(&numbered(number)).await.status.code, Code::Ok);
    }
    until("both are gone", async || {
        metric(&gateway, "evenkeel_queue_records 0").await
    })
    .await;
    assert!(metric(&gateway, "evenkeel_queue_ended_total{outcome=\"dropped\"} 1").await);
    assert!(metric(&gateway, "evenkeel_queue_ended_total{outcome=\"delivered\"} 1").await);
    gateway.shutdown().await;
}

#[tokio::test]
async fn of_a_request_that_is_split_only_what_failed_is_sent_again() {
    let dir = tempfile::tempdir().unwrap();
    let [first, second, third] = [
        Collector::start().await,
        Collector::start().await,
        Collector::start().await,
    ];
    let all = [&first, &second, &third];
    for collector in [&first, &second] {
        collector.next(unavailable());
        collector.next(unavailable());
    }
    let more = "route = \"trace_id\"\nclient.balancer.max_retries = 0";
    let gateway = Gateway::start(queued(dir.path(), &all, more)).unwrap();
    let mut sender = Grpc::connect(gateway.grpc_address()).await;
    let many: Vec<u8> = (0..60).collect();
    let answer = sender.export(&traces(vec![of_service("shop", &many, 0)])).await;
    assert_eq!(answer.status.code, Code::Ok);
    until("all of it arrives", async || {
        metric(&gateway, "evenkeel_queue_records 0").await
    })
    .await;
    // Two refused twice and were asked again; the third never was.
    assert_eq!(third.count(), 1);
    let once: BTreeSet<u64> = arrived(&all).into_iter().collect();
    assert_eq!(once, (0..60).collect());
    let answer = sender.export(b"no protobuf").await;
    assert_eq!(
        answer.status.code,
        Code::InvalidArgument,
        "refused while there is someone to tell"
    );
    gateway.shutdown().await;
}

#[tokio::test]
async fn a_shutdown_takes_what_is_under_way_with_it_and_nothing_arrives_twice() {
    let dir = tempfile::tempdir().unwrap();
    let collector = Collector::start().await;
    collector.always(Do::Hold);
    let gateway = Gateway::start(queued(dir.path(), &[&collector], "")).unwrap();
    let mut sender = Grpc::connect(gateway.grpc_address()).await;
    for number in 0..3 {
        assert_eq!(sender.export(&numbered(number)).await.status.code, Code::Ok);
    }
    drop(sender);
    until("they are under way", async || collector.count() == 3).await;
    collector.always(Do::Accept);
    let ending = tokio::spawn(gateway.shutdown());
    until("it ends", async || {
        collector.release();
        ending.is_finished()
    })
    .await;
    let gateway = Gateway::start(queued(dir.path(), &[&collector], "")).unwrap();
    assert!(metric(&gateway, "evenkeel_queue_replayed_total 0").await);
    assert_eq!(arrived(&[&collector]), [0, 1, 2]);
    gateway.shutdown().await;
}

#[test]
fn a_queue_that_can_not_be_is_refused_by_field() {
    let parse = |text: &str| {
        let text = format!("{text}\n[[collectors]]\nendpoint = \"http://a:4317\"\n");
        GatewayConfig::parse(&text, [], |_| {}).unwrap_err().to_string()
    };
    let error = parse("[queue]\nmax_in_flight = 0");
    assert!(
        error.contains("line 2: queue.max_in_flight: 0, must be 1 .. 65536"),
        "{error}"
    );
    let error = parse("[queue]\nmax_bytes = \"100MiB\"");
    assert!(
        error.contains("queue.max_bytes: 100MiB must be at least 134219776 bytes"),
        "{error}"
    );
    let error = parse("[queue]\nmin_backoff = \"1m\"");
    assert!(error.contains("queue.max_backoff"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_kill_under_load_every_acknowledged_span_arrives() {
    let dir = tempfile::tempdir().unwrap();
    let collector = Collector::start().await;
    // Half of the time nobody takes anything, so that there is something in the queue.
    collector.always(unavailable());
    let more = format!("queue.dir = {:?}", dir.path().join("queue"));
    let file = File::new("queue-kill", &file_for(&collector, &more));
    let args = ["--config", file.0.to_str().unwrap()];
    let running = Running::start(&args);
    let mut senders = JoinSet::new();
    for sender in 0..8_u64 {
        let to = Some(running.grpc);
        senders.spawn(async move {
            let mut grpc = Grpc::connect(to).await;
            let mut acknowledged = Vec::new();
            for number in 0.. {
                let number = sender << 32 | number;
                match grpc.try_export(&numbered(number)).await {
                    Some(Code::Ok) => acknowledged.push(number),
                    Some(other) => panic!("{other}"),
                    None => break,
                }
            }
            acknowledged
        });
    }
    until("some are delivered", async || collector.count() > 20).await;
    collector.always(Do::Accept);
    until("more are", async || collector.count() > 100).await;
    running.signal("-KILL");
    let acknowledged: BTreeSet<u64> = senders.join_all().await.into_iter().flatten().collect();
    drop(running);
    assert!(acknowledged.len() > 20, "{}", acknowledged.len());

    let _again = Running::start(&args);
    until("all that was acknowledged arrives", async || {
        let arrived: BTreeSet<u64> = arrived(&[&collector]).into_iter().collect();
        acknowledged.is_subset(&arrived)
    })
    .await;
}

#[tokio::test]
async fn what_was_acknowledged_and_can_no_longer_be_cut_arrives_whole() {
    let dir = tempfile::tempdir().unwrap();
    let dead = Collector::start().await;
    dead.always(unavailable());
    let gateway = Gateway::start(queued(dir.path(), &[&dead], "")).unwrap();
    let mut sender = Grpc::connect(gateway.grpc_address()).await;
    let large = gzip(&traces(vec![of_service(&"x".repeat(200_000), &[1], 1)]));
    let answer = sender
        .call(TRACES, &[("grpc-encoding", "gzip")], framed(true, &large))
        .await;
    assert_eq!(answer.status.code, Code::Ok);
    let no_protobuf = sender.export(b"\xff").await;
    assert_eq!(no_protobuf.status.code, Code::Ok, "nobody looks into it");
    drop(sender);
    gateway.shutdown().await;

    let collector = Collector::start().await;
    let more = "route = \"trace_id\"\nlimits.max_body_size = \"64KiB\"";
    let gateway = Gateway::start(queued(dir.path(), &[&collector], more)).unwrap();
    until("both arrive", async || collector.count() == 2).await;
    let got: BTreeSet<Vec<u8>> = collector.got().iter().map(|got| got.body.to_vec()).collect();
    assert_eq!(got, BTreeSet::from([large, b"\xff".to_vec()]));
    gateway.shutdown().await;
}

#[tokio::test]
async fn requests_that_come_in_do_not_keep_the_queue_from_getting_shorter() {
    let dir = tempfile::tempdir().unwrap();
    let collector = Collector::start().await;
    collector.always(unavailable());
    let more = "route = \"trace_id\"\nlimits.requests = 1\nqueue.min_backoff = \"10ms\"\nqueue.max_backoff = \"20ms\"";
    let gateway = Gateway::start(queued(dir.path(), &[&collector], more)).unwrap();
    let mut sender = Grpc::connect(gateway.grpc_address()).await;
    assert_eq!(sender.export(&numbered(1)).await.status.code, Code::Ok);
    // One whose body does not end has the only place.
    let mut slow = TcpStream::connect(gateway.http_address().unwrap()).await.unwrap();
    let head = "POST /v1/traces HTTP/1.1\r\nhost: g\r\ncontent-type: application/x-protobuf\r\n";
    let begun = format!("{head}content-length: 100\r\n\r\nbegin");
    slow.write_all(begun.as_bytes()).await.unwrap();
    until("the place is taken", async || {
        metric(&gateway, "evenkeel_requests_in_flight 1").await
    })
    .await;
    collector.always(Do::Accept);
    until("it is delivered", async || {
        metric(&gateway, "evenkeel_queue_records 0").await
    })
    .await;
    drop(slow);
    gateway.shutdown().await;
}
