//! Active checks.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use evenkeel_balancer::{
    BackendServer, LoadBalancer, LoadBalancerConfig, Outcome, Readiness, Repeat, RequestContext, Target,
};
use evenkeel_stats::TokioClock;
use tokio::time::{Instant, sleep};

struct Site {
    up: Arc<AtomicBool>,
    checks: Arc<AtomicUsize>,
    balancer: LoadBalancer<&'static str>,
}

/// Two backends, of which the one at port 1 is up as long as `up` says so.
fn site(config: LoadBalancerConfig) -> Site {
    let (up, checks) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicUsize::new(0)));
    let (sick, count) = (up.clone(), checks.clone());
    let probe = move |target: Target| {
        let ok = !target.to_string().ends_with(":1") || sick.load(Ordering::SeqCst);
        count.fetch_add(1, Ordering::SeqCst);
        std::future::ready(if ok { Ok(()) } else { Err(io::Error::other("down")) })
    };
    let balancer = LoadBalancer::builder()
        .config(config)
        .backends(["127.0.0.1:1", "127.0.0.1:2"].map(BackendServer::of))
        .clock(Arc::new(TokioClock::new()))
        .health_checks(probe, |address| address.parse().unwrap())
        .build()
        .unwrap();
    Site { up, checks, balancer }
}

fn readiness(site: &Site) -> Readiness {
    site.balancer.stats().backends[0].readiness
}

#[tokio::test(start_paused = true)]
async fn each_backend_is_checked_by_the_probe_that_is_its_own() {
    let addresses = ["127.0.0.1:1", "127.0.0.1:2"];
    let balancer = LoadBalancer::builder()
        .backends(addresses.map(BackendServer::of))
        .clock(Arc::new(TokioClock::new()))
        .health_checks_each(|address: &&str| {
            let well = address.ends_with(":2");
            let probe = move |_: Target| {
                std::future::ready(if well {
                    Ok(())
                } else {
                    Err(io::Error::other("down"))
                })
            };
            (probe, address.parse().unwrap())
        })
        .build()
        .unwrap();
    sleep(Duration::from_secs(2)).await;
    let readiness: Vec<_> = balancer
        .stats()
        .backends
        .iter()
        .map(|backend| backend.readiness)
        .collect();
    assert_eq!(readiness, [Readiness::Unhealthy, Readiness::Ready]);
}

#[tokio::test(start_paused = true)]
async fn who_fails_its_checks_gets_nothing_and_comes_back_with_them() {
    let site = site(LoadBalancerConfig::default());
    sleep(Duration::from_secs(3)).await;
    assert_eq!(readiness(&site), Readiness::Ready);
    site.up.store(false, Ordering::SeqCst);
    sleep(Duration::from_millis(1_600)).await;
    assert_eq!(readiness(&site), Readiness::Unhealthy);
    for _ in 0..100 {
        let pick = site.balancer.pick(&RequestContext::new()).unwrap();
        assert_eq!(*pick, "127.0.0.1:2");
        pick.finish(Outcome::Success);
    }
    site.up.store(true, Ordering::SeqCst);
    sleep(Duration::from_millis(1_600)).await;
    assert_eq!(readiness(&site), Readiness::Ready);
}

#[tokio::test(start_paused = true)]
async fn a_good_check_after_a_bad_one_does_not_wait_for_the_breaker() {
    let config = LoadBalancerConfig {
        circuit_breaker_timeout: Duration::from_secs(60),
        circuit_breaker_max_timeout: Duration::from_secs(60),
        ..LoadBalancerConfig::default()
    };
    let site = site(config);
    sleep(Duration::from_secs(1)).await;
    site.up.store(false, Ordering::SeqCst);
    for _ in 0..7 {
        site.balancer
            .record_request_result("127.0.0.1:1", false, Duration::ZERO)
            .unwrap();
    }
    sleep(Duration::from_secs(2)).await;
    site.up.store(true, Ordering::SeqCst);
    let began = Instant::now();
    while [Readiness::Unhealthy, Readiness::Ejected].contains(&readiness(&site)) {
        sleep(Duration::from_millis(50)).await;
        assert!(
            began.elapsed() < Duration::from_secs(3),
            "it would wait for the breaker's time"
        );
    }
    // One request decides; then it is in use like the other.
    let request = RequestContext::new().with_repeat(Repeat::Always);
    for _ in 0..200 {
        sleep(Duration::from_millis(10)).await;
        site.balancer.pick(&request).unwrap().finish(Outcome::Success);
    }
    let stats = site.balancer.stats();
    assert_eq!(
        stats.backends[0].breaker.state,
        evenkeel_health::CircuitState::Closed
    );
}

#[tokio::test(start_paused = true)]
async fn the_interval_of_the_config_is_the_interval_of_the_checks() {
    let config = LoadBalancerConfig {
        health_check_interval: Duration::from_secs(10),
        ..LoadBalancerConfig::default()
    };
    let site = site(config);
    sleep(Duration::from_secs(100)).await;
    let checks = site.checks.load(Ordering::SeqCst);
    assert!((20..=25).contains(&checks), "{checks}");
}

#[tokio::test(start_paused = true)]
async fn the_timeout_of_the_config_is_the_timeout_of_the_checks() {
    let config = LoadBalancerConfig {
        health_check_timeout: Duration::from_millis(100),
        ..LoadBalancerConfig::default()
    };
    let balancer = LoadBalancer::builder()
        .config(config)
        .backends(["127.0.0.1:1"].map(BackendServer::of))
        .clock(Arc::new(TokioClock::new()))
        .health_checks(
            |_: Target| std::future::pending::<io::Result<()>>(),
            |address| address.parse().unwrap(),
        )
        .build()
        .unwrap();
    sleep(Duration::from_millis(50)).await;
    assert_eq!(
        balancer.stats().backends[0].readiness,
        Readiness::Ready,
        "innocent until checked"
    );
    sleep(Duration::from_millis(100)).await;
    assert_eq!(balancer.stats().backends[0].readiness, Readiness::Unhealthy);
}

#[tokio::test(start_paused = true)]
async fn the_checks_of_a_removed_backend_end() {
    let site = site(LoadBalancerConfig::default());
    sleep(Duration::from_secs(1)).await;
    // Also while somebody holds them still.
    let _held = ["127.0.0.1:1", "127.0.0.1:2"].map(|id| site.balancer.remove(id).unwrap());
    sleep(Duration::from_secs(1)).await;
    let checks = site.checks.load(Ordering::SeqCst);
    sleep(Duration::from_secs(60)).await;
    assert_eq!(site.checks.load(Ordering::SeqCst), checks);
}

#[tokio::test(start_paused = true)]
async fn a_failed_request_brings_the_check_forward() {
    let config = LoadBalancerConfig {
        health_check_interval: Duration::from_secs(60),
        ..LoadBalancerConfig::default()
    };
    let site = site(config);
    sleep(Duration::from_secs(5)).await;
    site.up.store(false, Ordering::SeqCst);
    site.balancer
        .record_request_result("127.0.0.1:1", false, Duration::ZERO)
        .unwrap();
    sleep(Duration::from_millis(500)).await;
    assert_eq!(
        readiness(&site),
        Readiness::Unhealthy,
        "after one failure and two checks"
    );
}

#[cfg(feature = "http-checks")]
mod http {
    use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    /// Says 200 to `/ready` while `up` says so, and 404 to all else.
    async fn serve(listener: TcpListener, up: Arc<AtomicBool>) {
        while let Ok((stream, _)) = listener.accept().await {
            let up = up.clone();
            tokio::spawn(async move {
                let mut stream = BufReader::new(stream);
                let mut request = String::new();
                while let Ok(1..) = stream.read_line(&mut request).await {
                    if !request.ends_with("\r\n\r\n") {
                        continue;
                    }
                    let good = request.starts_with("GET /ready ") && up.load(Ordering::SeqCst);
                    let status = if good { "200 OK" } else { "404 Not Found" };
                    let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n");
                    if stream.write_all(answer.as_bytes()).await.is_err() {
                        return;
                    }
                    request.clear();
                }
            });
        }
    }

    #[tokio::test]
    async fn the_path_of_the_config_is_what_is_asked_for() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let up = Arc::new(AtomicBool::new(true));
        tokio::spawn(serve(listener, up.clone()));
        let site = |path: &str| {
            let config = LoadBalancerConfig {
                health_check_interval: Duration::from_millis(200),
                health_check_timeout: Duration::from_millis(200),
                health_check_path: path.to_owned(),
                ..LoadBalancerConfig::default()
            };
            LoadBalancer::builder()
                .config(config)
                .backends([BackendServer::of(address.clone())])
                .http_health_checks(
                    |target: Target| async move { TcpStream::connect(target.to_string()).await },
                    evenkeel_health::HttpProbeConfig::default(),
                    |address| address.parse().unwrap(),
                )
                .build()
                .unwrap()
        };
        let (right, wrong) = (site("/ready"), site("/wrong"));
        let becomes = async |balancer: &LoadBalancer<String>, readiness| {
            while balancer.stats().backends[0].readiness != readiness {
                tokio::task::yield_now().await;
            }
        };
        let limit = Duration::from_secs(20);
        let told = becomes(&wrong, Readiness::Unhealthy);
        tokio::time::timeout(limit, told)
            .await
            .expect("404 is no good answer");
        assert_eq!(right.stats().backends[0].readiness, Readiness::Ready);
        up.store(false, Ordering::SeqCst);
        let told = becomes(&right, Readiness::Unhealthy);
        tokio::time::timeout(limit, told).await.expect("it is down");
        up.store(true, Ordering::SeqCst);
        let told = becomes(&right, Readiness::Ready);
        tokio::time::timeout(limit, told).await.expect("it is up again");
    }
}
