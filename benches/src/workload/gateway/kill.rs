//! Scenario `gateway-kill`: the gateway is killed with -9 again and again while it takes requests, and what it had
//! acknowledged must arrive all the same.

mod gateway;

use std::path::Path;
use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until};

use self::gateway::Gateway;
use super::folder::Folder;
use super::send::{self, Account, Request};
use super::sinks::Sinks;
use crate::workload::Task;
use crate::{Error, Metrics, Report};

pub(in crate::workload) const CONTENDERS: &[&str] = &["evenkeel", "no-queue"];

/// The stretches in which no collector takes anything, as parts of the time: in the first one the gateway is killed
/// with what gathers, after it while it replays that, and at the end of the second for good until the sender is done.
const FIRST_OUTAGE: (f64, f64) = (0.3, 0.5);
const SECOND_OUTAGE: f64 = 0.8;

/// When the gateway is killed: while collectors keep up, in the first outage, in the second.
const KILLS: [f64; 3] = [0.2, 0.45, 0.95];

/// How long after the first outage it is killed while it replays.
const INTO_REPLAY: Duration = Duration::from_millis(50);

/// How long the sender gives a request.
const TIMEOUT: Duration = Duration::from_secs(2);

/// A queue that does not get empty in this time does not get empty.
const PATIENCE: Duration = Duration::from_secs(30);

/// How often the queue is looked at.
const LOOK: Duration = Duration::from_millis(5);

/// What happened to the gateway.
#[derive(Debug, Default)]
struct Told {
    /// From the start of the process until it listens, of each start after a kill.
    restarts: Vec<Duration>,
    /// What the last start found, and how long it took from then until all of that was delivered.
    replay: Option<(u64, Duration)>,
}

/// Runs one contender.
pub(in crate::workload) fn run(task: &Task) -> Result<Report, Error> {
    let rate = task.params.required("rate")?.max(1);
    let length = Duration::from_millis(task.params.required("length_ms")? as u64);
    let evenkeel = task.evenkeel()?.to_owned();
    let queue = task.contender == "evenkeel";
    let metrics = super::runtime()?.block_on(async {
        let folder = Folder::new()?;
        let sinks = Sinks::start_with_ledgers(&evenkeel, folder.path(), "well").await?;
        let mut gateway = Gateway::new(&evenkeel, folder.path(), sinks.urls(), queue)?;
        gateway.start().await?;
        let log = folder.path().join("requests.csv");
        let arguments = arguments(&gateway, &sinks, rate, length, &log);
        let start = Instant::now();
        let (account, told) = tokio::try_join!(
            send::run(&evenkeel, &arguments),
            happen(&mut gateway, &sinks, start, length)
        )?;
        gateway.stop().await?;
        let text = std::fs::read_to_string(&log).map_err(Error::io("cannot read the log"))?;
        figures(&account, &send::log(&text)?, &told, length)
    })?;
    Ok(Report::of(&task.contender, metrics))
}

fn arguments(gateway: &Gateway, sinks: &Sinks, rate: usize, length: Duration, log: &Path) -> Vec<String> {
    let mut arguments = vec![
        format!("--to=http://{}", gateway.grpc),
        format!("--rate={rate}"),
        format!("--duration={}ms", length.as_millis()),
        format!("--timeout={}ms", TIMEOUT.as_millis()),
        format!("--settle={}s", PATIENCE.as_secs()),
        format!("--log={}", log.display()),
    ];
    arguments.extend(sinks.urls().map(|sink| format!("--sink={sink}")));
    arguments
}

/// Kills and starts it, and has collectors fail and recover.
async fn happen(
    gateway: &mut Gateway,
    sinks: &Sinks,
    start: Instant,
    length: Duration,
) -> Result<Told, Error> {
    let at = |part: f64| sleep_until(start + length.mul_f64(part));
    let [flowing, failing, last] = KILLS;
    let mut told = Told::default();
    at(flowing).await;
    gateway.kill().await?;
    told.restarts.push(gateway.start().await?);
    at(FIRST_OUTAGE.0).await;
    sinks.tell_all("fail=UNAVAILABLE").await?;
    at(failing).await;
    gateway.kill().await?;
    told.restarts.push(gateway.start().await?);
    at(FIRST_OUTAGE.1).await;
    sinks.tell_all("well").await?;
    sleep(INTO_REPLAY).await;
    gateway.kill().await?;
    told.restarts.push(gateway.start().await?);
    at(SECOND_OUTAGE).await;
    sinks.tell_all("fail=UNAVAILABLE").await?;
    at(last).await;
    gateway.kill().await?;
    // The sender goes on for a while, and then only waits for what it was promised.
    at(1.0).await;
    sinks.tell_all("well").await?;
    let begun = Instant::now();
    told.restarts.push(gateway.start().await?);
    told.replay = replayed(gateway, begun).await?;
    Ok(told)
}

/// Waits until all is delivered that the queue had when it was opened: how much that was, and when it was over.
async fn replayed(gateway: &Gateway, begun: Instant) -> Result<Option<(u64, Duration)>, Error> {
    loop {
        let Some(queue) = gateway.queue().await? else {
            return Ok(None);
        };
        if queue.records == 0 {
            return Ok(Some((queue.replayed, begun.elapsed())));
        }
        if begun.elapsed() > PATIENCE {
            return Err(Error::Contender(format!(
                "{} requests stay in the queue",
                queue.records
            )));
        }
        sleep(LOOK).await;
    }
}

fn figures(account: &Account, requests: &[Request], told: &Told, length: Duration) -> Result<Metrics, Error> {
    let verified = account.verified;
    let verified = verified.ok_or_else(|| Error::Contender("nothing was verified".to_owned()))?;
    let mut metrics = Metrics::default();
    metrics.set("acknowledged", account.acknowledged_spans as f64);
    metrics.set("lost", verified.lost as f64);
    metrics.set("duplicates", verified.duplicates as f64);
    metrics.set("failed", account.failed() as f64);
    metrics.set("outage_served", served(requests, FIRST_OUTAGE, length)?);
    let longest = told.restarts.iter().max().copied().unwrap_or_default();
    metrics.set("restart", longest.as_secs_f64() * 1e3);
    if let Some((requests, took)) = told.replay {
        metrics.set("replayed", requests as f64);
        metrics.set("replay", took.as_secs_f64() * 1e3);
    }
    Ok(metrics)
}

/// How many of a hundred requests that were due in this stretch were acknowledged.
fn served(requests: &[Request], stretch: (f64, f64), length: Duration) -> Result<f64, Error> {
    let stretch = length.mul_f64(stretch.0)..length.mul_f64(stretch.1);
    let mut due = requests
        .iter()
        .filter(|request| stretch.contains(&request.due))
        .peekable();
    if due.peek().is_none() {
        return Err(Error::Contender(
            "no request was due while no collector took any".to_owned(),
        ));
    }
    let (mut all, mut acknowledged) = (0_u32, 0_u32);
    for request in due {
        all += 1;
        acknowledged += u32::from(request.acknowledged);
    }
    Ok(100.0 * f64::from(acknowledged) / f64::from(all))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn served_is_of_the_requests_of_the_stretch_alone() {
        let request = |due, acknowledged| Request {
            due: Duration::from_millis(due),
            took: Duration::ZERO,
            acknowledged,
        };
        let length = Duration::from_secs(10);
        let log = [
            (100, false),
            (3000, true),
            (4000, true),
            (4500, false),
            (4900, true),
            (5000, false),
        ];
        let log = log.map(|(due, acknowledged)| request(due, acknowledged));
        assert_eq!(served(&log, FIRST_OUTAGE, length).unwrap(), 75.0);
        assert!(served(&log[..1], FIRST_OUTAGE, length).is_err());
    }
}
