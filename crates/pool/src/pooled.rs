//! [`PooledConnection`]: a connection on loan.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::time::Duration;

use evenkeel_io_core::{AsyncConnection, Target};

use crate::CloseReason;
use crate::live::Live;
use crate::shared::Shared;

/// A connection on loan from a [`ConnectionPool`](crate::ConnectionPool). It derefs to the
/// connection and goes back when it is dropped, on whatever thread, also after the pool is gone.
///
/// # What does not go back
///
/// A connection is closed instead of reused
/// - after [`mark_broken`](Self::mark_broken), or [`set_reusable(false)`](Self::set_reusable);
/// - when it is dropped by a panic;
/// - when [`Recycle::reset`](crate::Recycle::reset) says so: by default, an [`AsyncConnection`] on
///   which a read or a write was cut short, because its future was dropped, its deadline passed, or
///   it failed. Its stream may hold half a request, or an answer that belongs to nobody.
///
/// The pool can not look into other types. Where a task may be cancelled in the middle of an
/// exchange, say so:
///
/// ```
/// # use evenkeel_pool::PooledConnection;
/// # struct Client;
/// # impl Client { async fn exchange(&mut self) -> std::io::Result<()> { Ok(()) } }
/// async fn ask(client: &mut PooledConnection<Client>) -> std::io::Result<()> {
///     client.set_reusable(false);
///     client.exchange().await?; // cancelled or failed here, it is closed
///     client.set_reusable(true);
///     Ok(())
/// }
/// ```
#[must_use = "dropping it gives the connection back at once"]
pub struct PooledConnection<T: Send + 'static = AsyncConnection> {
    /// `None` only while it is being dropped or taken apart.
    loan: Option<Loan<T>>,
}

struct Loan<T> {
    live: Box<Live<T>>,
    shared: Arc<Shared<T>>,
}

impl<T: Send + 'static> PooledConnection<T> {
    #[inline]
    pub(crate) const fn new(shared: Arc<Shared<T>>, live: Box<Live<T>>) -> Self {
        Self {
            loan: Some(Loan { live, shared }),
        }
    }

    #[inline]
    #[expect(
        clippy::expect_used,
        reason = "only methods that consume the guard, and its destructor, take the connection out"
    )]
    fn loan(&self) -> &Loan<T> {
        self.loan
            .as_ref()
            .expect("a guard holds its connection until it is gone")
    }

    #[inline]
    fn live(&self) -> &Live<T> {
        &self.loan().live
    }

    #[inline]
    #[expect(
        clippy::expect_used,
        reason = "only methods that consume the guard, and its destructor, take the connection out"
    )]
    pub(crate) fn live_mut(&mut self) -> &mut Live<T> {
        let loan = self.loan.as_mut();
        &mut loan.expect("a guard holds its connection until it is gone").live
    }

    /// The address the connection was opened to.
    #[must_use]
    pub fn target(&self) -> &Target {
        &self.live().address.target
    }

    /// How long ago it was opened.
    #[must_use]
    pub fn age(&self) -> Duration {
        self.loan().shared.time.coarse().since(self.live().born)
    }

    /// Has the connection closed instead of reused: it failed, or is in a state that the next holder
    /// could not use.
    pub fn mark_broken(&mut self) {
        self.set_reusable(false);
    }

    /// Whether the connection may be reused when it comes back. Set it to `false` before an exchange
    /// that must not be cut short, and to `true` after.
    pub fn set_reusable(&mut self, reusable: bool) {
        self.live_mut().reusable = reusable;
    }

    /// Takes the connection out for good: the pool forgets it, and has room for another.
    #[must_use]
    pub fn detach(mut self) -> T {
        let Loan { live, shared } = self.take();
        shared.change(|state, now, fx| state.detach(&live, now, fx));
        live.connection
    }

    /// Closes it for another reason than its holder's.
    pub(crate) fn discard(mut self, reason: CloseReason) {
        let Loan { live, shared } = self.take();
        shared.change(|state, now, fx| {
            state.uncount();
            state.discard(live, reason, now, fx);
        });
    }

    #[expect(
        clippy::expect_used,
        reason = "called once, by methods that consume the guard"
    )]
    fn take(&mut self) -> Loan<T> {
        self.loan
            .take()
            .expect("a guard holds its connection until it is gone")
    }
}

impl<T: Send + 'static> Drop for PooledConnection<T> {
    #[inline]
    fn drop(&mut self) {
        if let Some(Loan { live, shared }) = self.loan.take() {
            shared.give_back(live);
        }
    }
}

impl<T: Send + 'static> Deref for PooledConnection<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        &self.live().connection
    }
}

impl<T: Send + 'static> DerefMut for PooledConnection<T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        &mut self.live_mut().connection
    }
}

impl<T: Send + 'static> AsMut<T> for PooledConnection<T> {
    fn as_mut(&mut self) -> &mut T {
        self
    }
}

impl<T: Send + fmt::Debug + 'static> fmt::Debug for PooledConnection<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PooledConnection")
            .field(
                "connection",
                &self.loan.as_ref().map(|loan| &loan.live.connection),
            )
            .finish_non_exhaustive()
    }
}
