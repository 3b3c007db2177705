//! gRPC probes: what servers say, what they do not know, and streams that end.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use evenkeel_health::{
    CheckConfig, GrpcProbe, GrpcProbeConfig, GrpcProbeError, HealthChecker, HttpVersion, KeptGrpc, Probe,
    ServingStatus,
};
use evenkeel_io_core::{AsyncIoManager, Target};
use evenkeel_testkit::{Backend, Behaviour, Refusing};
use futures::FutureExt;
use hyper::body::{Bytes, Frame, Incoming};
use hyper::{Request, Response};
use tokio::net::TcpListener;
use tokio::time::timeout;
use tonic::transport::Server as TonicServer;
use tonic::transport::server::TcpIncoming;
use tonic_health::server::HealthReporter;

use super::server::{Pen, Script, Server, grpc, grpc_error, grpc_stream, message};
use super::{error_of_checker, manager, nothing_is_left};
use crate::events::Events;

/// What nothing in these tests takes.
const LONG: Duration = Duration::from_secs(20);

fn probe(manager: &AsyncIoManager, config: GrpcProbeConfig) -> GrpcProbe<AsyncIoManager> {
    GrpcProbe::new(manager.clone(), config).unwrap()
}

/// tonic's own health service, and what sets its answers.
async fn tonic() -> (Target, HealthReporter) {
    let incoming = TcpIncoming::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let target = incoming.local_addr().unwrap().into();
    let (reporter, service) = tonic_health::server::health_reporter();
    tokio::spawn(
        TonicServer::builder()
            .add_service(service)
            .serve_with_incoming(incoming),
    );
    (target, reporter)
}

fn is_watch(request: &Request<Incoming>) -> bool {
    match request.uri().path() {
        "/grpc.health.v1.Health/Check" => false,
        "/grpc.health.v1.Health/Watch" => true,
        path => panic!("{path}"),
    }
}

#[tokio::test]
async fn what_tonics_health_service_says_is_understood() {
    let (target, reporter) = tonic().await;
    let manager = manager();
    let check = async |service: &str, kept: &mut KeptGrpc| {
        let config = GrpcProbeConfig {
            service: service.to_owned(),
            ..GrpcProbeConfig::default()
        };
        probe(&manager, config).probe(target.clone(), kept).await
    };
    check("", &mut KeptGrpc::default()).await.unwrap();
    let unknown = check("traces", &mut KeptGrpc::default()).await;
    assert!(
        matches!(unknown, Err(GrpcProbeError::Status { code: 5, .. })),
        "{unknown:?}"
    );
    let mut kept = KeptGrpc::default();
    let dialled = manager.stats().total_connections;
    for (status, good) in [
        (tonic_health::ServingStatus::Serving, true),
        (tonic_health::ServingStatus::NotServing, false),
        (tonic_health::ServingStatus::Serving, true),
    ] {
        reporter.set_service_status("traces", status).await;
        let result = check("traces", &mut kept).await;
        assert_eq!(result.is_ok(), good, "{result:?}");
        let said = matches!(result, Err(GrpcProbeError::NotServing(ServingStatus::NotServing)));
        assert_eq!(said, !good);
    }
    assert_eq!(manager.stats().total_connections, dialled + 1);
    drop(kept);
    nothing_is_left(&manager).await;
}

#[tokio::test]
async fn a_change_that_is_told_is_not_waited_for_until_the_next_interval() {
    let (target, reporter) = tonic().await;
    let config = CheckConfig {
        health_check_interval: Duration::from_secs(3_600),
        health_check_timeout: Duration::from_secs(5),
        down_interval: Duration::from_secs(3_600),
        fast_interval: Duration::from_millis(10),
        ..CheckConfig::default()
    };
    let checker = HealthChecker::new(config, 1, probe(&manager(), GrpcProbeConfig::default())).unwrap();
    let (mut health, checks) = checker.watch(target);
    tokio::spawn(checks);
    assert_eq!(health.changed().await.unwrap().healthy, Some(true));
    for (status, healthy) in [
        (tonic_health::ServingStatus::NotServing, false),
        (tonic_health::ServingStatus::Serving, true),
        (tonic_health::ServingStatus::NotServing, false),
    ] {
        reporter.set_service_status("", status).await;
        let report = timeout(LONG, health.changed())
            .await
            .expect("an hour is too long")
            .unwrap();
        assert_eq!(report.healthy, Some(healthy));
    }
    assert_eq!(health.report().error.as_deref(), Some("NOT_SERVING"));
}

#[tokio::test]
async fn a_server_without_health_is_well_while_it_answers_and_that_is_told_once() {
    let (events, told) = Events::counting("gRPC health checking is off");
    let guard = tracing::subscriber::set_default(events);
    let server = Server::start(HttpVersion::Http2, |request| async move {
        assert!(!is_watch(&request), "who has no Check is not asked for Watch");
        grpc_error("12")
    })
    .await;
    let probe = probe(&manager(), GrpcProbeConfig::default());
    let mut kept = KeptGrpc::default();
    for _ in 0..5 {
        probe.probe(server.addr.into(), &mut kept).await.unwrap();
    }
    assert_eq!(told.load(Ordering::SeqCst), 1);
    assert_eq!(server.accepted(), 1);
    // It is updated, and does know now.
    let addr = server.stop().await;
    probe.probe(addr.into(), &mut kept).await.unwrap_err();
    let listener = TcpListener::bind(addr).await.unwrap();
    let server = Server::on(listener, HttpVersion::Http2, |_| async { grpc(&[2], "0") });
    let result = probe.probe(server.addr.into(), &mut kept).await;
    assert!(matches!(result, Err(GrpcProbeError::NotServing(_))), "{result:?}");
    drop(guard);
}

#[tokio::test]
async fn http2_without_grpc_and_other_protocols_are_bad() {
    let manager = manager();
    let probe = probe(&manager, GrpcProbeConfig::default());
    for (code, html) in [(404, true), (200, true), (503, false)] {
        let web = Server::start(HttpVersion::Http2, move |_| async move {
            let kind = if html { "text/html" } else { "application/grpc" };
            let response = Response::builder().status(code).header("content-type", kind);
            response.body(Script::text("<html>")).unwrap()
        })
        .await;
        let result = probe.probe(web.addr.into(), &mut KeptGrpc::default()).await;
        assert!(
            matches!(result, Err(GrpcProbeError::NotGrpc { status }) if status == code),
            "{result:?}"
        );
    }
    let http1 = Server::start(HttpVersion::Http1, |_| async {
        Response::new(Script::text("hello"))
    })
    .await;
    let talks = Backend::start(Behaviour::Answer("220 mail ESMTP\r\n"))
        .await
        .unwrap();
    let cuts = Backend::start(Behaviour::ResetOnFirstByte).await.unwrap();
    for addr in [http1.addr, talks.addr(), cuts.addr()] {
        let result = probe.probe(addr.into(), &mut KeptGrpc::default()).await;
        assert!(matches!(result, Err(GrpcProbeError::Exchange(_))), "{result:?}");
    }
    let nobody = Refusing::start().unwrap();
    let result = probe.probe(nobody.addr().into(), &mut KeptGrpc::default()).await;
    assert!(matches!(result, Err(GrpcProbeError::Connect(_))), "{result:?}");
    nothing_is_left(&manager).await;
}

#[tokio::test]
async fn an_answer_that_is_none_is_bad() {
    for (body, what) in [
        (vec![], "nothing"),
        (
            vec![Frame::data(Bytes::from_static(&[0, 0, 0, 0, 9, 8]))],
            "half a message",
        ),
        (
            vec![Frame::data(Bytes::from_static(&[1, 0, 0, 0, 2, 8, 1]))],
            "a compressed one",
        ),
        (vec![message(1), message(1)], "two"),
    ] {
        let body = Arc::new(parking_lot::Mutex::new(Some(body)));
        let server = Server::start(HttpVersion::Http2, move |_| {
            let mut frames = body.lock().take().unwrap();
            let mut trailers = hyper::HeaderMap::new();
            trailers.insert("grpc-status", "0".parse().unwrap());
            frames.push(Frame::trailers(trailers));
            async move { grpc_stream(Script::of(frames)) }
        })
        .await;
        let probe = probe(&manager(), GrpcProbeConfig::default());
        let result = probe.probe(server.addr.into(), &mut KeptGrpc::default()).await;
        assert!(
            matches!(result, Err(GrpcProbeError::Malformed)),
            "{what}: {result:?}"
        );
    }
}

#[tokio::test]
async fn a_server_that_hangs_leaves_nothing() {
    let manager = manager();
    let silent = Backend::start(Behaviour::Silent).await.unwrap();
    let half = Server::start(HttpVersion::Http2, |_| async {
        let (pen, script) = Script::new();
        tokio::spawn(async move { pen.closed().await });
        grpc_stream(script)
    })
    .await;
    for addr in [silent.addr(), half.addr] {
        let error = error_of_checker(probe(&manager, GrpcProbeConfig::default()), addr.into()).await;
        assert_eq!(error, "no answer within 50ms");
        nothing_is_left(&manager).await;
    }
}

#[tokio::test]
async fn a_server_without_watch_is_asked_for_it_once_for_each_connection() {
    let watches = Arc::new(AtomicUsize::new(0));
    let server = {
        let watches = watches.clone();
        Server::start(HttpVersion::Http2, move |request| {
            let watch = is_watch(&request);
            watches.fetch_add(usize::from(watch), Ordering::SeqCst);
            async move { if watch { grpc_error("12") } else { grpc(&[1], "0") } }
        })
        .await
    };
    let probe = probe(&manager(), GrpcProbeConfig::default());
    let mut kept = KeptGrpc::default();
    for _ in 0..10 {
        probe.probe(server.addr.into(), &mut kept).await.unwrap();
    }
    assert!(probe.news(&mut kept).now_or_never().is_none());
    assert_eq!((watches.load(Ordering::SeqCst), server.accepted()), (1, 1));
}

/// A server whose streams the test writes.
async fn with_streams() -> (Server, tokio::sync::mpsc::UnboundedReceiver<Pen>) {
    let (opened, streams) = tokio::sync::mpsc::unbounded_channel();
    let server = Server::start(HttpVersion::Http2, move |request| {
        let opened = opened.clone();
        async move {
            if !is_watch(&request) {
                return grpc(&[1], "0");
            }
            let (pen, script) = Script::new();
            opened.send(pen).unwrap();
            grpc_stream(script)
        }
    })
    .await;
    (server, streams)
}

#[tokio::test]
async fn a_stream_is_news_when_it_tells_a_change_and_not_when_it_repeats() {
    let (server, mut streams) = with_streams().await;
    let probe = probe(&manager(), GrpcProbeConfig::default());
    let mut kept = KeptGrpc::default();
    probe.probe(server.addr.into(), &mut kept).await.unwrap();
    let pen = streams.recv().await.unwrap();
    for status in [1, 1, 2] {
        pen.send(message(status)).unwrap();
    }
    timeout(LONG, probe.news(&mut kept)).await.unwrap();
    assert!(probe.news(&mut kept).now_or_never().is_none(), "once");
    pen.send(message(1)).unwrap();
    // News that comes while nobody waits is not lost.
    probe.probe(server.addr.into(), &mut kept).await.unwrap();
    timeout(LONG, probe.news(&mut kept)).await.unwrap();
}

#[tokio::test]
async fn a_stream_that_ends_is_opened_again_and_its_end_is_news_only_once() {
    let (server, mut streams) = with_streams().await;
    let probe = probe(&manager(), GrpcProbeConfig::default());
    let mut kept = KeptGrpc::default();
    for round in 0..4 {
        probe.probe(server.addr.into(), &mut kept).await.unwrap();
        let pen = timeout(LONG, streams.recv())
            .await
            .expect("it listens again")
            .unwrap();
        pen.send(message(1)).unwrap();
        drop(pen);
        if round == 0 {
            timeout(LONG, probe.news(&mut kept)).await.unwrap();
        } else {
            // Till the task that listened has seen the end, a check opens no other stream.
            while streams.is_empty() {
                probe.probe(server.addr.into(), &mut kept).await.unwrap();
            }
            assert!(probe.news(&mut kept).now_or_never().is_none());
        }
    }
    assert_eq!(server.accepted(), 1);
}

#[tokio::test]
async fn a_server_that_restarts_is_bad_only_while_it_is_down() {
    let server = Server::start(HttpVersion::Http2, |_| async { grpc(&[1], "0") }).await;
    let manager = manager();
    let probe = probe(&manager, GrpcProbeConfig::default());
    let mut kept = KeptGrpc::default();
    let target: Target = server.addr.into();
    probe.probe(target.clone(), &mut kept).await.unwrap();
    let addr = server.stop().await;
    let down = probe.probe(target.clone(), &mut kept).await;
    assert!(matches!(down, Err(GrpcProbeError::Connect(_))), "{down:?}");
    let listener = TcpListener::bind(addr).await.unwrap();
    let _server = Server::on(listener, HttpVersion::Http2, |_| async { grpc(&[1], "0") });
    probe.probe(target, &mut kept).await.unwrap();
    assert_eq!(manager.stats().active_connections, 1);
}

#[test]
fn nonsense_in_the_config_is_named() {
    type Spoil = fn(&mut GrpcProbeConfig);
    let spoilt: [(&str, Spoil); 3] = [
        ("service", |c| c.service = "x".repeat(1025)),
        ("host", |c| c.host = Some(String::new())),
        ("headers", |c| {
            c.headers.insert("te".to_owned(), "trailers".to_owned());
        }),
    ];
    for (name, spoil) in spoilt {
        let mut config = GrpcProbeConfig::default();
        config.validate().unwrap();
        spoil(&mut config);
        let error = GrpcProbe::new(manager(), config).unwrap_err().to_string();
        assert!(
            error.starts_with(&format!("GrpcProbeConfig.{name} is ")),
            "{error}"
        );
    }
}
