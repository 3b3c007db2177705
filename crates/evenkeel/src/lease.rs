//! [`Lease`]: a connection to a healthy backend.

use std::fmt;
use std::ops::{Deref, DerefMut};

use evenkeel_balancer::{BackendId, Outcome, Pick};
use evenkeel_io_core::AsyncConnection;
use evenkeel_pool::PooledConnection;
use evenkeel_stats::Failure;

use crate::Endpoint;

/// A connection on loan, and the pick of its backend. It derefs to the connection.
///
/// Say how the request went: [`succeed`](Self::succeed), [`fail`](Self::fail) or
/// [`settle`](Self::settle); then the connection goes back to its pool, and load, statistics and circuit breaker
/// hear of it. Dropped without a word it counts as cancelled, and as nothing learnt. A connection on which an
/// operation was cut short is closed in any case.
#[must_use = "dropped, it counts as cancelled"]
pub struct Lease {
    // In this order: the connection is back before the pick ends, so what waits for one finds the other.
    connection: PooledConnection,
    pick: Pick<Endpoint>,
}

impl Lease {
    pub(crate) const fn new(connection: PooledConnection, pick: Pick<Endpoint>) -> Self {
        Self { connection, pick }
    }

    /// The backend's id.
    #[must_use]
    pub fn id(&self) -> &BackendId {
        self.pick.id()
    }

    /// The backend and its pool.
    #[must_use]
    pub fn endpoint(&self) -> &Endpoint {
        &self.pick
    }

    /// The connection as the pool lends it: to mark it broken, or to see its age.
    pub const fn pooled(&mut self) -> &mut PooledConnection {
        &mut self.connection
    }

    /// The request was answered as it should.
    pub fn succeed(self) {
        self.settle(Outcome::Success);
    }

    /// The request failed, there and so. The connection is closed.
    pub fn fail(mut self, failure: Failure) {
        self.connection.mark_broken();
        drop(self.connection);
        self.pick.fail(failure);
    }

    /// The request ended with `outcome`; after a failure the connection is closed.
    pub fn settle(mut self, outcome: Outcome) {
        if outcome == Outcome::Failure {
            self.connection.mark_broken();
        }
        drop(self.connection);
        self.pick.finish(outcome);
    }
}

impl Deref for Lease {
    type Target = AsyncConnection;

    fn deref(&self) -> &AsyncConnection {
        &self.connection
    }
}

impl DerefMut for Lease {
    fn deref_mut(&mut self) -> &mut AsyncConnection {
        &mut self.connection
    }
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease")
            .field("pick", &self.pick)
            .field("connection", &self.connection)
            .finish()
    }
}
