//! Failover on the screen: three backends, one of which dies and comes back, and who answers meanwhile.
//!
//! `cargo run -p evenkeel-balancer --example failover`

#![allow(clippy::print_stdout, reason = "it is a program")]

use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use evenkeel_balancer::{BackendServer, LoadBalancer, LoadBalancerConfig, Repeat, RequestContext};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{MissedTickBehavior, interval};

/// How long a line of the screen is.
const LINE: Duration = Duration::from_millis(250);

/// Answers each byte on each connection by the same byte, until it is aborted, with its connections.
fn serve(listener: TcpListener) -> JoinHandle<()> {
    tokio::spawn(async move {
        let mut connections = JoinSet::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            connections.spawn(async move {
                let (mut read, mut write) = stream.split();
                tokio::io::copy(&mut read, &mut write).await
            });
        }
    })
}

async fn ask(address: SocketAddr) -> io::Result<()> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(b"?").await?;
    stream.read_exact(&mut [0]).await?;
    Ok(())
}

/// Runs for `lines` lines; the first backend is gone in the middle third.
pub(crate) async fn run(lines: u32) -> Result<(), Box<dyn Error>> {
    let (mut servers, mut backends) = (Vec::new(), Vec::new());
    for name in ["a", "b", "c"] {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        backends.push(BackendServer::new(name, listener.local_addr()?));
        servers.push(serve(listener));
    }
    let first = *backends[0].payload();
    let config = LoadBalancerConfig {
        strategy: "round_robin".parse()?,
        circuit_breaker_threshold: 3,
        circuit_breaker_timeout: Duration::from_millis(250),
        circuit_breaker_max_timeout: Duration::from_millis(250),
        slow_start: None,
        ..LoadBalancerConfig::default()
    };
    let balancer = LoadBalancer::new(backends, config)?;
    let request = RequestContext::new().with_repeat(Repeat::Always);

    let mut tick = interval(Duration::from_millis(2));
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    println!("each mark is {} requests", 5);
    let mut before = balancer.stats();
    for line in 0..lines {
        if line == lines / 3 {
            servers[0].abort();
            println!("      a is killed");
        }
        if line == 2 * lines / 3 {
            servers[0] = serve(TcpListener::bind(first).await?);
            println!("      a is back");
        }
        let end = tokio::time::Instant::now() + LINE;
        while tokio::time::Instant::now() < end {
            tick.tick().await;
            balancer.call(&request, |backend| ask(*backend)).await?;
        }
        let now = balancer.stats();
        let failed = now.requests.failures - before.requests.failures;
        print!("{:>4} ms", u128::from(line + 1) * LINE.as_millis());
        for (backend, before) in now.backends.iter().zip(&before.backends) {
            let answered = (backend.requests.successes - before.requests.successes) / 5;
            let marks = "#".repeat(usize::try_from(answered).unwrap_or_default());
            print!(
                "  {} {marks:<14} {:<8}",
                backend.id,
                backend.readiness.to_string()
            );
        }
        println!("  {failed} sent again");
        before = now;
    }
    let stats = balancer.stats();
    println!(
        "{} answers, {} failovers, a diverted from within {:?}, no call failed",
        stats.requests.successes,
        stats.failovers,
        stats.backends[0].longest_divert.unwrap_or_default()
    );
    assert!(stats.failovers > 0);
    Ok(())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    run(18).await
}
