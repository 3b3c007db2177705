//! Finding the addresses of a name.

mod system;
mod table;

use std::fmt;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;

use tokio::sync::mpsc;

pub use system::SystemResolver;
pub use table::StaticResolver;

/// How many addresses of one family are taken from one name, the first ones; the rest is ignored.
///
/// At the usual 250 ms between attempts the last of 16 would be tried after four seconds. Counted for
/// each family on its own, so that a long list of one can not push out the other.
pub(crate) const MAX_ADDRESSES_PER_FAMILY: usize = 16;

/// How many batches may wait for the one who connects, who takes them at once when it runs.
const MAX_WAITING_BATCHES: usize = 32;

/// What [`Resolve::resolve`] gives back: the end of one resolution.
pub type Resolution<'a> = Pin<Box<dyn Future<Output = io::Result<()>> + Send + 'a>>;

/// Finds the addresses of a host name.
///
/// Answers are handed over as they come and not as one list at the end, so that the first connection
/// attempt need not wait for the slower of the AAAA and A queries (RFC 8305 section 3).
///
/// [`SystemResolver`] asks the system, [`StaticResolver`] a table. An asynchronous DNS library is
/// plugged in by a few lines such as these, where `query` stands for the library's own call:
///
/// ```
/// use std::io;
/// use std::net::IpAddr;
///
/// use evenkeel_io_core::{Answers, Resolution, Resolve};
///
/// #[derive(Debug)]
/// struct Dns { /* the library's client */ }
///
/// # enum Record { Aaaa, A }
/// impl Dns {
///     async fn query(&self, host: &str, record: Record) -> io::Result<Vec<IpAddr>> {
/// #       let _ = (host, record);
/// #       Ok(vec![])
///         // …
///     }
/// }
///
/// impl Resolve for Dns {
///     fn resolve<'a>(&'a self, host: &'a str, answers: Answers) -> Resolution<'a> {
///         Box::pin(async move {
///             let v6 = async { io::Result::Ok(answers.push(self.query(host, Record::Aaaa).await?)) };
///             let v4 = async { io::Result::Ok(answers.push(self.query(host, Record::A).await?)) };
///             let (v6, v4) = tokio::join!(v6, v4);
///             // One family is enough.
///             v6.or(v4)
///         })
///     }
/// }
/// ```
pub trait Resolve: Send + Sync + fmt::Debug {
    /// Looks `host` up, pushes what is found to `answers` and ends when there is nothing more to come.
    ///
    /// `host` is never an IP address. It keeps a trailing dot, which asks for no search domains.
    ///
    /// # Errors
    /// The future ends with an error if the name can not be resolved. One that comes after addresses
    /// does not stop the attempts to reach those. Neither an error nor an address means that the name
    /// has no address.
    ///
    /// # Cancel safety
    /// The future is dropped as soon as a connection stands or the caller's deadline passes; it must
    /// leave nothing running that is not bounded.
    fn resolve<'a>(&'a self, host: &'a str, answers: Answers) -> Resolution<'a>;
}

impl<R: Resolve + ?Sized> Resolve for Arc<R> {
    fn resolve<'a>(&'a self, host: &'a str, answers: Answers) -> Resolution<'a> {
        (**self).resolve(host, answers)
    }
}

/// Where a resolver hands its answers over.
///
/// Clones hand over to the same place. Only what is pushed before the resolution ends counts.
#[derive(Clone, Debug)]
pub struct Answers {
    batches: mpsc::Sender<Vec<SocketAddr>>,
}

impl Answers {
    /// Hands addresses over, the best first.
    ///
    /// A batch with both families is taken as sorted by RFC 6724, and its first address is tried first.
    /// Of answers that come one family at a time, IPv6 is preferred: if IPv4 alone is there, the first
    /// attempt waits for IPv6 up to 50 ms, or until the resolution ends (RFC 8305 section 3).
    ///
    /// Doubles are ignored, and so is what goes beyond 16 addresses of a family.
    pub fn push(&self, addresses: impl IntoIterator<Item = IpAddr>) {
        self.push_addrs(addresses.into_iter().map(|ip| SocketAddr::new(ip, 0)));
    }

    /// As [`push`](Self::push), for addresses that may carry an IPv6 zone (link-local ones need it).
    ///
    /// The ports are ignored.
    pub fn push_addrs(&self, addresses: impl IntoIterator<Item = SocketAddr>) {
        let mut batch = Vec::new();
        let (mut v4, mut v6) = (0, 0);
        for mut addr in addresses {
            addr.set_port(0);
            let kept = if addr.is_ipv6() { &mut v6 } else { &mut v4 };
            if *kept < MAX_ADDRESSES_PER_FAMILY && !batch.contains(&addr) {
                *kept += 1;
                batch.push(addr);
            }
        }
        if !batch.is_empty() {
            // Fails if nobody listens any more, or if a resolver floods its listener: no loss in either.
            let _ = self.batches.try_send(batch);
        }
    }

    /// One end to push to, the other to read batches from; their ports are 0.
    pub(crate) fn channel() -> (Self, mpsc::Receiver<Vec<SocketAddr>>) {
        let (batches, receiver) = mpsc::channel(MAX_WAITING_BATCHES);
        (Self { batches }, receiver)
    }
}

#[cfg(test)]
mod tests;
