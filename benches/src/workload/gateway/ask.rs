//! A question over HTTP to a program that takes part.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::Error;

/// A program has this long to answer what it is asked beside the telemetry.
const PATIENCE: Duration = Duration::from_secs(5);

/// Asks, and returns the body of the answer.
pub(super) async fn ask(
    whom: &str,
    at: SocketAddr,
    method: &str,
    path: &str,
    body: &str,
) -> Result<String, Error> {
    let exchange = async {
        let mut stream = TcpStream::connect(at).await?;
        let length = body.len();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: {at}\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n"
        );
        stream.write_all((head + body).as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        std::io::Result::Ok(answer)
    };
    let answer = timeout(PATIENCE, exchange).await;
    let answer = answer.map_err(|_| Error::Contender(format!("{whom} does not answer")))?;
    let answer = answer.map_err(|e| Error::contender(&format!("cannot talk to {whom}"), e))?;
    match answer.split_once("\r\n\r\n") {
        Some((head, body)) if head.starts_with("HTTP/1.1 200") => Ok(body.to_owned()),
        _ => Err(Error::Contender(format!("{whom} says: {answer}"))),
    }
}
