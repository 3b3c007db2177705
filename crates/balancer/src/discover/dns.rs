//! [`DnsDiscovery`]: the addresses of a name.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::{Change, Discover};
use crate::BackendServer;

/// What a name's addresses are now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DnsAnswer {
    /// Them, in any order.
    pub addresses: Vec<SocketAddr>,
    /// For how long, if the resolver says so. The system's resolver does not.
    pub ttl: Option<Duration>,
}

/// Finds the addresses of a name. Any function from a name and a port to a future is one.
pub trait Lookup: Send + Sync + 'static {
    /// Looks the name up.
    ///
    /// Cancel safety: an implementation must leave nothing behind when the future is dropped.
    fn lookup(&self, name: &str, port: u16) -> impl Future<Output = io::Result<DnsAnswer>> + Send;
}

impl<F, Answer> Lookup for F
where
    F: Fn(&str, u16) -> Answer + Send + Sync + 'static,
    Answer: Future<Output = io::Result<DnsAnswer>> + Send,
{
    fn lookup(&self, name: &str, port: u16) -> impl Future<Output = io::Result<DnsAnswer>> + Send {
        self(name, port)
    }
}

/// The system's resolver, by tokio: A and AAAA. It tells no TTL.
#[cfg(feature = "dns")]
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemLookup;

#[cfg(feature = "dns")]
impl Lookup for SystemLookup {
    async fn lookup(&self, name: &str, port: u16) -> io::Result<DnsAnswer> {
        let addresses = tokio::net::lookup_host((name, port)).await?.collect();
        Ok(DnsAnswer { addresses, ttl: None })
    }
}

/// The least and the most that an answer is believed.
const TTL: std::ops::RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(3600);

/// A look-up that hangs is given up after this long.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The addresses of a name as backends, looked up again and again: after the TTL, kept between 1 s and
/// 1 h, where the resolver tells one, else at a fixed interval. The id of each is its address.
///
/// An answer without addresses is an error like any other: the members stay.
pub struct DnsDiscovery<L, M> {
    name: String,
    port: u16,
    every: Duration,
    lookup: L,
    make: M,
    next_at: Option<Instant>,
    last: Vec<SocketAddr>,
    failed: bool,
}

impl<L: Lookup, M> DnsDiscovery<L, M> {
    /// Looks `name` up now and then every `every` (1 s to 1 h, up to a tenth sooner, so that clients
    /// spread out), and makes of each address what its backend carries.
    pub fn new(name: impl Into<String>, port: u16, every: Duration, lookup: L, make: M) -> Self {
        Self {
            name: name.into(),
            port,
            every: every.clamp(*TTL.start(), *TTL.end()),
            lookup,
            make,
            next_at: None,
            last: Vec::new(),
            failed: false,
        }
    }

    async fn ask(&self) -> io::Result<DnsAnswer> {
        let asked = self.lookup.lookup(&self.name, self.port);
        let answer = tokio::time::timeout(TIMEOUT, asked).await;
        let mut answer = answer.unwrap_or_else(|_| {
            let text = format!("{}: no answer within {TIMEOUT:?}", self.name);
            Err(io::Error::new(io::ErrorKind::TimedOut, text))
        })?;
        answer.addresses.sort_unstable();
        answer.addresses.dedup();
        if answer.addresses.is_empty() {
            let text = format!("{}: no addresses", self.name);
            return Err(io::Error::new(io::ErrorKind::NotFound, text));
        }
        Ok(answer)
    }
}

impl<L, M, B> Discover for DnsDiscovery<L, M>
where
    L: Lookup,
    M: Fn(SocketAddr) -> B + Send + Sync + 'static,
    B: Send + 'static,
{
    type Backend = B;
    type Error = io::Error;

    async fn next(&mut self) -> Result<Option<Change<B>>, io::Error> {
        loop {
            if let Some(at) = self.next_at {
                sleep_until(at).await;
            }
            let asked = self.ask().await;
            let failed = std::mem::replace(&mut self.failed, asked.is_err());
            let answer = asked?;
            // From here to the return there is no await: what was answered is not lost.
            let wait = match answer.ttl {
                Some(ttl) => ttl.clamp(*TTL.start(), *TTL.end()),
                None => self.every.mul_f64(1.0 - 0.1 * fastrand::f64()),
            };
            self.next_at = Some(Instant::now() + wait);
            if answer.addresses == self.last {
                if failed {
                    return Ok(Some(Change::Unchanged));
                }
                continue;
            }
            let servers = answer
                .addresses
                .iter()
                .map(|&address| BackendServer::new(address.to_string(), (self.make)(address)));
            let change = Change::Replace(servers.collect());
            self.last = answer.addresses;
            return Ok(Some(change));
        }
    }
}

impl<L, M> fmt::Debug for DnsDiscovery<L, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DnsDiscovery")
            .field("name", &self.name)
            .field("port", &self.port)
            .field("every", &self.every)
            .field("last", &self.last)
            .finish_non_exhaustive()
    }
}
