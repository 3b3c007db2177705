//! Happy Eyeballs version 2 (RFC 8305): one connection out of the many addresses of a name.
//!
//! [`race`] knows the rules and no I/O; this file runs it. Everything is polled in the caller's task and
//! owned by the future, so dropping that cancels the resolution and every attempt at once.

mod progress;
mod race;

use std::future::{Future, pending};
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use evenkeel_stats::{Clock, Timestamp};
use futures::stream::{FuturesUnordered, StreamExt as _};
use tokio::sync::mpsc;

pub(crate) use progress::Progress;
pub(crate) use race::Family;
use race::{Race, Step};

use crate::resolve::{Answers, Resolve};

/// The waits of RFC 8305.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Delays {
    attempt: Duration,
}

impl Delays {
    /// Resolution Delay: how long IPv4 answers wait for IPv6 ones (section 3).
    const RESOLUTION: Duration = Duration::from_millis(50);
    /// The least that section 5 allows between two attempts.
    pub(crate) const MIN_ATTEMPT: Duration = Duration::from_millis(10);
    /// The most that section 5 recommends between two attempts.
    pub(crate) const MAX_ATTEMPT: Duration = Duration::from_secs(2);
    /// The default of section 5.
    pub(crate) const DEFAULT_ATTEMPT: Duration = Duration::from_millis(250);

    /// With this Connection Attempt Delay, brought into the bounds of section 5: 10 ms to 2 s.
    pub(crate) fn new(attempt: Duration) -> Self {
        Self {
            attempt: attempt.clamp(Self::MIN_ATTEMPT, Self::MAX_ATTEMPT),
        }
    }

    const fn resolution(self) -> Duration {
        Self::RESOLUTION
    }

    const fn attempt(self) -> Duration {
        self.attempt
    }
}

impl Default for Delays {
    fn default() -> Self {
        Self::new(Self::DEFAULT_ATTEMPT)
    }
}

/// Where to connect to.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Peer<'a> {
    /// One address: one attempt, no timer.
    Addr(SocketAddr),
    /// A name to be resolved, and the port to try at each of its addresses.
    Name(&'a str, u16),
}

/// What a connect goes by; the same for many of them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HappyEyeballs<'a> {
    /// How long to wait before what.
    pub(crate) delays: Delays,
    /// Keep to this family, because the local address is of it.
    pub(crate) only: Option<Family>,
    /// Finds the addresses.
    pub(crate) resolver: &'a dyn Resolve,
    /// Tells the time; should keep pace with tokio's.
    pub(crate) clock: &'a dyn Clock,
}

/// Why there is no connection.
#[derive(Debug)]
pub(crate) enum DialFailure {
    /// The resolver failed, and gave no address before.
    Resolve(io::Error),
    /// The name has no address.
    NoAddress,
    /// There are addresses, but none of the family to keep to.
    NoneOf(Family),
    /// Every attempt failed; in the order they were started, never empty.
    AllFailed(Vec<(SocketAddr, io::Error)>),
}

impl HappyEyeballs<'_> {
    /// Connects to `peer` by `dial`; gives the first connection that stands, and its address.
    ///
    /// There is no deadline in here: the caller sets one by dropping the future, and finds in
    /// `progress` how far it came. `progress` should be new.
    ///
    /// # Errors
    /// [`DialFailure`], once nothing is left to try.
    ///
    /// # Cancel safety
    /// Dropping the future drops the resolution and all attempts with it; nothing was spawned.
    pub(crate) async fn connect<D, Fut, S>(
        &self,
        peer: Peer<'_>,
        progress: &mut Progress,
        dial: D,
    ) -> Result<(S, SocketAddr), DialFailure>
    where
        D: Fn(SocketAddr) -> Fut,
        Fut: Future<Output = io::Result<S>>,
    {
        match peer {
            Peer::Addr(addr) => self.connect_addr(addr, progress, dial).await,
            Peer::Name(host, port) => self.connect_name(host, port, progress, dial).await,
        }
    }

    async fn connect_addr<D, Fut, S>(
        &self,
        addr: SocketAddr,
        progress: &mut Progress,
        dial: D,
    ) -> Result<(S, SocketAddr), DialFailure>
    where
        D: Fn(SocketAddr) -> Fut,
        Fut: Future<Output = io::Result<S>>,
    {
        if let Some(only) = self.only.filter(|only| *only != Family::of(&addr)) {
            return Err(DialFailure::NoneOf(only));
        }
        progress.started(addr);
        match dial(addr).await {
            Ok(stream) => Ok((stream, addr)),
            Err(error) => {
                progress.failed(addr, error);
                Err(DialFailure::AllFailed(progress.take_failures()))
            }
        }
    }

    async fn connect_name<D, Fut, S>(
        &self,
        host: &str,
        port: u16,
        progress: &mut Progress,
        dial: D,
    ) -> Result<(S, SocketAddr), DialFailure>
    where
        D: Fn(SocketAddr) -> Fut,
        Fut: Future<Output = io::Result<S>>,
    {
        let (answers, mut batches) = Answers::channel();
        let mut resolution = Some(self.resolver.resolve(host, answers));
        let mut resolve_error = None;
        let mut attempts = FuturesUnordered::new();
        let mut race = Race::new(self.delays, self.only);
        // A timer that has fired has the last word, should the clock lag behind it.
        let mut fired = Timestamp::ZERO;
        progress.resolving(true);

        loop {
            let now = self.clock.now().max(fired);
            let wait_until = match race.step(now) {
                Step::Dial(addr) => {
                    progress.started(addr);
                    let attempt = dial(addr);
                    attempts.push(async move { (addr, attempt.await) });
                    continue;
                }
                Step::WaitUntil(at) => Some(at),
                Step::Wait => None,
                Step::Failed => break,
            };

            tokio::select! {
                biased;
                Some((addr, result)) = attempts.next() => match result {
                    Ok(stream) => return Ok((stream, addr)),
                    Err(error) => {
                        progress.failed(addr, error);
                        race.failed(self.clock.now());
                    }
                },
                result = maybe(resolution.as_mut()) => {
                    take_answers(&mut race, self.clock.now(), &mut batches, port);
                    race.resolved(self.clock.now());
                    resolve_error = result.err();
                    resolution = None;
                    progress.resolving(false);
                }
                Some(batch) = batches.recv(), if resolution.is_some() => {
                    race.answers(self.clock.now(), with_port(batch, port));
                    take_answers(&mut race, self.clock.now(), &mut batches, port);
                }
                at = sleep_until(wait_until, now) => fired = at,
            }
        }

        let failures = progress.take_failures();
        Err(match (resolve_error, self.only) {
            _ if !failures.is_empty() => DialFailure::AllFailed(failures),
            (_, Some(only)) if race.all_kept_out() => DialFailure::NoneOf(only),
            (Some(error), _) => DialFailure::Resolve(error),
            (None, _) => DialFailure::NoAddress,
        })
    }
}

/// Takes what lies ready.
fn take_answers(race: &mut Race, now: Timestamp, batches: &mut mpsc::Receiver<Vec<SocketAddr>>, port: u16) {
    while let Ok(batch) = batches.try_recv() {
        race.answers(now, with_port(batch, port));
    }
}

fn with_port(batch: Vec<SocketAddr>, port: u16) -> impl Iterator<Item = SocketAddr> {
    batch.into_iter().map(move |mut addr| {
        addr.set_port(port);
        addr
    })
}

/// The end of a future that may be gone.
async fn maybe<F: Future + Unpin>(future: Option<F>) -> F::Output {
    match future {
        Some(future) => future.await,
        None => pending().await,
    }
}

/// Sleeps until `at`, if there is such a time, and gives it back. No timer is made until this is polled.
async fn sleep_until(at: Option<Timestamp>, now: Timestamp) -> Timestamp {
    match at {
        Some(at) => {
            tokio::time::sleep(at.since(now)).await;
            at
        }
        None => pending().await,
    }
}

#[cfg(test)]
mod tests;
