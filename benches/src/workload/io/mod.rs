//! Scenario `io`: many connections made at once, held, then used.

mod dial;
mod naive;
mod phases;

use crate::workload::Task;
use crate::{Error, Report};

pub use dial::{Dial, Evenkeel, HyperUtil, RawTokio, TokioTimeouts};

pub(super) const CONTENDERS: &[&str] = &["evenkeel", "raw-tokio", "tokio-timeouts", "hyper-util", "naive"];

/// Runs one contender.
pub(super) fn run(task: &Task) -> Result<Report, Error> {
    let addr = task.server()?;
    let sizes = phases::Sizes::of(&task.params)?;
    let (metrics, notes) = match task.contender.as_str() {
        "evenkeel" => phases::run(Evenkeel::to(addr, sizes.connections + sizes.warm_up)?, sizes),
        "raw-tokio" => phases::run(RawTokio::to(addr), sizes),
        "tokio-timeouts" => phases::run(TokioTimeouts::to(addr), sizes),
        "hyper-util" => phases::run(HyperUtil::to(addr)?, sizes),
        "naive" => naive::run(addr, task.params.required("naive_rounds")?, sizes),
        other => Err(Error::unknown("contender", other, CONTENDERS.iter().copied())),
    }?;
    let mut report = Report::of(&task.contender, metrics);
    report.notes = notes
        .into_iter()
        .map(|note| format!("{}: {note}", task.contender))
        .collect();
    Ok(report)
}
