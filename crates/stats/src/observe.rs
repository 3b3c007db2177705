//! A tap on what happens, for whoever wants metrics or logs of their own.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::{FailureKind, Outcome, Phase};

/// Hears of what happened. Every method does nothing unless it is written.
///
/// `()` observes nothing and costs nothing. Methods are called on the path of the operation they
/// tell of, so they must be quick and must not block; they are called outside every lock.
pub trait Observe: Send + Sync {
    /// An attempt to open a connection ended.
    fn connect(&self, event: &ConnectEvent<'_>) {
        let _ = event;
    }

    /// A checkout from a pool ended.
    fn checkout(&self, event: &CheckoutEvent<'_>) {
        let _ = event;
    }

    /// A request ended.
    fn outcome(&self, event: &OutcomeEvent<'_>) {
        let _ = event;
    }

    /// A connection was closed.
    fn close(&self, event: &CloseEvent<'_>) {
        let _ = event;
    }
}

impl Observe for () {}

impl<O: Observe + ?Sized> Observe for Arc<O> {
    fn connect(&self, event: &ConnectEvent<'_>) {
        (**self).connect(event);
    }
    fn checkout(&self, event: &CheckoutEvent<'_>) {
        (**self).checkout(event);
    }
    fn outcome(&self, event: &OutcomeEvent<'_>) {
        (**self).outcome(event);
    }
    fn close(&self, event: &CloseEvent<'_>) {
        (**self).close(event);
    }
}

/// Why something failed: in which phase and of what kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Failure {
    /// Where it was.
    pub phase: Phase,
    /// What sort it was.
    pub kind: FailureKind,
}

/// An attempt to open a connection ended.
#[derive(Clone, Copy)]
pub struct ConnectEvent<'a> {
    /// Who was dialled.
    pub target: &'a dyn fmt::Display,
    /// From the call to its end, the wait at limits included.
    pub took: Duration,
    /// Whether there is a connection now.
    pub result: Result<(), Failure>,
}

/// A checkout from a pool ended.
#[derive(Clone, Copy)]
pub struct CheckoutEvent<'a> {
    /// Whose connections the pool holds.
    pub target: &'a dyn fmt::Display,
    /// From the call to its end.
    pub took: Duration,
    /// Whether an open connection was reused, or why there is none.
    pub result: Result<Reused, Failure>,
}

/// Whether a checkout was served by a connection that was open already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reused {
    /// A hit: the connection was open.
    Yes,
    /// A miss: it was opened for this checkout.
    No,
}

/// A request ended.
#[derive(Clone, Copy)]
pub struct OutcomeEvent<'a> {
    /// The backend it went to.
    pub target: &'a dyn fmt::Display,
    /// From the pick to the end.
    pub took: Duration,
    /// How it ended.
    pub outcome: Outcome,
}

/// A connection was closed.
#[derive(Clone, Copy)]
pub struct CloseEvent<'a> {
    /// Its peer.
    pub target: &'a dyn fmt::Display,
    /// How long it was open.
    pub age: Duration,
    /// Why it was closed, as one lower-case word.
    pub reason: &'a str,
}

macro_rules! debug_event {
    ($name:ident { $($field:ident),* }) => {
        impl fmt::Debug for $name<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($name))
                    .field("target", &format_args!("{}", self.target))
                    $(.field(stringify!($field), &self.$field))*
                    .finish()
            }
        }
    };
}

debug_event!(ConnectEvent { took, result });
debug_event!(CheckoutEvent { took, result });
debug_event!(OutcomeEvent { took, outcome });
debug_event!(CloseEvent { age, reason });
