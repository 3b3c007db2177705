//! tower's p2c, as its users must call it: ready, then call, then the response's end.

use std::convert::Infallible;
use std::future::{Future, Ready, ready};
use std::hint::black_box;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use criterion::BenchmarkGroup;
use criterion::measurement::WallTime;
use tower::balance::p2c::Balance;
use tower::discover::ServiceList;
use tower::load::{CompleteOnResponse, PeakEwmaDiscover, PendingRequestsDiscover};
use tower::{Service, service_fn};

type Answer = fn(()) -> Ready<Result<(), Infallible>>;

fn services(size: usize) -> ServiceList<Vec<tower::util::ServiceFn<Answer>>> {
    let answer: Answer = |()| ready(Ok(()));
    ServiceList::new::<()>(vec![service_fn(answer); size])
}

/// One request. The service is always ready and answers at once.
fn request<S: Service<()>>(balance: &mut S) {
    let mut context = Context::from_waker(Waker::noop());
    if let Poll::Ready(Ok(())) = balance.poll_ready(&mut context) {
        let response = pin!(balance.call(()));
        black_box(response.poll(&mut context).is_ready());
    }
}

pub(crate) fn pending(group: &mut BenchmarkGroup<'_, WallTime>, size: usize) {
    let discover = PendingRequestsDiscover::new(services(size), CompleteOnResponse::default());
    let mut balance = Balance::new(discover);
    request(&mut balance);
    group.bench_function("tower_pending", |bencher| bencher.iter(|| request(&mut balance)));
}

pub(crate) fn peak_ewma(group: &mut BenchmarkGroup<'_, WallTime>, size: usize) {
    let second = Duration::from_secs(1);
    let discover =
        PeakEwmaDiscover::new::<()>(services(size), second, 10 * second, CompleteOnResponse::default());
    let mut balance = Balance::new(discover);
    request(&mut balance);
    group.bench_function("tower_peak_ewma", |bencher| {
        bencher.iter(|| request(&mut balance));
    });
}
