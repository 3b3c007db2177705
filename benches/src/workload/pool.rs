//! Scenario `pool`: many short operations over few connections, against a connection for each.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use crate::exchange::{Buffers, Exchange, exchange};
use crate::pools::{Bb8, Deadpool, Evenkeel, Pool, Source};
use crate::workload::{self, Dial, RawTokio, Task};
use crate::{Error, Metrics, Report, process, quantile};

pub(super) const CONTENDERS: &[&str] = &["evenkeel", "evenkeel-raw", "deadpool", "bb8", "connect-each"];

/// Workers of the runtime: the same for all, whatever the machine has.
const WORKERS: usize = 2;

/// The numbers of this scenario.
#[derive(Debug, Clone, Copy)]
struct Sizes {
    operations: usize,
    tasks: usize,
    connections: usize,
}

/// Counts what a source makes.
#[derive(Debug, Clone)]
struct Counted<D> {
    dial: D,
    made: Arc<AtomicUsize>,
}

impl<D: Dial> Counted<D> {
    fn new(dial: D) -> Self {
        Self {
            dial,
            made: Arc::default(),
        }
    }
}

impl<D: Dial> Source for Counted<D>
where
    D::Connection: std::fmt::Debug + Sync,
{
    type Connection = D::Connection;

    async fn make(&self) -> Result<D::Connection, Error> {
        self.made.fetch_add(1, Ordering::Relaxed);
        self.dial.dial().await
    }
}

/// No pool: a connection for each operation.
#[derive(Debug, Clone)]
struct Each<S>(S);

/// A connection of one's own.
#[derive(Debug)]
struct Own<C>(C);

impl<C> std::ops::Deref for Own<C> {
    type Target = C;
    fn deref(&self) -> &C {
        &self.0
    }
}

impl<C> std::ops::DerefMut for Own<C> {
    fn deref_mut(&mut self) -> &mut C {
        &mut self.0
    }
}

impl<S: Source> Pool for Each<S> {
    type Connection = S::Connection;
    type Loan = Own<S::Connection>;

    async fn checkout(&self) -> Result<Self::Loan, Error> {
        self.0.make().await.map(Own)
    }

    fn size(&self) -> usize {
        0
    }
}

/// Runs one contender.
pub(super) fn run(task: &Task) -> Result<Report, Error> {
    let addr = task.server()?;
    let sizes = Sizes {
        operations: task.params.required("operations")?,
        tasks: task.params.required("tasks")?,
        connections: task.params.required("connections")?,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .enable_all()
        .build()
        .map_err(Error::io("cannot start the runtime"))?;
    let metrics = runtime.block_on(contender(&task.contender, addr, sizes))?;
    Ok(Report::of(&task.contender, metrics))
}

async fn contender(name: &str, addr: SocketAddr, sizes: Sizes) -> Result<Metrics, Error> {
    // Code paged in and timers started, on a pool that is thrown away.
    let warm_up = Sizes {
        operations: 200,
        tasks: 4,
        connections: 4,
    };
    one(name, addr, warm_up).await?;
    one(name, addr, sizes).await
}

async fn one(name: &str, addr: SocketAddr, sizes: Sizes) -> Result<Metrics, Error> {
    let max = sizes.connections;
    let raw = Counted::new(RawTokio::to(addr));
    let made = raw.made.clone();
    match name {
        "evenkeel" => {
            let ours = Counted::new(workload::Evenkeel::to(addr, max)?);
            let made = ours.made.clone();
            measure(Evenkeel::of(ours, 0, max).await?, &made, sizes).await
        }
        "evenkeel-raw" => measure(Evenkeel::of(raw, 0, max).await?, &made, sizes).await,
        "deadpool" => measure(Deadpool::of(raw, 0, max, true).await?, &made, sizes).await,
        "bb8" => measure(Bb8::of(raw, 0, max, true).await?, &made, sizes).await,
        "connect-each" => measure(Each(raw), &made, sizes).await,
        other => Err(Error::unknown("contender", other, CONTENDERS.iter().copied())),
    }
}

/// What one task saw, in nanoseconds.
#[derive(Debug, Default)]
struct Seen {
    acquisitions: Vec<f64>,
    operations: Vec<f64>,
}

async fn measure<P: Pool>(pool: P, made: &AtomicUsize, sizes: Sizes) -> Result<Metrics, Error>
where
    P::Connection: Exchange,
{
    let sent = process::sent_octets()?;
    let (cpu, start) = (process::cpu_time()?, Instant::now());
    let mut seen = operate(&pool, sizes.operations, sizes.tasks).await?;
    let (wall, cpu) = (start.elapsed(), process::cpu_time()?.saturating_sub(cpu));
    let sent = process::sent_octets()?.saturating_sub(sent);

    let created = made.load(Ordering::Relaxed);
    let operations = seen.operations.len();
    if operations != sizes.operations {
        let problem = format!("{operations} operations were done and not {}", sizes.operations);
        return Err(Error::Contender(problem));
    }
    let mut metrics = Metrics::default();
    metrics.set_latencies("acquire", &mut seen.acquisitions);
    if let Some(nanos) = quantile(&mut seen.acquisitions, 0.999) {
        metrics.set("acquire_p999", nanos / 1e3);
    }
    metrics.set_latencies("operation", &mut seen.operations);
    metrics.set_rate("rate", operations, wall);
    let reused = operations.saturating_sub(created);
    metrics.set("hit_rate", reused as f64 / operations.max(1) as f64 * 100.0);
    metrics.set("created", created as f64);
    metrics.set_share("cpu_per_operation", cpu, operations);
    metrics.set("bytes_per_operation", sent as f64 / operations.max(1) as f64);
    metrics.set("peak_memory", process::peak_memory()? as f64 / f64::from(1 << 20));
    Ok(metrics)
}

/// `tasks` tasks do `operations` operations between them: check out, one exchange, give back.
async fn operate<P: Pool>(pool: &P, operations: usize, tasks: usize) -> Result<Seen, Error>
where
    P::Connection: Exchange,
{
    let mut running = JoinSet::new();
    for task in 0..tasks {
        let pool = pool.clone();
        running.spawn(async move {
            let mut buffers = Buffers::default();
            let mut seen = Seen::default();
            for tag in (task..operations).step_by(tasks) {
                let tag = tag as u64;
                let asked = Instant::now();
                let mut loan = pool.checkout().await?;
                seen.acquisitions.push(nanos(asked.elapsed()));
                exchange(&mut *loan, &mut buffers, tag).await?;
                drop(loan);
                seen.operations.push(nanos(asked.elapsed()));
            }
            Ok::<_, Error>(seen)
        });
    }
    let mut all = Seen::default();
    while let Some(done) = running.join_next().await {
        let seen = done.map_err(|e| Error::contender("a task", e))??;
        all.acquisitions.extend(seen.acquisitions);
        all.operations.extend(seen.operations);
    }
    Ok(all)
}

fn nanos(time: Duration) -> f64 {
    time.as_nanos() as f64
}
