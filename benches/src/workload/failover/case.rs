//! What happens to the backends, and when.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::backends::{BACKENDS, Backends};
use super::client::Client;
use super::load::{self, Request};
use super::{Sizes, figures};
use crate::Error;
use crate::server::grpc::Mood;

/// The one that it happens to.
pub(super) const VICTIM: usize = 0;

/// How much slower the slow one answers.
const SLOW_MILLIS: u64 = 200;

/// What happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Case {
    /// One is killed, and started again.
    Killed,
    /// One takes requests and answers none.
    Hung,
    /// One answers `UNAVAILABLE`.
    Unavailable,
    /// One answers 200 ms late.
    Slow,
    /// Each in turn is killed and started again.
    Rolling,
}

impl Case {
    pub(super) const ALL: [Self; 5] = [
        Self::Killed,
        Self::Hung,
        Self::Unavailable,
        Self::Slow,
        Self::Rolling,
    ];

    /// What its figures begin with.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Killed => "killed",
            Self::Hung => "hung",
            Self::Unavailable => "unavailable",
            Self::Slow => "slow",
            Self::Rolling => "rolling",
        }
    }

    const fn mood(self) -> Option<Mood> {
        match self {
            Self::Killed | Self::Rolling => None,
            Self::Hung => Some(Mood::Hangs),
            Self::Unavailable => Some(Mood::Unavailable),
            Self::Slow => Some(Mood::Slow(SLOW_MILLIS)),
        }
    }
}

/// From a fault to the recovery from it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fault {
    pub(super) backend: usize,
    pub(super) from: Duration,
    pub(super) to: Duration,
    /// How many requests the sick one received meanwhile, where it could be asked.
    pub(super) received: Option<u64>,
}

/// What came of one case.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) requests: Vec<Request>,
    pub(super) faults: Vec<Fault>,
    pub(super) length: Duration,
    /// When each backend was asked, where that is known; else it shows in the requests.
    pub(super) attempts: Option<Vec<Vec<Duration>>>,
}

/// Runs one case: a quarter of the time all is well, then comes the fault, and at three fifths it is over.
pub(super) async fn run(case: Case, contender: &str, sizes: Sizes) -> Result<Told, Error> {
    let backends = Backends::start().await?;
    let addresses = backends.addresses;
    let mut client = Client::of(contender, &addresses)?;
    for _ in 0..10 * BACKENDS {
        let answer = client.ask().await;
        answer.map_err(|e| Error::contender("a request before the start", e))?;
    }
    let start = Instant::now();
    let doing = tokio::spawn(happen(case, backends, start, sizes.length));
    let requests = load::run(&client, &addresses, sizes.rate, start, sizes.length).await?;
    let done = doing.await.map_err(|e| Error::contender("a case", e))?;
    let (backends, faults) = done?;
    backends.stop().await?;
    let mut attempts = None;
    if let Some(balancer) = client.balancer() {
        let left = balancer.stats().requests.in_flight;
        if left != 0 {
            let name = case.name();
            return Err(Error::Contender(format!(
                "{name}: {left} requests are in flight for ever"
            )));
        }
        let backends = addresses.map(|address| balancer.backend(&address.to_string()));
        let asked = backends.iter().flatten().map(|backend| backend.attempts(start));
        attempts = Some(asked.collect());
    }
    let told = Told {
        requests,
        faults,
        length: sizes.length,
        attempts,
    };
    figures::check(case, &told)?;
    Ok(told)
}

async fn happen(
    case: Case,
    mut backends: Backends,
    start: Instant,
    length: Duration,
) -> Result<(Backends, Vec<Fault>), Error> {
    let mut faults = Vec::new();
    if case == Case::Rolling {
        for backend in 0..BACKENDS {
            // At 5, 8 and 11 of 20 seconds, for one second each.
            let share = 0.25 + 0.15 * backend as f64;
            let at = start + length.mul_f64(share);
            faults.push(kill(&mut backends, backend, start, at, at + length.mul_f64(0.05)).await?);
        }
        return Ok((backends, faults));
    }
    let (from, to) = (start + length.mul_f64(0.25), start + length.mul_f64(0.6));
    let Some(mood) = case.mood() else {
        faults.push(kill(&mut backends, VICTIM, start, from, to).await?);
        return Ok((backends, faults));
    };
    sleep_until(from).await;
    let before = backends.received(VICTIM).await?;
    let from = start.elapsed();
    backends.tell(VICTIM, mood).await?;
    sleep_until(to).await;
    let after = backends.received(VICTIM).await?;
    backends.tell(VICTIM, Mood::Well).await?;
    faults.push(Fault {
        backend: VICTIM,
        from,
        to: start.elapsed(),
        received: Some(after.saturating_sub(before)),
    });
    Ok((backends, faults))
}

async fn kill(
    backends: &mut Backends,
    backend: usize,
    start: Instant,
    from: Instant,
    to: Instant,
) -> Result<Fault, Error> {
    sleep_until(from).await;
    let from = start.elapsed();
    backends.kill(backend).await?;
    sleep_until(to).await;
    backends.start_again(backend).await?;
    Ok(Fault {
        backend,
        from,
        to: start.elapsed(),
        received: None,
    })
}
