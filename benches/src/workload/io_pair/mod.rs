//! Scenario `io-pair`: one write and one read on one connection, all contenders in turns in one process.
//!
//! A machine gets slower and faster by more than what is to be seen here. So each contender works for a short
//! slice only, then the next one does, in an order that rotates; and what a contender costs over the baseline
//! is the median of the differences within the same round of slices.

mod slices;

use std::collections::BTreeMap;
use std::net::SocketAddr;

use evenkeel_io_core::{AsyncConnection, AsyncIoConfig, AsyncIoManager, Target};
use tokio::io::DuplexStream;

use self::slices::{Echoed, Ready, Slice};
use crate::exchange::{Exchange, MESSAGE, READY, Raw, Timed, echo_pipe};
use crate::workload::{Dial, RawTokio, Task, TokioTimeouts};
use crate::{Error, Metrics, Report, median};

pub(super) const CONTENDERS: &[&str] = &["evenkeel", "raw-tokio", "tokio-timeouts"];

/// Whom the others are compared with; it always runs.
const BASELINE: &str = "raw-tokio";

/// Who is measured, and how.
type Contenders = Vec<(String, Box<dyn Slice>)>;

/// Runs all contenders of the task.
pub(super) fn run(task: &Task) -> Result<Report, Error> {
    let addr = task.server()?;
    let slices = task.params.required("slices")?;
    let duplex_pairs = task.params.required("duplex_pairs")?;
    let tcp_pairs = task.params.required("tcp_pairs")?;
    let mut names: Vec<&str> = task.contender.split(',').collect();
    if !names.contains(&BASELINE) {
        names.push(BASELINE);
    }

    let manager = AsyncIoManager::new(AsyncIoConfig::default());
    let manager = manager.map_err(|e| Error::contender("configuration", e))?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Error::io("cannot start the runtime"))?;
    let mut samples: BTreeMap<String, Metrics> = BTreeMap::new();
    runtime.block_on(async {
        let mut tcp = Contenders::new();
        let mut duplex = Contenders::new();
        let mut ready = Contenders::new();
        for &name in &names {
            tcp.push((name.to_owned(), over_tcp(name, &manager, addr).await?));
            duplex.push((name.to_owned(), over_duplex(name, &manager).await?));
            ready.push((name.to_owned(), with_data_ready(name, &manager).await?));
        }
        measure("tcp", tcp, slices, tcp_pairs, &mut samples).await?;
        measure("duplex", duplex, slices, duplex_pairs, &mut samples).await?;
        measure("ready", ready, slices, duplex_pairs, &mut samples).await
    })?;
    samples.retain(|name, _| task.contender.split(',').any(|asked| asked == name));
    Ok(Report {
        samples,
        notes: Vec::new(),
    })
}

/// One case: every contender takes a slice, `slices` times over.
async fn measure(
    case: &str,
    mut contenders: Contenders,
    slices: usize,
    pairs: usize,
    samples: &mut BTreeMap<String, Metrics>,
) -> Result<(), Error> {
    let mut times = vec![Vec::with_capacity(slices); contenders.len()];
    for (_, contender) in &mut contenders {
        // Warm-up.
        contender.run(pairs).await?;
    }
    for slice in 0..slices {
        for turn in 0..contenders.len() {
            let at = (slice + turn) % contenders.len();
            times[at].push(contenders[at].1.run(pairs).await?);
        }
    }
    let baseline = contenders.iter().position(|(name, _)| name == BASELINE);
    let baseline = baseline.map(|at| times[at].clone()).unwrap_or_default();
    for ((name, _), times) in contenders.iter().zip(times) {
        let metrics = samples.entry(name.clone()).or_default();
        if name != BASELINE {
            let over = |f: fn(f64, f64) -> f64| {
                median(
                    &mut times
                        .iter()
                        .zip(&baseline)
                        .map(|(ours, raw)| f(*ours, *raw))
                        .collect::<Vec<_>>(),
                )
            };
            if let Some(nanos) = over(|ours, raw| ours - raw) {
                metrics.set(&format!("{case}_over_raw"), nanos);
            }
            if let (Some(percent), "tcp") = (over(|ours, raw| (ours / raw - 1.0) * 100.0), case) {
                metrics.set("tcp_over_raw_percent", percent);
            }
        }
        let mut times = times;
        if let Some(nanos) = median(&mut times) {
            metrics.set(&format!("{case}_pair"), nanos);
        }
    }
    Ok(())
}

/// One connection over loopback TCP.
async fn over_tcp(name: &str, manager: &AsyncIoManager, addr: SocketAddr) -> Result<Box<dyn Slice>, Error> {
    Ok(match name {
        "evenkeel" => {
            let conn = manager.connect(addr).await;
            boxed(conn.map_err(|e| Error::contender("connect", e))?)
        }
        "raw-tokio" => boxed(RawTokio::to(addr).dial().await?),
        "tokio-timeouts" => boxed(TokioTimeouts::to(addr).dial().await?),
        other => return Err(unknown(other)),
    })
}

/// One connection over a pipe with room for two messages: the echoing task has to run before the next one.
async fn over_duplex(name: &str, manager: &AsyncIoManager) -> Result<Box<dyn Slice>, Error> {
    let (ours, theirs) = tokio::io::duplex(2 * MESSAGE);
    tokio::spawn(echo_pipe(theirs));
    Ok(match name {
        "evenkeel" => boxed(adopt(manager, ours).await?),
        "raw-tokio" => boxed(Raw(ours)),
        "tokio-timeouts" => boxed(Timed(ours)),
        other => return Err(unknown(other)),
    })
}

/// One connection over a pipe that is never empty and never full.
async fn with_data_ready(name: &str, manager: &AsyncIoManager) -> Result<Box<dyn Slice>, Error> {
    let (ours, theirs) = tokio::io::duplex(READY * MESSAGE);
    Ok(match name {
        "evenkeel" => Box::new(Ready::on(adopt(manager, ours).await?, theirs)),
        "raw-tokio" => Box::new(Ready::on(Raw(ours), theirs)),
        "tokio-timeouts" => Box::new(Ready::on(Timed(ours), theirs)),
        other => return Err(unknown(other)),
    })
}

fn boxed(conn: impl Exchange) -> Box<dyn Slice> {
    Box::new(Echoed::on(conn))
}

async fn adopt(manager: &AsyncIoManager, pipe: DuplexStream) -> Result<AsyncConnection<DuplexStream>, Error> {
    let label = Target::host("in-memory", 1).map_err(|e| Error::contender("label", e))?;
    manager
        .adopt(pipe, label)
        .await
        .map_err(|e| Error::contender("adopt", e))
}

fn unknown(name: &str) -> Error {
    Error::unknown("contender", name, CONTENDERS.iter().copied())
}
