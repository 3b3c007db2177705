//! What happens to the collectors, and when.

use std::path::Path;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::Sizes;
use crate::Error;
use crate::workload::gateway::folder::Folder;
use crate::workload::gateway::proxy::Proxy;
use crate::workload::gateway::send::{self, Account, Request};
use crate::workload::gateway::sinks::{Sinks, VICTIM};

/// How long collectors take for a request where the one that is killed is to have some in flight.
const BUSY: Duration = Duration::from_millis(50);

/// What happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::workload::gateway) enum Case {
    /// One is killed between requests, and started again.
    Killed,
    /// One is killed with requests in flight on it, and started again.
    KilledBusy,
    /// One takes requests and answers none; its health check answers.
    Hung,
    /// One answers `UNAVAILABLE`; its health check is well.
    Unavailable,
    /// One answers 200 ms late.
    Slow,
    /// One answers `UNAVAILABLE` and asks to be left alone for a second.
    Throttled,
}

impl Case {
    pub(in crate::workload::gateway) const ALL: [Self; 6] = [
        Self::Killed,
        Self::KilledBusy,
        Self::Hung,
        Self::Unavailable,
        Self::Slow,
        Self::Throttled,
    ];

    /// What its figures begin with.
    pub(in crate::workload::gateway) const fn name(self) -> &'static str {
        match self {
            Self::Killed => "killed",
            Self::KilledBusy => "killed_busy",
            Self::Hung => "hung",
            Self::Unavailable => "unavailable",
            Self::Slow => "slow",
            Self::Throttled => "throttled",
        }
    }

    /// How a collector behaves that nothing happens to.
    pub(in crate::workload::gateway) const fn usual(self) -> &'static str {
        match self {
            Self::KilledBusy => "latency=50ms",
            _ => "well",
        }
    }

    /// How long a request takes in a collector that nothing happens to.
    pub(super) const fn own_time(self) -> Duration {
        match self {
            Self::KilledBusy => BUSY,
            _ => Duration::ZERO,
        }
    }

    /// How the sick one behaves; `None` if it is dead.
    const fn sick(self) -> Option<&'static str> {
        match self {
            Self::Killed | Self::KilledBusy => None,
            Self::Hung => Some("hang"),
            Self::Unavailable => Some("fail=UNAVAILABLE"),
            Self::Slow => Some("latency=200ms"),
            Self::Throttled => Some("throttle=1s"),
        }
    }
}

/// From a fault to the recovery from it.
#[derive(Debug, Clone, Copy)]
pub(in crate::workload::gateway) struct Fault {
    pub(in crate::workload::gateway) from: Duration,
    pub(in crate::workload::gateway) to: Duration,
    /// How many requests the sick one received meanwhile, where it could be asked.
    pub(in crate::workload::gateway) received: Option<u64>,
}

/// What came of one case.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) account: Account,
    pub(super) requests: Vec<Request>,
    pub(super) fault: Fault,
}

pub(super) async fn run(case: Case, contender: &str, evenkeel: &Path, sizes: Sizes) -> Result<Told, Error> {
    let folder = Folder::new()?;
    let mut sinks = Sinks::start_with_ledgers(evenkeel, folder.path(), case.usual()).await?;
    let proxy = Proxy::start(contender, evenkeel, sinks.addresses, folder.path()).await?;
    // As an application is without anything between: stuck to the collector that it met first.
    let target = proxy.grpc[VICTIM];
    let mut arguments = vec![
        format!("--to=http://{target}"),
        format!("--spans={}", sizes.spans),
    ];
    arguments.extend(sinks.urls().map(|sink| format!("--sink={sink}")));
    let warm_up = [
        &arguments[..],
        &["--count=30".to_owned(), "--in-flight=3".to_owned()],
    ]
    .concat();
    let warm = send::run(evenkeel, &warm_up).await?;
    if warm.failed() > 0 {
        let failures = warm.failures;
        return Err(Error::Contender(format!(
            "requests failed before the start: {failures:?}"
        )));
    }
    let log = folder.path().join("requests.csv");
    arguments.extend([
        format!("--rate={}", sizes.rate),
        format!("--duration={}ms", sizes.length.as_millis()),
        "--timeout=2s".to_owned(),
        format!("--log={}", log.display()),
    ]);
    let start = Instant::now();
    let (account, fault) = tokio::try_join!(
        send::run(evenkeel, &arguments),
        happen(case, &mut sinks, start, sizes.length)
    )?;
    proxy.stop().await?;
    let text = std::fs::read_to_string(&log).map_err(Error::io("cannot read the log"))?;
    Ok(Told {
        account,
        requests: send::log(&text)?,
        fault,
    })
}

/// A quarter of the time all is well, then comes the fault, and at three fifths it is over.
pub(in crate::workload::gateway) async fn happen(
    case: Case,
    sinks: &mut Sinks,
    start: Instant,
    length: Duration,
) -> Result<Fault, Error> {
    sleep_until(start + length.mul_f64(0.25)).await;
    let Some(sick) = case.sick() else {
        let from = start.elapsed();
        sinks.kill(VICTIM).await?;
        sleep_until(start + length.mul_f64(0.6)).await;
        sinks.start_one(VICTIM).await?;
        return Ok(Fault {
            from,
            to: start.elapsed(),
            received: None,
        });
    };
    let before = sinks.received(VICTIM).await?;
    let from = start.elapsed();
    sinks.tell(VICTIM, sick).await?;
    sleep_until(start + length.mul_f64(0.6)).await;
    let after = sinks.received(VICTIM).await?;
    let to = start.elapsed();
    sinks.tell(VICTIM, case.usual()).await?;
    Ok(Fault {
        from,
        to,
        received: Some(after.saturating_sub(before)),
    })
}
