//! Active checks under paused time: how soon a fault is found, and that nothing holds up the rest.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use evenkeel_health::{CheckConfig, HealthChecker, HealthWatch, Probe, TcpProbe, TcpProbeError};
use evenkeel_io_core::{AsyncIoConfig, AsyncIoManager, Target};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::net::TcpListener;
use tokio::time::{Instant, sleep};

const MILLI: Duration = Duration::from_millis(1);

fn target() -> Target {
    "backend:4317".parse().unwrap()
}

/// How a backend answers, changed from outside.
#[derive(Clone, Default)]
struct Mood(Arc<AtomicUsize>);

const WELL: usize = 0;
const RESET: usize = 1;
const HANGS: usize = 2;

impl Mood {
    fn is(&self, mood: usize) {
        self.0.store(mood, Ordering::Relaxed);
    }

    fn probe(&self) -> impl Probe + use<> {
        let mood = self.clone();
        move |_: Target| {
            let mood = mood.0.load(Ordering::Relaxed);
            async move {
                match mood {
                    WELL => Ok(()),
                    RESET => Err(io::Error::from(io::ErrorKind::ConnectionReset)),
                    _ => std::future::pending().await,
                }
            }
        }
    }
}

async fn verdict(health: &mut HealthWatch) -> bool {
    health.changed().await.unwrap().healthy.unwrap()
}

/// The time until all of `backends` that break in this way are found, and until they are found again.
async fn found_and_back(how: usize, backends: usize) -> (Duration, Duration) {
    let mood = Mood::default();
    let checker = HealthChecker::new(CheckConfig::default(), backends, mood.probe()).unwrap();
    let mut watches = Vec::new();
    for _ in 0..backends {
        let (health, checks) = checker.watch(target());
        tokio::spawn(checks);
        watches.push(health);
    }
    for health in &mut watches {
        assert!(verdict(health).await);
    }
    sleep(MILLI * 3_333).await;
    let mut times = [Duration::ZERO; 2];
    for (mood_now, healthy, took) in [(how, false, 0), (WELL, true, 1)] {
        mood.is(mood_now);
        let broke = Instant::now();
        for health in &mut watches {
            assert_eq!(verdict(health).await, healthy);
        }
        times[took] = broke.passed();
        sleep(MILLI * 777).await;
    }
    (times[0], times[1])
}

trait Passed {
    fn passed(&self) -> Duration;
}

impl Passed for Instant {
    fn passed(&self) -> Duration {
        Self::now().duration_since(*self)
    }
}

#[tokio::test(start_paused = true)]
async fn a_black_hole_is_found_in_time_and_sixty_four_as_fast_as_one() {
    for backends in [1, 64] {
        let (found, back) = found_and_back(HANGS, backends).await;
        assert!(found <= MILLI * 1_600, "{backends}: {found:?}");
        assert!(back <= MILLI * 2_000, "{backends}: {back:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_reset_is_found_sooner() {
    let (found, _) = found_and_back(RESET, 8).await;
    assert!(found <= MILLI * 1_200, "{found:?}");
}

#[tokio::test(start_paused = true)]
async fn the_cap_on_probes_holds() {
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let probe = {
        let (now, most) = (now.clone(), most.clone());
        move |_: Target| {
            let now = now.clone();
            most.fetch_max(now.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
            async move {
                sleep(MILLI * 5).await;
                now.fetch_sub(1, Ordering::Relaxed);
                Ok::<_, io::Error>(())
            }
        }
    };
    let checker = HealthChecker::new(CheckConfig::default(), 3, probe).unwrap();
    let mut watches = Vec::new();
    for _ in 0..20 {
        let (health, checks) = checker.watch(target());
        tokio::spawn(checks);
        watches.push(health);
    }
    for health in &mut watches {
        assert!(verdict(health).await);
    }
    sleep(MILLI * 5_000).await;
    assert_eq!(most.load(Ordering::Relaxed), 3);
}

#[tokio::test(start_paused = true)]
async fn a_failed_request_brings_the_check_forward() {
    let mood = Mood::default();
    let config = CheckConfig {
        health_check_interval: MILLI * 60_000,
        ..CheckConfig::default()
    };
    let checker = HealthChecker::new(config, 1, mood.probe()).unwrap();
    let (mut health, checks) = checker.watch(target());
    tokio::spawn(checks);
    assert!(verdict(&mut health).await);
    mood.is(RESET);
    let broke = Instant::now();
    health.hurry();
    assert!(!verdict(&mut health).await);
    assert!(broke.passed() <= MILLI * 250);
    assert!(health.report().error.unwrap().contains("reset"));
}

#[tokio::test(start_paused = true)]
async fn the_checks_end_with_the_watch_even_in_the_middle_of_one() {
    let mood = Mood::default();
    mood.is(HANGS);
    let checker = HealthChecker::new(CheckConfig::default(), 1, mood.probe()).unwrap();
    let (health, checks) = checker.watch(target());
    let task = tokio::spawn(checks);
    sleep(MILLI * 100).await;
    drop(health);
    let before = Instant::now();
    task.await.unwrap();
    assert_eq!(before.passed(), Duration::ZERO);
    // Its place is free again.
    mood.is(WELL);
    let (mut next, checks) = checker.watch(target());
    tokio::spawn(checks);
    assert!(verdict(&mut next).await);
}

/// What a probe that sends "ping" and expects "pong" says of a peer.
async fn ping<F: Future<Output = ()> + Send + 'static>(
    peer: impl Fn(DuplexStream) -> F + Send + Sync + 'static,
) -> Result<(), TcpProbeError<io::Error>> {
    let connect = move |_: Target| {
        let (ours, theirs) = tokio::io::duplex(64);
        tokio::spawn(peer(theirs));
        async move { Ok::<_, io::Error>(ours) }
    };
    TcpProbe::new(connect)
        .expecting("ping", "pong")
        .probe(target(), &mut ())
        .await
}

#[tokio::test(start_paused = true)]
async fn only_the_expected_bytes_are_an_answer() {
    let answers = |answer: &'static [u8]| {
        move |mut stream: DuplexStream| async move {
            stream.read_exact(&mut [0; 4]).await.unwrap();
            stream.write_all(answer).await.unwrap();
        }
    };
    ping(answers(b"pong and more")).await.unwrap();
    let other = ping(answers(b"HTTP/1.1 400 Bad Request")).await;
    assert!(matches!(other, Err(TcpProbeError::Unexpected)), "{other:?}");
    let cut = ping(answers(b"po")).await;
    assert!(matches!(cut, Err(TcpProbeError::Read(_))), "{cut:?}");
}

#[tokio::test(start_paused = true)]
async fn a_connection_alone_is_enough_if_nothing_is_expected() {
    let probe = TcpProbe::new(|_: Target| async { Ok::<_, io::Error>(tokio::io::duplex(1).0) });
    probe.probe(target(), &mut ()).await.unwrap();
    let refused =
        |_: Target| async { Err::<DuplexStream, _>(io::Error::from(io::ErrorKind::ConnectionRefused)) };
    let result = TcpProbe::new(refused).probe(target(), &mut ()).await;
    assert!(matches!(result, Err(TcpProbeError::Connect(_))));
}

#[tokio::test]
async fn over_real_sockets_a_listener_is_well_and_nobody_is_not() {
    let manager = AsyncIoManager::new(AsyncIoConfig::default()).unwrap();
    let probe = TcpProbe::new(manager).expecting("ping", "pong");
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target: Target = listener.local_addr().unwrap().to_string().parse().unwrap();
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.read_exact(&mut [0; 4]).await.unwrap();
        stream.write_all(b"pong").await.unwrap();
        // The listener goes with this task.
    });
    probe.probe(target.clone(), &mut ()).await.unwrap();
    server.await.unwrap();
    let nobody = probe.probe(target, &mut ()).await;
    assert!(matches!(nobody, Err(TcpProbeError::Connect(_))), "{nobody:?}");
}

#[tokio::test(start_paused = true)]
async fn checks_that_died_do_not_look_healthy_for_ever() {
    let checker = HealthChecker::new(CheckConfig::default(), 1, Mood::default().probe()).unwrap();
    let (mut health, checks) = checker.watch(target());
    let task = tokio::spawn(checks);
    assert!(verdict(&mut health).await);
    task.abort();
    let _ = task.await;
    let report = health.report();
    assert_eq!(
        (report.healthy, report.error.as_deref()),
        (None, Some("the checks have ended"))
    );
}

#[test]
fn a_checker_that_may_not_check_is_refused() {
    let probe = Mood::default().probe();
    let error = HealthChecker::new(CheckConfig::default(), 0, probe).unwrap_err();
    assert!(error.to_string().contains("concurrent"));
}
