//! The asynchronous contenders, all on the same tasks: connect, hold, use.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;

use super::Dial;
use crate::exchange::{Buffers, exchange};
use crate::scenario::Params;
use crate::{Error, Metrics, process};

/// Workers of the runtime: the same for all, whatever the machine has.
const WORKERS: usize = 2;

/// Round trips on each connection of the warm-up.
const WARM_UP_ROUNDS: u64 = 5;

/// What was measured, and what a reader must know of it.
pub(super) type Outcome = Result<(Metrics, Vec<String>), Error>;

/// The numbers of this scenario.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sizes {
    /// Connections to make and hold.
    pub(super) connections: usize,
    /// Connections made, used and held before anything is measured.
    pub(super) warm_up: usize,
    /// Round trips on each connection.
    pub(super) rounds: usize,
}

impl Sizes {
    pub(super) fn of(params: &Params) -> Result<Self, Error> {
        let connections = params.required("connections")?;
        if connections == 0 {
            return Err(Error::Usage("a size needs at least one connection".to_owned()));
        }
        Ok(Self {
            connections,
            warm_up: params.required("warm_up")?,
            rounds: params.required("rounds")?,
        })
    }
}

/// Nanoseconds as the statistics take them.
pub(super) fn nanos(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_nanos()).unwrap_or(u64::MAX)
}

/// What the tasks have done so far, and what they wait for.
#[derive(Debug)]
struct Progress {
    /// Time of each connect; [`Self::NONE`] until it succeeded. In memory before anything is measured.
    connects: Vec<AtomicU64>,
    /// The phase every task has to wait for before it goes on.
    phase: watch::Sender<u8>,
    /// How many tasks have finished the phase.
    finished: AtomicUsize,
    /// Told when the last of them has.
    all_finished: Notify,
    first_error: OnceLock<String>,
}

const CONNECT: u8 = 1;
const USE: u8 = 2;
const END: u8 = 3;

impl Progress {
    const NONE: u64 = u64::MAX;

    fn new(tasks: usize) -> Self {
        Self {
            connects: (0..tasks).map(|_| AtomicU64::new(Self::NONE)).collect(),
            phase: watch::Sender::new(0),
            finished: AtomicUsize::new(0),
            all_finished: Notify::new(),
            first_error: OnceLock::new(),
        }
    }

    /// For a task: this phase is over.
    fn finish(&self) {
        if self.finished.fetch_add(1, Ordering::AcqRel) + 1 == self.connects.len() {
            self.all_finished.notify_one();
        }
    }

    /// For a task: waits for a phase.
    async fn wait_for(&self, phase: u8) {
        // It cannot fail: the sender lives as long as `self`.
        let _ = self.phase.subscribe().wait_for(|now| *now >= phase).await;
    }

    /// Lets all tasks do a phase, and returns how long they took and what CPU time it cost.
    async fn run(&self, phase: u8) -> Result<(Duration, Duration), Error> {
        self.finished.store(0, Ordering::Release);
        let (cpu, start) = (process::cpu_time()?, Instant::now());
        self.phase.send_replace(phase);
        self.all_finished.notified().await;
        Ok((start.elapsed(), process::cpu_time()?.saturating_sub(cpu)))
    }
}

/// Measures one way to connect.
pub(super) fn run<D: Dial>(dial: D, sizes: Sizes) -> Outcome {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .enable_all()
        .build()
        .map_err(Error::io("cannot start the runtime"))?;
    runtime.block_on(measure(dial, sizes))
}

async fn measure<D: Dial>(dial: D, sizes: Sizes) -> Outcome {
    // Held to the end, so that its memory is not there to be used again by what is measured.
    let warm = warm_up(&dial, sizes.warm_up).await?;

    let progress = Arc::new(Progress::new(sizes.connections));
    let memory = process::own_memory()?;
    let mut tasks = JoinSet::new();
    for id in 0..sizes.connections {
        tasks.spawn(connect_and_use(
            dial.clone(),
            Arc::clone(&progress),
            id,
            sizes.rounds,
        ));
    }

    let (wall, cpu) = progress.run(CONNECT).await?;
    let growth = process::own_memory()?.saturating_sub(memory);
    let descriptors = process::descriptors()?;
    let mut connects: Vec<f64> = progress
        .connects
        .iter()
        .map(|c| c.load(Ordering::Acquire))
        .filter(|c| *c != Progress::NONE)
        .map(|c| c as f64)
        .collect();
    let reached = connects.len();
    let mut notes = Vec::new();
    if reached < sizes.connections {
        let why = progress
            .first_error
            .get()
            .map_or("no reason given", String::as_str);
        if reached == 0 {
            return Err(Error::Contender(why.to_owned()));
        }
        notes.push(format!(
            "reached {reached} of {} connections: {why}",
            sizes.connections
        ));
    }
    dial.audit(reached + warm.len())?;

    let (used, used_cpu) = progress.run(USE).await?;
    progress.phase.send_replace(END);
    let mut round_trips = Vec::with_capacity(reached * sizes.rounds);
    while let Some(task) = tasks.join_next().await {
        round_trips.extend(task.map_err(|e| Error::contender("a task", e))??);
    }
    drop(warm);

    let mut metrics = Metrics::default();
    metrics.set_rate("connect_rate", reached, wall);
    metrics.set_latencies("connect", &mut connects);
    metrics.set("connections", reached as f64);
    metrics.set_rate("round_trip_rate", round_trips.len(), used);
    metrics.set_share("cpu_per_connection", cpu, reached);
    metrics.set_share("cpu_per_round_trip", used_cpu, round_trips.len());
    metrics.set_latencies("round_trip", &mut round_trips);
    metrics.set("memory_per_connection", growth as f64 / reached as f64);
    metrics.set("peak_memory", process::peak_memory()? as f64 / f64::from(1 << 20));
    metrics.set("descriptors", descriptors as f64);
    Ok((metrics, notes))
}

/// The first connections pay for what is set up once: code paged in, buffers grown, timers started.
async fn warm_up<D: Dial>(dial: &D, connections: usize) -> Result<Vec<D::Connection>, Error> {
    let mut tasks = JoinSet::new();
    for id in 0..connections {
        let dial = dial.clone();
        tasks.spawn(async move {
            let mut conn = dial.dial().await?;
            let mut buffers = Buffers::default();
            for round in 0..WARM_UP_ROUNDS {
                exchange(&mut conn, &mut buffers, tag(id, round)).await?;
            }
            Ok::<_, Error>(conn)
        });
    }
    let mut held = Vec::with_capacity(connections);
    while let Some(task) = tasks.join_next().await {
        held.push(task.map_err(|e| Error::contender("the warm-up", e))??);
    }
    Ok(held)
}

/// No two messages of a run are the same.
fn tag(id: usize, round: u64) -> u64 {
    (id as u64) << 32 | round
}

/// What one task does; it returns the time of each of its round trips.
async fn connect_and_use<D: Dial>(
    dial: D,
    progress: Arc<Progress>,
    id: usize,
    rounds: usize,
) -> Result<Vec<f64>, Error> {
    progress.wait_for(CONNECT).await;
    let start = Instant::now();
    let connected = dial.dial().await;
    match &connected {
        Ok(_) => progress.connects[id].store(nanos(start), Ordering::Release),
        // Not the end of the run: how many were reached is part of the answer.
        Err(e) => drop(progress.first_error.set(e.to_string())),
    }
    progress.finish();

    progress.wait_for(USE).await;
    let mut times = Vec::new();
    let used = match connected {
        Ok(mut conn) => {
            let used = use_it(&mut conn, id, rounds, &mut times).await;
            progress.finish();
            // Closing is not part of the phase.
            progress.wait_for(END).await;
            used
        }
        Err(_) => {
            progress.finish();
            Ok(())
        }
    };
    used.map(|()| times)
}

async fn use_it<C: crate::exchange::Exchange>(
    conn: &mut C,
    id: usize,
    rounds: usize,
    times: &mut Vec<f64>,
) -> Result<(), Error> {
    let mut buffers = Buffers::default();
    times.reserve_exact(rounds);
    for round in 0..rounds {
        let start = Instant::now();
        exchange(conn, &mut buffers, tag(id, round as u64)).await?;
        times.push(nanos(start) as f64);
    }
    Ok(())
}
