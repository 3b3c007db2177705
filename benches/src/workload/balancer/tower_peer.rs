//! tower's balancer, as its users must call it: ready, then call.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::future::{Future, Ready, ready};
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tower::balance::p2c::Balance;
use tower::discover::ServiceList;
use tower::load::{CompleteOnResponse, PeakEwmaDiscover, PendingRequestsDiscover};
use tower::{BoxError, Service};

use super::Selector;
use crate::Error;

/// A backend that answers at once, with its index.
#[derive(Clone, Debug)]
struct Backend(usize);

impl Service<()> for Backend {
    type Response = usize;
    type Error = Infallible;
    type Future = Ready<Result<usize, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, (): ()) -> Self::Future {
        ready(Ok(self.0))
    }
}

struct Tower<S: Service<()>> {
    balance: S,
    /// Responses nobody has waited for yet: a request in flight is one of these.
    open: VecDeque<S::Future>,
    backends: usize,
}

fn backends(count: usize) -> ServiceList<Vec<Backend>> {
    ServiceList::new::<()>((0..count).map(Backend).collect::<Vec<_>>())
}

/// By pending requests.
pub(super) fn pending(count: usize) -> Box<dyn Selector> {
    let discover = PendingRequestsDiscover::new(backends(count), CompleteOnResponse::default());
    selector(Balance::new(discover), count)
}

/// By its peak EWMA, with the defaults of its documentation.
pub(super) fn peak_ewma(count: usize) -> Box<dyn Selector> {
    let (rtt, decay) = (Duration::from_millis(30), Duration::from_secs(10));
    let discover = PeakEwmaDiscover::new::<()>(backends(count), rtt, decay, CompleteOnResponse::default());
    selector(Balance::new(discover), count)
}

fn selector<S>(balance: S, backends: usize) -> Box<dyn Selector>
where
    S: Service<(), Response = usize, Error = BoxError> + 'static,
{
    Box::new(Tower {
        balance,
        open: VecDeque::with_capacity(1024),
        backends,
    })
}

impl<S> Selector for Tower<S>
where
    S: Service<(), Response = usize, Error = BoxError>,
{
    fn select(&mut self) -> Result<(), Error> {
        let mut context = Context::from_waker(Waker::noop());
        match self.balance.poll_ready(&mut context) {
            Poll::Ready(Ok(())) => {}
            Poll::Ready(Err(e)) => return Err(Error::contender("ready", e)),
            Poll::Pending => return Err(Error::Contender("no backend is ready".to_owned())),
        }
        let response = self.balance.call(());
        self.open.push_back(response);
        Ok(())
    }

    fn end_oldest(&mut self) -> Result<Option<usize>, Error> {
        let Some(response) = self.open.pop_front() else {
            return Ok(None);
        };
        match pin!(response).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Ok(backend)) => Ok(Some(backend)),
            Poll::Ready(Err(e)) => Err(Error::contender("call", e)),
            Poll::Pending => Err(Error::Contender("the answer is not there".to_owned())),
        }
    }

    fn weights(&self) -> Vec<f64> {
        vec![1.0; self.backends]
    }
}
