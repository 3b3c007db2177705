//! Scenario `failover`: three gRPC backends in processes of their own, requests at a steady rate whatever
//! the answers do, and something happens to one of the backends.

mod backends;
mod case;
mod client;
mod figures;
mod load;
mod overall;

use std::time::Duration;

use tokio::task::JoinSet;

use crate::workload::Task;
use crate::{Error, Metrics, Report};

use case::Case;

pub(super) const CONTENDERS: &[&str] = &["evenkeel", "balance-list"];

/// The numbers of this scenario.
#[derive(Debug, Clone, Copy)]
struct Sizes {
    /// How many requests a second.
    rate: u64,
    /// How long each case takes.
    length: Duration,
}

/// Runs one contender through every case.
pub(super) fn run(task: &Task) -> Result<Report, Error> {
    let sizes = Sizes {
        rate: task.params.required("rate")?.max(1) as u64,
        length: Duration::from_millis(task.params.required("length_ms")? as u64),
    };
    let at_once = task.params.required("at_once")?.max(1);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(Error::io("cannot start the runtime"))?;
    let mut metrics = Metrics::default();
    let mut healthy = Vec::new();
    let mut overall = overall::Overall::default();
    for cases in Case::ALL.chunks(at_once) {
        let told = runtime.block_on(async {
            let mut running = JoinSet::new();
            for &case in cases {
                let contender = task.contender.clone();
                running
                    .spawn(async move { Ok::<_, Error>((case, case::run(case, &contender, sizes).await?)) });
            }
            let mut told = Vec::new();
            while let Some(one) = running.join_next().await {
                told.push(one.map_err(|e| Error::contender("a case", e))??);
            }
            Ok::<_, Error>(told)
        })?;
        for (case, told) in told {
            figures::note(&mut metrics, case, &told);
            healthy.extend(figures::healthy(&told));
            overall.add(&told);
        }
    }
    overall.note(&mut metrics);
    metrics.set_latencies("healthy", &mut healthy);
    Ok(Report::of(&task.contender, metrics))
}
