//! Routing by content: what belongs together arrives together, and only what failed is sent again.

use std::collections::HashMap;
use std::time::Duration;

use evenkeel_gateway::Gateway;
use evenkeel_otlp::rpc::{Code, RpcStatus};
use evenkeel_otlp::{Compression, Encoding, Export, OtlpClientConfig, PartialSuccess, Signal};

use crate::collector::{Collector, Do, throttle};
use crate::requests::{gzip, of_service, one_span, spans, traces};
use crate::sender::{Grpc, LOGS, TRACES, framed, get};
use crate::{config_with, until};

/// Three collectors behind a gateway that routes like this.
async fn three(route: &str) -> ([Collector; 3], Gateway) {
    let collectors = [
        Collector::start().await,
        Collector::start().await,
        Collector::start().await,
    ];
    let more = format!("route = {route}\nclient.balancer.max_retries = 0\nclient.timeout = \"5s\"");
    let config = config_with(&[&collectors[0], &collectors[1], &collectors[2]], &more);
    (collectors, Gateway::start(config).unwrap())
}

/// Many traces in one request, of two services.
fn batch() -> Vec<u8> {
    let ids: Vec<u8> = (0..60).map(|n| n % 30).collect();
    traces(vec![of_service("shop", &ids, 0), of_service("cart", &ids, 1000)])
}

/// Every span that arrived, with the collector it arrived at; each must have arrived once.
fn arrived(collectors: &[Collector]) -> HashMap<(u8, u64), usize> {
    let mut all = HashMap::new();
    for (index, collector) in collectors.iter().enumerate() {
        for span in collector.got().iter().flat_map(|got| spans(&got.body)) {
            assert_eq!(all.insert(span, index), None, "{span:?} arrived twice");
        }
    }
    all
}

#[tokio::test]
async fn the_spans_of_a_trace_arrive_at_one_collector_whatever_request_they_come_in() {
    let (collectors, gateway) = three("\"trace_id\"").await;
    let mut sender = Grpc::connect(gateway.grpc_address()).await;
    assert_eq!(sender.export(&batch()).await.status.code, Code::Ok);
    let arrived = arrived(&collectors);
    assert_eq!(arrived.len(), 120, "nothing is lost");
    let mut home = HashMap::new();
    for ((trace, _), collector) in &arrived {
        assert_eq!(
            home.entry(*trace).or_insert(*collector),
            collector,
            "trace {trace} is split"
        );
    }
    assert!(
        collectors.iter().all(|collector| collector.count() == 1),
        "one part for each"
    );
    for trace in 0..30 {
        let before = collectors[home[&trace]].count();
        assert_eq!(sender.export(&one_span(trace)).await.status.code, Code::Ok);
        assert_eq!(collectors[home[&trace]].count(), before + 1, "trace {trace}");
    }
}

#[tokio::test]
async fn compressed_requests_are_split_too_and_pass_untouched_if_they_need_not_be() {
    let (collectors, gateway) = three("\"trace_id\"").await;
    let mut sender = Grpc::connect(gateway.grpc_address()).await;
    let gzipped = [("grpc-encoding", "gzip")];
    let answer = sender.call(TRACES, &gzipped, framed(true, &gzip(&batch()))).await;
    assert_eq!(answer.status.code, Code::Ok);
    assert_eq!(arrived(&collectors).len(), 120);
    let whole = gzip(&one_span(7));
    assert_eq!(
        sender
            .call(TRACES, &gzipped, framed(true, &whole))
            .await
            .status
            .code,
        Code::Ok
    );
    let got: Vec<_> = collectors
        .iter()
        .flat_map(Collector::got)
        .filter(|got| got.body == whole)
        .collect();
    assert_eq!(got.len(), 1);
    assert_eq!(got[0].headers["grpc-encoding"], "gzip");
}

#[tokio::test]
async fn a_service_stays_with_its_collector() {
    for route in ["\"service\"", "{ attribute = \"service.name\" }"] {
        let (collectors, gateway) = three(route).await;
        let mut sender = Grpc::connect(gateway.grpc_address()).await;
        for request in 0..10 {
            let services: Vec<_> = (0..12)
                .map(|n| of_service(&format!("service-{n}"), &[n], request * 100))
                .collect();
            assert_eq!(sender.export(&traces(services)).await.status.code, Code::Ok);
        }
        let mut home = HashMap::new();
        for ((service, _), collector) in arrived(&collectors) {
            assert_eq!(
                *home.entry(service).or_insert(collector),
                collector,
                "service {service}"
            );
        }
        assert_eq!(home.len(), 12);
        assert!(
            collectors
                .iter()
                .filter(|collector| collector.count() == 10)
                .count()
                >= 2
        );
    }
}

#[tokio::test]
async fn when_one_part_fails_only_that_part_is_sent_again() {
    let (collectors, gateway) = three("\"trace_id\"").await;
    let mut sender = Grpc::connect(gateway.grpc_address()).await;
    collectors[1].next(Do::Refuse(RpcStatus::new(Code::Unavailable, "restarting")));
    collectors[1].next(Do::Refuse(RpcStatus::new(Code::Unavailable, "restarting")));
    assert_eq!(sender.export(&batch()).await.status.code, Code::Ok);
    let counts: Vec<_> = collectors.iter().map(Collector::count).collect();
    let total: usize = counts.iter().sum();
    assert_eq!(total, 5, "three parts, and one of them twice more: {counts:?}");
    let refused = collectors[1].got()[0].body.clone();
    let accepted: Vec<_> = collectors
        .iter()
        .flat_map(Collector::got)
        .filter(|got| got.body != refused)
        .flat_map(|got| spans(&got.body))
        .collect();
    assert_eq!(accepted.len() + spans(&refused).len(), 120);
    let metrics = get(gateway.admin_address(), "/metrics").await;
    assert!(
        metrics.text().contains("evenkeel_parts_sent_again_total 2\n"),
        "{}",
        metrics.text()
    );
}

/// The same while another part has not been answered, nor maybe any.
#[tokio::test]
async fn a_slow_part_does_not_keep_a_failed_one_from_being_sent_again() {
    for (first, what) in [(Do::Accept, "one arrived"), (Do::Hold, "none has arrived yet")] {
        let (collectors, gateway) = three("\"trace_id\"").await;
        let mut sender = Grpc::connect(gateway.grpc_address()).await;
        collectors[0].always(first);
        collectors[1].next(Do::Refuse(RpcStatus::new(Code::Unavailable, "restarting")));
        collectors[2].always(Do::Hold);
        let sending = tokio::spawn(async move { sender.export(&batch()).await });
        until(what, async || collectors[1].count() == 2).await;
        assert!(!sending.is_finished(), "{what}");
        until("all have", async || {
            collectors.iter().for_each(Collector::release);
            sending.is_finished()
        })
        .await;
        assert_eq!(sending.await.unwrap().status.code, Code::Ok, "{what}");
        let counts: Vec<_> = collectors.iter().map(Collector::count).collect();
        assert_eq!(counts, [1, 2, 1], "{what}");
    }
}

#[tokio::test]
async fn a_part_that_can_not_arrive_in_time_is_told_at_once() {
    let (collectors, gateway) = three("\"trace_id\"").await;
    let mut sender = Grpc::connect(gateway.grpc_address()).await;
    collectors[1].always(Do::Refuse(throttle(Code::Unavailable, Duration::from_secs(30))));
    collectors[2].always(Do::Hold);
    let status = sender.export(&batch()).await.status;
    let delay = status.retry_delay.unwrap();
    assert!(delay > Duration::from_secs(20), "the throttle's own: {status:?}");
}

#[tokio::test]
async fn a_part_that_is_rejected_for_good_becomes_a_partial_success() {
    let (collectors, gateway) = three("\"trace_id\"").await;
    let mut sender = Grpc::connect(gateway.grpc_address()).await;
    collectors[0].always(Do::Refuse(RpcStatus::new(
        Code::InvalidArgument,
        "no such tenant",
    )));
    collectors[2].always(Do::Partial(2, "too old"));
    let answer = sender.export(&batch()).await;
    assert_eq!(answer.status.code, Code::Ok);
    let rejected = spans(&collectors[0].got()[0].body).len();
    let partial = PartialSuccess::decode_response(Signal::Traces, Encoding::Protobuf, &answer.message);
    let partial = partial.unwrap().unwrap();
    assert_eq!(partial.rejected, i64::try_from(rejected).unwrap() + 2);
    assert!(
        partial.message.contains("no such tenant") && partial.message.contains("too old"),
        "{partial:?}"
    );
    assert!(
        collectors.iter().all(|collector| collector.count() == 1),
        "none is sent again"
    );
}

#[tokio::test]
async fn when_all_parts_fail_the_sender_is_told_and_nothing_is_kept() {
    let (collectors, gateway) = three("\"trace_id\"").await;
    let mut sender = Grpc::connect(gateway.grpc_address()).await;
    for collector in &collectors {
        collector.always(Do::Refuse(RpcStatus::new(Code::Unavailable, "restarting")));
    }
    let status = sender.export(&batch()).await.status;
    assert!(
        status.is_retryable() && status.retry_delay.is_some(),
        "{status:?}"
    );
    for collector in &collectors {
        collector.always(Do::Refuse(RpcStatus::new(Code::PermissionDenied, "no")));
    }
    let status = sender.export(&batch()).await.status;
    assert_eq!(status.code, Code::PermissionDenied);
}

#[tokio::test]
async fn what_has_no_key_goes_to_any_collector() {
    let (collectors, gateway) = three("\"trace_id\"").await;
    let mut sender = Grpc::connect(gateway.grpc_address()).await;
    let metrics = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export";
    for _ in 0..60 {
        let log = framed(false, &crate::requests::log());
        assert_eq!(sender.call(LOGS, &[], log).await.status.code, Code::Ok);
        // Not even looked into.
        assert_eq!(
            sender
                .call(metrics, &[], framed(false, b"\xff"))
                .await
                .status
                .code,
            Code::Ok
        );
    }
    // Each of 60 draws misses one of three with (2/3)^60.
    assert!(collectors.iter().all(|collector| collector.count() > 0));
    assert_eq!(collectors.iter().map(Collector::count).sum::<usize>(), 120);
}

#[tokio::test]
async fn a_collector_that_hangs_does_not_take_the_whole_time_of_what_belongs_to_it() {
    let collectors = [
        Collector::start().await,
        Collector::start().await,
        Collector::start().await,
    ];
    collectors[2].always(Do::Hold);
    let more = "route = \"trace_id\"\nclient.timeout = \"60s\"";
    let mut config = config_with(&[&collectors[0], &collectors[1], &collectors[2]], more);
    config.client.balancer.hedging = OtlpClientConfig::balancer_defaults().hedging;
    let gateway = Gateway::start(config).unwrap();
    let mut sender = Grpc::connect(gateway.grpc_address()).await;
    // Far from both the 200 ms of a hedge and the 60 s of the request.
    let answer = tokio::time::timeout(Duration::from_secs(20), sender.export(&batch())).await;
    assert_eq!(answer.unwrap().status.code, Code::Ok);
    assert!(collectors[2].count() > 0, "it was asked");
    assert_eq!(
        arrived(&collectors[..2]).len(),
        120,
        "what it holds arrived elsewhere"
    );
}

#[tokio::test]
async fn a_collector_that_says_come_back_at_once_is_not_asked_without_end() {
    let (collectors, gateway) = three("\"trace_id\"").await;
    let mut sender = Grpc::connect(gateway.grpc_address()).await;
    let at_once = throttle(Code::Unavailable, Duration::ZERO);
    for _ in 0..2 {
        collectors[1].next(Do::Refuse(at_once.clone()));
    }
    let began = tokio::time::Instant::now();
    assert_eq!(sender.export(&batch()).await.status.code, Code::Ok);
    // The least of two waits, of 50 ms and of 100 ms, is half of each.
    assert!(
        began.elapsed() >= Duration::from_millis(75),
        "{:?}",
        began.elapsed()
    );
}

#[tokio::test]
async fn a_resource_that_would_be_copied_beyond_the_memory_goes_whole_and_nothing_is_lost() {
    let collectors = [
        Collector::start().await,
        Collector::start().await,
        Collector::start().await,
    ];
    let more = "route = \"trace_id\"\nlimits.memory = \"256KiB\"\nlimits.max_body_size = \"256KiB\"";
    let config = config_with(&[&collectors[0], &collectors[1], &collectors[2]], more);
    let gateway = Gateway::start(config).unwrap();
    let mut sender = Grpc::connect(gateway.grpc_address()).await;
    let ids: Vec<u8> = (0..60).collect();
    let large = traces(vec![of_service(&"x".repeat(150_000), &ids, 0)]);
    for request in [framed(false, &large), framed(true, &gzip(&large))] {
        let gzipped = [("grpc-encoding", "gzip")];
        let answer = sender.call(TRACES, &gzipped, request).await;
        assert_eq!(answer.status.code, Code::Ok);
    }
    let got: Vec<_> = collectors.iter().flat_map(Collector::got).collect();
    assert_eq!(got.len(), 2, "each in one piece");
    assert!(got.iter().any(|got| got.body == large));
    assert!(got.iter().any(|got| got.body == gzip(&large)));
    let metrics = get(gateway.admin_address(), "/metrics").await;
    assert!(
        metrics.text().contains("evenkeel_held_bytes 0\n"),
        "{}",
        metrics.text()
    );
}

#[tokio::test]
async fn a_request_of_crumbs_goes_whole_before_its_split_takes_the_memory() {
    let collectors = [
        Collector::start().await,
        Collector::start().await,
        Collector::start().await,
    ];
    let more = "route = \"trace_id\"\nlimits.memory = \"1MiB\"\nlimits.max_body_size = \"1MiB\"";
    let config = config_with(&[&collectors[0], &collectors[1], &collectors[2]], more);
    let gateway = Gateway::start(config).unwrap();
    let mut sender = Grpc::connect(gateway.grpc_address()).await;
    // A resource of scopes of one empty span each: what to note of one is many times as long as it is.
    let scopes = [0x12, 2, 0x12, 0].repeat(50_000);
    let mut crumbs = vec![0x0a];
    prost::encode_length_delimiter(scopes.len(), &mut crumbs).unwrap();
    crumbs.extend(scopes);
    // Beside it one span with a trace, so that there is something to split.
    crumbs.extend(one_span(1));
    let gzipped = [("grpc-encoding", "gzip")];
    let whole = gzip(&crumbs);
    let answer = sender.call(TRACES, &gzipped, framed(true, &whole)).await;
    assert_eq!(answer.status.code, Code::Ok);
    let got: Vec<_> = collectors.iter().flat_map(Collector::got).collect();
    assert_eq!(got.len(), 1);
    assert_eq!(got[0].body, whole);
    let metrics = get(gateway.admin_address(), "/metrics").await;
    assert!(
        metrics.text().contains("evenkeel_held_bytes 0\n"),
        "{}",
        metrics.text()
    );
}

#[tokio::test]
async fn parts_are_compressed_as_the_client_is_told_to_also_when_they_are_sent_again() {
    let collectors = [
        Collector::start().await,
        Collector::start().await,
        Collector::start().await,
    ];
    collectors[1].next(Do::Refuse(RpcStatus::new(Code::Unavailable, "restarting")));
    let more = "route = \"trace_id\"\nclient.balancer.max_retries = 0\nclient.compression = \"gzip\"";
    let config = config_with(&[&collectors[0], &collectors[1], &collectors[2]], more);
    let gateway = Gateway::start(config).unwrap();
    let mut sender = Grpc::connect(gateway.grpc_address()).await;
    assert_eq!(sender.export(&batch()).await.status.code, Code::Ok);
    let got: Vec<_> = collectors.iter().flat_map(Collector::got).collect();
    assert_eq!(got.len(), 4, "three parts, and one of them again");
    let mut arrived = 0;
    for got in got {
        assert_eq!(got.headers["grpc-encoding"], "gzip");
        let part = Export::new(Signal::Traces, Encoding::Protobuf, Compression::Gzip, got.body);
        arrived += spans(&part.decoded(1 << 20).unwrap()).len();
    }
    assert!(arrived > 120, "{arrived}");
}
