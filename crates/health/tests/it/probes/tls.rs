//! Probes over TLS, which comes with the connection.

use std::sync::Arc;

use evenkeel_health::{
    GrpcProbe, GrpcProbeConfig, HttpProbe, HttpProbeConfig, HttpProbeError, HttpVersion, KeptGrpc, KeptHttp,
    Probe,
};
use evenkeel_io_core::{AsyncIoConfig, AsyncIoManager, Pem, Target, TlsClient, TlsConfig, TlsRoots};
use hyper::Response;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

use super::server::{Script, grpc, serve};

/// A TLS server that answers whatever is agreed on, its certificate, and where it is.
async fn server() -> (String, Target) {
    let key = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
    let private = PrivateKeyDer::try_from(key.signing_key.serialize_der()).unwrap();
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![key.cert.der().clone()], private)
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = listener.local_addr().unwrap().into();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(stream) = acceptor.accept(stream).await else {
                    return;
                };
                let version = match stream.get_ref().1.alpn_protocol() {
                    Some(b"h2") => HttpVersion::Http2,
                    _ => HttpVersion::Http1,
                };
                let answer = |request: hyper::Request<_>| async move {
                    if request.uri().path() == "/health" {
                        return Response::new(Script::text("fine"));
                    }
                    assert_eq!(request.uri().scheme_str(), Some("https"));
                    grpc(&[1], "0")
                };
                serve(TokioIo::new(stream), version, answer).await;
            });
        }
    });
    (key.cert.pem(), target)
}

fn manager(pem: &str, alpn: &str) -> AsyncIoManager {
    let tls = TlsClient::new(&TlsConfig {
        roots: TlsRoots::Pem(Pem::Text(pem.to_owned())),
        alpn: vec![alpn.to_owned()],
        ..TlsConfig::default()
    });
    let builder = AsyncIoManager::builder(AsyncIoConfig::default()).tls(tls.unwrap());
    builder.build().unwrap()
}

#[tokio::test]
async fn http_and_grpc_are_checked_over_tls() {
    let (pem, target) = server().await;
    for (version, alpn) in [(HttpVersion::Http1, "http/1.1"), (HttpVersion::Http2, "h2")] {
        let config = HttpProbeConfig {
            version,
            https: true,
            body_contains: Some("fine".to_owned()),
            ..HttpProbeConfig::default()
        };
        let probe = HttpProbe::new(manager(&pem, alpn), config).unwrap();
        let mut kept = KeptHttp::default();
        for _ in 0..2 {
            probe.probe(target.clone(), &mut kept).await.unwrap();
        }
    }
    let config = GrpcProbeConfig {
        https: true,
        ..GrpcProbeConfig::default()
    };
    let probe = GrpcProbe::new(manager(&pem, "h2"), config).unwrap();
    probe.probe(target, &mut KeptGrpc::default()).await.unwrap();
}

#[tokio::test]
async fn plain_http_to_a_tls_port_and_a_certificate_of_nobody_are_bad() {
    let (_, target) = server().await;
    let plain = AsyncIoManager::new(AsyncIoConfig::default()).unwrap();
    let probe = HttpProbe::new(plain, HttpProbeConfig::default()).unwrap();
    let result = probe.probe(target.clone(), &mut KeptHttp::default()).await;
    assert!(matches!(result, Err(HttpProbeError::Exchange(_))), "{result:?}");
    let (other, _) = server().await;
    let probe = HttpProbe::new(manager(&other, "http/1.1"), HttpProbeConfig::default()).unwrap();
    let result = probe.probe(target, &mut KeptHttp::default()).await;
    assert!(matches!(result, Err(HttpProbeError::Connect(_))), "{result:?}");
}
