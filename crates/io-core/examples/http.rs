//! An HTTP/1.1 request with hyper over a managed connection.
//!
//! `cargo run -p evenkeel-io-core --example http`

#![allow(clippy::print_stdout, reason = "it is a program")]

use std::error::Error;
use std::time::Duration;

use evenkeel_io_core::{AsyncIoConfig, AsyncIoManager, Target};
use evenkeel_testkit::{Backend, Behaviour};
use http_body_util::{BodyExt, Empty};
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;

/// Sends one request and gives the answer's body.
async fn get(manager: &AsyncIoManager, target: Target, path: &str) -> Result<String, Box<dyn Error>> {
    let connection = manager.connect(target.clone()).await?;
    let (mut sender, driver) = hyper::client::conn::http1::handshake(TokioIo::new(connection)).await?;
    let request = hyper::Request::get(path)
        .header("host", target.to_string())
        .body(Empty::<Bytes>::new())?;
    // The driver moves the bytes; both end when the answer is read.
    let exchange = async {
        let response = sender.send_request(request).await?;
        let body = response.into_body().collect().await?.to_bytes();
        Ok::<_, hyper::Error>(body)
    };
    let (body, _) = tokio::join!(exchange, driver);
    Ok(String::from_utf8(body?.to_vec())?)
}

/// Runs the example against a server of its own.
pub(crate) async fn run() -> Result<(), Box<dyn Error>> {
    let server = Backend::start(Behaviour::Answer(
        "HTTP/1.1 200 OK\r\ncontent-length: 4\r\nconnection: close\r\n\r\nahoy",
    ))
    .await?;
    let manager = AsyncIoManager::new(AsyncIoConfig {
        connect_timeout: Duration::from_secs(2),
        read_timeout: Duration::from_secs(2),
        ..AsyncIoConfig::default()
    })?;
    let body = get(&manager, server.addr().into(), "/").await?;
    assert_eq!(body, "ahoy");
    let stats = manager.stats();
    println!(
        "{body:?} in {} bytes, {} connection(s) left open",
        stats.traffic.bytes_read, stats.active_connections
    );
    Ok(())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    run().await
}
