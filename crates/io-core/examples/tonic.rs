//! A tonic channel whose connections come from a manager: limits, Happy Eyeballs and statistics for
//! gRPC, without a change to the client's code.
//!
//! `cargo run -p evenkeel-io-core --example tonic`

#![allow(clippy::print_stdout, reason = "it is a program")]

use std::error::Error;
use std::time::Duration;

use evenkeel_io_core::{AsyncIoConfig, AsyncIoManager};
use hyper_util::rt::TokioIo;
use tonic::transport::{Endpoint, Server, Uri, server::TcpIncoming};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

/// Runs the example against a server of its own.
pub(crate) async fn run() -> Result<(), Box<dyn Error>> {
    let incoming = TcpIncoming::bind("127.0.0.1:0".parse()?)?;
    let address = incoming.local_addr()?;
    let (_reporter, health) = tonic_health::server::health_reporter();
    let server = tokio::spawn(
        Server::builder()
            .add_service(health)
            .serve_with_incoming(incoming),
    );

    let manager = AsyncIoManager::new(AsyncIoConfig::default())?;
    let connector = tower::service_fn({
        let manager = manager.clone();
        move |uri: Uri| {
            let manager = manager.clone();
            async move {
                let host = uri.host().unwrap_or_default().to_owned();
                let mut connection = manager
                    .connect((host.as_str(), uri.port_u16().unwrap_or(80)))
                    .await?;
                // HTTP/2 listens all the time; its own keep-alive notices a peer that is gone.
                connection.set_read_timeout(None);
                Ok::<_, evenkeel_io_core::ConnectError>(TokioIo::new(connection))
            }
        }
    });
    let channel = Endpoint::from_shared(format!("http://{address}"))?
        .http2_keep_alive_interval(Duration::from_secs(30))
        .connect_with_connector(connector)
        .await?;

    let answer = HealthClient::new(channel)
        .check(HealthCheckRequest::default())
        .await?;
    println!(
        "{:?} over {} managed connection",
        answer.into_inner().status(),
        manager.stats().active_connections
    );
    assert_eq!(manager.stats().total_connections, 1);
    server.abort();
    Ok(())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    run().await
}
