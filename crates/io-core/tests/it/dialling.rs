//! Targets of every kind, good and bad.

use std::io;
use std::net::IpAddr;
use std::pin::pin;
use std::time::Duration;

use evenkeel_io_core::{
    Answers, AsyncIoConfig, AsyncIoManager, Connect, ConnectError, Resolution, Resolve, StaticResolver,
    Target, TargetError,
};
use evenkeel_stats::Phase;
use evenkeel_testkit::{Backend, Behaviour, Refusing};

use super::{poll_once, real};

fn with_resolver(resolver: impl Resolve + 'static) -> AsyncIoManager {
    AsyncIoManager::builder(AsyncIoConfig::default())
        .resolver(resolver)
        .build()
        .unwrap()
}

async fn ping(manager: &AsyncIoManager, target: Target) {
    let mut connection = manager.connect(target).await.unwrap();
    connection.write_all(b"ping").await.unwrap();
    let mut buf = [0; 4];
    connection.read_exact(&mut buf).await.unwrap();
    assert_eq!(&buf, b"ping");
}

#[tokio::test]
async fn a_host_name_is_looked_up_by_the_system() {
    let backend = Backend::start(Behaviour::Echo).await.unwrap();
    // localhost may give ::1 first, where nobody listens: the next address must be tried.
    ping(
        &real(AsyncIoConfig::default()),
        Target::host("localhost", backend.addr().port()).unwrap(),
    )
    .await;
}

#[tokio::test]
async fn the_second_address_serves_when_the_first_refuses() {
    let backend = Backend::start(Behaviour::Echo).await.unwrap();
    let port = backend.addr().port();
    let resolver = StaticResolver::new().with(
        "two.test",
        [
            "127.0.0.2".parse().unwrap(),
            "127.0.0.1".parse::<IpAddr>().unwrap(),
        ],
    );
    let manager = with_resolver(resolver);
    let connection = manager.connect(("two.test", port)).await.unwrap();
    assert_eq!(connection.peer(), &backend.addr().into());
    assert_eq!(connection.info().target.to_string(), format!("two.test:{port}"));
}

#[tokio::test]
async fn when_every_address_fails_each_is_named() {
    let nobody = Refusing::start().unwrap();
    let resolver = StaticResolver::new().with(
        "none.test",
        [
            "127.0.0.1".parse().unwrap(),
            "127.0.0.2".parse::<IpAddr>().unwrap(),
        ],
    );
    let error = with_resolver(resolver)
        .connect(("none.test", nobody.addr().port()))
        .await
        .unwrap_err();
    let ConnectError::Connect { attempts, .. } = &error else {
        panic!("{error}")
    };
    assert_eq!(attempts.iter().count(), 2);
    let text = error.to_string();
    assert!(
        text.contains("127.0.0.1") && text.contains("127.0.0.2") && text.contains("none.test"),
        "{text}"
    );
}

#[tokio::test]
async fn an_unresolvable_host_is_an_error_of_the_resolve_phase() {
    let error = with_resolver(StaticResolver::new())
        .connect("nowhere.test:80")
        .await
        .unwrap_err();
    assert_eq!(error.failure().phase, Phase::Resolve);
    assert!(error.to_string().contains("nowhere.test"), "{error}");
}

#[derive(Debug)]
struct NeverAnswers;

impl Resolve for NeverAnswers {
    fn resolve<'a>(&'a self, _host: &'a str, _answers: Answers) -> Resolution<'a> {
        Box::pin(std::future::pending())
    }
}

#[tokio::test(start_paused = true)]
async fn a_resolver_that_hangs_is_inside_the_connect_timeout() {
    let error = with_resolver(NeverAnswers)
        .connect("slow.test:80")
        .await
        .unwrap_err();
    assert!(
        matches!(
            error,
            ConnectError::Timeout {
                phase: Phase::Resolve,
                ..
            }
        ),
        "{error}"
    );
}

#[tokio::test]
async fn bad_targets_are_refused_before_anything_is_dialled() {
    let manager = real(AsyncIoConfig::default());
    for bad in [
        "",
        "host",
        "host:0",
        "host:port",
        "http://host:80",
        "::1:80",
        "unix:",
    ] {
        let error = manager.connect(bad).await.unwrap_err();
        assert!(matches!(error, ConnectError::Target(_)), "{bad}: {error}");
    }
    let port_zero: std::net::SocketAddr = "127.0.0.1:0".parse().unwrap();
    let error = manager.connect(port_zero).await.unwrap_err();
    assert!(
        matches!(error, ConnectError::Target(TargetError::PortZero { .. })),
        "{error:?}"
    );
    assert_eq!(manager.stats().pending_operations, 0);
}

#[tokio::test]
async fn an_address_of_the_other_family_than_our_own_is_refused_clearly() {
    let config = AsyncIoConfig {
        bind_address: Some("127.0.0.1".parse().unwrap()),
        ..AsyncIoConfig::default()
    };
    let error = real(config).connect("[::1]:80").await.unwrap_err();
    assert!(
        matches!(error, ConnectError::WrongFamily { family: "IPv4", .. }),
        "{error}"
    );
}

#[tokio::test]
async fn the_bind_address_is_where_we_connect_from() {
    let backend = Backend::start(Behaviour::Echo).await.unwrap();
    let local: IpAddr = "127.0.0.3".parse().unwrap();
    let config = AsyncIoConfig {
        bind_address: Some(local),
        ..AsyncIoConfig::default()
    };
    let manager = real(config);
    let connection = manager.connect(backend.addr()).await.unwrap();
    assert_eq!(connection.local_addr().unwrap().ip(), local);
}

#[cfg(unix)]
#[tokio::test]
async fn a_unix_socket_works_and_a_missing_one_is_a_clear_error() {
    let folder = std::env::temp_dir().join(format!("evenkeel-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("echo.sock");
    let listener = tokio::net::UnixListener::bind(&path).unwrap();
    let echo = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let (mut read, mut write) = stream.split();
        tokio::io::copy(&mut read, &mut write).await.unwrap();
    });
    let manager = real(AsyncIoConfig::default());
    ping(&manager, Target::unix(&path).unwrap()).await;
    echo.await.unwrap();

    std::fs::remove_dir_all(&folder).unwrap();
    let error = manager.connect(Target::unix(&path).unwrap()).await.unwrap_err();
    let ConnectError::Connect { attempts, .. } = &error else {
        panic!("{error}")
    };
    assert_eq!(
        attempts.iter().next().unwrap().error.kind(),
        io::ErrorKind::NotFound
    );
}

#[tokio::test]
async fn the_manager_is_a_connect_and_so_is_a_function() {
    async fn dial<C: Connect>(connect: &C, target: Target) -> Result<C::Connection, C::Error> {
        connect.connect(target).await
    }
    let backend = Backend::start(Behaviour::Echo).await.unwrap();
    let manager = real(AsyncIoConfig::default());
    assert!(dial(&manager, backend.addr().into()).await.is_ok());
    let raw = |target: Target| async move {
        let address = target.as_addr().ok_or(io::ErrorKind::InvalidInput)?;
        tokio::net::TcpStream::connect(address).await
    };
    assert!(dial(&raw, backend.addr().into()).await.is_ok());
}

#[tokio::test]
async fn a_dropped_connect_leaves_no_attempt_behind() {
    let backend = Backend::start(Behaviour::Silent).await.unwrap();
    let manager = real(AsyncIoConfig::default());
    {
        let mut connect = pin!(manager.connect(backend.addr()));
        let _ = poll_once(connect.as_mut());
    }
    let stats = manager.stats();
    assert_eq!(
        (
            stats.active_connections,
            stats.pending_operations,
            stats.failed_connects
        ),
        (0, 0, 0)
    );
}

#[cfg(unix)]
#[tokio::test]
async fn a_unix_listener_whose_queue_is_full_is_waited_for() {
    let folder = std::env::temp_dir().join(format!("evenkeel-full-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("full.sock");
    let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
    socket2::SockRef::from(&listener).listen(0).unwrap();
    let config = AsyncIoConfig {
        connect_timeout: Duration::from_millis(50),
        ..AsyncIoConfig::default()
    };
    let manager = real(config);
    let target = Target::unix(&path).unwrap();
    let _queued = manager.connect(target.clone()).await.unwrap();
    let error = manager.connect(target.clone()).await.unwrap_err();
    assert!(
        matches!(
            error,
            ConnectError::Timeout {
                phase: Phase::Connect,
                ..
            }
        ),
        "{error}"
    );

    let mut waiting = Box::pin(manager.connect(target));
    assert!(poll_once(waiting.as_mut()).is_pending());
    listener.accept().unwrap();
    waiting.await.unwrap();
    std::fs::remove_dir_all(&folder).unwrap();
}
