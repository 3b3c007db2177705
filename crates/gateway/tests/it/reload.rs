//! Changing collectors and strategy under load.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use evenkeel_gateway::{Gateway, GatewayConfig};
use evenkeel_otlp::rpc::Code;

use crate::collector::{Collector, Do};
use crate::requests::one_span;
use crate::sender::{Grpc, get};
use crate::{config, config_with, until};

/// Sends without pause on four connections until it is stopped; how many were sent, and how many not accepted.
struct Load {
    stop: Arc<AtomicBool>,
    sent: Arc<AtomicUsize>,
    senders: Vec<tokio::task::JoinHandle<usize>>,
}

impl Load {
    async fn on(gateway: &Gateway) -> Self {
        let (stop, sent) = (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default());
        let mut senders = Vec::new();
        for _ in 0..4 {
            let mut sender = Grpc::connect(gateway.grpc_address()).await;
            let (stop, sent) = (Arc::clone(&stop), Arc::clone(&sent));
            senders.push(tokio::spawn(async move {
                let mut failed = 0;
                while !stop.load(Ordering::Relaxed) {
                    let answer = sender.export(&one_span(1)).await;
                    failed += usize::from(answer.status.code != Code::Ok);
                    sent.fetch_add(1, Ordering::Relaxed);
                }
                failed
            }));
        }
        Self { stop, sent, senders }
    }

    async fn more(&self) {
        let before = self.sent.load(Ordering::Relaxed);
        until("more is sent", async || {
            self.sent.load(Ordering::Relaxed) > before + 100
        })
        .await;
    }

    /// How many failed.
    async fn stop(self) -> usize {
        self.stop.store(true, Ordering::Relaxed);
        let mut failed = 0;
        for sender in self.senders {
            failed += sender.await.unwrap();
        }
        failed
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn collectors_and_strategy_change_under_load_and_no_request_fails() {
    let (first, second, third) = (
        Collector::start().await,
        Collector::start().await,
        Collector::start().await,
    );
    let gateway = Gateway::start(config(&[&first, &second])).unwrap();
    let load = Load::on(&gateway).await;
    load.more().await;
    let start = gateway.config();
    let with = |collectors: &[&Collector]| GatewayConfig {
        collectors: config(collectors).collectors,
        ..start.clone()
    };
    gateway.reload(with(&[&second, &third])).unwrap();
    load.more().await;
    let gone = first.count();
    load.more().await;
    assert_eq!(first.count(), gone, "who is gone gets nothing more");
    assert!(third.count() > 0);

    let mut other = with(&[&first, &third]);
    other.client.balancer.strategy = "round_robin".parse().unwrap();
    gateway.reload(other).unwrap();
    load.more().await;
    load.more().await;
    assert!(first.count() > gone);
    assert_eq!(gateway.config().client.balancer.strategy.name(), "round_robin");
    assert_eq!(load.stop().await, 0);
}

#[tokio::test]
async fn a_request_under_way_ends_by_the_config_it_began_with() {
    let (first, second) = (Collector::start().await, Collector::start().await);
    for change_of_strategy in [false, true] {
        let gateway = Gateway::start(config(&[&first])).unwrap();
        first.always(Do::Hold);
        let before = first.count();
        let mut sender = Grpc::connect(gateway.grpc_address()).await;
        let held = tokio::spawn(async move { sender.export(&one_span(1)).await });
        until("it is under way", async || first.count() == before + 1).await;
        let mut other = gateway.config();
        other.collectors = config(&[&second]).collectors;
        if change_of_strategy {
            other.client.balancer.strategy = "random".parse().unwrap();
        }
        gateway.reload(other).unwrap();
        let mut sender = Grpc::connect(gateway.grpc_address()).await;
        assert_eq!(sender.export(&one_span(2)).await.status.code, Code::Ok);
        assert!(!held.is_finished());
        first.release();
        assert_eq!(held.await.unwrap().status.code, Code::Ok);
    }
    assert_eq!(second.count(), 2);
}

#[tokio::test]
async fn what_is_known_of_collectors_survives_a_change_of_anything_but_the_client() {
    let (first, second) = (Collector::start().await, Collector::start().await);
    let gateway = Gateway::start(config(&[&first])).unwrap();
    let requests = async || {
        let metrics = get(gateway.admin_address(), "/metrics").await;
        let line = |line: &&str| {
            line.starts_with("evenkeel_collector_requests_total") && line.contains(&first.url())
        };
        let line = metrics.text().lines().find(line).unwrap().to_owned();
        line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()
    };
    let mut sender = Grpc::connect(gateway.grpc_address()).await;
    assert_eq!(sender.export(&one_span(1)).await.status.code, Code::Ok);
    assert_eq!(requests().await, 1);

    let mut other = gateway.config();
    other.drain_timeout += std::time::Duration::from_secs(1);
    other.route = "service".parse().unwrap();
    other.collectors = config(&[&first, &second]).collectors;
    gateway.reload(other.clone()).unwrap();
    assert_eq!(gateway.config(), other);
    for trace in 2..5 {
        // It splits by the new route, and the client of before is not on its way out.
        assert_eq!(sender.export(&one_span(trace)).await.status.code, Code::Ok);
    }
    assert_eq!(first.count() + second.count(), 4);
    assert_eq!(requests().await, u64::try_from(first.count()).unwrap());

    other.client.connect_timeout += std::time::Duration::from_secs(1);
    gateway.reload(other).unwrap();
    assert_eq!(requests().await, 0, "another client knows nothing yet");
}

#[tokio::test]
async fn a_config_that_can_not_be_leaves_everything_as_it_is() {
    let collector = Collector::start().await;
    let gateway = Gateway::start(config_with(&[&collector], "")).unwrap();
    let before = gateway.config();
    let mut wrong = before.clone();
    wrong.client.timeout = std::time::Duration::ZERO;
    assert!(gateway.reload(wrong).is_err());
    let mut wrong = before.clone();
    wrong.collectors.push(wrong.collectors[0].clone());
    assert!(gateway.reload(wrong).is_err());
    assert_eq!(gateway.config(), before);
    let mut sender = Grpc::connect(gateway.grpc_address()).await;
    assert_eq!(sender.export(&one_span(1)).await.status.code, Code::Ok);
}

#[test]
fn what_takes_a_restart_is_refused_with_its_line() {
    let file = std::env::temp_dir().join(format!("evenkeel-reload-{}.toml", std::process::id()));
    let one = "[[collectors]]\nendpoint = \"http://a:4317\"\n";
    std::fs::write(&file, one).unwrap();
    let now = GatewayConfig::load(&file).unwrap();
    std::fs::write(&file, format!("{one}[limits]\nrequests = 7\n")).unwrap();
    let error = GatewayConfig::load_changed(&file, &now).unwrap_err().to_string();
    std::fs::remove_file(&file).unwrap();
    assert!(
        error.starts_with("line 3: limits: can not change while"),
        "{error}"
    );
}
