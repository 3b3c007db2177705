//! [`keep`]: opens a connection, drives it until it ends, and opens the next.

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use evenkeel::balancer::BackendId;
use evenkeel::health::{Backoff, BackoffConfig};
use evenkeel::io_core::{AsyncConnection, Target};
use h2::client::{Builder, Connection, ResponseFuture, SendRequest};
use h2::{Ping, PingPong, SendStream};
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until, timeout, timeout_at};

use super::dial::{Connect, Ups};
use super::framed::Framed;
use super::given_up::GivenUp;
use crate::OtlpClientConfig;

/// One connection that is open.
pub(super) struct Live {
    pub(super) sender: SendRequest<Framed>,
    pub(super) in_flight: AtomicU32,
    /// How many requests were handed to it, and how many were answered: by these the keeper sees silence.
    pub(super) sent: AtomicU64,
    pub(super) answered: AtomicU64,
    pub(super) given_up: GivenUp<Stream>,
    /// It is to be replaced: the peer takes no more requests on it, or is silent.
    pub(super) retired: Notify,
}

/// A request to come and its body.
pub(super) type Stream = (ResponseFuture, SendStream<Framed>);

impl Live {
    /// The request of this number was answered.
    pub(super) fn answered(&self, number: u64) {
        self.answered.fetch_add(1, Ordering::Relaxed);
        self.reset(self.given_up.answered(number));
    }

    /// The peer has answered a ping that was sent after so many requests.
    fn heard(&self, sent: u64) {
        self.reset(self.given_up.known(sent));
    }

    fn reset(&self, streams: Vec<Stream>) {
        for stream in streams {
            drop(stream);
            self.in_flight.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// Where the connections of a channel stand: for those who find none open.
#[derive(Debug)]
pub(super) struct Progress {
    pub(super) open: usize,
    /// How many dials have failed so far.
    pub(super) failed: u64,
    /// Why the last did; `None` once one succeeds.
    pub(super) error: Option<Arc<str>>,
}

/// What one keeper needs to know.
pub(super) struct Keeper {
    pub(super) id: BackendId,
    pub(super) target: Target,
    pub(super) connect: Connect,
    pub(super) limits: Limits,
    pub(super) slot: Arc<ArcSwapOption<Live>>,
    pub(super) progress: Arc<watch::Sender<Progress>>,
    pub(super) ups: Arc<Ups>,
}

#[derive(Clone, Copy)]
pub(super) struct Limits {
    connect_timeout: Duration,
    keep_alive_interval: Duration,
    keep_alive_timeout: Duration,
    window: u32,
}

impl Limits {
    pub(super) fn new(config: &OtlpClientConfig) -> Self {
        // What the answers may take at a time. They are a few bytes each.
        let window = config.max_response_size.clamp(64 << 10, 4 << 20);
        Self {
            connect_timeout: config.connect_timeout,
            keep_alive_interval: config.keep_alive_interval,
            keep_alive_timeout: config.keep_alive_timeout,
            window: u32::try_from(window).unwrap_or(1 << 20),
        }
    }
}

/// Between two dials: at first at once, then up to a second. What a dial costs a collector is little, and a
/// collector that has come back is to be found soon.
fn backoff() -> Option<Backoff> {
    let config = BackoffConfig {
        base: Duration::from_millis(20),
        max: Duration::from_secs(1),
        retries: u32::MAX,
        ..BackoffConfig::default()
    };
    Backoff::new(config).ok()
}

/// A connection that lasted for so long was a good one, whatever ended it.
const GOOD: Duration = Duration::from_secs(1);

/// A ping for each silence is good manners; servers close the connection at the third.
const PINGS: u32 = 2;

/// So many connections of one keeper may be leaving before another is replaced for its silence.
const MOST_LEAVING: usize = 2;

/// Keeps one connection open for as long as it is not dropped.
pub(super) async fn keep(keeper: Keeper) {
    let mut waits = backoff();
    let mut leaving = JoinSet::new();
    loop {
        while leaving.try_join_next().is_some() {}
        let opened = timeout(keeper.limits.connect_timeout, keeper.open()).await;
        let (error, lasted) = match opened {
            Ok(Ok((sender, connection, pings))) => {
                let since = Instant::now();
                let ended = keeper.serve(sender, connection, pings, &mut leaving).await;
                let lasted = since.elapsed();
                tracing::info!(collector = %keeper.id, target = %keeper.target, ?lasted, reason = %ended, "connection ended");
                (None, lasted)
            }
            Ok(Err(error)) => (Some(error), Duration::ZERO),
            Err(_) => (
                Some(Down::TimedOut(keeper.limits.connect_timeout)),
                Duration::ZERO,
            ),
        };
        if let Some(error) = error {
            keeper.failed(&error);
        }
        if lasted >= GOOD {
            waits = backoff();
        }
        let wait = waits
            .as_mut()
            .and_then(|waits| waits.next_wait(None, fastrand::u64(..)));
        sleep(wait.unwrap_or(GOOD)).await;
    }
}

type Opened = (SendRequest<Framed>, Driven, PingPong);
type Driven = Connection<AsyncConnection, Framed>;

impl Keeper {
    async fn open(&self) -> Result<Opened, Down> {
        let io = self.connect.open(self.target.clone()).await;
        let io = io.map_err(|error| Down::Connect(error.to_string()))?;
        let mut builder = Builder::new();
        builder
            .enable_push(false)
            .initial_window_size(self.limits.window)
            .initial_connection_window_size(self.limits.window)
            .max_header_list_size(MAX_HEADERS);
        let (sender, mut connection) = builder.handshake(io).await.map_err(Down::Handshake)?;
        let mut pings = connection.ping_pong().ok_or(Down::Silent)?;
        // Only who answers speaks HTTP/2, and is there.
        let until = Instant::now() + self.limits.connect_timeout;
        ping(&mut connection, &mut pings, until).await?;
        Ok((sender, connection, pings))
    }

    /// Lets the connection be used until it ends, or is to be replaced; says why.
    async fn serve(
        &self,
        sender: SendRequest<Framed>,
        mut connection: Driven,
        mut pings: PingPong,
        leaving: &mut JoinSet<()>,
    ) -> Down {
        let live = Arc::new(Live {
            sender,
            in_flight: AtomicU32::new(0),
            sent: AtomicU64::new(0),
            answered: AtomicU64::new(0),
            given_up: GivenUp::default(),
            retired: Notify::new(),
        });
        let opened = Opening::new(self, live.clone());
        let mut silence = Silence::default();
        let ended = loop {
            let next = Instant::now() + self.limits.keep_alive_interval;
            tokio::select! {
                () = live.retired.notified() => {
                    // It ends when the requests that are on it have: they have deadlines.
                    leaving.spawn(async move {
                        let _ = connection.await;
                    });
                    drop(opened);
                    return Down::Retired;
                }
                ended = &mut connection => break ended.map_or_else(Down::Lost, |()| Down::Closed),
                () = sleep_until(next) => {
                    match silence.judge(&live) {
                        Judged::Well => {}
                        Judged::Ask => {
                            let until = Instant::now() + self.limits.keep_alive_timeout;
                            let sent = live.sent.load(Ordering::Relaxed);
                            if let Err(ended) = ping(&mut connection, &mut pings, until).await {
                                break ended;
                            }
                            silence.heard(&live);
                            live.heard(sent);
                        }
                        // Those that are leaving end by the deadlines of what is on them, and make room.
                        Judged::Replace if leaving.len() < MOST_LEAVING => live.retired.notify_one(),
                        Judged::Replace => {}
                    }
                }
            }
        };
        // Before the connection: nobody is to find it open and dead.
        drop(opened);
        ended
    }

    fn failed(&self, error: &Down) {
        let text: Arc<str> = error.to_string().into();
        self.progress.send_modify(|progress| {
            // Each time, in a collector that stays down, would be every second.
            if progress.error.as_deref() != Some(&*text) {
                tracing::warn!(collector = %self.id, target = %self.target, error = %text, "no connection");
            }
            progress.failed += 1;
            progress.error = Some(text);
        });
    }
}

/// The most that a peer may make us hold of the head of an answer.
const MAX_HEADERS: u32 = 64 * 1024;

/// Asks, and drives the connection until the answer is there.
async fn ping(connection: &mut Driven, pings: &mut PingPong, until: Instant) -> Result<(), Down> {
    pings.send_ping(Ping::opaque()).map_err(Down::Lost)?;
    let answer = poll_fn(|context| {
        if let std::task::Poll::Ready(ended) = Pin::new(&mut *connection).poll(context) {
            return std::task::Poll::Ready(Err(ended.map_or_else(Down::Lost, |()| Down::Closed)));
        }
        pings
            .poll_pong(context)
            .map(|pong| pong.map(|_| ()).map_err(Down::Lost))
    });
    timeout_at(until, answer).await.unwrap_or(Err(Down::Silent))
}

/// What is to be done about a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Judged {
    Well,
    /// By a ping whether it is there.
    Ask,
    /// By another one, without asking: as many pings as servers bear were answered, and then it fell silent.
    Replace,
}

/// Whether something was sent and nothing has come.
#[derive(Debug, Default)]
struct Silence {
    sent: u64,
    answered: u64,
    pings: u32,
    /// How many requests had been sent when the last ping was answered.
    heard: u64,
    /// How many had been sent when this was looked at last.
    seen: u64,
}

impl Silence {
    fn judge(&mut self, live: &Live) -> Judged {
        let sent = live.sent.load(Ordering::Relaxed);
        let answered = live.answered.load(Ordering::Relaxed);
        let asked = sent != self.sent || live.in_flight.load(Ordering::Relaxed) > 0;
        let seen = std::mem::replace(&mut self.seen, sent);
        if answered != self.answered {
            *self = Self {
                sent,
                answered,
                pings: 0,
                heard: sent,
                seen: sent,
            };
            return Judged::Well;
        }
        if !asked {
            return Judged::Well;
        }
        if self.pings < PINGS {
            self.pings += 1;
            return Judged::Ask;
        }
        // Something that is new since then has waited for a whole interval at least.
        if seen > self.heard {
            Judged::Replace
        } else {
            Judged::Well
        }
    }

    /// A ping was answered.
    fn heard(&mut self, live: &Live) {
        self.heard = live.sent.load(Ordering::Relaxed);
    }
}

/// Makes a connection known, and takes that back when dropped, as when the keeper is.
struct Opening<'a>(&'a Keeper);

impl<'a> Opening<'a> {
    fn new(keeper: &'a Keeper, live: Arc<Live>) -> Self {
        keeper.slot.store(Some(live));
        keeper.ups.send_modify(|ups| *ups += 1);
        keeper.progress.send_modify(|progress| {
            progress.open += 1;
            progress.error = None;
        });
        tracing::info!(collector = %keeper.id, target = %keeper.target, "connected");
        Self(keeper)
    }
}

impl Drop for Opening<'_> {
    fn drop(&mut self) {
        self.0.slot.store(None);
        self.0.ups.send_modify(|ups| *ups -= 1);
        self.0.progress.send_modify(|progress| {
            progress.open -= 1;
        });
    }
}

/// Why a connection is not, or not any more.
#[derive(Debug)]
enum Down {
    Connect(String),
    Handshake(h2::Error),
    TimedOut(Duration),
    Silent,
    Lost(h2::Error),
    Closed,
    Retired,
}

impl fmt::Display for Down {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect(error) => f.write_str(error),
            Self::Handshake(error) => write!(f, "handshake: {error}"),
            Self::TimedOut(after) => write!(f, "connect: no HTTP/2 within {after:?}"),
            Self::Silent => f.write_str("no answer to a ping"),
            Self::Lost(error) => write!(f, "{error}"),
            Self::Closed => f.write_str("closed by the peer"),
            Self::Retired => f.write_str("it takes no more requests, or has fallen silent"),
        }
    }
}
