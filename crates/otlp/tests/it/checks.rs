//! Collectors over TLS that are asked how they are.

use std::time::Duration;

use evenkeel::balancer::{BackendStats, Readiness};
use evenkeel::health::ReadinessReason;
use evenkeel::io_core::{ClientAuth, Pem, TlsConfig};
use evenkeel_otlp::{HealthChecks, OtlpClient, OtlpClientConfig, Protocol};

use crate::collector::{Collector, client_with, export};
use crate::tls::{Authority, Tls, secure};

/// Checks all the time, over TLS; a busy machine is given a while to answer.
fn checked(config: &mut OtlpClientConfig, checks: HealthChecks, tls: TlsConfig) {
    secure(config, tls);
    config.health_checks = checks;
    config.balancer.health_check_interval = Duration::from_secs(1);
    config.balancer.health_check_timeout = Duration::from_secs(1);
}

fn trusting(authority: &Authority) -> TlsConfig {
    TlsConfig {
        roots: authority.roots(),
        ..TlsConfig::default()
    }
}

fn client(collector: &Collector, checks: HealthChecks, tls: TlsConfig) -> OtlpClient {
    client_with([collector], |config| checked(config, checks, tls))
}

async fn grpc_over(tls: Tls) -> Collector {
    Collector::start_over(Protocol::Grpc, tls).await
}

/// What is known of the only collector when it is so; a test that waits for what never comes fails.
async fn until(client: &OtlpClient, is: impl Fn(&BackendStats) -> bool) -> BackendStats {
    let mut last = None;
    let waiting = async {
        loop {
            let now = client.balancer().stats().backends.remove(0);
            if is(&now) {
                return now;
            }
            last = Some(now);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(20), waiting).await;
    waited.unwrap_or_else(|_| panic!("waited in vain; now it is {last:?}"))
}

/// Until the checks say no; what they say.
async fn refused(client: &OtlpClient) -> String {
    let refused = until(client, |now| now.reason == ReadinessReason::CheckFailed).await;
    assert_eq!(refused.readiness, Readiness::Unhealthy);
    refused.check_error.unwrap().to_string()
}

/// Until the checks say nothing against it any more, and it has been asked often enough to tell.
async fn ready(client: &OtlpClient, collector: &Collector) {
    let asked = collector.checks() + 3;
    until(client, |now| {
        collector.checks() >= asked && now.reason == ReadinessReason::Well
    })
    .await;
}

#[tokio::test]
async fn a_check_in_grpc_goes_over_tls_and_what_it_says_is_believed() {
    let authority = Authority::new();
    let collector = grpc_over(Tls::new(&authority, Protocol::Grpc, None)).await;
    collector.says(true);
    let client = client(&collector, HealthChecks::Grpc, trusting(&authority));
    ready(&client, &collector).await;
    client.send(export(1)).await.unwrap();
    collector.says(false);
    let why = refused(&client).await;
    assert!(why.contains("NOT_SERVING"), "{why}");
    collector.says(true);
    ready(&client, &collector).await;
}

#[tokio::test]
async fn a_collector_whose_certificate_is_not_trusted_is_out_of_use_and_it_says_why() {
    let collector = grpc_over(Tls::new(&Authority::new(), Protocol::Grpc, None)).await;
    collector.says(true);
    let client = client(&collector, HealthChecks::Grpc, trusting(&Authority::new()));
    let why = refused(&client).await;
    assert!(why.contains("handshake") && why.contains("certificate"), "{why}");
    assert_eq!(collector.checks(), 0);
}

#[tokio::test]
async fn a_check_shows_our_certificate_to_a_collector_that_wants_one() {
    let (servers, clients) = (Authority::new(), Authority::new());
    let collector = grpc_over(Tls::new(&servers, Protocol::Grpc, Some(&clients))).await;
    collector.says(true);
    let nameless = client(&collector, HealthChecks::Grpc, trusting(&servers));
    let why = refused(&nameless).await;
    // In TLS 1.3 the handshake is over for us before the server has looked; its alert may be lost in a reset.
    assert!(why.starts_with("no answer"), "{why}");
    assert_eq!(collector.checks(), 0);

    let (certificate, key) = clients.issue("client");
    let mutual = TlsConfig {
        client_auth: Some(ClientAuth {
            certificates: Pem::Text(certificate.pem()),
            key: Pem::Text(key.serialize_pem()),
        }),
        ..trusting(&servers)
    };
    let client = client(&collector, HealthChecks::Grpc, mutual);
    ready(&client, &collector).await;
}

#[tokio::test]
async fn a_check_that_only_connects_knows_a_tls_port_that_is_open_from_one_that_is_not() {
    let authority = Authority::new();
    for (protocol, checks) in [
        (Protocol::Grpc, HealthChecks::Tcp),
        (Protocol::HttpProtobuf, HealthChecks::Tcp),
        // As the former: who is spoken to over HTTP is not asked in gRPC.
        (Protocol::HttpProtobuf, HealthChecks::Grpc),
    ] {
        let tls = || Tls::new(&authority, protocol, None);
        let mut collector = Collector::start_over(protocol, tls()).await;
        let client = client(&collector, checks, trusting(&authority));
        collector.kill().await;
        let why = refused(&client).await;
        assert!(why.contains("connect"), "{why}");
        collector.restart_over(tls());
        until(&client, |now| now.reason == ReadinessReason::Well).await;
        client.send(export(1)).await.unwrap();
        assert_eq!(collector.count(), 1);
    }
}
