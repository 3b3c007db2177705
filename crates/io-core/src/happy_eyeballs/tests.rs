use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use evenkeel_stats::Phase;
use parking_lot::Mutex;
use tokio::time::{Instant, sleep, timeout};

use super::*;
use crate::resolve::{Resolution, StaticResolver};

const PORT: u16 = 4317;

fn v4(last: u8) -> SocketAddr {
    ([192, 0, 2, last], PORT).into()
}

fn v6(last: u16) -> SocketAddr {
    ([0x2001, 0xdb8, 0, 0, 0, 0, 0, last], PORT).into()
}

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Follows tokio's paused time.
#[derive(Debug)]
struct PausedClock(Instant);

impl Clock for PausedClock {
    fn now(&self) -> Timestamp {
        Timestamp::ZERO.saturating_add(self.0.elapsed())
    }
}

/// Counts what lives: an attempt or a resolution holds one.
#[derive(Clone, Debug, Default)]
struct Alive(Arc<AtomicUsize>);

struct Guard(Alive);

impl Alive {
    fn enter(&self) -> Guard {
        self.0.fetch_add(1, Ordering::Relaxed);
        Guard(self.clone())
    }

    fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What a resolver does, one after the other.
#[derive(Clone, Debug)]
enum Say {
    After(u64, Vec<SocketAddr>),
    Fail,
    Hang,
}

#[derive(Debug)]
struct Script(Vec<Say>, Alive);

impl Resolve for Script {
    fn resolve<'a>(&'a self, _: &'a str, answers: Answers) -> Resolution<'a> {
        Box::pin(async move {
            let _guard = self.1.enter();
            for say in &self.0 {
                match say {
                    Say::After(wait, addrs) => {
                        sleep(millis(*wait)).await;
                        answers.push(addrs.iter().map(SocketAddr::ip));
                    }
                    Say::Fail => return Err(io::Error::other("SERVFAIL")),
                    Say::Hang => pending().await,
                }
            }
            Ok(())
        })
    }
}

/// What a network does with a dial; a real one may do anything else to it.
#[derive(Clone, Copy)]
enum Net {
    Accept(u64),
    Refuse(u64),
    BlackHole,
}

/// A network that notes when which address was dialled.
struct Network<F> {
    rule: F,
    start: Instant,
    dialled: Arc<Mutex<Vec<(u64, SocketAddr)>>>,
    alive: Alive,
}

impl<F: Fn(SocketAddr) -> Net> Network<F> {
    fn new(rule: F) -> Self {
        Self {
            rule,
            start: Instant::now(),
            dialled: Arc::default(),
            alive: Alive::default(),
        }
    }

    fn dial(&self, addr: SocketAddr) -> Pin<Box<dyn Future<Output = io::Result<()>> + Send>> {
        let guard = self.alive.enter();
        let at = self.start.elapsed().as_millis() as u64;
        self.dialled.lock().push((at, addr));
        let does = (self.rule)(addr);
        Box::pin(async move {
            let _guard = guard;
            match does {
                Net::Accept(after) => sleep(millis(after)).await,
                Net::Refuse(after) => {
                    sleep(millis(after)).await;
                    return Err(io::ErrorKind::ConnectionRefused.into());
                }
                Net::BlackHole => pending().await,
            }
            Ok(())
        })
    }

    async fn connect(
        &self,
        resolver: &dyn Resolve,
        only: Option<Family>,
        progress: &mut Progress,
    ) -> Result<SocketAddr, DialFailure> {
        let peer = Peer::Name("name.example", PORT);
        self.connect_to(peer, resolver, only, progress).await
    }

    async fn connect_to(
        &self,
        peer: Peer<'_>,
        resolver: &dyn Resolve,
        only: Option<Family>,
        progress: &mut Progress,
    ) -> Result<SocketAddr, DialFailure> {
        let clock = PausedClock(self.start);
        let how = HappyEyeballs {
            delays: Delays::default(),
            only,
            resolver,
            clock: &clock,
        };
        let (_, addr) = how.connect(peer, progress, |addr| self.dial(addr)).await?;
        Ok(addr)
    }

    fn dialled(&self) -> Vec<(u64, SocketAddr)> {
        self.dialled.lock().clone()
    }

    fn elapsed(&self) -> u64 {
        self.start.elapsed().as_millis() as u64
    }
}

fn script(say: impl IntoIterator<Item = Say>) -> Script {
    Script(say.into_iter().collect(), Alive::default())
}

fn at_once(addrs: impl IntoIterator<Item = SocketAddr>) -> Script {
    script([Say::After(0, addrs.into_iter().collect())])
}

#[tokio::test(start_paused = true)]
async fn an_ipv6_black_hole_costs_250_ms_and_the_loser_is_dropped() {
    let net = Network::new(|addr| {
        if addr.is_ipv6() {
            Net::BlackHole
        } else {
            Net::Accept(5)
        }
    });
    let mut progress = Progress::default();
    let winner = net.connect(&at_once([v6(1), v4(1)]), None, &mut progress).await;
    assert_eq!(winner.unwrap(), v4(1));
    assert_eq!(net.dialled(), [(0, v6(1)), (250, v4(1))]);
    assert_eq!(net.elapsed(), 255);
    assert_eq!(net.alive.count(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_slow_first_attempt_may_still_win() {
    let net = Network::new(|addr| {
        if addr.is_ipv6() {
            Net::Accept(300)
        } else {
            Net::Accept(100)
        }
    });
    let mut progress = Progress::default();
    let winner = net.connect(&at_once([v6(1), v4(1)]), None, &mut progress).await;
    assert_eq!(winner.unwrap(), v6(1));
    assert_eq!(net.elapsed(), 300);
    assert_eq!(net.alive.count(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_refused_address_does_not_hold_up_the_next() {
    let net = Network::new(|addr| {
        if addr == v6(1) {
            Net::Refuse(3)
        } else {
            Net::Accept(1)
        }
    });
    let mut progress = Progress::default();
    let winner = net.connect(&at_once([v6(1), v4(1)]), None, &mut progress).await;
    assert_eq!(winner.unwrap(), v4(1));
    assert_eq!(net.dialled(), [(0, v6(1)), (3, v4(1))]);
    assert_eq!(progress.tried().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn ipv4_answers_wait_50_ms_for_ipv6_which_then_goes_first() {
    let net = Network::new(|_| Net::Accept(1));
    let resolver = script([Say::After(5, vec![v4(1)]), Say::After(30, vec![v6(1)]), Say::Hang]);
    let winner = net.connect(&resolver, None, &mut Progress::default()).await;
    assert_eq!(winner.unwrap(), v6(1));
    assert_eq!(net.dialled(), [(35, v6(1))]);
}

#[tokio::test(start_paused = true)]
async fn a_hanging_ipv6_query_costs_50_ms_only() {
    let net = Network::new(|_| Net::Accept(1));
    let resolver = script([Say::After(5, vec![v4(1)]), Say::Hang]);
    let winner = net.connect(&resolver, None, &mut Progress::default()).await;
    assert_eq!(winner.unwrap(), v4(1));
    assert_eq!(net.dialled(), [(55, v4(1))]);
    assert_eq!(resolver.1.count(), 0, "the resolution goes on after the race");
}

#[tokio::test(start_paused = true)]
async fn answers_pushed_as_the_resolution_ends_are_not_lost() {
    let net = Network::new(|_| Net::Accept(1));
    let resolver = StaticResolver::new().with("name.example", [v4(1).ip()]);
    let winner = net.connect(&resolver, None, &mut Progress::default()).await;
    assert_eq!(winner.unwrap(), v4(1));
    assert_eq!(
        net.dialled(),
        [(0, v4(1))],
        "no wait for IPv6 when all answers are there"
    );
}

#[tokio::test(start_paused = true)]
async fn a_late_answer_saves_a_race_that_had_lost_all() {
    let net = Network::new(|addr| {
        if addr.is_ipv6() {
            Net::Refuse(1)
        } else {
            Net::Accept(1)
        }
    });
    let resolver = script([Say::After(0, vec![v6(1)]), Say::After(900, vec![v4(1)])]);
    let mut progress = Progress::default();
    let winner = net.connect(&resolver, None, &mut progress).await;
    assert_eq!(winner.unwrap(), v4(1));
    assert_eq!(net.dialled(), [(0, v6(1)), (900, v4(1))]);
}

#[tokio::test(start_paused = true)]
async fn when_all_fail_every_address_and_error_is_told_in_order() {
    let net = Network::new(|addr| Net::Refuse(if addr.is_ipv6() { 400 } else { 1 }));
    let failure = net
        .connect(&at_once([v6(1), v4(1), v4(2)]), None, &mut Progress::default())
        .await
        .unwrap_err();
    let DialFailure::AllFailed(failures) = failure else {
        panic!("{failure:?}");
    };
    let order: Vec<_> = failures.iter().map(|(addr, _)| *addr).collect();
    assert_eq!(order, [v6(1), v4(1), v4(2)]);
    assert!(
        failures
            .iter()
            .all(|(_, error)| error.kind() == io::ErrorKind::ConnectionRefused)
    );
    assert_eq!(net.elapsed(), 400);
}

#[tokio::test(start_paused = true)]
async fn a_resolver_error_is_told_unless_there_were_addresses() {
    let net = Network::new(|_| Net::Accept(100));
    let failure = net
        .connect(&script([Say::Fail]), None, &mut Progress::default())
        .await;
    assert!(matches!(failure, Err(DialFailure::Resolve(error)) if error.to_string() == "SERVFAIL"));

    let resolver = script([Say::After(0, vec![v4(1)]), Say::Fail]);
    let winner = net.connect(&resolver, None, &mut Progress::default()).await;
    assert_eq!(winner.unwrap(), v4(1));
}

#[tokio::test(start_paused = true)]
async fn a_name_without_addresses_says_so() {
    let net = Network::new(|_| Net::Accept(1));
    let failure = net.connect(&script([]), None, &mut Progress::default()).await;
    assert!(matches!(failure, Err(DialFailure::NoAddress)));
}

#[tokio::test(start_paused = true)]
async fn a_deadline_during_resolution_drops_it_and_finds_the_phase() {
    let net = Network::new(|_| Net::Accept(1));
    let resolver = script([Say::Hang]);
    let mut progress = Progress::default();
    let result = timeout(millis(100), net.connect(&resolver, None, &mut progress)).await;
    assert!(result.is_err());
    assert_eq!(resolver.1.count(), 0);
    assert_eq!(progress.phase(), Phase::Resolve);
    assert!(progress.tried().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_deadline_during_attempts_drops_all_and_finds_what_was_tried() {
    let net = Network::new(|addr| {
        if addr == v6(1) {
            Net::Refuse(1)
        } else {
            Net::BlackHole
        }
    });
    let resolver = script([Say::After(0, vec![v6(1), v4(1), v6(2)]), Say::Hang]);
    let mut progress = Progress::default();
    let result = timeout(millis(1000), net.connect(&resolver, None, &mut progress)).await;
    assert!(result.is_err());
    assert_eq!((net.alive.count(), resolver.1.count()), (0, 0));
    assert_eq!(progress.phase(), Phase::Connect);
    let tried: Vec<_> = progress
        .tried()
        .iter()
        .map(|one| (one.addr, one.error.is_some()))
        .collect();
    assert_eq!(tried, [(v6(1), true), (v4(1), false), (v6(2), false)]);
}

#[tokio::test(start_paused = true)]
async fn a_deadline_after_lost_attempts_blames_the_resolution_still_open() {
    let net = Network::new(|_| Net::Refuse(1));
    let resolver = script([Say::After(0, vec![v4(1)]), Say::Hang]);
    let mut progress = Progress::default();
    let result = timeout(millis(1000), net.connect(&resolver, None, &mut progress)).await;
    assert!(result.is_err());
    assert_eq!(progress.phase(), Phase::Resolve);
    assert_eq!(progress.take_failures().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_bound_local_address_keeps_the_other_family_out() {
    let net = Network::new(|_| Net::Accept(1));
    let both = at_once([v6(1), v4(1)]);
    let winner = net
        .connect(&both, Some(Family::V4), &mut Progress::default())
        .await;
    assert_eq!(winner.unwrap(), v4(1));
    assert_eq!(net.dialled(), [(0, v4(1))]);

    let other = at_once([v6(1)]);
    let failure = net
        .connect(&other, Some(Family::V4), &mut Progress::default())
        .await;
    assert!(matches!(failure, Err(DialFailure::NoneOf(Family::V4))));
}

#[tokio::test(start_paused = true)]
async fn an_address_is_dialled_once_without_resolver_or_timer() {
    let unused = script([Say::Fail]);
    let net = Network::new(|_| Net::Accept(600));
    let mut progress = Progress::default();
    let winner = net
        .connect_to(Peer::Addr(v4(1)), &unused, None, &mut progress)
        .await;
    assert_eq!(winner.unwrap(), v4(1));
    assert_eq!(net.dialled(), [(0, v4(1))]);

    let net = Network::new(|_| Net::Refuse(1));
    let mut progress = Progress::default();
    let failure = net
        .connect_to(Peer::Addr(v4(1)), &unused, None, &mut progress)
        .await;
    assert!(matches!(failure, Err(DialFailure::AllFailed(failures)) if failures.len() == 1));

    let only = Some(Family::V6);
    let failure = net
        .connect_to(Peer::Addr(v4(1)), &unused, only, &mut progress)
        .await;
    assert!(matches!(failure, Err(DialFailure::NoneOf(Family::V6))));
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_lags_behind_the_timer_does_not_stop_the_race() {
    let net = Network::new(|addr| {
        if addr.is_ipv6() {
            Net::BlackHole
        } else {
            Net::Accept(1)
        }
    });
    let clock = evenkeel_stats::ManualClock::new();
    let resolver = at_once([v6(1), v4(1)]);
    let how = HappyEyeballs {
        delays: Delays::default(),
        only: None,
        resolver: &resolver,
        clock: &clock,
    };
    let mut progress = Progress::default();
    let connect = how.connect(Peer::Name("name.example", PORT), &mut progress, |addr| {
        net.dial(addr)
    });
    let (_, winner) = timeout(millis(1000), connect).await.unwrap().unwrap();
    assert_eq!(winner, v4(1));
}

#[test]
fn the_future_may_move_between_threads() {
    fn is_send<T: Send>(value: T) -> T {
        value
    }
    let resolver = StaticResolver::new();
    let clock = evenkeel_stats::ManualClock::new();
    let how = HappyEyeballs {
        delays: Delays::default(),
        only: None,
        resolver: &resolver,
        clock: &clock,
    };
    let mut progress = Progress::default();
    let dial = |_| async { io::Result::<IpAddr>::Err(io::ErrorKind::Other.into()) };
    drop(is_send(how.connect(
        Peer::Name("name.example", PORT),
        &mut progress,
        dial,
    )));
}
