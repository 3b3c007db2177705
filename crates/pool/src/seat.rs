//! Where a waiter finds what it is served with.
//!
//! The waiter and whoever serves it meet here and not at the pool's lock: under contention that saves
//! every waiter one turn at the lock that everybody wants.
//!
//! A seat is used again: whoever was served takes it along with the connection, and it is free when
//! that comes back. So under steady contention nobody allocates.

use std::sync::Arc;
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
    /// Whom to wake, if that is not the one that the line knows of any more.
    Waiting(Option<Waker>),
    Served(Served<T>),
    /// The waiter has gone.
    Left,
}

impl<T> Seat<T> {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(Inner::Waiting(None)))
    }

    /// The waiter looks. With what it was served, the seat is free for the next.
    #[inline]
    pub(crate) fn poll(&self, cx: &Context<'_>) -> Poll<Served<T>> {
        let mut inner = self.0.lock();
        match &mut *inner {
            Inner::Waiting(Some(waker)) => waker.clone_from(cx.waker()),
            Inner::Waiting(waker) => *waker = Some(cx.waker().clone()),
            Inner::Left => {}
            Inner::Served(_) => {
                if let Inner::Served(served) = std::mem::replace(&mut *inner, Inner::Waiting(None)) {
                    return Poll::Ready(served);
                }
            }
        }
        Poll::Pending
    }

    /// The waiter goes, with what it was served already.
    pub(crate) fn leave(&self) -> Option<Served<T>> {
        match std::mem::replace(&mut *self.0.lock(), Inner::Left) {
            Inner::Served(served) => Some(served),
            Inner::Waiting(_) | Inner::Left => None,
        }
    }
}

/// One who waits, as the line knows it.
#[derive(Debug)]
pub(crate) struct Seated<T> {
    pub(crate) seat: Arc<Seat<T>>,
    /// As it was when the waiter joined, so that joining takes no lock but the pool's.
    pub(crate) waker: Waker,
}

impl<T> Seated<T> {
    /// Serves the waiter, who is to be woken. If it has gone, what it was served with comes back.
    #[inline]
    pub(crate) fn serve(self, served: Served<T>) -> Result<Waker, Served<T>> {
        let mut inner = self.seat.0.lock();
        match &mut *inner {
            Inner::Waiting(newer) => {
                let newer = newer.take();
                *inner = Inner::Served(served);
                drop(inner);
                Ok(newer.unwrap_or(self.waker))
            }
            // Only one is ever popped from the line to be served, so this is `Left`.
            Inner::Served(_) | Inner::Left => Err(served),
        }
    }

    /// The waiter to be woken without being served: there is something for it to fetch.
    pub(crate) fn waker(&self) -> Option<Waker> {
        match &*self.seat.0.lock() {
            Inner::Waiting(newer) => Some(newer.as_ref().unwrap_or(&self.waker).clone()),
            Inner::Served(_) | Inner::Left => None,
        }
    }
}
