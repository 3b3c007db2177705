//! Scenario `concurrency`: many threads, each with many operations, through a balancer and a pool for each
//! backend, over real sockets.

mod ways;

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Barrier;
use std::time::{Duration, Instant};

use tokio::runtime::{Handle, Runtime};

use crate::exchange::Buffers;
use crate::server::ServerKind;
use crate::workload::Task;
use crate::{Children, Error, Metrics, Report, process};

use ways::{MutexDeadpool, Ours, TowerBb8};

pub(super) const CONTENDERS: &[&str] = &["evenkeel", "mutex-deadpool", "tower-bb8"];

/// How many servers the operations are balanced over.
const BACKENDS: usize = 3;

/// How many threads, and how many tasks, work at once; the figures of the most come with latencies.
const SCALE: [usize; 4] = [1, 2, 5, 10];

/// Workers of the runtime: the same for all, whatever the machine has.
const WORKERS: usize = 2;

/// One way to have an operation done. Clones share balancer and pools.
trait Way: Clone + Send + Sync + 'static {
    /// Chooses a backend, borrows a connection to it, exchanges a message for its echo, gives it back.
    fn operate(&mut self, buffers: Buffers, tag: u64) -> impl Future<Output = Result<Buffers, Error>> + Send;
}

/// The numbers of this scenario.
#[derive(Debug, Clone, Copy)]
struct Sizes {
    /// Of each thread.
    operations: usize,
    /// Open at each backend.
    connections: usize,
}

/// Runs one contender.
pub(super) fn run(task: &Task) -> Result<Report, Error> {
    let sizes = Sizes {
        operations: task.params.required("operations")?,
        connections: task.params.required("connections")?,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .enable_all()
        .build()
        .map_err(Error::io("cannot start the runtime"))?;
    let children = Children::of_this_program()?;
    let (mut servers, mut addresses) = (Vec::new(), Vec::new());
    for _ in 0..BACKENDS {
        let server = runtime.block_on(children.serve(ServerKind::Echo))?;
        addresses.push(server.addr());
        servers.push(server);
    }
    let metrics = contender(&runtime, &task.contender, &addresses, sizes)?;
    for server in servers {
        runtime.block_on(server.stop())?;
    }
    Ok(Report::of(&task.contender, metrics))
}

fn contender(runtime: &Runtime, name: &str, to: &[SocketAddr], sizes: Sizes) -> Result<Metrics, Error> {
    let most = sizes.connections;
    match name {
        "evenkeel" => measure(runtime, runtime.block_on(Ours::over(to, most))?, sizes),
        "mutex-deadpool" => measure(runtime, runtime.block_on(MutexDeadpool::over(to, most))?, sizes),
        "tower-bb8" => measure(runtime, runtime.block_on(TowerBb8::over(to, most))?, sizes),
        other => Err(Error::unknown("contender", other, CONTENDERS.iter().copied())),
    }
}

fn measure<W: Way>(runtime: &Runtime, way: W, sizes: Sizes) -> Result<Metrics, Error> {
    // Code paged in, connections open, latencies known.
    runtime.block_on(tasks(&way, 4, 100))?;
    let mut metrics = Metrics::default();
    for count in SCALE {
        let cpu = process::cpu_time()?;
        let (took, mut seen) = threads(&way, runtime.handle(), count, sizes.operations)?;
        metrics.set_rate(&format!("threads_{count}"), seen.len(), took);
        if count == SCALE[SCALE.len() - 1] {
            let spent = process::cpu_time()?.saturating_sub(cpu);
            metrics.set_share("cpu_per_operation", spent, seen.len());
            metrics.set_latencies("threads", &mut seen);
        }
    }
    for count in SCALE {
        let (took, mut seen) = runtime.block_on(tasks(&way, count, sizes.operations))?;
        metrics.set_rate(&format!("tasks_{count}"), seen.len(), took);
        if count == SCALE[SCALE.len() - 1] {
            metrics.set_latencies("tasks", &mut seen);
        }
    }
    metrics.set("peak_memory", process::peak_memory()? as f64 / f64::from(1 << 20));
    Ok(metrics)
}

/// One worker's operations, and how long each took, in nanoseconds.
async fn work<W: Way>(mut way: W, operations: usize) -> Result<Vec<f64>, Error> {
    let mut buffers = Buffers::default();
    let mut seen = Vec::with_capacity(operations);
    for tag in 0..operations as u64 {
        let asked = Instant::now();
        buffers = way.operate(buffers, tag).await?;
        seen.push(asked.elapsed().as_nanos() as f64);
    }
    Ok(seen)
}

/// `count` threads of the operating system at once, each blocked on its own operations.
fn threads<W: Way>(
    way: &W,
    handle: &Handle,
    count: usize,
    operations: usize,
) -> Result<(Duration, Vec<f64>), Error> {
    let meet = Barrier::new(count + 1);
    std::thread::scope(|scope| {
        let mut running = Vec::with_capacity(count);
        for _ in 0..count {
            let (meet, way) = (&meet, way.clone());
            running.push(scope.spawn(move || {
                meet.wait();
                handle.block_on(work(way, operations))
            }));
        }
        meet.wait();
        let start = Instant::now();
        let mut all = Vec::with_capacity(count * operations);
        for thread in running {
            let seen = thread.join();
            all.extend(seen.map_err(|_| Error::Contender("a thread panicked".to_owned()))??);
        }
        Ok((start.elapsed(), all))
    })
}

/// `count` tasks at once.
async fn tasks<W: Way>(way: &W, count: usize, operations: usize) -> Result<(Duration, Vec<f64>), Error> {
    let start = Instant::now();
    let running: Vec<_> = (0..count)
        .map(|_| tokio::spawn(work(way.clone(), operations)))
        .collect();
    let mut all = Vec::with_capacity(count * operations);
    for task in running {
        all.extend(task.await.map_err(|e| Error::contender("a task", e))??);
    }
    Ok((start.elapsed(), all))
}
