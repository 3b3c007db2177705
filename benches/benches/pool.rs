//! Checkout and return of `evenkeel-pool`, beside the pools people use today.
//!
//! Groups are `pool/<operation>/<contender>`. Criterion measures contenders one after the other: for ratios that
//! the drift of a machine does not reach see the scenario `pool-checkout`, which lets them take turns.
#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    reason = "a benchmark measures the clock's own time, and one that cannot be set up has nothing else to do"
)]

use std::time::Duration;

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, criterion_group, criterion_main};
use evenkeel_benches::Error;
use evenkeel_benches::pools::{Bb8, Deadpool, Evenkeel, Numbers, Pool, block_threads, contended, one_by_one};
use tokio::runtime::{Builder, Runtime};

type Group<'a> = BenchmarkGroup<'a, WallTime>;

/// Tasks, and the connections they share.
const TASKS: usize = 64;
const SHARED: usize = 16;

/// Threads of the operating system that block.
const THREADS: usize = 10;

fn runtime() -> Runtime {
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("a runtime")
}

/// An operation on any pool: so many loans, and the time they took.
trait Operation {
    fn run<P: Pool<Connection = u64>>(
        &self,
        runtime: &Runtime,
        pool: &P,
        loans: u64,
    ) -> Result<Duration, Error>;
}

/// One task.
struct Alone;

impl Operation for Alone {
    fn run<P: Pool<Connection = u64>>(
        &self,
        runtime: &Runtime,
        pool: &P,
        loans: u64,
    ) -> Result<Duration, Error> {
        let pool = pool.clone();
        let task = runtime.spawn(async move { one_by_one(&pool, loans).await });
        runtime.block_on(task).map_err(|e| Error::contender("task", e))?
    }
}

/// 64 tasks, a yield while holding.
struct Contended;

impl Operation for Contended {
    fn run<P: Pool<Connection = u64>>(
        &self,
        runtime: &Runtime,
        pool: &P,
        loans: u64,
    ) -> Result<Duration, Error> {
        let each = (loans as usize).div_ceil(TASKS);
        let done = runtime.block_on(contended(pool, TASKS, each, false))?;
        // What was done is a little more than was asked for.
        Ok(done.took.mul_f64(loans as f64 / (each * TASKS) as f64))
    }
}

/// 10 threads that block.
struct Threads;

impl Operation for Threads {
    fn run<P: Pool<Connection = u64>>(
        &self,
        runtime: &Runtime,
        pool: &P,
        loans: u64,
    ) -> Result<Duration, Error> {
        let each = (loans as usize).div_ceil(THREADS);
        let done = block_threads(pool, runtime.handle(), THREADS, each)?;
        Ok(done.took.mul_f64(loans as f64 / (each * THREADS) as f64))
    }
}

fn contender<P: Pool<Connection = u64>>(
    group: &mut Group<'_>,
    name: &str,
    runtime: &Runtime,
    pool: &P,
    operation: &impl Operation,
) {
    group.bench_function(name, |bencher| {
        bencher.iter_custom(|loans| operation.run(runtime, pool, loans).expect("every loan is served"));
    });
}

fn all(criterion: &mut Criterion, name: &str, size: usize, operation: &impl Operation) {
    let runtime = runtime();
    let mut group = criterion.benchmark_group(format!("pool/{name}"));
    let group = &mut group;
    let source = Numbers::default;
    let opened = "the connections are numbers";
    let ours = runtime
        .block_on(Evenkeel::of(source(), size, size))
        .expect(opened);
    contender(group, "evenkeel", &runtime, &ours, operation);
    for (name, timeouts) in [("deadpool", false), ("deadpool-timeouts", true)] {
        let pool = runtime
            .block_on(Deadpool::of(source(), size, size, timeouts))
            .expect(opened);
        contender(group, name, &runtime, &pool, operation);
    }
    for (name, checks) in [("bb8", true), ("bb8-unchecked", false)] {
        let pool = runtime
            .block_on(Bb8::of(source(), size, size, checks))
            .expect(opened);
        contender(group, name, &runtime, &pool, operation);
    }
}

fn pool(criterion: &mut Criterion) {
    all(criterion, "alone_16", 16, &Alone);
    all(criterion, "alone_1024", 1024, &Alone);
    all(criterion, "contended", SHARED, &Contended);
    all(criterion, "threads_4", 4, &Threads);
    all(criterion, "threads_10", 10, &Threads);
}

criterion_group!(benches, pool);
criterion_main!(benches);
