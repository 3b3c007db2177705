//! Scenario `io-pair`: one write and one read on one connection, all contenders in turns in one process.
//!
//! A machine gets slower and faster by more than what is to be seen here. So each contender works for a short
//! slice only, then the next one does, in an order that rotates; and what a contender costs over the baseline
//! is the median of the differences within the same round of slices.

use std::collections::BTreeMap;

use crate::pairs::{Kind, Pairs};
use crate::workload::Task;
use crate::{Error, Metrics, Report, median, pairs};

pub(super) use pairs::CONTENDERS;

/// Whom the others are compared with; it always runs.
const BASELINE: &str = "raw-tokio";

/// Who is measured, each on a connection of its own.
type Contenders = Vec<(String, Box<dyn Pairs>)>;

/// Runs all contenders of the task.
pub(super) fn run(task: &Task) -> Result<Report, Error> {
    let addr = task.server()?;
    let slices = task.params.required("slices")?;
    let duplex_pairs = task.params.required("duplex_pairs")?;
    let tcp_pairs = task.params.required("tcp_pairs")?;
    let cases = [
        ("tcp", Kind::Tcp(addr), tcp_pairs),
        ("duplex", Kind::Duplex, duplex_pairs),
        ("ready", Kind::Ready, duplex_pairs),
    ];
    let mut names: Vec<&str> = task.contender.split(',').collect();
    if !names.contains(&BASELINE) {
        names.push(BASELINE);
    }

    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Error::io("cannot start the runtime"))?;
    let owned: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
    // In a task, where connections are used; the future of block_on has a waker that costs more.
    let work = runtime.spawn(async move {
        let mut samples: BTreeMap<String, Metrics> = BTreeMap::new();
        for (case, kind, pairs) in cases {
            let mut contenders = Contenders::new();
            for name in &owned {
                contenders.push((name.clone(), pairs::open(name, kind).await?));
            }
            measure(case, contenders, slices, pairs, &mut samples).await?;
        }
        Ok::<_, Error>(samples)
    });
    let mut samples = runtime
        .block_on(work)
        .map_err(|error| Error::io("the work panicked")(std::io::Error::other(error)))??;
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
