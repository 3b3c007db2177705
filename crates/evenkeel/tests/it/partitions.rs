//! Balancer, pools and checks over a simulated network, in virtual time: what a kernel can not be told to do.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use evenkeel::balancer::{
    BackendServer, CallError, HedgeConfig, LoadBalancer, LoadBalancerConfig, Readiness,
};
use evenkeel::health::TcpProbe;
use evenkeel::io_core::{AsyncConnection, AsyncIoManager, Target};
use evenkeel::pool::{ConnectionPool, ConnectionPoolConfig, Recycle};
use evenkeel::{Config, Repeat, RequestContext};
use evenkeel_stats::TokioClock;
use evenkeel_testkit::Link;
use tokio::io::DuplexStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

type Connection = AsyncConnection<DuplexStream>;

/// Several servers, each behind a link of its own.
struct World {
    links: Arc<[Link]>,
    manager: AsyncIoManager,
    balancer: LoadBalancer<ConnectionPool<Connection>>,
}

/// What the pool does by default for connections over sockets.
struct Settled;

impl Recycle<Connection> for Settled {
    fn reset(&self, connection: &mut Connection) -> bool {
        connection.is_settled() && !connection.is_closing()
    }
}

impl World {
    fn new(servers: usize) -> Self {
        let links: Arc<[Link]> = (0..servers).map(|_| Link::new()).collect();
        let manager = AsyncIoManager::new(Default::default()).unwrap();
        let dial = {
            let (links, manager) = (links.clone(), manager.clone());
            move |target: Target| {
                let (links, manager) = (links.clone(), manager.clone());
                async move {
                    let name = target.to_string();
                    let number = name.trim_start_matches("server-").trim_end_matches(":1");
                    let number: usize = number.parse().unwrap();
                    let stream = links[number].connect().await.unwrap();
                    manager.adopt(stream, target).await
                }
            }
        };
        let targets = (0..servers).map(|number| format!("server-{number}:1").parse::<Target>().unwrap());
        let backends = targets.map(|target| {
            let config = ConnectionPoolConfig {
                connection_timeout: Duration::from_millis(500),
                ..Config::default().pool
            };
            let pool = ConnectionPool::builder(dial.clone(), config)
                .addresses([target.clone()])
                .clock(TokioClock::new())
                .recycle(Settled)
                .build();
            BackendServer::new(target.to_string(), pool.unwrap())
        });
        let config = LoadBalancerConfig {
            hedging: Some(HedgeConfig::default()),
            attempt_timeout: Some(Duration::from_millis(500)),
            request_timeout: Duration::from_secs(3),
            ..LoadBalancerConfig::default()
        };
        let probe = TcpProbe::new(dial.clone()).expecting("?", "?");
        let balancer = LoadBalancer::builder()
            .config(config)
            .backends(backends)
            .clock(Arc::new(TokioClock::new()))
            .health_checks(probe, |pool| pool.addresses()[0].0.clone())
            .build();
        Self {
            balancer: balancer.unwrap(),
            links,
            manager,
        }
    }

    /// Ten callers, each a request every 10 ms, for so long; how many requests had no answer, of how many.
    async fn calls(&self, length: Duration, repeat: Repeat) -> (usize, usize) {
        let until = Instant::now() + length;
        let mut callers = JoinSet::new();
        for _ in 0..10 {
            let balancer = self.balancer.clone();
            callers.spawn(async move {
                let (mut failed, mut all) = (0, 0);
                while Instant::now() < until {
                    all += 1;
                    failed += usize::from(call(&balancer, repeat).await.is_err());
                    sleep(Duration::from_millis(10)).await;
                }
                (failed, all)
            });
        }
        let all = callers.join_all().await.into_iter();
        all.fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1))
    }

    /// With nobody calling: nothing in flight, nothing on loan, and pools that close leave no connection.
    async fn has_leaked_nothing(self) {
        // Dials that nobody waits for any more, and checks, have their time-outs.
        sleep(Duration::from_secs(10)).await;
        assert_eq!(self.balancer.stats().requests.in_flight, 0);
        for id in self.balancer.ids() {
            let pool = self.balancer.backend(id.as_str()).unwrap();
            let stats = pool.stats();
            assert_eq!(
                (stats.used, stats.pending_requests, stats.dialling),
                (0, 0, 0),
                "{id}"
            );
            pool.close(Duration::from_secs(1)).await;
        }
        drop(self.balancer);
        sleep(Duration::from_secs(1)).await;
        assert_eq!(self.manager.stats().active_connections, 0);
    }
}

async fn call(
    balancer: &LoadBalancer<ConnectionPool<Connection>>,
    repeat: Repeat,
) -> Result<[u8; 4], CallError<io::Error>> {
    let request = RequestContext::new().with_repeat(repeat);
    balancer
        .call(&request, |pool| async move {
            let connection = pool.checkout().await;
            let mut connection = connection
                .map_err(|error| io::Error::new(io::ErrorKind::ConnectionRefused, error.to_string()))?;
            connection.write_all(b"ahoy").await?;
            let mut answer = [0; 4];
            connection.read_exact(&mut answer).await?;
            Ok(answer)
        })
        .await
}

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn a_partition_of_one_backend_loses_no_request_and_heals() {
    let world = World::new(3);
    assert_eq!(world.calls(2 * SECOND, Repeat::Always).await.0, 0);
    for _ in 0..3 {
        world.links[1].cut();
        let before = world.links[1].arrived();
        assert_eq!(world.calls(5 * SECOND, Repeat::Always).await.0, 0);
        assert_eq!(world.links[1].arrived(), before);
        let stats = world.balancer.stats();
        assert!(
            !stats.backends[1].readiness.is_eligible(),
            "{:?}",
            stats.backends[1]
        );
        world.links[1].heal();
        assert_eq!(world.calls(5 * SECOND, Repeat::Always).await.0, 0);
        let healed = world.links[1].arrived();
        assert_eq!(world.calls(SECOND, Repeat::Always).await.0, 0);
        assert!(world.links[1].arrived() > healed, "it is used again");
    }
    world.has_leaked_nothing().await;
}

#[tokio::test(start_paused = true)]
async fn a_partition_of_all_ends_every_call_in_time_and_heals() {
    let world = World::new(3);
    assert_eq!(world.calls(2 * SECOND, Repeat::Always).await.0, 0);
    for link in world.links.iter() {
        link.cut();
    }
    let started = Instant::now();
    let (failed, all) = world.calls(10 * SECOND, Repeat::Always).await;
    assert_eq!(failed, all);
    // The last began within the ten seconds, and has three at most.
    assert!(
        started.elapsed() <= 13 * SECOND + Duration::from_millis(50),
        "{:?}",
        started.elapsed()
    );
    for link in world.links.iter() {
        link.heal();
    }
    // Checks, or trials, find out.
    sleep(3 * SECOND).await;
    assert_eq!(world.calls(5 * SECOND, Repeat::Always).await.0, 0);
    let stats = world.balancer.stats();
    assert!(
        stats
            .backends
            .iter()
            .all(|backend| backend.readiness.is_eligible())
    );
    world.has_leaked_nothing().await;
}

#[tokio::test(start_paused = true)]
async fn where_answers_get_lost_what_may_not_be_repeated_arrives_once() {
    let world = World::new(2);
    assert_eq!(world.calls(SECOND, Repeat::Always).await.0, 0);
    for link in world.links.iter() {
        link.cut_answers();
    }
    let arrived = || world.links.iter().map(Link::arrived).sum::<usize>();
    let start = arrived();
    for _ in 0..20 {
        let before = arrived();
        call(&world.balancer, Repeat::Never).await.unwrap_err();
        // A request, or none where no connection was to be had; never two. Checks send one byte, which
        // can not connect either.
        assert!(arrived() - before <= 4, "{}", arrived() - before);
    }
    assert!(arrived() > start, "nothing was sent: nothing was tried");
    for link in world.links.iter() {
        link.heal();
    }
    world.has_leaked_nothing().await;
}

#[tokio::test(start_paused = true)]
async fn where_answers_of_one_get_lost_what_may_be_repeated_is_answered_by_another() {
    let world = World::new(3);
    assert_eq!(world.calls(2 * SECOND, Repeat::Always).await.0, 0);
    world.links[0].cut_answers();
    assert_eq!(world.calls(10 * SECOND, Repeat::Always).await.0, 0);
    assert_ne!(world.balancer.stats().backends[0].readiness, Readiness::Ready);
    world.links[0].heal();
    world.has_leaked_nothing().await;
}

#[tokio::test(start_paused = true)]
async fn a_link_that_comes_and_goes_loses_no_request() {
    let world = World::new(4);
    let links = world.links.clone();
    let flapping = tokio::spawn(async move {
        for turn in 1_u64.. {
            links[3].cut();
            sleep(Duration::from_millis(turn * 37 % 400)).await;
            links[3].heal();
            sleep(Duration::from_millis(turn * 53 % 700)).await;
        }
    });
    let (failed, all) = world.calls(20 * SECOND, Repeat::Always).await;
    assert_eq!(failed, 0, "of {all}");
    flapping.abort();
    let _ = flapping.await;
    world.links[3].heal();
    world.has_leaked_nothing().await;
}
