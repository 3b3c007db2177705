//! Scenario `pool-spike`: many callers at once, few open connections, slow dials, short uses. (The idea is
//! `HikariCP`'s.)

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::pools::{Bb8, Deadpool, Evenkeel, Pool, Source};
use crate::workload::Task;
use crate::{Error, Metrics, Report};

pub(super) const CONTENDERS: &[&str] = &["evenkeel", "deadpool", "bb8"];

/// How often the number of connections is looked at.
const SAMPLE: Duration = Duration::from_micros(250);

/// The numbers of this scenario.
#[derive(Debug, Clone, Copy)]
struct Sizes {
    callers: usize,
    idle: usize,
    max: usize,
    dial: Duration,
    hold: Duration,
}

/// Connections that take their time to open, and are counted from the start of the dial to their end.
#[derive(Debug, Clone)]
struct Slow {
    /// The first ones open at once: they are what is idle before the spike.
    quick: Arc<AtomicUsize>,
    dial: Duration,
    alive: Arc<AtomicUsize>,
}

/// One of them.
#[derive(Debug)]
struct Counted(Arc<AtomicUsize>);

impl Counted {
    fn new(alive: &Arc<AtomicUsize>) -> Self {
        alive.fetch_add(1, Ordering::Relaxed);
        Self(alive.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Source for Slow {
    type Connection = Counted;

    async fn make(&self) -> Result<Counted, Error> {
        let connection = Counted::new(&self.alive);
        let left = self
            .quick
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
        if left.is_err() {
            sleep(self.dial).await;
        }
        Ok(connection)
    }
}

/// Runs one contender.
pub(super) fn run(task: &Task) -> Result<Report, Error> {
    let millis = |name| Ok::<_, Error>(Duration::from_millis(task.params.required(name)? as u64));
    let sizes = Sizes {
        callers: task.params.required("callers")?,
        idle: task.params.required("idle")?,
        max: task.params.required("max")?,
        dial: millis("dial_ms")?,
        hold: millis("hold_ms")?,
    };
    let source = Slow {
        quick: Arc::new(AtomicUsize::new(sizes.idle)),
        dial: sizes.dial,
        alive: Arc::default(),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(Error::io("cannot start the runtime"))?;
    let (metrics, note) = runtime.block_on(async {
        let alive = source.alive.clone();
        let (idle, max) = (sizes.idle, sizes.max);
        match task.contender.as_str() {
            "evenkeel" => spike(Evenkeel::of(source, idle, max).await?, &alive, sizes).await,
            "deadpool" => spike(Deadpool::of(source, idle, max, true).await?, &alive, sizes).await,
            "bb8" => spike(Bb8::of(source, idle, max, true).await?, &alive, sizes).await,
            other => Err(Error::unknown("contender", other, CONTENDERS.iter().copied())),
        }
    })?;
    let mut report = Report::of(&task.contender, metrics);
    report.notes.push(format!("{}: {note}", task.contender));
    Ok(report)
}

async fn spike<P: Pool>(pool: P, alive: &Arc<AtomicUsize>, sizes: Sizes) -> Result<(Metrics, String), Error> {
    let mut callers = JoinSet::new();
    let start = Instant::now();
    for _ in 0..sizes.callers {
        let pool = pool.clone();
        callers.spawn(async move {
            let asked = Instant::now();
            let loan = pool.checkout().await?;
            let waited = asked.elapsed();
            sleep(sizes.hold).await;
            drop(loan);
            Ok::<_, Error>(waited.as_nanos() as f64)
        });
    }
    // Twice the dial, so that whatever was begun has ended.
    let sampler = {
        let alive = alive.clone();
        tokio::spawn(async move {
            let mut seen = Vec::new();
            while start.elapsed() < sizes.dial * 2 {
                seen.push(alive.load(Ordering::Relaxed));
                sleep(SAMPLE).await;
            }
            seen
        })
    };
    let mut waits = Vec::with_capacity(sizes.callers);
    while let Some(caller) = callers.join_next().await {
        waits.push(caller.map_err(|e| Error::contender("a caller", e))??);
    }
    let served = start.elapsed();
    let seen = sampler.await.map_err(|e| Error::contender("the sampler", e))?;

    let mut metrics = Metrics::default();
    metrics.set("connections_peak", seen.iter().copied().max().unwrap_or(0) as f64);
    metrics.set("connections_end", alive.load(Ordering::Relaxed) as f64);
    metrics.set("served", served.as_secs_f64() * 1e3);
    metrics.set_latencies("wait", &mut waits);
    Ok((metrics, plot(&seen, sizes)))
}

/// The number of connections over time, as one line of blocks from none to the maximum.
fn plot(seen: &[usize], sizes: Sizes) -> String {
    const BLOCKS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    const COLUMNS: usize = 60;
    let step = seen.len().div_ceil(COLUMNS).max(1);
    let line: String = seen
        .chunks(step)
        .filter_map(|chunk| chunk.iter().max())
        .filter_map(|&most| BLOCKS.get((most * 8).div_ceil(sizes.max.max(1)).min(8)))
        .collect();
    format!(
        "open or being opened over {} ms, of at most {}: |{line}|",
        (sizes.dial * 2).as_millis(),
        sizes.max
    )
}
