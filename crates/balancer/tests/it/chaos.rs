//! Twenty seconds of everything at once, in virtual time: nothing is lost, nothing leaks.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use allocation_counter::AllocationInfo;
use evenkeel_balancer::{
    BackendRef, BackendServer, CallError, HedgeConfig, LoadBalancer, LoadBalancerConfig, Repeat,
    RequestContext,
};
use evenkeel_stats::TokioClock;
use tokio::time::{Instant, sleep, timeout};

/// How a backend behaves now.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Mood {
    Well,
    Slow,
    Refusing,
    Failing,
    Hanging,
}

const MOODS: [Mood; 5] = [
    Mood::Well,
    Mood::Slow,
    Mood::Refusing,
    Mood::Failing,
    Mood::Hanging,
];

/// Counts itself while it is there, as a connection would.
struct Held(Arc<AtomicU64>);

impl Held {
    fn new(count: &Arc<AtomicU64>) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        Self(count.clone())
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

struct Server {
    mood: AtomicU64,
    open: Arc<AtomicU64>,
}

impl Server {
    async fn answer(&self) -> io::Result<()> {
        let _held = Held::new(&self.open);
        match MOODS[self.mood.load(Ordering::SeqCst) as usize] {
            Mood::Well => sleep(Duration::from_millis(2)).await,
            Mood::Slow => sleep(Duration::from_millis(200)).await,
            Mood::Refusing => return Err(io::ErrorKind::ConnectionRefused.into()),
            Mood::Failing => return Err(io::Error::other("internal")),
            Mood::Hanging => std::future::pending().await,
        }
        Ok(())
    }
}

/// What is allocated while this goes on for so long, all of it on this thread.
fn allocated(length: Duration) -> AllocationInfo {
    allocation_counter::measure(|| {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_time().start_paused(true).build().unwrap();
        runtime.block_on(chaos(length));
    })
}

#[test]
fn twenty_seconds_of_chaos_lose_no_request_and_leak_nothing() {
    // What lives as long as the process is made here, and what has a limit is full at the end.
    let short = allocated(Duration::from_secs(10));
    let long = allocated(Duration::from_secs(20));
    // 10 000 requests more, of which each might have left something. That members come and go at other moments is
    // one histogram each, of 9 KiB.
    let grown = long.bytes_max.saturating_sub(short.bytes_max);
    assert!(
        grown < 100_000,
        "{grown} bytes more at a time, twice as long: {short:?}, {long:?}"
    );
    assert!(
        long.bytes_current < 10_000,
        "what was dropped is not gone: {long:?}"
    );
}

async fn chaos(length: Duration) {
    let open = Arc::new(AtomicU64::new(0));
    let payloads = Arc::new(AtomicU64::new(0));
    let backend = |index: usize| {
        let server = Server {
            mood: AtomicU64::new(0),
            open: open.clone(),
        };
        BackendServer::new(index.to_string(), (server, Held::new(&payloads)))
    };
    let config = LoadBalancerConfig {
        hedging: Some(HedgeConfig::default()),
        attempt_timeout: Some(Duration::from_millis(500)),
        stats_window: Duration::from_millis(500),
        stats_windows: 4,
        circuit_breaker_threshold: 3,
        max_retries: 4,
        ..LoadBalancerConfig::default()
    };
    let balancer = LoadBalancer::builder()
        .config(config)
        .backends((0..6).map(backend))
        .clock(Arc::new(TokioClock::new()))
        .build()
        .unwrap();
    let until = Instant::now() + length;
    let failed = Arc::new(AtomicU64::new(0));
    let mut tasks = Vec::new();
    for client in 0..20_u64 {
        let (balancer, failed) = (balancer.clone(), failed.clone());
        tasks.push(tokio::spawn(async move {
            let request = RequestContext::new().with_repeat(Repeat::Always);
            let mut turn = client;
            while Instant::now() < until {
                let call = balancer.call(&request, |backend| async move { backend.0.answer().await });
                turn += 1;
                if turn % 7 == 0 {
                    // This caller has no patience.
                    let _ = timeout(Duration::from_millis(turn % 11), call).await;
                } else if let Err(error) = call.await {
                    assert!(!matches!(error, CallError::NotPicked { .. }), "{error}");
                    failed.fetch_add(1, Ordering::SeqCst);
                }
                sleep(Duration::from_millis(20)).await;
            }
        }));
    }
    // Two of six are in a mood at any time, and members come and go.
    let mut random = fastrand::Rng::with_seed(7);
    let mut next_id = 6;
    let mut removed: Vec<BackendRef<(Server, Held)>> = Vec::new();
    while Instant::now() < until {
        let ids = balancer.ids();
        for (index, id) in ids.iter().enumerate() {
            let server = balancer.backend(id.as_str()).unwrap();
            let mood = if index < 2 { random.u64(1..5) } else { 0 };
            server.0.mood.store(mood, Ordering::SeqCst);
        }
        removed.retain(|backend| backend.in_flight() > 0);
        match random.u8(0..5) {
            0 => {
                balancer.add(backend(next_id)).unwrap();
                next_id += 1;
                removed.push(balancer.remove(ids[0].as_str()).unwrap());
            }
            1 => {
                balancer.add(backend(next_id)).unwrap();
                next_id += 1;
                let drain = balancer
                    .drain(ids[1].as_str(), Duration::from_millis(700))
                    .unwrap();
                removed.push(drain.backend().clone());
                drain.finish().await;
            }
            2 => balancer.set_weight(ids[2].as_str(), random.u32(1..5)).unwrap(),
            3 => balancer.set_health(ids[3].as_str(), false).unwrap(),
            _ => {
                for id in &ids {
                    balancer.set_health(id.as_str(), true).unwrap();
                }
            }
        }
        sleep(Duration::from_millis(400)).await;
    }
    for task in tasks {
        task.await.unwrap();
    }
    // Their figures are no member's any more.
    assert!(removed.iter().all(|backend| backend.in_flight() == 0));
    assert!(next_id > 6, "none was removed");
    drop(removed);
    let stats = balancer.stats();
    assert_eq!(failed.load(Ordering::SeqCst), 0, "{stats:#?}");
    assert!(stats.calls > 500 * length.as_secs(), "{}", stats.calls);
    assert!(stats.retries > 0 && stats.hedges > 0);
    assert_eq!(stats.requests.in_flight, 0);
    let requests = stats.requests;
    let ended = requests.successes + requests.failures + requests.overloads + requests.cancelled;
    assert!(requests.requests >= ended);
    assert_eq!(open.load(Ordering::SeqCst), 0, "an attempt outlived its call");
    assert_eq!(
        payloads.load(Ordering::SeqCst),
        balancer.ids().len() as u64,
        "removed ones are gone"
    );
    drop(balancer);
    sleep(Duration::from_millis(20)).await;
    assert_eq!(payloads.load(Ordering::SeqCst), 0);
}
