//! Why there is no connection, and why an attempt failed.

use std::fmt;

use evenkeel_balancer::{BackendId, PickError};
use evenkeel_pool::CheckoutError;
use thiserror::Error;

/// Why [`Client::connection`](crate::Client::connection) gave none.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ConnectionError {
    /// There was nobody to ask.
    #[error("no backend: {source}{tried}")]
    NotPicked {
        /// Who was asked before.
        tried: TriedBackends,
        /// Why there was nobody.
        source: PickError,
    },
    /// Nobody who was asked had one.
    #[error("no connection{tried}")]
    NoConnection {
        /// Who was asked.
        tried: TriedBackends,
        /// Why the last had none.
        source: Option<CheckoutError>,
    },
}

impl ConnectionError {
    pub(super) const fn not_picked(tried: Vec<(BackendId, CheckoutError)>, source: PickError) -> Self {
        Self::NotPicked {
            tried: TriedBackends(tried),
            source,
        }
    }

    pub(super) fn none(tried: Vec<(BackendId, CheckoutError)>) -> Self {
        Self::NoConnection {
            source: tried.last().map(|(_, error)| error.clone()),
            tried: TriedBackends(tried),
        }
    }

    /// Who was asked, and why they had none, in order.
    pub fn tried(&self) -> impl Iterator<Item = (&BackendId, &CheckoutError)> {
        let (Self::NotPicked { tried, .. } | Self::NoConnection { tried, .. }) = self;
        tried.0.iter().map(|(id, error)| (id, error))
    }
}

/// The backends that were asked for a connection, and why they had none.
#[derive(Debug)]
pub struct TriedBackends(Vec<(BackendId, CheckoutError)>);

/// ` (tried a: …; b: …)`, or nothing.
impl fmt::Display for TriedBackends {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (id, error)) in self.0.iter().enumerate() {
            f.write_str(if index == 0 { " (tried " } else { "; " })?;
            write!(f, "{id}: {error}")?;
        }
        f.write_str(if self.0.is_empty() { "" } else { ")" })
    }
}

/// Why one attempt of a [`Client::call`](crate::Client::call) failed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum AttemptError<E> {
    /// The backend's pool had no connection; nothing was sent.
    #[error(transparent)]
    Checkout(CheckoutError),
    /// The exchange failed.
    #[error(transparent)]
    Exchange(E),
}
