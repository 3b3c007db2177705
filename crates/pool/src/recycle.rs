//! [`Recycle`]: whether a connection may be used again.

use std::any::{Any, TypeId};
use std::future::ready;

use evenkeel_io_core::{AsyncConnection, Liveness};
use futures::future::BoxFuture;

/// Decides whether a connection may be used again.
///
/// Every method has a default, which trusts. A closure that looks at a connection is a `Recycle`
/// too, with that look as [`is_alive`](Self::is_alive).
///
/// ```
/// use evenkeel_pool::Recycle;
/// use futures::future::BoxFuture;
///
/// struct Client { in_transaction: bool, closed: bool }
///
/// struct Rules;
///
/// impl Recycle<Client> for Rules {
///     fn is_alive(&self, client: &mut Client) -> bool {
///         !client.closed
///     }
///     fn reset(&self, client: &mut Client) -> bool {
///         !client.in_transaction
///     }
///     fn check<'a>(&'a self, client: &'a mut Client) -> BoxFuture<'a, bool> {
///         Box::pin(async move { /* a ping */ !client.closed })
///     }
/// }
/// ```
pub trait Recycle<T>: Send + Sync {
    /// Whether the connection is alive, as far as this machine knows: called at every checkout of an
    /// open connection, on the caller's time, so it must not wait and should cost microseconds at
    /// most. `false` closes the connection; the caller gets another.
    fn is_alive(&self, connection: &mut T) -> bool {
        let _ = connection;
        true
    }

    /// Puts the connection back into the state that the next holder expects: called when it comes
    /// back, on the task that drops it, so it must not wait. `false` closes the connection: it can
    /// not be reset, or an operation on it was left half done.
    fn reset(&self, connection: &mut T) -> bool {
        let _ = connection;
        true
    }

    /// Whether the connection works, by a round trip if need be: called in the background every
    /// `health_check_interval` for idle connections, and at checkout after `validate_after_idle`.
    /// `false`, a panic, or no answer within `connection_timeout` closes it. Default:
    /// [`is_alive`](Self::is_alive).
    ///
    /// Cancel safety: the future may be dropped at any point; the connection is then closed.
    fn check<'a>(&'a self, connection: &'a mut T) -> BoxFuture<'a, bool> {
        Box::pin(ready(self.is_alive(connection)))
    }
}

impl<T, F: Fn(&mut T) -> bool + Send + Sync> Recycle<T> for F {
    fn is_alive(&self, connection: &mut T) -> bool {
        self(connection)
    }
}

/// What a pool does if it is told nothing.
///
/// An [`AsyncConnection`] is alive if one non-blocking look at its socket finds it open and with
/// nothing to read, and may go back if every operation on it ran to its end. Of any other type
/// nothing is known: it is trusted until somebody calls
/// [`mark_broken`](crate::PooledConnection::mark_broken).
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct DefaultRecycle;

impl DefaultRecycle {
    /// Whether it knows anything about a `T`.
    pub(crate) fn knows<T: 'static>() -> bool {
        TypeId::of::<T>() == TypeId::of::<AsyncConnection>()
    }
}

impl<T: 'static> Recycle<T> for DefaultRecycle {
    fn is_alive(&self, connection: &mut T) -> bool {
        let connection: &mut dyn Any = connection;
        connection
            .downcast_mut::<AsyncConnection>()
            .is_none_or(|connection| connection.liveness() == Liveness::Quiet)
    }

    fn reset(&self, connection: &mut T) -> bool {
        let connection: &mut dyn Any = connection;
        connection
            .downcast_ref::<AsyncConnection>()
            .is_none_or(|connection| connection.is_settled() && !connection.is_closing())
    }
}
