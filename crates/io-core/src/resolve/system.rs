//! The system's own resolver.

use std::io;
use std::net::ToSocketAddrs;
use std::num::NonZeroUsize;
use std::sync::Arc;

use tokio::sync::Semaphore;

use super::{Answers, Resolution, Resolve};

/// Asks the system (`getaddrinfo`): the hosts file, DNS and whatever else it is set up for.
///
/// Answers come as one batch, sorted by RFC 6724, so the system's own preference between IPv6 and IPv4
/// is kept. Nothing is cached here.
///
/// The call blocks a thread of tokio's blocking pool and can not be stopped: when the caller gives up,
/// the thread goes on until the system does (`resolv.conf` says when, often after 5 to 30 s). So the
/// lookups under way, abandoned ones included, are limited, and further ones wait their turn. Clones
/// share the limit.
#[derive(Clone, Debug)]
pub struct SystemResolver {
    permits: Arc<Semaphore>,
}

impl SystemResolver {
    /// Lookups at one time: a small part of the blocking pool (512 threads unless set otherwise), which
    /// a dead DNS server then can not use up, and far more than a live one needs.
    pub const DEFAULT_LIMIT: NonZeroUsize = match NonZeroUsize::new(64) {
        Some(limit) => limit,
        None => NonZeroUsize::MIN,
    };

    /// With [`DEFAULT_LIMIT`](Self::DEFAULT_LIMIT).
    #[must_use]
    pub fn new() -> Self {
        Self::with_limit(Self::DEFAULT_LIMIT)
    }

    /// With at most `limit` lookups at one time.
    #[must_use]
    pub fn with_limit(limit: NonZeroUsize) -> Self {
        Self {
            permits: Arc::new(Semaphore::new(limit.get().min(Semaphore::MAX_PERMITS))),
        }
    }
}

impl Default for SystemResolver {
    fn default() -> Self {
        Self::new()
    }
}

impl Resolve for SystemResolver {
    fn resolve<'a>(&'a self, host: &'a str, answers: Answers) -> Resolution<'a> {
        Box::pin(async move {
            let permit = Arc::clone(&self.permits)
                .acquire_owned()
                .await
                .map_err(io::Error::other)?;
            let host = host.to_owned();
            #[expect(
                clippy::disallowed_methods,
                reason = "as tokio's lookup_host does, but the permit has to stay with the thread"
            )]
            let lookup = tokio::task::spawn_blocking(move || {
                let found = (host.as_str(), 0).to_socket_addrs();
                drop(permit);
                found
            });
            answers.push_addrs(lookup.await.map_err(io::Error::other)??);
            Ok(())
        })
    }
}
