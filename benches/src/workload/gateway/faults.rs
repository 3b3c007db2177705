//! Scenario `gateway-faults`: requests at a steady rate, and something happens to one of three collectors.

mod case;
mod figures;

use std::time::Duration;

use tokio::task::JoinSet;

use crate::workload::Task;
use crate::{Error, Metrics, Report, quantile};

pub(super) use case::{Case, happen};

/// The numbers of this scenario.
#[derive(Debug, Clone, Copy)]
struct Sizes {
    rate: u64,
    spans: usize,
    length: Duration,
}

/// Runs one contender through every case.
pub(in crate::workload) fn run(task: &Task) -> Result<Report, Error> {
    let sizes = Sizes {
        rate: task.params.required("rate")?.max(1) as u64,
        spans: task.params.required("spans")?,
        length: Duration::from_millis(task.params.required("length_ms")? as u64),
    };
    let at_once = task.params.required("at_once")?.max(1);
    let evenkeel = task.evenkeel()?.to_owned();
    let mut metrics = Metrics::default();
    let (mut caveats, mut healthy) = (Vec::new(), Vec::new());
    super::runtime()?.block_on(async {
        for cases in Case::ALL.chunks(at_once) {
            let mut running = JoinSet::new();
            for &case in cases {
                let (contender, evenkeel) = (task.contender.clone(), evenkeel.clone());
                running.spawn(async move {
                    let told = case::run(case, &contender, &evenkeel, sizes).await;
                    (case, told)
                });
            }
            while let Some(one) = running.join_next().await {
                let (case, told) = one.map_err(|e| Error::contender("a case", e))?;
                let told = told.map_err(|e| Error::Contender(format!("{}: {e}", case.name())))?;
                figures::note(&mut metrics, case, &told)?;
                healthy.extend(figures::healthy(case, &told));
                caveats
                    .extend(figures::caveat(case, &told).map(|text| format!("{}, {text}", task.contender)));
            }
        }
        for what in ["failed", "lost"] {
            let of = |case: Case| metrics.value(&format!("{}_{what}", case.name()));
            let all = Case::ALL.into_iter().filter_map(of).sum();
            metrics.set(what, all);
        }
        for (name, q) in [("healthy_p90", 0.9), ("healthy_p99", 0.99)] {
            if let Some(millis) = quantile(&mut healthy, q) {
                metrics.set(name, millis);
            }
        }
        let mut report = Report::of(&task.contender, metrics);
        report.notes = caveats;
        Ok(report)
    })
}
