//! Scenario `gateway-serial`: what a stock SDK loses, whose requests go out one at a time.

use std::path::Path;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant;

use super::faults::{Case, happen};
use super::folder::Folder;
use super::proxy::Proxy;
use super::send::{self, Account};
use super::sinks::{Sinks, VICTIM};
use crate::workload::Task;
use crate::{Error, Metrics, Report};

/// Runs one contender through every fault, all at once: the load is small.
pub(in crate::workload) fn run(task: &Task) -> Result<Report, Error> {
    let rate = task.params.required("rate")?.max(1);
    let length = Duration::from_millis(task.params.required("length_ms")? as u64);
    let evenkeel = task.evenkeel()?.to_owned();
    let mut metrics = Metrics::default();
    let mut lost_in_all = 0;
    super::runtime()?.block_on(async {
        let mut running = JoinSet::new();
        for case in Case::ALL {
            let (contender, evenkeel) = (task.contender.clone(), evenkeel.clone());
            running.spawn(async move { (case, one(case, &contender, &evenkeel, rate, length).await) });
        }
        while let Some(done) = running.join_next().await {
            let (case, account) = done.map_err(|e| Error::contender("a case", e))?;
            let account = account.map_err(|e| Error::Contender(format!("{}: {e}", case.name())))?;
            let verified = account.verified;
            let verified = verified.ok_or_else(|| Error::Contender("nothing was verified".to_owned()))?;
            let missing = account.dropped_spans + account.failed_spans + verified.lost;
            let made = account.dropped_spans + account.failed_spans + account.acknowledged_spans;
            lost_in_all += missing;
            metrics.set(
                &format!("{}_lost", case.name()),
                100.0 * missing as f64 / made.max(1) as f64,
            );
        }
        metrics.set("lost_spans", lost_in_all as f64);
        Ok(Report::of(&task.contender, metrics))
    })
}

async fn one(
    case: Case,
    contender: &str,
    evenkeel: &Path,
    rate: usize,
    length: Duration,
) -> Result<Account, Error> {
    let folder = Folder::new()?;
    let mut sinks = Sinks::start_with_ledgers(evenkeel, folder.path(), case.usual()).await?;
    let proxy = Proxy::start(contender, evenkeel, sinks.addresses, folder.path()).await?;
    let mut arguments = vec![
        format!("--to=http://{}", proxy.grpc[VICTIM]),
        "--serial".to_owned(),
        format!("--rate={rate}"),
        format!("--duration={}ms", length.as_millis()),
    ];
    arguments.extend(sinks.urls().map(|sink| format!("--sink={sink}")));
    let start = Instant::now();
    let (account, _) = tokio::try_join!(
        send::run(evenkeel, &arguments),
        happen(case, &mut sinks, start, length)
    )?;
    proxy.stop().await?;
    Ok(account)
}
