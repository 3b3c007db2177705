//! [`Route`]: which service a request goes through to a backend.

use std::fmt;

use http::request::Parts;

use crate::BackendRef;

/// Gives the service that takes one request to `backend`, and changes the request's head to fit.
///
/// [`OwnService`] and [`Through`] are what is mostly needed; a type of one's own is for whoever needs
/// both, or neither.
pub trait Route<B> {
    /// The service.
    type Service;

    /// The service for one attempt; it is asked whether it is ready before it is called.
    fn route(&self, backend: &BackendRef<B>, head: &mut Parts) -> Self::Service;
}

/// Each backend carries a service of its own, which is cloned for each attempt: a tonic channel, a
/// client with its pool.
#[derive(Clone, Copy, Debug, Default)]
pub struct OwnService;

impl<S: Clone> Route<S> for OwnService {
    type Service = S;

    fn route(&self, backend: &BackendRef<S>, _: &mut Parts) -> S {
        backend.payload().clone()
    }
}

/// All go through one service, which finds the way by the request's head: a client that keeps a pool
/// for each authority.
#[derive(Clone)]
pub struct Through<S, F> {
    service: S,
    direct: F,
}

impl<S, F> Through<S, F> {
    pub(super) const fn new(service: S, direct: F) -> Self {
        Self { service, direct }
    }
}

impl<B, S, F> Route<B> for Through<S, F>
where
    S: Clone,
    F: Fn(&BackendRef<B>, &mut Parts),
{
    type Service = S;

    fn route(&self, backend: &BackendRef<B>, head: &mut Parts) -> S {
        (self.direct)(backend, head);
        self.service.clone()
    }
}

impl<S: fmt::Debug, F> fmt::Debug for Through<S, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Through")
            .field("service", &self.service)
            .finish_non_exhaustive()
    }
}
