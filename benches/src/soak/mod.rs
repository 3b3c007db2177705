//! Chaos over real sockets on loopback: a [`Client`] against servers that die, hang, get slow, fail, come back, are
//! added, removed and drained, and at the end the question whether anything was lost or leaked.
//!
//! At any time four of six members are well, so that every request can be answered; how many are not is all that the
//! chaos keeps to. What it does when is drawn from a seed; what meets which request is the machine's.
//!
//! Everything is one process, servers too, so whatever any part leaves behind shows in the process's descriptors,
//! tasks and memory.

mod callers;
mod chaos;
mod leaks;

use std::sync::Arc;
use std::time::Duration;

use evenkeel::balancer::{HedgeConfig, LoadBalancerConfig};
use evenkeel::pool::ConnectionPoolConfig;
use evenkeel::{Client, Config};
use tokio::time::{Instant, sleep, timeout};

use crate::{Error, print_line, process};
use callers::{CALLERS, Tally};
use chaos::Chaos;
use leaks::{Leaks, Watch};

/// Members of the balancer; two of them may be in trouble at a time.
const MEMBERS: usize = 6;

/// What a pool may hold: far more than the callers need while nothing leaks.
const CONNECTIONS: usize = 16;

/// The least time there is a verdict after.
pub const LEAST_SECONDS: u64 = 10;

/// How often there is a line of progress.
const PROGRESS: Duration = Duration::from_secs(10);

/// What ends in a task of its own after the chaos has this long to do so.
const PATIENCE: Duration = Duration::from_secs(10);

/// Runs for so many seconds. Everything that was lost or leaked, in words; nothing if all is well.
///
/// # Errors
/// When it can not begin: no port, no descriptor, or a system that does not say what a process uses.
pub async fn run(seconds: u64, seed: u64) -> Result<Vec<String>, Error> {
    print_line(&format!(
        "soak: {seconds} s, {CALLERS} callers, {MEMBERS} members, seed {seed}"
    ))?;
    let before = process::descriptors()?;
    let mut chaos = Chaos::new(seed)?;
    let client = client(&chaos)?;
    let tally = Arc::new(Tally::default());
    let started = Instant::now();
    let until = started + Duration::from_secs(seconds);
    let callers = callers::start(&client, &tally, until, seed);
    let watch = tokio::spawn(watch(
        Leaks::new(seconds),
        tally.clone(),
        client.clone(),
        started,
        until,
    ));
    while Instant::now() < until {
        chaos.step(&client).await?;
    }
    let mut faults = Vec::new();
    if timeout(PATIENCE, callers.join_all()).await.is_err() {
        faults.push(format!("callers still wait {PATIENCE:?} after the end"));
    }
    let (leaks, memory) = watch
        .await
        .map_err(|error| Error::contender("watching", error))??;
    faults.extend(tally.faults());
    faults.extend(memory);
    faults.extend(chaos.settle(PATIENCE).await);
    // What each layer says of itself.
    faults.extend(settled(&client).await);
    let stats = client.stats();
    let report = client.shutdown(PATIENCE).await;
    if report.cut > 0 {
        faults.push(format!("{} connections were on loan at the end", report.cut));
    }
    drop((client, chaos));
    // And what the process has.
    faults.extend(leaks::left_behind(before, PATIENCE).await?);
    let requests = &stats.balancer.requests;
    print_line(&format!(
        "soak: {} calls, {} leases; {} requests, {} retries, {} hedges; {} connections opened; {leaks}",
        stats.balancer.calls,
        tally.leases(),
        requests.requests,
        stats.balancer.retries,
        stats.balancer.hedges,
        stats.io.total_connections,
    ))?;
    Ok(faults)
}

/// The parts as they are by default, but for what has to be short here: statistics windows, which fill up once and
/// would look like a leak until then, and patience.
fn client(chaos: &Chaos) -> Result<Client, Error> {
    let config = Config {
        pool: ConnectionPoolConfig {
            max_connections: CONNECTIONS,
            retry_attempts: 0,
            ..ConnectionPoolConfig::default()
        },
        balancer: LoadBalancerConfig {
            hedging: Some(HedgeConfig::default()),
            attempt_timeout: Some(Duration::from_secs(1)),
            max_retries: 4,
            stats_window: Duration::from_millis(500),
            stats_windows: 4,
            ..LoadBalancerConfig::default()
        },
        backends: chaos.backends(),
        ..Config::default()
    };
    Client::new(config).map_err(|error| Error::contender("the client", error))
}

/// Samples once a second, tells every ten; at the end, what came out, and what of it is a fault.
async fn watch(
    mut leaks: Leaks,
    tally: Arc<Tally>,
    client: Client,
    started: Instant,
    until: Instant,
) -> Result<(Leaks, Vec<String>), Error> {
    let mut next = started + PROGRESS;
    while Instant::now() < until {
        sleep(Duration::from_secs(1)).await;
        let watch = Watch::now()?;
        leaks.sample(started.elapsed(), &watch);
        if Instant::now() >= next {
            next += PROGRESS;
            let stats = client.stats();
            print_line(&format!(
                "soak: {:>4} s  {:>8} answered  {} lost  {:>6} retries  {:>6} hedges  {:>4} in flight  {watch}",
                started.elapsed().as_secs(),
                tally.answered(),
                tally.lost(),
                stats.balancer.retries,
                stats.balancer.hedges,
                stats.balancer.requests.in_flight,
            ))?;
        }
    }
    let faults = leaks.faults();
    Ok((leaks, faults))
}

/// With nobody calling any more: what is in flight or on loan all the same. A connection that a caller gave up comes
/// back in a task, so there is some patience.
async fn settled(client: &Client) -> Vec<String> {
    let found = || {
        let stats = client.stats();
        let mut found = Vec::new();
        let in_flight = stats.balancer.requests.in_flight;
        if in_flight > 0 {
            found.push(format!("{in_flight} requests are in flight with nobody calling"));
        }
        for (id, pool) in &stats.pools {
            let (used, waiting) = (pool.used, pool.pending_requests);
            if used + waiting > 0 {
                found.push(format!(
                    "pool of {id}: {used} on loan, {waiting} waiting, with nobody calling"
                ));
            }
        }
        found
    };
    let until = Instant::now() + PATIENCE;
    loop {
        let found = found();
        if found.is_empty() || Instant::now() >= until {
            return found;
        }
        sleep(Duration::from_millis(50)).await;
    }
}
