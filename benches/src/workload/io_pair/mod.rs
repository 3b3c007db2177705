//! Scenario `io-pair`: one write and one read on one connection, all contenders in turns in one process.
//!
//! A machine gets slower and faster by more than what is to be seen here. So each contender works for a short
//! slice only, then the next one does, in an order that rotates; and what a contender costs over the baseline
//! is the median of the differences within the same round of slices.

mod slices;

use std::collections::BTreeMap;
use std::net::SocketAddr;

use tokio::io::DuplexStream;
use tokio::net::TcpStream;

use self::slices::{Echoed, Ready, Slice};
use crate::exchange::{Exchange, MESSAGE, Raw, Timed};
use crate::workload::Task;
use crate::{Error, Metrics, Report, median};

pub(super) const CONTENDERS: &[&str] = &["raw-tokio", "tokio-timeouts"];

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

    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Error::io("cannot start the runtime"))?;
    let mut samples: BTreeMap<String, Metrics> = BTreeMap::new();
    runtime.block_on(async {
        let mut tcp = Contenders::new();
        for name in &names {
            tcp.push(((*name).to_owned(), over_tcp(name, addr).await?));
        }
        measure("tcp", tcp, slices, tcp_pairs, &mut samples).await?;

        let duplex = names
            .iter()
            .map(|&name| Ok((name.to_owned(), over_duplex(name)?)));
        let duplex = duplex.collect::<Result<_, Error>>()?;
        measure("duplex", duplex, slices, duplex_pairs, &mut samples).await?;

        let ready = names
            .iter()
            .map(|&name| Ok((name.to_owned(), with_data_ready(name)?)));
        let ready = ready.collect::<Result<_, Error>>()?;
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

async fn over_tcp(name: &str, addr: SocketAddr) -> Result<Box<dyn Slice>, Error> {
    let connect = async || {
        let stream = TcpStream::connect(addr)
            .await
            .map_err(|e| Error::contender("connect", e))?;
        stream
            .set_nodelay(true)
            .map_err(|e| Error::contender("TCP_NODELAY", e))?;
        Ok::<_, Error>(stream)
    };
    Ok(match name {
        "tokio-timeouts" => boxed(Timed(connect().await?)),
        _ => boxed(Raw(connect().await?)),
    })
}

fn boxed(conn: impl Exchange) -> Box<dyn Slice> {
    Box::new(Echoed::on(conn))
}

/// Room for two messages: the echoing task has to run before the next one.
fn over_duplex(name: &str) -> Result<Box<dyn Slice>, Error> {
    let (ours, theirs) = tokio::io::duplex(2 * MESSAGE);
    tokio::spawn(slices::echo(theirs));
    Ok(match name {
        "tokio-timeouts" => boxed(Timed(ours)),
        _ => boxed(Raw(ours)),
    })
}

fn with_data_ready(name: &str) -> Result<Box<dyn Slice>, Error> {
    let (ours, theirs): (DuplexStream, _) = tokio::io::duplex(slices::READY * MESSAGE);
    Ok(match name {
        "tokio-timeouts" => Box::new(Ready::on(Timed(ours), theirs)),
        _ => Box::new(Ready::on(Raw(ours), theirs)),
    })
}
