//! [`Discover`]: where members come from, when it is not by hand.

mod dns;
#[cfg(feature = "file")]
mod file;
mod follow;
mod lines;
mod replace;

use std::convert::Infallible;
use std::error::Error;
use std::future::Future;

use evenkeel_strategy::BackendId;
use tokio::sync::mpsc;

#[cfg(feature = "dns")]
pub use dns::SystemLookup;
pub use dns::{DnsAnswer, DnsDiscovery, Lookup};
#[cfg(feature = "file")]
pub use file::{FileDiscovery, FileError};
pub use follow::Following;
pub use lines::{LineError, parse_lines};

use crate::BackendServer;

/// A change of the members.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Change<B> {
    /// One more. If there is one of this id, only its weight is changed.
    Add(BackendServer<B>),
    /// One less. If there is none of this id, nothing is changed.
    Remove(BackendId),
    /// None: it was looked, and all is as before. Worth saying after an error.
    Unchanged,
    /// All there are: who is not among them is removed, who is new is added, who is known keeps its
    /// state and takes over the weight. One whose zone or priority has changed starts anew.
    ///
    /// It is done whole or not at all. A list of nobody is refused, as a discovery that has lost its
    /// data would give one.
    Replace(Vec<BackendServer<B>>),
}

/// A source of changes: [`LoadBalancer::follow`](crate::LoadBalancer::follow) keeps a balancer to it.
///
/// Ships with [`FixedList`], [`DnsDiscovery`], `FileDiscovery` (feature `file`), and the receiver of a
/// bounded [channel](mpsc::Receiver), for whatever pushes.
pub trait Discover: Send + 'static {
    /// What backends carry.
    type Backend;
    /// What can go wrong.
    type Error: Error + Send;

    /// Waits for the next change; `None` when there will be none any more. After an error it is asked
    /// again, later and later, and the members stay as they are.
    ///
    /// Cancel safety: an implementation must lose no change when the future is dropped.
    fn next(&mut self) -> impl Future<Output = Result<Option<Change<Self::Backend>>, Self::Error>> + Send;
}

/// The same backends for ever: for code that takes any [`Discover`].
#[derive(Clone, Debug)]
pub struct FixedList<B>(Option<Vec<BackendServer<B>>>);

impl<B> FixedList<B> {
    /// These.
    pub fn new(backends: impl IntoIterator<Item = BackendServer<B>>) -> Self {
        Self(Some(backends.into_iter().collect()))
    }
}

impl<B: Send + 'static> Discover for FixedList<B> {
    type Backend = B;
    type Error = Infallible;

    async fn next(&mut self) -> Result<Option<Change<B>>, Infallible> {
        Ok(self.0.take().map(Change::Replace))
    }
}

/// Whoever holds the sender pushes changes; when the last sender is dropped, there will be no more.
impl<B: Send + 'static> Discover for mpsc::Receiver<Change<B>> {
    type Backend = B;
    type Error = Infallible;

    async fn next(&mut self) -> Result<Option<Change<B>>, Infallible> {
        Ok(self.recv().await)
    }
}
