//! What `evenkeel-io-core` does on every connection, beside what people use today.
//!
//! Criterion measures contenders one after the other: for differences smaller than the drift of a machine see
//! the scenario `io-pair`, which lets them take turns.
#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    reason = "a benchmark measures the clock's own time, and one that cannot be set up has nothing else to do"
)]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, criterion_group, criterion_main};
use evenkeel_benches::pairs::{self, Kind};
use evenkeel_benches::process::raise_descriptor_limit;
use evenkeel_benches::server::ServerKind;
use evenkeel_benches::workload::{Dial, Evenkeel, HyperUtil, RawTokio};
use evenkeel_benches::{Children, Error};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::Barrier;
use tokio::task::JoinSet;

/// Connections made at once.
const CONNECTIONS: usize = 1000;

/// Workers of the runtime that makes them, whatever the machine has.
const WORKERS: usize = 2;

/// Connects all at once; the time from letting them start to having the last one.
async fn connect_all<D: Dial>(dial: &D) -> Result<Duration, Error> {
    let start_line = Arc::new(Barrier::new(CONNECTIONS + 1));
    let mut tasks = JoinSet::new();
    for _ in 0..CONNECTIONS {
        let (dial, start_line) = (dial.clone(), Arc::clone(&start_line));
        tasks.spawn(async move {
            start_line.wait().await;
            dial.dial().await
        });
    }
    let mut connections = Vec::with_capacity(CONNECTIONS);
    start_line.wait().await;
    let start = Instant::now();
    while let Some(task) = tasks.join_next().await {
        connections.push(task.map_err(|e| Error::Contender(e.to_string()))??);
    }
    let took = start.elapsed();
    dial.audit(CONNECTIONS)?;
    Ok(took)
}

fn connect(group: &mut BenchmarkGroup<'_, WallTime>, runtime: &Runtime, name: &str, dial: &impl Dial) {
    group.bench_function(name, |bencher| {
        bencher.iter_custom(|iterations| {
            let mut took = Duration::ZERO;
            for _ in 0..iterations {
                took += runtime.block_on(connect_all(dial)).expect("all connect");
            }
            took
        });
    });
}

fn connects(criterion: &mut Criterion, runtime: &Runtime, addr: SocketAddr) {
    let mut group = criterion.benchmark_group("io-core/connect-1000");
    group.sample_size(20);
    let ours = Evenkeel::to(addr, CONNECTIONS).expect("a manager");
    connect(&mut group, runtime, "evenkeel", &ours);
    connect(&mut group, runtime, "raw-tokio", &RawTokio::to(addr));
    connect(
        &mut group,
        runtime,
        "hyper-util",
        &HyperUtil::to(addr).expect("a URI"),
    );
    group.finish();
}

fn round_trips(criterion: &mut Criterion, name: &str, kind: Kind) {
    let mut group = criterion.benchmark_group(format!("io-core/{name}"));
    for contender in pairs::CONTENDERS {
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let mut conn = Some(
            runtime
                .block_on(pairs::open(contender, kind))
                .expect("a connection"),
        );
        group.bench_function(*contender, |bencher| {
            bencher.iter_custom(|iterations| {
                let count = usize::try_from(iterations).unwrap_or(usize::MAX);
                // In a task, where connections are used; the future of block_on has a waker that costs more.
                let mut taken = conn.take().expect("it was put back");
                let work = runtime.spawn(async move {
                    let nanos = taken.run(count).await;
                    (taken, nanos)
                });
                let (taken, nanos) = runtime.block_on(work).expect("no panic");
                conn = Some(taken);
                let nanos = nanos.expect("every message comes back");
                Duration::from_secs_f64(nanos * iterations as f64 / 1e9)
            });
        });
    }
    group.finish();
}

fn io_core(criterion: &mut Criterion) {
    raise_descriptor_limit().expect("a limit");
    let runtime = Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .enable_all()
        .build()
        .expect("a runtime");
    // A process of its own, so that its work is not on our threads. It ends with this one.
    let children = Children::of(env!("CARGO_BIN_EXE_evenkeel-bench"));
    let server = runtime
        .block_on(children.serve(ServerKind::Echo))
        .expect("a server");

    connects(criterion, &runtime, server.addr());
    round_trips(criterion, "round-trip-1KiB", Kind::Tcp(server.addr()));
    round_trips(criterion, "duplex-1KiB", Kind::Duplex);
    round_trips(criterion, "duplex-ready", Kind::Ready);
    runtime.block_on(server.stop()).expect("the server ends");
}

criterion_group!(benches, io_core);
criterion_main!(benches);
