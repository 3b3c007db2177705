//! Where a waiter finds what it is served with.
//!
//! The waiter and whoever serves it meet here and not at the pool's lock: under contention that saves
//! every waiter one turn at the lock that everybody wants.

use std::task::{Context, Poll, Waker};

use crate::CheckoutError;
use crate::live::Live;
use crate::sync::Mutex;

/// See the module.
#[derive(Debug)]
pub(crate) struct Seat<T>(Mutex<Inner<T>>);

/// What a waiter is served with. The error is boxed because it is large and rare.
pub(crate) type Served<T> = Result<Box<Live<T>>, Box<CheckoutError>>;

#[derive(Debug)]
enum Inner<T> {
    Waiting(Waker),
    Served(Served<T>),
    /// The waiter has what it came for, or has gone.
    Left,
}

impl<T> Seat<T> {
    pub(crate) fn new(waker: Waker) -> Self {
        Self(Mutex::new(Inner::Waiting(waker)))
    }

    /// Serves the waiter, who is to be woken. If it has gone, what it was served with comes back.
    pub(crate) fn serve(&self, served: Served<T>) -> Result<Waker, Served<T>> {
        let mut inner = self.0.lock();
        match std::mem::replace(&mut *inner, Inner::Left) {
            Inner::Waiting(waker) => {
                *inner = Inner::Served(served);
                Ok(waker)
            }
            // Only one is ever popped from the line to be served, so this is `Left`.
            other => {
                *inner = other;
                Err(served)
            }
        }
    }

    /// The waiter looks.
    pub(crate) fn poll(&self, cx: &Context<'_>) -> Poll<Served<T>> {
        let mut inner = self.0.lock();
        match &mut *inner {
            Inner::Waiting(waker) => {
                waker.clone_from(cx.waker());
                Poll::Pending
            }
            Inner::Left => Poll::Pending,
            Inner::Served(_) => match std::mem::replace(&mut *inner, Inner::Left) {
                Inner::Served(served) => Poll::Ready(served),
                _ => Poll::Pending,
            },
        }
    }

    /// The waiter to be woken without being served: there is something for it to fetch.
    pub(crate) fn waker(&self) -> Option<Waker> {
        match &*self.0.lock() {
            Inner::Waiting(waker) => Some(waker.clone()),
            Inner::Served(_) | Inner::Left => None,
        }
    }

    /// The waiter goes, with what it was served already.
    pub(crate) fn leave(&self) -> Option<Served<T>> {
        match std::mem::replace(&mut *self.0.lock(), Inner::Left) {
            Inner::Served(served) => Some(served),
            Inner::Waiting(_) | Inner::Left => None,
        }
    }
}
