//! TLS: who is trusted, what is agreed on, and handshakes that go wrong.

use std::sync::Arc;
use std::time::Duration;

use evenkeel_io_core::{
    AsyncIoConfig, AsyncIoManager, ClientAuth, ConnectError, Liveness, Pem, TlsClient, TlsConfig, TlsRoots,
};
use evenkeel_stats::{FailureKind, Phase};
use evenkeel_testkit::{Backend, Behaviour};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig};

struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn pem(&self) -> Pem {
        Pem::Text(self.0.pem())
    }

    /// A certificate for `name` and its key.
    fn issue(&self, name: &str) -> (rcgen::Certificate, KeyPair) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        (params.signed_by(&key, &self.0).unwrap(), key)
    }
}

/// An echo server behind TLS, and its port.
async fn serve(authority: &Authority, name: &str, demand_certificate: bool) -> u16 {
    let (certificate, key) = authority.issue(name);
    let provider = Arc::new(ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .unwrap();
    let builder = if demand_certificate {
        let mut roots = RootCertStore::empty();
        roots.add(authority.0.der().clone()).unwrap();
        let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider)
            .build()
            .unwrap();
        builder.with_client_cert_verifier(verifier)
    } else {
        builder.with_no_client_auth()
    };
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let mut config = builder
        .with_single_cert(vec![certificate.der().clone()], key)
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(config));

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                if let Ok(stream) = acceptor.accept(stream).await {
                    let (mut read, mut write) = tokio::io::split(stream);
                    let _ = tokio::io::copy(&mut read, &mut write).await;
                    let _ = write.shutdown().await;
                }
            });
        }
    });
    port
}

fn trusting(authority: &Authority) -> TlsConfig {
    TlsConfig {
        roots: TlsRoots::Pem(authority.pem()),
        ..TlsConfig::default()
    }
}

fn manager(tls: &TlsConfig) -> AsyncIoManager {
    AsyncIoManager::builder(AsyncIoConfig::default())
        .tls(TlsClient::new(tls).unwrap())
        .build()
        .unwrap()
}

#[tokio::test]
async fn a_trusted_server_is_spoken_to_and_alpn_agreed_on() {
    let authority = Authority::new();
    let port = serve(&authority, "localhost", false).await;
    let manager = manager(&TlsConfig {
        alpn: vec!["h2".into()],
        ..trusting(&authority)
    });
    let mut connection = manager.connect(("localhost", port)).await.unwrap();
    assert!(connection.get_ref().is_tls());
    assert_eq!(connection.get_ref().alpn(), Some(&b"h2"[..]));
    connection.write_all(b"secret").await.unwrap();
    connection.flush().await.unwrap();
    let mut buf = [0; 6];
    connection.read_exact(&mut buf).await.unwrap();
    assert_eq!(&buf, b"secret");
    // Session tickets came with the answer; they are TLS's own business.
    assert_eq!(connection.liveness(), Liveness::Quiet);
}

#[tokio::test]
async fn a_server_nobody_trusts_is_an_error_of_the_handshake_that_names_it() {
    let port = serve(&Authority::new(), "localhost", false).await;
    let error = manager(&trusting(&Authority::new()))
        .connect(("localhost", port))
        .await
        .unwrap_err();
    let ConnectError::Handshake { peer, source, .. } = &error else {
        panic!("{error}")
    };
    assert_eq!(peer.port(), Some(port));
    assert!(source.to_string().contains("certificate"), "{source}");
    assert_eq!(error.failure().kind, FailureKind::Tls);
}

#[tokio::test]
async fn a_certificate_for_another_name_is_refused_unless_that_name_was_asked_for() {
    let authority = Authority::new();
    let port = serve(&authority, "collector.test", false).await;
    let error = manager(&trusting(&authority))
        .connect(("localhost", port))
        .await
        .unwrap_err();
    assert!(matches!(error, ConnectError::Handshake { .. }), "{error}");

    let named = TlsConfig {
        server_name: Some("collector.test".into()),
        ..trusting(&authority)
    };
    manager(&named).connect(("localhost", port)).await.unwrap();
}

#[tokio::test]
async fn a_server_that_demands_a_certificate_gets_it() {
    let authority = Authority::new();
    let port = serve(&authority, "localhost", true).await;
    let (certificate, key) = authority.issue("client.test");
    let auth = ClientAuth {
        certificates: Pem::Text(certificate.pem()),
        key: Pem::Text(key.serialize_pem()),
    };
    let manager_with = manager(&TlsConfig {
        client_auth: Some(auth),
        ..trusting(&authority)
    });
    let mut connection = manager_with.connect(("localhost", port)).await.unwrap();
    connection.write_all(b"x").await.unwrap();
    connection.flush().await.unwrap();
    connection.read_exact(&mut [0; 1]).await.unwrap();

    // Without one, TLS 1.3 tells the client only when it first reads.
    let mut connection = manager(&trusting(&authority))
        .connect(("localhost", port))
        .await
        .unwrap();
    assert!(connection.read(&mut [0; 1]).await.is_err());
}

#[tokio::test]
async fn a_reset_during_the_handshake_is_told_from_bad_tls() {
    let backend = Backend::start(Behaviour::ResetOnFirstByte).await.unwrap();
    let manager = manager(&trusting(&Authority::new()));
    let error = manager.connect(backend.addr()).await.unwrap_err();
    assert!(matches!(error, ConnectError::Handshake { .. }), "{error}");
    assert_eq!(error.failure().kind, FailureKind::Reset);
    assert_eq!(manager.stats().active_connections, 0);
}

#[tokio::test]
async fn a_server_that_speaks_no_tls_is_an_error_of_the_handshake() {
    let backend = Backend::start(Behaviour::Talk).await.unwrap();
    let error = manager(&trusting(&Authority::new()))
        .connect(backend.addr())
        .await
        .unwrap_err();
    assert_eq!(
        (error.failure().phase, error.failure().kind),
        (Phase::Handshake, FailureKind::Tls),
        "{error}"
    );
}

#[tokio::test]
async fn a_server_that_never_answers_the_handshake_costs_the_connect_timeout() {
    let backend = Backend::start(Behaviour::Silent).await.unwrap();
    let config = AsyncIoConfig {
        connect_timeout: Duration::from_millis(50),
        ..AsyncIoConfig::default()
    };
    let tls = TlsClient::new(&trusting(&Authority::new())).unwrap();
    let manager = AsyncIoManager::builder(config).tls(tls).build().unwrap();
    let error = manager.connect(backend.addr()).await.unwrap_err();
    assert!(
        matches!(
            error,
            ConnectError::Timeout {
                phase: Phase::Handshake,
                ..
            }
        ),
        "{error}"
    );
}

#[tokio::test]
async fn a_peer_that_closed_its_tls_is_noticed() {
    let authority = Authority::new();
    let port = serve(&authority, "localhost", false).await;
    let mut connection = manager(&trusting(&authority))
        .connect(("localhost", port))
        .await
        .unwrap();
    // The server answers our end with its own.
    connection.shutdown().await.unwrap();
    assert_eq!(connection.get_mut().read(&mut [0; 1]).await.unwrap(), 0);
    assert_ne!(connection.liveness(), Liveness::Quiet);
}

#[test]
fn a_config_that_makes_no_sense_names_its_field() {
    let authority = Authority::new();
    let cases = [
        (
            "roots",
            TlsConfig {
                roots: TlsRoots::Pem(Pem::Text("nonsense".into())),
                ..TlsConfig::default()
            },
        ),
        (
            "roots",
            TlsConfig {
                roots: TlsRoots::Pem(Pem::File("/nowhere/ca.pem".into())),
                ..TlsConfig::default()
            },
        ),
        (
            "server_name",
            TlsConfig {
                server_name: Some("not a name".into()),
                ..trusting(&authority)
            },
        ),
        (
            "alpn",
            TlsConfig {
                alpn: vec![String::new()],
                ..trusting(&authority)
            },
        ),
        (
            "client_auth.key",
            TlsConfig {
                client_auth: Some(ClientAuth {
                    certificates: authority.pem(),
                    key: Pem::Text(String::new()),
                }),
                ..trusting(&authority)
            },
        ),
    ];
    for (field, config) in cases {
        let error = TlsClient::new(&config).unwrap_err();
        assert!(error.to_string().starts_with(field), "{field}: {error}");
    }
}

/// A server that says `answer` and, if told so, that it is done, all in one flight; then hangs.
async fn one_flight(authority: &Authority, answer: &'static [u8], done: bool) -> u16 {
    let (certificate, key) = authority.issue("localhost");
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut stream = acceptor.accept(stream).await.unwrap();
        stream.write_all(answer).await.unwrap();
        if done {
            stream.get_mut().1.send_close_notify();
        }
        stream.flush().await.unwrap();
        std::future::pending::<()>().await;
    });
    port
}

#[tokio::test]
async fn what_tls_has_taken_in_and_nobody_read_is_not_quiet() {
    let authority = Authority::new();
    let port = one_flight(&authority, b"answer+leftover", false).await;
    let mut connection = manager(&trusting(&authority))
        .connect(("localhost", port))
        .await
        .unwrap();
    connection.read_exact(&mut [0; 6]).await.unwrap();
    assert_eq!(connection.liveness(), Liveness::DataWaiting);
    let mut rest = [0; 9];
    connection.read_exact(&mut rest).await.unwrap();
    assert_eq!(&rest, b"+leftover", "looking took no byte");
}

#[tokio::test]
async fn a_goodbye_that_tls_has_taken_in_with_the_answer_is_not_quiet() {
    let authority = Authority::new();
    let port = one_flight(&authority, b"answer", true).await;
    let mut connection = manager(&trusting(&authority))
        .connect(("localhost", port))
        .await
        .unwrap();
    connection.read_exact(&mut [0; 6]).await.unwrap();
    // The goodbye may be a packet of its own.
    while connection.liveness() == Liveness::Quiet {
        tokio::task::yield_now().await;
    }
    assert_eq!(connection.liveness(), Liveness::Closed);
}
