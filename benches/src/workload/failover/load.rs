//! Requests at a steady rate: each goes out at its time, whatever became of those before.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};

use super::backends::BACKENDS;
use super::client::Client;
use crate::Error;

/// What waits longer than this for an answer gives up, as most callers do.
pub(super) const PATIENCE: Duration = Duration::from_secs(1);

/// What became of one request.
#[derive(Debug, Clone, Copy)]
pub(super) struct Request {
    /// When it was due, from the start.
    pub(super) sent: Duration,
    /// From when it was due to its end.
    pub(super) took: Duration,
    /// Who answered; `None` if it failed.
    pub(super) by: Option<usize>,
}

/// Sends `rate` requests a second for `length`.
pub(super) async fn run(
    client: &Client,
    addresses: &[SocketAddr; BACKENDS],
    rate: u64,
    start: Instant,
    length: Duration,
) -> Result<Vec<Request>, Error> {
    let apart = Duration::from_secs(1) / u32::try_from(rate).unwrap_or(u32::MAX);
    let count = u32::try_from(length.as_nanos() / apart.as_nanos().max(1)).unwrap_or(u32::MAX);
    let ports = addresses.map(|address| address.port());
    let mut running = JoinSet::new();
    let mut ended = Vec::with_capacity(count as usize);
    for number in 0..count {
        let sent = apart * number;
        sleep_until(start + sent).await;
        let mut client = client.clone();
        running.spawn(async move {
            let answer = timeout(PATIENCE, client.ask()).await;
            let by = match answer {
                Ok(Ok(Some(port))) => ports.iter().position(|&known| known == port),
                _ => None,
            };
            Request {
                sent,
                took: start.elapsed().saturating_sub(sent),
                by,
            }
        });
        while let Some(one) = running.try_join_next() {
            ended.push(one.map_err(|e| Error::contender("a request", e))?);
        }
    }
    while let Some(one) = running.join_next().await {
        ended.push(one.map_err(|e| Error::contender("a request", e))?);
    }
    ended.sort_unstable_by_key(|request| request.sent);
    Ok(ended)
}
