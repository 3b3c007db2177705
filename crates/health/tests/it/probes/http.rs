//! HTTP probes: every way a server can be sick, over both versions.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use evenkeel_health::{
    CheckConfig, HealthChecker, HttpProbe, HttpProbeConfig, HttpProbeError, HttpVersion, KeptHttp, Probe,
    StatusRange,
};
use evenkeel_io_core::{AsyncIoManager, Target};
use evenkeel_testkit::{Backend, Behaviour, Refusing};
use hyper::body::Frame;
use hyper::{Request, Response};
use tokio::net::TcpListener;

use super::server::{Script, Server};
use super::{error_of_checker, manager, nothing_is_left};

const BOTH: [HttpVersion; 2] = [HttpVersion::Http1, HttpVersion::Http2];

fn config(version: HttpVersion) -> HttpProbeConfig {
    HttpProbeConfig {
        version,
        ..HttpProbeConfig::default()
    }
}

fn probe(manager: &AsyncIoManager, config: HttpProbeConfig) -> HttpProbe<AsyncIoManager> {
    HttpProbe::new(manager.clone(), config).unwrap()
}

fn status(status: u16) -> Response<Script> {
    Response::builder()
        .status(status)
        .body(Script::text("text"))
        .unwrap()
}

#[tokio::test]
async fn only_an_expected_status_is_good_and_one_connection_serves_all_checks() {
    for version in BOTH {
        let answer = Arc::new(AtomicUsize::new(200));
        let server = {
            let answer = answer.clone();
            Server::start(version, move |_| {
                let code = answer.load(Ordering::SeqCst) as u16;
                async move { status(code) }
            })
            .await
        };
        let manager = manager();
        let ranges = ["200-299", "404"].map(|text| text.parse().unwrap());
        let probe = probe(
            &manager,
            HttpProbeConfig {
                expected_status: ranges.to_vec(),
                ..config(version)
            },
        );
        let mut kept = KeptHttp::default();
        for (code, good) in [
            (200, true),
            (299, true),
            (301, false),
            (404, true),
            (500, false),
            (204, true),
        ] {
            answer.store(code, Ordering::SeqCst);
            let result = probe.probe(server.addr.into(), &mut kept).await;
            match &result {
                Err(HttpProbeError::Status { status, expected }) => {
                    assert_eq!((usize::from(*status), &**expected), (code, "200-299, 404"));
                }
                result => assert!(result.is_ok(), "{result:?}"),
            }
            assert_eq!(result.is_ok(), good, "{code}");
        }
        assert_eq!(server.accepted(), 1, "{version:?}");
        drop(kept);
        nothing_is_left(&manager).await;
    }
}

#[tokio::test]
async fn the_server_is_asked_for_the_path_the_host_and_with_the_headers() {
    for version in BOTH {
        let server = Server::start(version, |request: Request<_>| async move {
            let host = request
                .headers()
                .get("host")
                .map(|host| host.to_str().unwrap().to_owned());
            let host = host.or(request.uri().authority().map(ToString::to_string));
            let good = request.uri().path_and_query().unwrap() == "/ready?deep=1"
                && host.as_deref() == Some("collector.example")
                && request.headers()["x-token"] == "secret"
                && request.headers()["user-agent"]
                    .to_str()
                    .unwrap()
                    .starts_with("evenkeel-health/");
            status(if good { 200 } else { 400 })
        })
        .await;
        let config = HttpProbeConfig {
            health_check_path: "/ready?deep=1".to_owned(),
            host: Some("collector.example".to_owned()),
            headers: [("X-Token".to_owned(), "secret".to_owned())].into(),
            ..config(version)
        };
        let probe = probe(&manager(), config);
        probe
            .probe(server.addr.into(), &mut KeptHttp::default())
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn a_body_is_looked_through_across_its_frames_and_only_up_to_its_bound() {
    for version in BOTH {
        let server = Server::start(version, |_| async {
            let parts =
                ["all is we", "ll here", &"x".repeat(100)].map(|part| Frame::data(part.to_owned().into()));
            Response::new(Script::of(parts))
        })
        .await;
        let manager = manager();
        let check = async |text: &str, max_body| {
            let config = HttpProbeConfig {
                body_contains: Some(text.to_owned()),
                max_body,
                ..config(version)
            };
            let probe = probe(&manager, config);
            probe.probe(server.addr.into(), &mut KeptHttp::default()).await
        };
        check("is well here", 64).await.unwrap();
        let sick = check("is sick", 1_000).await;
        assert!(
            matches!(sick, Err(HttpProbeError::BodyMismatch { read: 116 })),
            "{sick:?}"
        );
        let beyond = check("well here", 12).await;
        assert!(
            matches!(beyond, Err(HttpProbeError::BodyMismatch { read: 12 })),
            "{beyond:?}"
        );
    }
}

#[tokio::test]
async fn a_body_without_end_is_read_up_to_its_bound_and_its_connection_is_not_kept() {
    for version in BOTH {
        let server = Server::start(version, |_| async {
            let (pen, script) = Script::new();
            tokio::spawn(async move {
                while pen.send(Frame::data("x".repeat(1 << 16).into())).is_ok() {
                    tokio::task::yield_now().await;
                }
            });
            Response::new(script)
        })
        .await;
        let manager = manager();
        let probe = probe(&manager, config(version));
        let mut kept = KeptHttp::default();
        for checks in 1..=2 {
            probe.probe(server.addr.into(), &mut kept).await.unwrap();
            assert_eq!(server.accepted(), checks);
        }
        nothing_is_left(&manager).await;
        assert!(
            manager.stats().traffic.bytes_read < 8 << 20,
            "{:?}",
            manager.stats().traffic
        );
    }
}

#[tokio::test]
async fn a_slow_body_is_not_waited_for_beyond_the_time_of_the_check() {
    for version in BOTH {
        let server = Server::start(version, |_| async {
            let (pen, script) = Script::new();
            pen.send(Frame::data("so far".into())).unwrap();
            // Nobody writes on, and nobody ends it.
            drop(tokio::spawn(async move {
                pen.closed().await;
            }));
            Response::new(script)
        })
        .await;
        let manager = manager();
        let error = error_of_checker(probe(&manager, config(version)), server.addr.into()).await;
        assert_eq!(error, "no answer within 50ms");
        // The watch is gone, and the connection with it.
        nothing_is_left(&manager).await;
    }
}

#[tokio::test]
async fn an_answer_that_is_cut_off_is_bad() {
    let head = "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc";
    let server = Backend::start(Behaviour::Answer(head)).await.unwrap();
    let probe = probe(&manager(), HttpProbeConfig::default());
    let cut = probe.probe(server.addr().into(), &mut KeptHttp::default()).await;
    assert!(matches!(cut, Err(HttpProbeError::Body(_))), "{cut:?}");

    let server = Backend::start(Behaviour::Answer("HTTP/1.1 20")).await.unwrap();
    let cut = probe.probe(server.addr().into(), &mut KeptHttp::default()).await;
    assert!(matches!(cut, Err(HttpProbeError::Exchange(_))), "{cut:?}");
}

#[tokio::test]
async fn a_server_of_another_protocol_is_bad() {
    let server = Backend::start(Behaviour::Answer("SSH-2.0-OpenSSH_9.6\r\n"))
        .await
        .unwrap();
    let http1 = Server::start(HttpVersion::Http1, |_| async { status(200) }).await;
    let http2 = Server::start(HttpVersion::Http2, |_| async { status(200) }).await;
    for (version, addr) in [
        (HttpVersion::Http1, server.addr()),
        (HttpVersion::Http2, server.addr()),
        (HttpVersion::Http1, http2.addr),
        (HttpVersion::Http2, http1.addr),
    ] {
        let manager = manager();
        let probe = probe(&manager, config(version));
        let other = probe.probe(addr.into(), &mut KeptHttp::default()).await;
        assert!(
            matches!(other, Err(HttpProbeError::Exchange(_))),
            "{version:?}: {other:?}"
        );
        assert!(!other.unwrap_err().to_string().is_empty());
        nothing_is_left(&manager).await;
    }
}

#[tokio::test]
async fn a_server_that_hangs_resets_or_refuses_is_bad_and_leaves_nothing() {
    for version in BOTH {
        let manager = manager();
        let silent = Backend::start(Behaviour::Silent).await.unwrap();
        let error = error_of_checker(probe(&manager, config(version)), silent.addr().into()).await;
        assert_eq!(error, "no answer within 50ms");
        let reset = Backend::start(Behaviour::ResetOnFirstByte).await.unwrap();
        let probe = probe(&manager, config(version));
        let result = probe.probe(reset.addr().into(), &mut KeptHttp::default()).await;
        assert!(matches!(result, Err(HttpProbeError::Exchange(_))), "{result:?}");
        let nobody = Refusing::start().unwrap();
        let result = probe.probe(nobody.addr().into(), &mut KeptHttp::default()).await;
        assert!(matches!(result, Err(HttpProbeError::Connect(_))), "{result:?}");
        nothing_is_left(&manager).await;
    }
}

#[tokio::test]
async fn a_connection_that_the_server_closed_between_two_checks_is_no_bad_check() {
    // It closes each after one answer, without having said that it would.
    let answer = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
    let server = Backend::start(Behaviour::Answer(answer)).await.unwrap();
    let manager = manager();
    let probe = probe(&manager, HttpProbeConfig::default());
    let mut kept = KeptHttp::default();
    for _ in 0..20 {
        probe.probe(server.addr().into(), &mut kept).await.unwrap();
    }
    assert_eq!(server.accepted(), 20);
}

#[tokio::test]
async fn a_server_that_restarts_is_bad_only_while_it_is_down() {
    for version in BOTH {
        let server = Server::start(version, |_| async { status(200) }).await;
        let manager = manager();
        let probe = probe(&manager, config(version));
        let mut kept = KeptHttp::default();
        let target: Target = server.addr.into();
        probe.probe(target.clone(), &mut kept).await.unwrap();
        let addr = server.stop().await;
        let down = probe.probe(target.clone(), &mut kept).await;
        assert!(matches!(down, Err(HttpProbeError::Connect(_))), "{down:?}");
        let again = TcpListener::bind(addr).await.unwrap();
        let server = Server::on(again, version, |_| async { status(200) });
        probe.probe(target, &mut kept).await.unwrap();
        assert_eq!(server.accepted(), 1);
    }
}

#[tokio::test]
async fn the_end_of_the_checks_closes_the_connection_that_was_kept() {
    for version in BOTH {
        let server = Server::start(version, |_| async { status(200) }).await;
        let manager = manager();
        let probe = probe(&manager, config(version));
        let checker = HealthChecker::new(CheckConfig::default(), 1, probe).unwrap();
        let (mut health, checks) = checker.watch(server.addr.into());
        let checks = tokio::spawn(checks);
        assert_eq!(health.changed().await.unwrap().healthy, Some(true));
        assert_eq!(manager.stats().active_connections, 1, "kept for the next check");
        drop(health);
        checks.await.unwrap();
        nothing_is_left(&manager).await;
    }
}

#[test]
fn nonsense_in_the_config_is_named() {
    type Spoil = fn(&mut HttpProbeConfig);
    let spoilt: [(&str, Spoil); 13] = [
        ("health_check_path", |c| c.health_check_path = String::new()),
        ("health_check_path", |c| c.health_check_path = "health".to_owned()),
        ("health_check_path", |c| c.health_check_path = "/a b".to_owned()),
        ("health_check_path", |c| {
            c.health_check_path = "/a\r\nx: y".to_owned();
        }),
        ("health_check_path", |c| c.health_check_path = "/a#b".to_owned()),
        ("expected_status", |c| c.expected_status.clear()),
        ("host", |c| c.host = Some("a b".to_owned())),
        ("host", |c| c.host = Some("me@there".to_owned())),
        ("headers", |c| {
            c.headers.insert("a b".to_owned(), String::new());
        }),
        ("headers", |c| {
            c.headers.insert("a".to_owned(), "b\nc".to_owned());
        }),
        ("headers", |c| {
            c.headers.insert("Host".to_owned(), "b".to_owned());
        }),
        ("max_body", |c| c.max_body = 0),
        ("body_contains", |c| c.body_contains = Some(String::new())),
    ];
    for (name, spoil) in spoilt {
        let mut config = HttpProbeConfig::default();
        config.validate().unwrap();
        spoil(&mut config);
        let error = HttpProbe::new(manager(), config).unwrap_err().to_string();
        assert!(
            error.starts_with(&format!("HttpProbeConfig.{name} is ")),
            "{error}"
        );
    }
}

#[test]
fn an_impossible_status_range_is_refused() {
    for text in [
        "",
        "abc",
        "299-200",
        "0",
        "100",
        "199-200",
        "200-1000",
        "200-",
        "-200",
        "200-300-400",
    ] {
        let error = text.parse::<StatusRange>().unwrap_err().to_string();
        assert!(
            error.starts_with("HttpProbeConfig.expected_status is "),
            "{error}"
        );
    }
    for (text, first, last) in [
        ("200", 200, 200),
        ("200-299", 200, 299),
        (" 404 - 410 ", 404, 410),
    ] {
        let range: StatusRange = text.parse().unwrap();
        assert!(range.contains(first) && range.contains(last));
        assert!(!range.contains(first - 1) && !range.contains(last + 1));
        assert_eq!(range.to_string().parse::<StatusRange>().unwrap(), range);
    }
}
