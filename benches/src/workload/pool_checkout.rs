//! Scenario `pool-checkout`: checkout and return without I/O, all pools in turns in one process.
//!
//! A machine gets slower and faster by more than what is to be seen here. So each pool works for a short slice
//! only, then the next one does, in an order that rotates; a figure is the median of a pool's slices.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};

use crate::pools::{Bb8, Contended, Deadpool, Evenkeel, Numbers, Pool, block_threads, contended, one_by_one};
use crate::workload::Task;
use crate::{Error, Metrics, Report, median, quantile};

pub(super) const CONTENDERS: &[&str] = &[
    "evenkeel",
    "deadpool",
    "deadpool-timeouts",
    "bb8",
    "bb8-unchecked",
];

/// Tasks of the contended case, and the connections they share.
const TASKS: usize = 64;
const SHARED: usize = 16;

/// Threads of the blocking cases.
const THREADS: usize = 10;

/// Nanoseconds per operation and the waits that were seen.
type Slice = (f64, Vec<f64>);

/// How much one slice does.
#[derive(Debug, Clone, Copy)]
struct Sizes {
    slices: usize,
    loans: u64,
    contended: usize,
    blocking: usize,
}

/// What is measured, each on pools of its own.
#[derive(Debug, Clone, Copy)]
enum Case {
    /// One task, on a pool with this many idle connections.
    Alone(usize),
    /// 64 tasks on 16 connections.
    Contended,
    /// 10 threads on this many connections.
    Threads(usize),
}

impl Case {
    const ALL: [(&'static str, Self); 5] = [
        ("alone_16", Self::Alone(16)),
        ("alone_1024", Self::Alone(1024)),
        ("contended", Self::Contended),
        ("threads_4", Self::Threads(4)),
        ("threads_10", Self::Threads(10)),
    ];

    fn connections(self) -> usize {
        match self {
            Self::Alone(connections) | Self::Threads(connections) => connections,
            Self::Contended => SHARED,
        }
    }
}

/// One contender in one case.
trait Turn {
    fn take(&self, runtime: &Runtime, sizes: Sizes) -> Result<Slice, Error>;
}

struct Contender<P> {
    pool: P,
    case: Case,
}

impl<P: Pool<Connection = u64>> Turn for Contender<P> {
    fn take(&self, runtime: &Runtime, sizes: Sizes) -> Result<Slice, Error> {
        let per = |took: Duration, loans: usize| took.as_nanos() as f64 / loans as f64;
        let seen = |seen: Contended, loans| (per(seen.took, loans), seen.waits);
        match self.case {
            Case::Alone(_) => {
                let pool = self.pool.clone();
                let loans = sizes.loans;
                // A task, as users have it, and not the thread that waits for it.
                let task = runtime.spawn(async move { one_by_one(&pool, loans).await });
                let took = runtime
                    .block_on(task)
                    .map_err(|e| Error::contender("task", e))??;
                Ok((per(took, loans as usize), Vec::new()))
            }
            Case::Contended => {
                // Once for the rate and once for the waits: the stamps cost as much as some of the pools do.
                let done = runtime.block_on(contended(&self.pool, TASKS, sizes.contended, false))?;
                let stamped = runtime.block_on(contended(&self.pool, TASKS, sizes.contended, true))?;
                Ok((per(done.took, TASKS * sizes.contended), stamped.waits))
            }
            Case::Threads(_) => {
                let done = block_threads(&self.pool, runtime.handle(), THREADS, sizes.blocking)?;
                Ok(seen(done, THREADS * sizes.blocking))
            }
        }
    }
}

/// Runs all contenders of the task.
pub(super) fn run(task: &Task) -> Result<Report, Error> {
    let sizes = Sizes {
        slices: task.params.required("slices")?,
        loans: task.params.required("loans")? as u64,
        contended: task.params.required("contended")?,
        blocking: task.params.required("blocking")?,
    };
    let runtime = Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(Error::io("cannot start the runtime"))?;
    let names: Vec<&str> = task.contender.split(',').collect();
    let mut samples: BTreeMap<String, Metrics> = BTreeMap::new();
    for (name, case) in Case::ALL {
        let mut turns = Vec::new();
        for contender in &names {
            turns.push(runtime.block_on(open(contender, case))?);
        }
        let mut slices: Vec<Vec<Slice>> = names.iter().map(|_| Vec::new()).collect();
        for slice in 0..=sizes.slices {
            for turn in 0..turns.len() {
                let at = (slice + turn) % turns.len();
                let done = turns[at].take(&runtime, sizes)?;
                // The first is for warming up.
                if slice > 0 {
                    slices[at].push(done);
                }
            }
        }
        for (contender, slices) in names.iter().zip(slices) {
            note(samples.entry((*contender).to_owned()).or_default(), name, slices);
        }
    }
    Ok(Report {
        samples,
        notes: Vec::new(),
    })
}

fn note(metrics: &mut Metrics, name: &str, slices: Vec<Slice>) {
    let (mut times, waits): (Vec<f64>, Vec<Vec<f64>>) = slices.into_iter().unzip();
    if let Some(nanos) = median(&mut times) {
        metrics.set(name, nanos);
    }
    metrics.set_distribution(name, &mut waits.concat(), 1e3);
    // Quantiles of each slice, so that one in which the machine was elsewhere is one among many.
    for (suffix, q) in [("p50", 0.5), ("p99", 0.99), ("p999", 0.999)] {
        let mut each: Vec<f64> = waits
            .iter()
            .filter_map(|waits| quantile(&mut waits.clone(), q))
            .collect();
        if let Some(nanos) = median(&mut each) {
            metrics.set(&format!("{name}_{suffix}"), nanos / 1e3);
        }
    }
}

async fn open(contender: &str, case: Case) -> Result<Box<dyn Turn>, Error> {
    let (source, size) = (Numbers::default(), case.connections());
    Ok(match contender {
        "evenkeel" => turn(Evenkeel::of(source, size, size).await?, case),
        "deadpool" => turn(Deadpool::of(source, size, size, false).await?, case),
        "deadpool-timeouts" => turn(Deadpool::of(source, size, size, true).await?, case),
        "bb8" => turn(Bb8::of(source, size, size, true).await?, case),
        "bb8-unchecked" => turn(Bb8::of(source, size, size, false).await?, case),
        other => return Err(Error::unknown("contender", other, CONTENDERS.iter().copied())),
    })
}

fn turn<P: Pool<Connection = u64>>(pool: P, case: Case) -> Box<dyn Turn> {
    Box::new(Contender { pool, case })
}
