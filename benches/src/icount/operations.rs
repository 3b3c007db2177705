//! The operations themselves.

use std::future::Future;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use evenkeel_balancer::{BackendServer, LoadBalancer, LoadBalancerConfig, RequestContext};
use evenkeel_health::{CircuitBreaker, CircuitBreakerConfig};
use evenkeel_stats::{
    Counter, Ewma, Histogram, ManualClock, Outcome, PeakEwma, Precision, SuccessWindow, Timestamp,
};
use prometheus_client::metrics::counter::Counter as PrometheusCounter;
use prometheus_client::metrics::histogram::Histogram as PrometheusHistogram;
use tokio::runtime::{Builder, Runtime};

use super::counted;
use crate::Error;
use crate::pairs::{self, Kind};
use crate::pools::{Bb8, Deadpool, Evenkeel, Numbers, Pool, one_by_one};
use crate::workload::balancer;

/// Pools, and the ways they are set up.
pub(super) const POOLS: &[&str] = &[
    "evenkeel",
    "deadpool",
    "deadpool-timeouts",
    "bb8",
    "bb8-unchecked",
];

/// Idle connections of a pool.
const IDLE: usize = 16;

/// Members of a balancer, and requests in flight.
const MEMBERS: usize = 100;
const IN_FLIGHT: u64 = 64;

/// Latencies from 1 to 3 ms, by turns.
fn latency(round: u64) -> u64 {
    1_000_000 + round.wrapping_mul(7_919) % 2_000_000
}

/// The time at a million requests a second.
fn time(round: u64) -> Timestamp {
    Timestamp::from_nanos(round * 1_000)
}

fn runtime() -> Result<Runtime, Error> {
    Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Error::io("cannot start the runtime"))
}

/// 1 KiB written and 1 KiB read, over a pipe in memory that is always ready.
pub(super) fn ready_pair(contender: &str, rounds: u64) -> Result<(), Error> {
    let rounds = usize::try_from(rounds).unwrap_or(usize::MAX);
    let name = contender.to_owned();
    let runtime = runtime()?;
    let mut pair = runtime.block_on(pairs::open(&name, Kind::Ready))?;
    let task = runtime.spawn(async move { pair.run(rounds).await });
    let done = counted(|| runtime.block_on(task));
    done.map_err(|e| Error::contender("the task", e))?.map(drop)
}

/// A checkout and its return.
pub(super) fn pool_checkout(contender: &str, rounds: u64) -> Result<(), Error> {
    let (runtime, source) = (runtime()?, Numbers::default());
    match contender {
        "evenkeel" => lend(&runtime, Evenkeel::of(source, IDLE, IDLE), rounds),
        "deadpool" => lend(&runtime, Deadpool::of(source, IDLE, IDLE, false), rounds),
        "deadpool-timeouts" => lend(&runtime, Deadpool::of(source, IDLE, IDLE, true), rounds),
        "bb8" => lend(&runtime, Bb8::of(source, IDLE, IDLE, true), rounds),
        _ => lend(&runtime, Bb8::of(source, IDLE, IDLE, false), rounds),
    }
}

fn lend<P: Pool<Connection = u64>>(
    runtime: &Runtime,
    pool: impl Future<Output = Result<P, Error>>,
    rounds: u64,
) -> Result<(), Error> {
    let pool = runtime.block_on(pool)?;
    let task = runtime.spawn(async move { one_by_one(&pool, rounds).await });
    let done = counted(|| runtime.block_on(task));
    done.map_err(|e| Error::contender("the task", e))?.map(drop)
}

/// A selection among a hundred, counted, and the end of the oldest request.
pub(super) fn select(contender: &str, rounds: u64) -> Result<(), Error> {
    let mut selector = balancer::selector(contender, MEMBERS, IN_FLIGHT as usize)?;
    for _ in 0..IN_FLIGHT {
        selector.select()?;
    }
    for _ in 0..rounds {
        counted(|| {
            selector.select()?;
            selector.end_oldest()
        })?;
        // What goes on beside, probes and their like, is not the selection's.
        selector.between()?;
    }
    Ok(())
}

/// A whole request at the balancer, with everything on: picked, and finished with a success. Its clock is set by
/// hand, a microsecond further each time, for two readings of a real one are no two the same.
pub(super) fn request(contender: &str, rounds: u64) -> Result<(), Error> {
    let wrong = |e: &dyn std::fmt::Display| Error::contender("set-up", e);
    let clock = Arc::new(ManualClock::new());
    let config = LoadBalancerConfig {
        strategy: contender.parse().map_err(|e| wrong(&e))?,
        ..LoadBalancerConfig::default()
    };
    let built = LoadBalancer::builder()
        .config(config)
        .clock(clock.clone())
        .backends((0..MEMBERS).map(|index| BackendServer::new(format!("backend-{index}"), index)))
        .build_parts();
    let (balancer, _maintenance) = built.map_err(|e| wrong(&e))?;
    for _ in 0..rounds {
        let picked = counted(|| balancer.pick(&RequestContext::new()));
        let pick = picked.map_err(|e| Error::contender("pick", e))?;
        clock.advance(Duration::from_micros(1));
        counted(|| pick.finish(black_box(Outcome::Success)));
    }
    Ok(())
}

/// A request counted and its latency recorded.
pub(super) fn count_and_record(contender: &str, rounds: u64) -> Result<(), Error> {
    let (histogram, counter) = (Histogram::new(Precision::Fine), Counter::new());
    let peer_counter: PrometheusCounter = PrometheusCounter::default();
    let peer = PrometheusHistogram::new([
        0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0,
    ]);
    // Each with a loop of its own: the choice among them is not what is counted.
    let each = |round| black_box(latency(round));
    match contender {
        "prometheus-client" => counted(|| {
            (0..rounds).map(each).for_each(|nanos| {
                peer_counter.inc();
                peer.observe(nanos as f64 * 1e-9);
            });
        }),
        "evenkeel" => counted(|| (0..rounds).map(each).for_each(|nanos| histogram.record(nanos))),
        _ => counted(|| {
            (0..rounds).map(each).for_each(|nanos| {
                counter.increment();
                histogram.record(nanos);
            });
        }),
    }
    black_box((histogram.snapshot().count(), counter.value(), peer_counter.get()));
    Ok(())
}

/// What a balancer and a breaker keep of each outcome.
pub(super) fn average(contender: &str, rounds: u64) -> Result<(), Error> {
    let wrong = |e| Error::contender("set-up", e);
    let tau = Duration::from_secs(10);
    let (peak, plain) = (PeakEwma::new(tau).map_err(wrong)?, Ewma::new(tau).map_err(wrong)?);
    let window = SuccessWindow::new(tau, 10).map_err(wrong)?;
    let each = |round| (black_box(latency(round)) as f64, time(round));
    match contender {
        "evenkeel-peak-ewma" => counted(|| {
            (0..rounds)
                .map(each)
                .for_each(|(sample, now)| peak.record(sample, now));
        }),
        "evenkeel-ewma" => counted(|| {
            (0..rounds)
                .map(each)
                .for_each(|(sample, now)| plain.record(sample, now));
        }),
        _ => counted(|| {
            (0..rounds)
                .map(each)
                .for_each(|(sample, now)| window.record(sample > 0.0, now));
        }),
    }
    Ok(())
}

/// A breaker asked, and told of a success. failsafe reads the clock itself.
pub(super) fn breaker(contender: &str, rounds: u64) -> Result<(), Error> {
    if contender == "failsafe" {
        let peer = failsafe::Config::new().build();
        counted(|| {
            for _ in 0..rounds {
                if black_box(&peer).is_call_permitted() {
                    peer.on_success();
                }
            }
        });
        return Ok(());
    }
    let breaker = CircuitBreaker::new(CircuitBreakerConfig::default());
    let breaker = breaker.map_err(|e| Error::contender("set-up", e))?;
    counted(|| {
        for round in 0..rounds {
            let permit = black_box(&breaker).permit(time(round));
            let permit = permit.map_err(|e| Error::contender("permit", e))?;
            permit.finish(black_box(Outcome::Success), time(round));
        }
        Ok(())
    })
}
