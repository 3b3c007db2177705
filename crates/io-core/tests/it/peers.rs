//! Peers that refuse, cut, hang, hang up and talk out of turn.

use std::io;
use std::time::Duration;

use evenkeel_io_core::{AsyncIoConfig, ConnectError, IoError, Liveness};
use evenkeel_stats::{FailureKind, Phase};
use evenkeel_testkit::{Backend, Behaviour, BlackHole, Refusing};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::real;

fn config() -> AsyncIoConfig {
    AsyncIoConfig::default()
}

fn short(timeout: u64) -> AsyncIoConfig {
    let timeout = Duration::from_millis(timeout);
    AsyncIoConfig {
        connect_timeout: timeout,
        read_timeout: timeout,
        ..config()
    }
}

#[tokio::test]
async fn a_refused_connect_names_the_address_and_keeps_the_source() {
    let nobody = Refusing::start().unwrap();
    let manager = real(config());
    let error = manager.connect(nobody.addr()).await.unwrap_err();
    let ConnectError::Connect { attempts, .. } = &error else {
        panic!("{error}")
    };
    let attempt = attempts.iter().next().unwrap();
    assert_eq!(attempt.address, nobody.addr().into());
    assert_eq!(attempt.error.kind(), io::ErrorKind::ConnectionRefused);
    assert_eq!(error.failure().kind, FailureKind::Refused);

    let mut source: &dyn std::error::Error = &error;
    while let Some(inner) = source.source() {
        source = inner;
    }
    assert!(
        source.downcast_ref::<io::Error>().is_some(),
        "the io::Error is at the end of the chain"
    );
    assert!(error.to_string().contains(&nobody.addr().to_string()), "{error}");
}

#[tokio::test]
async fn a_black_hole_costs_the_connect_timeout_and_says_so() {
    let hole = BlackHole::start().await.unwrap();
    let manager = real(short(50));
    let error = manager.connect(hole.addr()).await.unwrap_err();
    let ConnectError::Timeout { phase, attempts, .. } = &error else {
        panic!("{error}")
    };
    assert_eq!(*phase, Phase::Connect);
    assert_eq!(
        attempts.iter().map(|a| a.address.clone()).collect::<Vec<_>>(),
        [hole.addr().into()]
    );
    assert_eq!(manager.stats().active_connections, 0);
}

#[tokio::test]
async fn a_reset_is_an_error_of_the_read_and_counted_as_one() {
    let backend = Backend::start(Behaviour::ResetOnFirstByte).await.unwrap();
    let manager = real(config());
    let mut connection = manager.connect(backend.addr()).await.unwrap();
    connection.write_all(b"x").await.unwrap();
    let error = connection.read(&mut [0; 8]).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    let failures = manager.stats().failures;
    assert_eq!(
        failures.iter().collect::<Vec<_>>(),
        [(
            evenkeel_stats::Failure {
                phase: Phase::Read,
                kind: FailureKind::Reset
            },
            1
        )]
    );
}

#[tokio::test]
async fn a_peer_that_hangs_half_open_costs_the_read_timeout_of_a_real_socket() {
    let backend = Backend::start(Behaviour::Silent).await.unwrap();
    let manager = real(short(50));
    let mut connection = manager.connect(backend.addr()).await.unwrap();
    connection.write_all(b"hello?").await.unwrap();
    let error = connection.read(&mut [0; 8]).await.unwrap_err();
    assert!(
        matches!(
            IoError::of(&error),
            Some(IoError::Timeout {
                phase: Phase::Read,
                ..
            })
        ),
        "{error}"
    );
}

#[tokio::test]
async fn a_slow_reader_on_a_real_socket_costs_the_write_timeout() {
    let backend = Backend::start(Behaviour::Silent).await.unwrap();
    let manager = real(AsyncIoConfig {
        write_timeout: Duration::from_millis(50),
        ..config()
    });
    let mut connection = manager.connect(backend.addr()).await.unwrap();
    let error = connection.write_all(&vec![0; 64 << 20]).await.unwrap_err();
    assert!(
        matches!(
            IoError::of(&error),
            Some(IoError::Timeout {
                phase: Phase::Write,
                ..
            })
        ),
        "{error}"
    );
    assert!(connection.info().traffic.bytes_written > 0);
}

#[tokio::test]
async fn a_peer_that_closes_in_the_middle_of_an_answer_is_seen_as_that() {
    let backend = Backend::start(Behaviour::CloseAfter(3)).await.unwrap();
    let manager = real(config());
    let mut connection = manager.connect(backend.addr()).await.unwrap();
    connection.write_all(b"answer").await.unwrap();
    let mut buf = [0; 6];
    let error = connection.read_exact(&mut buf).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    assert_eq!(&buf[..3], b"ans");
}

#[tokio::test]
async fn an_idle_connection_is_quiet() {
    let backend = Backend::start(Behaviour::Echo).await.unwrap();
    let manager = real(config());
    let mut connection = manager.connect(backend.addr()).await.unwrap();
    assert_eq!(connection.liveness(), Liveness::Quiet);
    connection.write_all(b"ping").await.unwrap();
    connection.read_exact(&mut [0; 4]).await.unwrap();
    assert_eq!(connection.liveness(), Liveness::Quiet);
}

/// Waits, without a clock, until the socket has heard of what the peer did.
async fn heard(connection: &mut evenkeel_io_core::AsyncConnection) -> Liveness {
    loop {
        match connection.liveness() {
            Liveness::Quiet => tokio::task::yield_now().await,
            other => return other,
        }
    }
}

#[tokio::test]
async fn a_peer_that_hung_up_is_noticed_without_a_round_trip() {
    let manager = real(config());
    let closed = Backend::start(Behaviour::Close).await.unwrap();
    let mut connection = manager.connect(closed.addr()).await.unwrap();
    assert_eq!(heard(&mut connection).await, Liveness::Closed);

    let cut = Backend::start(Behaviour::Reset).await.unwrap();
    let mut connection = manager.connect(cut.addr()).await.unwrap();
    assert_eq!(heard(&mut connection).await, Liveness::Broken);

    let talks = Backend::start(Behaviour::Talk).await.unwrap();
    let mut connection = manager.connect(talks.addr()).await.unwrap();
    assert_eq!(heard(&mut connection).await, Liveness::DataWaiting);
    let mut buf = [0; 7];
    connection.read_exact(&mut buf).await.unwrap();
    assert_eq!(&buf, b"unasked", "looking took no byte");
}

#[tokio::test]
async fn the_peers_half_closed_leaves_ours_to_write_and_the_other_way_round() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let manager = real(config());
    let connecting = manager.connect(listener.local_addr().unwrap());
    let (connection, accepted) = tokio::join!(connecting, listener.accept());
    let (mut connection, (mut peer, _)) = (connection.unwrap(), accepted.unwrap());

    peer.shutdown().await.unwrap();
    assert_eq!(connection.read(&mut [0; 1]).await.unwrap(), 0);
    connection.write_all(b"still").await.unwrap();
    let mut buf = [0; 5];
    peer.read_exact(&mut buf).await.unwrap();
    assert_eq!(&buf, b"still");

    let connecting = manager.connect(listener.local_addr().unwrap());
    let (connection, accepted) = tokio::join!(connecting, listener.accept());
    let (mut connection, (mut peer, _)) = (connection.unwrap(), accepted.unwrap());
    connection.shutdown().await.unwrap();
    assert_eq!(peer.read(&mut [0; 1]).await.unwrap(), 0);
    peer.write_all(b"more").await.unwrap();
    let mut buf = [0; 4];
    connection.read_exact(&mut buf).await.unwrap();
    assert_eq!(&buf, b"more");
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn connects_cancelled_in_mid_flight_leave_no_descriptor_open() {
    fn descriptors_to(addr: std::net::SocketAddr) -> usize {
        // The kernel's own table: a socket that is trying (state 02) to reach that port.
        let port = format!(":{:04X}", addr.port());
        let table = std::fs::read_to_string("/proc/self/net/tcp").unwrap();
        let trying = |line: &&str| {
            let mut fields = line.split_whitespace().skip(2);
            fields.next().is_some_and(|remote| remote.ends_with(&port)) && fields.next() == Some("02")
        };
        table.lines().filter(trying).count()
    }
    let hole = BlackHole::start().await.unwrap();
    let manager = real(config());
    let mut dials: Vec<_> = (0..50).map(|_| Box::pin(manager.connect(hole.addr()))).collect();
    for dial in &mut dials {
        assert!(super::poll_once(dial.as_mut()).is_pending());
    }
    assert_eq!(descriptors_to(hole.addr()), 50);
    drop(dials);
    assert_eq!(descriptors_to(hole.addr()), 0);
}
