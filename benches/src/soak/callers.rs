//! Those who send requests, and what became of these.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use evenkeel::pool::PooledConnection;
use evenkeel::stats::Outcome;
use evenkeel::{Client, Repeat, RequestContext};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

/// How many call at a time.
pub(super) const CALLERS: u64 = 16;

/// Between two requests of a caller.
const PAUSE: Duration = Duration::from_millis(10);

/// One request in so many has a caller without patience, and one in so many takes a connection in its own hands.
const IMPATIENT: u64 = 7;
const BY_HAND: u64 = 5;

/// What became of the requests.
#[derive(Debug, Default)]
pub(super) struct Tally {
    answered: AtomicU64,
    given_up: AtomicU64,
    leases: AtomicU64,
    lost: AtomicU64,
    mixed_up: AtomicU64,
    /// The first that was lost, in words.
    first: OnceLock<String>,
}

impl Tally {
    pub(super) fn answered(&self) -> u64 {
        self.answered.load(Ordering::Relaxed)
    }

    pub(super) fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    pub(super) fn leases(&self) -> u64 {
        self.leases.load(Ordering::Relaxed)
    }

    fn count(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }

    fn lose(&self, error: &dyn std::error::Error) {
        Self::count(&self.lost);
        let _ = self.first.set(error.to_string());
    }

    /// What of it must not be.
    pub(super) fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        if self.lost() > 0 {
            let first = self.first.get().map_or("", String::as_str);
            faults.push(format!(
                "{} requests had no answer; the first: {first}",
                self.lost()
            ));
        }
        let mixed_up = self.mixed_up.load(Ordering::Relaxed);
        if mixed_up > 0 {
            faults.push(format!("{mixed_up} requests had the answer to another"));
        }
        if self.answered() == 0 || self.leases() == 0 || self.given_up.load(Ordering::Relaxed) == 0 {
            faults.push("no request was answered, lent for, or given up: nothing was tried".to_owned());
        }
        faults
    }
}

/// They call until then.
pub(super) fn start(client: &Client, tally: &Arc<Tally>, until: Instant, seed: u64) -> JoinSet<()> {
    let mut callers = JoinSet::new();
    for number in 0..CALLERS {
        let (client, tally) = (client.clone(), tally.clone());
        let random = fastrand::Rng::with_seed(seed ^ (number + 1));
        callers.spawn(async move {
            let caller = Caller {
                client,
                tally,
                random,
                number,
            };
            caller.call_until(until).await;
        });
    }
    callers
}

struct Caller {
    client: Client,
    tally: Arc<Tally>,
    random: fastrand::Rng,
    number: u64,
}

impl Caller {
    async fn call_until(mut self, until: Instant) {
        let mut count = 0_u64;
        while Instant::now() < until {
            count += 1;
            // No two requests are alike, so that an answer to another is seen.
            let word = (self.number << 48 | count).to_be_bytes();
            if count.is_multiple_of(IMPATIENT) {
                let patience = Duration::from_micros(self.random.u64(0..15_000));
                if timeout(patience, self.call(word)).await.is_err() {
                    Tally::count(&self.tally.given_up);
                }
            } else if count.is_multiple_of(BY_HAND) {
                self.lease(word).await;
            } else {
                self.call(word).await;
            }
            sleep(PAUSE).await;
        }
    }

    /// Must be answered: four of six members are well.
    async fn call(&self, word: [u8; 8]) {
        let request = RequestContext::new().with_repeat(Repeat::Always);
        let answer = self
            .client
            .call(&request, |connection| exchange(connection, word))
            .await;
        match answer {
            Ok(answer) if answer == word => Tally::count(&self.tally.answered),
            Ok(_) => Tally::count(&self.tally.mixed_up),
            Err(error) => self.tally.lose(&error),
        }
    }

    /// Must get a connection; that its backend fails in the middle is the caller's to bear here.
    async fn lease(&self, word: [u8; 8]) {
        let mut lease = match self.client.connection().await {
            Ok(lease) => lease,
            Err(error) => return self.tally.lose(&error),
        };
        Tally::count(&self.tally.leases);
        let exchange = async {
            lease.write_all(&word).await?;
            let mut answer = [0; 8];
            lease.read_exact(&mut answer).await?;
            Ok::<_, io::Error>(answer)
        };
        match timeout(Duration::from_millis(500), exchange).await {
            Ok(Ok(answer)) if answer == word => lease.succeed(),
            Ok(Ok(_)) => Tally::count(&self.tally.mixed_up),
            Ok(Err(_)) => lease.settle(Outcome::Failure),
            // Dropped in the middle of its read.
            Err(_) => drop(lease),
        }
    }
}

async fn exchange(mut connection: PooledConnection, word: [u8; 8]) -> Result<[u8; 8], io::Error> {
    connection.write_all(&word).await?;
    let mut answer = [0; 8];
    connection.read_exact(&mut answer).await?;
    Ok(answer)
}
