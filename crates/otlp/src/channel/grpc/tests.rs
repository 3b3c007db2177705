use std::sync::atomic::AtomicUsize;

use bytes::Bytes;
use tokio::net::TcpListener;

use super::*;
use crate::{Collector, OtlpClient};

/// A gRPC server that takes everything, and counts connections.
async fn server(connections: Arc<AtomicUsize>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let connections = connections.clone();
            tokio::spawn(async move {
                let mut connection = h2::server::handshake(socket).await.unwrap();
                connections.fetch_add(1, Ordering::SeqCst);
                while let Some(Ok((_, mut respond))) = connection.accept().await {
                    let _: &h2::server::SendResponse<Bytes> = &respond;
                    let mut answer = Response::new(());
                    answer
                        .headers_mut()
                        .insert(CONTENT_TYPE, http::HeaderValue::from_static("application/grpc"));
                    RpcStatus::new(Code::Ok, "").write_trailers(answer.headers_mut());
                    respond.send_response(answer, true).unwrap();
                }
            });
        }
    });
    url
}

#[tokio::test]
async fn a_connection_is_replaced_before_its_stream_ids_run_out() {
    let connections = Arc::new(AtomicUsize::new(0));
    let url = server(connections.clone()).await;
    let client = OtlpClient::new(OtlpClientConfig {
        collectors: vec![Collector::new(&url).unwrap()],
        timeout: Duration::from_secs(60),
        health_checks: crate::HealthChecks::None,
        ..OtlpClientConfig::default()
    });
    let client = client.unwrap();
    let export = Export::new(Signal::Logs, Encoding::Protobuf, Compression::None, Bytes::new());
    while connections.load(Ordering::SeqCst) < 3 {
        client.send(export.clone()).await.unwrap();
    }
    let stats = client.balancer().stats();
    assert_eq!(stats.backends[0].requests.failures, 0);
}
