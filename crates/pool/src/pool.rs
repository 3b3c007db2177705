//! [`ConnectionPool`].

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use evenkeel_io_core::{AsyncConnection, Connect, Target};

use crate::shared::Shared;
use crate::{
    BuildError, CheckoutError, ConfigError, ConnectionPoolBuilder, ConnectionPoolConfig, ConnectionPoolStats,
    PooledConnection, checkout,
};

/// Keeps connections open and lends them out.
///
/// Clones share the pool. When the last one is dropped, the pool closes: what is idle goes at once,
/// what is on loan when it comes back. See the [crate](crate) for an example.
pub struct ConnectionPool<T: Send + 'static = AsyncConnection> {
    owner: Arc<Owner<T>>,
}

/// The users' share of a pool, beside which guards and tasks have their own.
struct Owner<T: Send + 'static> {
    shared: Arc<Shared<T>>,
}

impl<T: Send + 'static> Drop for Owner<T> {
    fn drop(&mut self) {
        self.shared.shut();
    }
}

impl<T: Send + 'static> Clone for ConnectionPool<T> {
    fn clone(&self) -> Self {
        Self {
            owner: self.owner.clone(),
        }
    }
}

impl<T: Send + 'static> fmt::Debug for ConnectionPool<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectionPool")
            .field("shared", &self.owner.shared)
            .finish()
    }
}

impl<T: Send + 'static> ConnectionPool<T> {
    /// A pool of connections that `connect` opens to one of `addresses`.
    ///
    /// # Errors
    ///
    /// The first field of `config` that makes no sense, or `addresses`; or there is no tokio runtime
    /// around.
    pub fn new<C>(
        connect: C,
        addresses: impl IntoIterator<Item = Target>,
        config: ConnectionPoolConfig,
    ) -> Result<Self, BuildError>
    where
        C: Connect<Connection = T> + 'static,
    {
        Self::builder(connect, config).addresses(addresses).build()
    }

    /// A pool with parts of one's own.
    #[must_use]
    pub fn builder<C>(connect: C, config: ConnectionPoolConfig) -> ConnectionPoolBuilder<T>
    where
        C: Connect<Connection = T> + 'static,
    {
        ConnectionPoolBuilder::new(Arc::new(connect), config)
    }

    pub(crate) fn of(shared: Arc<Shared<T>>) -> Self {
        Self {
            owner: Arc::new(Owner { shared }),
        }
    }

    /// A connection: an idle one at once; else a turn in the line, which is served in order by what
    /// comes back and by what is opened meanwhile, whichever comes first.
    ///
    /// A caller that blocks its thread (one in `block_on`, not in a task) may be overtaken for up to
    /// a millisecond; a task only while such a caller is before it in line.
    ///
    /// # Errors
    ///
    /// [`CheckoutError`]: nothing came within `checkout_timeout`; too many wait already; connecting
    /// fails and nothing is open; the pool is closed.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives up the turn; a connection that it had got already goes to the next.
    /// A connection being opened on its account is opened for the next, or given up.
    #[inline]
    pub async fn checkout(&self) -> Result<PooledConnection<T>, CheckoutError> {
        let shared = &self.owner.shared;
        checkout::checkout(shared, shared.settings.checkout_timeout).await
    }

    /// [`checkout`](Self::checkout) with a time-out of its own, up to a year.
    ///
    /// # Errors
    ///
    /// As [`checkout`](Self::checkout).
    ///
    /// # Cancel safety
    ///
    /// As [`checkout`](Self::checkout).
    pub async fn checkout_within(&self, timeout: Duration) -> Result<PooledConnection<T>, CheckoutError> {
        checkout::checkout(&self.owner.shared, timeout).await
    }

    /// An idle connection if there is one; opens none and does not wait. With `validate_after_idle`,
    /// a connection that is due for its check is not given.
    #[must_use]
    pub fn try_checkout(&self) -> Option<PooledConnection<T>> {
        checkout::at_once(&self.owner.shared)
    }

    /// Waits until `min_connections` are open, or as many as the addresses have room for, and says how
    /// many are.
    ///
    /// The pool opens them from the moment it is built, whether anybody calls this or not.
    ///
    /// # Errors
    ///
    /// [`CheckoutError::Connect`] once connecting has failed `retry_attempts` times more than once;
    /// [`CheckoutError::Closed`]. The pool goes on trying.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future changes nothing.
    pub async fn warm_up(&self) -> Result<usize, CheckoutError> {
        let shared = &self.owner.shared;
        loop {
            let progress = shared.progress.notified();
            let mut progress = std::pin::pin!(progress);
            // Before looking, so that nothing happens in between unheard.
            progress.as_mut().enable();
            {
                let state = shared.lock();
                if let Some(result) = state.warm() {
                    return result.map(|()| state.census().open);
                }
            }
            progress.await;
        }
    }

    /// Gives up every connection to `target`, because it is known to be dead or changed: the idle
    /// ones now, those on loan when they come back; what is being opened is given up. Says how many
    /// were idle. The address stays in the pool and is dialled anew when somebody needs it.
    pub fn invalidate(&self, target: &Target) -> usize {
        let gone = self
            .owner
            .shared
            .change(|state, now, fx| state.invalidate(target, now, fx));
        tracing::info!(%target, idle = gone, "connections invalidated");
        gone
    }

    /// Changes `min_connections` and `max_connections`. What is idle and too much is closed at once,
    /// what is on loan when it comes back.
    ///
    /// # Errors
    ///
    /// The field that makes no sense; nothing is changed then.
    pub fn resize(&self, min_connections: usize, max_connections: usize) -> Result<(), ConfigError> {
        let shared = &self.owner.shared;
        let max_idle_connections = shared.lock().max_idle();
        ConnectionPoolConfig {
            min_connections,
            max_connections,
            max_idle_connections,
            ..ConnectionPoolConfig::default()
        }
        .validate()?;
        shared.change(|state, now, fx| {
            state.check_min(min_connections)?;
            state.resize(min_connections, max_connections, now, fx);
            Ok::<_, ConfigError>(())
        })?;
        tracing::info!(min_connections, max_connections, "pool resized");
        Ok(())
    }

    /// Puts these addresses in place of the old ones. `weights` are as many as addresses, or none for
    /// equal ones. Connections to an address that stays are kept; those to one that goes are closed:
    /// the idle ones now, those on loan when they come back. What is being opened to it is given up.
    ///
    /// The strategy is built under the pool's lock, so nobody checks out meanwhile.
    ///
    /// # Errors
    ///
    /// [`BuildError`] says what is wrong with `addresses` or `weights`; nothing is changed then.
    pub fn set_addresses(
        &self,
        addresses: impl IntoIterator<Item = Target>,
        weights: &[u32],
    ) -> Result<(), BuildError> {
        let targets: Vec<Target> = addresses.into_iter().collect();
        let count = targets.len();
        self.owner
            .shared
            .change(|state, now, fx| state.set_addresses(targets, weights, now, fx))?;
        tracing::info!(addresses = count, "addresses changed");
        Ok(())
    }

    /// Each address with the connections open or being opened to it.
    #[must_use]
    pub fn addresses(&self) -> Vec<(Target, usize)> {
        let state = self.owner.shared.lock();
        let counts = state.book().counts();
        counts.map(|(target, count)| (target.clone(), count)).collect()
    }

    /// The statistics now. Takes some microseconds.
    #[must_use]
    pub fn stats(&self) -> ConnectionPoolStats {
        let census = self.owner.shared.lock().census();
        self.owner.shared.recorder.snapshot(&census)
    }

    /// Whether the pool refuses newcomers, because it was closed or its runtime has ended.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.owner.shared.lock().census().closing
    }

    /// Closes the pool: newcomers and those who wait get [`CheckoutError::Closed`], what is idle is
    /// closed, what is being opened is given up. Then waits until what is on loan has come back, for
    /// at most `deadline`; what is out longer is closed when it comes back. If the pool's runtime has
    /// ended, nobody measures the time any more, and nothing is waited for.
    ///
    /// # Cancel safety
    ///
    /// The pool stays closed; calling it again goes on waiting.
    pub async fn close(&self, deadline: Duration) -> CloseReport {
        let shared = &self.owner.shared;
        let out = shared.lock().out();
        let first = !self.is_closed();
        shared.shut();
        if first {
            tracing::info!(out, ?deadline, "closing the pool");
        }
        let drained = async {
            loop {
                let progress = shared.progress.notified();
                let mut progress = std::pin::pin!(progress);
                progress.as_mut().enable();
                if shared.lock().out() == 0 {
                    return;
                }
                progress.await;
            }
        };
        let in_time = shared.within(deadline, drained).await.is_some();
        let cut = if in_time { 0 } else { shared.lock().out() };
        let report = CloseReport {
            drained: out.saturating_sub(cut),
            cut,
        };
        if first {
            tracing::info!(drained = report.drained, cut, "pool closed");
        }
        report
    }
}

/// How a [`close`](ConnectionPool::close) went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CloseReport {
    /// Connections on loan that came back in time.
    pub drained: usize,
    /// Connections on loan that were still out at the deadline.
    pub cut: usize,
}
