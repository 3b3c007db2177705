//! `https`, with certificates of the test's own making.

use std::sync::Arc;

use evenkeel::io_core::{ClientAuth, Pem, TlsConfig, TlsRoots};
use evenkeel_otlp::{BuildError, OtlpClientConfig, Protocol, SendError};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig};

use crate::collector::{Collector, Wrap, client_with, export};

const BOTH: [Protocol; 2] = [Protocol::Grpc, Protocol::HttpProtobuf];

pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    pub(crate) fn roots(&self) -> TlsRoots {
        TlsRoots::Pem(Pem::Text(self.0.pem()))
    }

    /// A certificate and its key.
    pub(crate) fn issue(&self, name: &str) -> (rcgen::Certificate, KeyPair) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        (params.signed_by(&key, &self.0).unwrap(), key)
    }
}

pub(crate) struct Tls(TlsAcceptor);

impl Tls {
    pub(crate) fn new(authority: &Authority, protocol: Protocol, clients: Option<&Authority>) -> Self {
        let (certificate, key) = authority.issue("127.0.0.1");
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let provider = Arc::new(ring::default_provider());
        let builder = ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .unwrap();
        let builder = match clients {
            None => builder.with_no_client_auth(),
            Some(clients) => {
                let mut roots = RootCertStore::empty();
                roots.add(clients.0.der().clone()).unwrap();
                let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider);
                builder.with_client_cert_verifier(verifier.build().unwrap())
            }
        };
        let mut config = builder
            .with_single_cert(vec![certificate.der().clone()], key)
            .unwrap();
        let alpn: &[u8] = if protocol == Protocol::Grpc {
            b"h2"
        } else {
            b"http/1.1"
        };
        config.alpn_protocols = vec![alpn.to_vec()];
        Self(TlsAcceptor::from(Arc::new(config)))
    }
}

impl Wrap for Tls {
    async fn wrap(
        &self,
        socket: tokio::net::TcpStream,
    ) -> Option<impl AsyncRead + AsyncWrite + Unpin + Send + 'static> {
        self.0.accept(socket).await.ok()
    }
}

pub(crate) fn secure(config: &mut OtlpClientConfig, tls: TlsConfig) {
    for collector in &mut config.collectors {
        let url = collector.endpoint.to_string().replace("http://", "https://");
        collector.endpoint = url.parse().unwrap();
    }
    config.tls = tls;
}

#[tokio::test]
async fn https_is_spoken_and_checked_over_both_protocols() {
    let authority = Authority::new();
    for protocol in BOTH {
        let collector = Collector::start_over(protocol, Tls::new(&authority, protocol, None)).await;
        let trusting = TlsConfig {
            roots: authority.roots(),
            ..TlsConfig::default()
        };
        let client = client_with([&collector], |config| secure(config, trusting));
        for number in 0..3 {
            client.send(export(number)).await.unwrap();
        }
        assert_eq!(collector.count(), 3);

        let stranger = TlsConfig {
            roots: Authority::new().roots(),
            ..TlsConfig::default()
        };
        let client = client_with([&collector], |config| {
            secure(config, stranger);
            config.balancer.max_retries = 1;
        });
        let error = client.send(export(9)).await.unwrap_err();
        assert!(matches!(error, SendError::Unavailable { .. }), "{error}");
        assert!(error.to_string().contains("certificate"), "{error}");
        assert_eq!(collector.count(), 3);
    }
}

#[tokio::test]
async fn a_collector_that_wants_a_certificate_gets_ours() {
    let (servers, clients) = (Authority::new(), Authority::new());
    for protocol in BOTH {
        let tls = Tls::new(&servers, protocol, Some(&clients));
        let collector = Collector::start_over(protocol, tls).await;
        let (certificate, key) = clients.issue("client");
        let mutual = TlsConfig {
            roots: servers.roots(),
            client_auth: Some(ClientAuth {
                certificates: Pem::Text(certificate.pem()),
                key: Pem::Text(key.serialize_pem()),
            }),
            ..TlsConfig::default()
        };
        let client = client_with([&collector], |config| secure(config, mutual));
        client.send(export(1)).await.unwrap();
        let nameless = TlsConfig {
            roots: servers.roots(),
            ..TlsConfig::default()
        };
        let client = client_with([&collector], |config| {
            secure(config, nameless);
            config.balancer.max_retries = 1;
        });
        client.send(export(2)).await.unwrap_err();
        assert_eq!(collector.count(), 1);
    }
}

#[tokio::test]
async fn a_root_that_can_not_be_read_is_refused_when_the_client_is_built() {
    let mut config = OtlpClientConfig {
        collectors: vec![evenkeel_otlp::Collector::new("https://collector:4317").unwrap()],
        ..OtlpClientConfig::default()
    };
    config.tls.roots = TlsRoots::Pem(Pem::File("/nowhere/ca.pem".into()));
    let error = evenkeel_otlp::OtlpClient::new(config).unwrap_err();
    assert!(matches!(error, BuildError::Tls(_)), "{error}");
    assert!(error.to_string().contains("/nowhere/ca.pem"), "{error}");
}
