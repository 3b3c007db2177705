//! The senders: requests at a steady rate, whatever becomes of those before.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::Uri;
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

use crate::ledger::{Run, SenderId};
use crate::send::{Client, Protocol, Template};

/// Latencies are those of the last requests only.
const REMEMBERED: usize = 500;

/// A request has this long, as in a stock SDK.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Connections, so that the senders are several.
const CONNECTIONS: usize = 4;

/// What became of the requests so far.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Account {
    pub(super) sent: u64,
    pub(super) acknowledged: u64,
    pub(super) failed: u64,
    /// Spans that were acknowledged.
    pub(super) spans: u64,
    /// Of the last requests.
    pub(super) p50: Duration,
    pub(super) p99: Duration,
    pub(super) longest: Duration,
}

#[derive(Debug, Default)]
struct State {
    account: Account,
    /// Spans that were acknowledged since somebody asked.
    acknowledged: Vec<Run>,
    took: VecDeque<Duration>,
}

#[derive(Debug)]
struct Shared {
    client: Client,
    template: Template,
    sender: SenderId,
    state: Mutex<State>,
}

/// Requests that go out until they are told to end.
#[derive(Debug)]
pub(super) struct Traffic {
    shared: Arc<Shared>,
    end: watch::Sender<bool>,
    sending: JoinHandle<()>,
}

impl Traffic {
    pub(super) fn start(target: SocketAddr, rate: u32, spans: u32) -> Result<Self, http::Error> {
        let target = Uri::try_from(format!("http://{target}"))?;
        let shared = Arc::new(Shared {
            client: Client::new(&[target], Protocol::Grpc, CONNECTIONS)?,
            template: Template::new(spans),
            sender: SenderId(fastrand::u32(..)),
            state: Mutex::default(),
        });
        let (end, ended) = watch::channel(false);
        Ok(Self {
            sending: tokio::spawn(send(shared.clone(), rate, ended)),
            shared,
            end,
        })
    }

    /// Sends no more, and waits for what is under way.
    pub(super) async fn finish(&mut self, within: Duration) {
        self.end.send_replace(true);
        // What is under way still is neither acknowledged nor failed.
        let _ = timeout(within, &mut self.sending).await;
    }

    /// The account so far, and which spans were acknowledged since this was asked last.
    pub(super) fn account(&self) -> (Account, Vec<Run>) {
        let mut state = self.shared.state.lock();
        let mut took: Vec<Duration> = state.took.iter().copied().collect();
        let (account, acknowledged) = (state.account, std::mem::take(&mut state.acknowledged));
        drop(state);
        took.sort_unstable();
        let at = |hundredths: usize| {
            let index = (took.len() * hundredths / 100).min(took.len().saturating_sub(1));
            took.get(index).copied().unwrap_or_default()
        };
        let account = Account {
            p50: at(50),
            p99: at(99),
            longest: at(100),
            ..account
        };
        (account, acknowledged)
    }
}

/// Sends at its time until it is told to end; then to the end of what is under way.
async fn send(shared: Arc<Shared>, rate: u32, mut ended: watch::Receiver<bool>) {
    let mut ticks = interval(Duration::from_secs(1) / rate);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    // At most a rate's worth of time-outs of them: each ends within its own.
    let mut under_way = JoinSet::new();
    let mut index = 0;
    loop {
        tokio::select! {
            _ = ticks.tick() => {
                let shared = shared.clone();
                under_way.spawn(async move { shared.one(index).await });
                index += 1;
            }
            Some(_) = under_way.join_next() => {}
            _ = ended.changed() => break,
        }
    }
    while under_way.join_next().await.is_some() {}
}

impl Shared {
    async fn one(&self, index: u64) {
        let first = index * self.template.spans() + 1;
        let body = self.template.framed(self.sender, first);
        self.state.lock().account.sent += 1;
        let start = Instant::now();
        let outcome = timeout(TIMEOUT, self.client.export(body)).await;
        let took = start.elapsed();
        let mut state = self.state.lock();
        if matches!(outcome, Ok(Ok(()))) {
            state.account.acknowledged += 1;
            state.account.spans += self.template.spans();
            state.acknowledged.push((first, self.template.spans()));
        } else {
            state.account.failed += 1;
        }
        if state.took.len() == REMEMBERED {
            state.took.pop_front();
        }
        state.took.push_back(took);
    }
}
