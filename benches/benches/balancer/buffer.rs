//! tower's balancer as several tasks must share it: inside `Buffer`.

use std::convert::Infallible;
use std::future::{Ready, ready};

use criterion::BenchmarkGroup;
use criterion::measurement::WallTime;
use tower::balance::p2c::Balance;
use tower::buffer::Buffer;
use tower::discover::ServiceList;
use tower::load::{CompleteOnResponse, PendingRequestsDiscover};
use tower::{Service, ServiceExt, service_fn};

type Answer = fn(()) -> Ready<Result<(), Infallible>>;

pub(crate) fn tower(group: &mut BenchmarkGroup<'_, WallTime>, size: usize) {
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().build() else {
        return;
    };
    let answer: Answer = |()| ready(Ok(()));
    let services = ServiceList::new::<()>(vec![service_fn(answer); size]);
    let discover = PendingRequestsDiscover::new(services, CompleteOnResponse::default());
    let mut shared = {
        let _inside = runtime.enter();
        Buffer::new(Balance::new(discover), 1024)
    };
    group.bench_function("tower_buffer", |bencher| {
        bencher.iter_custom(|iterations| {
            runtime.block_on(async {
                let clock = evenkeel_stats::RealClock::new();
                let begun = evenkeel_stats::Clock::now(&clock);
                for _ in 0..iterations {
                    if let Ok(ready) = shared.ready().await {
                        std::hint::black_box(ready.call(()).await.is_ok());
                    }
                }
                evenkeel_stats::Clock::now(&clock).since(begun)
            })
        });
    });
}
