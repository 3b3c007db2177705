//! Pools beside each other, over any kind of connection.
//!
//! The criterion benchmarks and the scenarios `pool-checkout`, `pool` and `pool-spike` do the same work through
//! this module.

mod contenders;
mod hot;

use std::future::Future;
use std::ops::DerefMut;

use crate::Error;
use crate::workload::Dial;

pub use contenders::{Bb8, Deadpool, Evenkeel};
pub use hot::{Contended, Numbers, block_threads, contended, one_by_one};

/// Where a pool's connections come from.
pub trait Source: Clone + Send + Sync + 'static {
    /// What a connection is.
    type Connection: std::fmt::Debug + Send + Sync + 'static;

    /// Makes one.
    fn make(&self) -> impl Future<Output = Result<Self::Connection, Error>> + Send;
}

impl<D: Dial> Source for D
where
    D::Connection: std::fmt::Debug + Sync,
{
    type Connection = D::Connection;

    fn make(&self) -> impl Future<Output = Result<Self::Connection, Error>> + Send {
        self.dial()
    }
}

/// A pool. Clones share it.
pub trait Pool: Clone + Send + Sync + 'static {
    /// What its connections are.
    type Connection: Send + 'static;
    /// A connection on loan, given back on drop.
    type Loan: DerefMut<Target = Self::Connection> + Send;

    /// Borrows one.
    fn checkout(&self) -> impl Future<Output = Result<Self::Loan, Error>> + Send;

    /// Connections open now.
    fn size(&self) -> usize;
}
