//! The naive way: a thread per request that arrives, and in it a blocking connection per request.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};
use std::thread::Builder;
use std::time::{Duration, Instant};

use super::phases::{Outcome, Sizes, nanos};
use crate::exchange::Buffers;
use crate::{Error, Metrics, process};

/// Connections open now, and the most there were.
#[derive(Debug, Default)]
struct Open {
    now: AtomicUsize,
    most: AtomicUsize,
}

/// When one request was connected, and when it was over, in nanoseconds from its start.
#[derive(Debug)]
struct Request {
    connected: u64,
    done: u64,
    /// The moment it was connected.
    at: Instant,
}

/// Measures it: `connections` requests arrive at once; then as many threads send `rounds` more each.
pub(super) fn run(addr: SocketAddr, rounds: usize, sizes: Sizes) -> Outcome {
    for id in 0..sizes.warm_up {
        request(addr, &Open::default(), &mut Buffers::default(), id as u64)?;
    }

    let (cpu, start) = (process::cpu_time()?, Instant::now());
    let open = Arc::new(Open::default());
    // Between the phases all meet, and once more when the clock of the second one has been started.
    let meet = Arc::new(Barrier::new(sizes.connections + 1));
    let mut threads = Vec::with_capacity(sizes.connections);
    for id in 0..sizes.connections {
        let (open, meet) = (Arc::clone(&open), Arc::clone(&meet));
        let work = move || -> Result<(Request, Vec<f64>), Error> {
            let mut buffers = Buffers::default();
            let tag = |round: usize| (id as u64) << 32 | round as u64;
            let first = request(addr, &open, &mut buffers, tag(0));
            meet.wait();
            meet.wait();
            let mut times = Vec::with_capacity(rounds);
            for round in 1..=rounds {
                times.push(request(addr, &open, &mut buffers, tag(round))?.done as f64);
            }
            Ok((first?, times))
        };
        // Without its thread the others would wait for it for ever, so this is the end of the run.
        let spawned = Builder::new().name(format!("request-{id}")).spawn(work);
        threads.push(spawned.map_err(Error::io("no more threads"))?);
    }
    meet.wait();
    let most = open.most.load(Ordering::Acquire);
    let used = Instant::now();
    meet.wait();

    let mut connects = Vec::with_capacity(threads.len());
    let mut requests = Vec::with_capacity(threads.len() * rounds);
    let mut last_connected = Duration::ZERO;
    for thread in threads {
        let joined = thread
            .join()
            .map_err(|_| Error::Contender("a thread panicked".to_owned()))?;
        let (first, times) = joined?;
        connects.push(first.connected as f64);
        last_connected = last_connected.max(first.at.saturating_duration_since(start));
        requests.extend(times);
    }
    let (used, cpu) = (used.elapsed(), process::cpu_time()?.saturating_sub(cpu));

    let mut metrics = Metrics::default();
    metrics.set_rate("connect_rate", connects.len(), last_connected);
    metrics.set_share("cpu_per_round_trip", cpu, connects.len() + requests.len());
    metrics.set_latencies("connect", &mut connects);
    metrics.set("connections", most as f64);
    metrics.set_rate("round_trip_rate", requests.len(), used);
    metrics.set_latencies("round_trip", &mut requests);
    metrics.set("peak_memory", process::peak_memory()? as f64 / f64::from(1 << 20));
    Ok((metrics, Vec::new()))
}

fn request(addr: SocketAddr, open: &Open, buffers: &mut Buffers, tag: u64) -> Result<Request, Error> {
    let start = Instant::now();
    let mut stream = TcpStream::connect(addr).map_err(|e| Error::contender("connect", e))?;
    let (connected, at) = (nanos(start), Instant::now());
    let now = open.now.fetch_add(1, Ordering::AcqRel) + 1;
    open.most.fetch_max(now, Ordering::AcqRel);
    let (message, answer) = buffers.prepare(tag);
    let echoed = stream.write_all(message).and_then(|()| stream.read_exact(answer));
    drop(stream);
    open.now.fetch_sub(1, Ordering::AcqRel);
    echoed.map_err(|e| Error::contender("write and read", e))?;
    let done = nanos(start);
    buffers.verify()?;
    Ok(Request { connected, done, at })
}
