//! `evenkeel demo`: three collectors, senders and the gateway in one process, and a table of what happens to
//! the spans while collectors are killed, slowed and restored.

mod collectors;
mod keys;
mod table;
mod traffic;
mod verify;

use std::io::{self, IsTerminal};
use std::process::ExitCode;
use std::time::Duration;

use evenkeel::ConfigError;
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::config::GatewayConfig;
use crate::gateway::{Gateway, StartError};
use collectors::Collectors;
use keys::{Command, Keys};
use table::{Row, Snapshot};
use traffic::Traffic;
use verify::{Comparison, TooMany};

/// How often the table is drawn, and a line is printed where there is no terminal.
const REDRAW: Duration = Duration::from_millis(250);
const LINE: Duration = Duration::from_secs(1);

/// Requests that are under way at the end have this long.
const LAST: Duration = Duration::from_secs(10);

/// Shows the gateway over three collectors in one process: kill them and see that nothing is lost.
///
/// Keys: k kill, h hang, e error, t throttle, s slow (200 ms), r restore, each and a collector's number, such
/// as k1; q ends. They are read from standard input, so a pipe will do.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// End after so many seconds; by q if not given
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    seconds: Option<u64>,
    /// Requests a second
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=2_000))]
    rate: u32,
    /// Spans in each request
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    spans: u32,
}

#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
enum Error {
    #[error("{what}: {source}")]
    Io { what: &'static str, source: io::Error },
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Start(#[from] StartError),
    #[error(transparent)]
    Target(#[from] http::Error),
    #[error(transparent)]
    TooMany(#[from] TooMany),
    #[error("the gateway receives no gRPC")]
    NoReceiver,
    #[error("{0} acknowledged spans did not arrive")]
    Lost(u64),
}

fn failed(what: &'static str) -> impl FnOnce(io::Error) -> Error {
    move |source| Error::Io { what, source }
}

/// Runs until it is told to end, or the time is over.
pub(crate) fn run(args: &Args) -> ExitCode {
    let shown = crate::runtime::with_threads(None)
        .map_err(failed("cannot start the runtime"))
        .and_then(|runtime| runtime.block_on(show(args)));
    match shown {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => crate::say::failure("demo", &error),
    }
}

async fn show(args: &Args) -> Result<(), Error> {
    let mut collectors = Collectors::start()
        .await
        .map_err(failed("cannot start a collector"))?;
    let gateway = Gateway::start(config(&collectors)?)?;
    let target = gateway.grpc_address().ok_or(Error::NoReceiver)?;
    let mut traffic = Traffic::start(target, args.rate, args.spans)?;
    let is_terminal = io::stdout().is_terminal();
    // Dropped at the end, however that comes, and then the terminal is as it was.
    let screen = table::Screen::enter(is_terminal).map_err(failed("cannot write to standard output"))?;
    let mut keys = Keys::read(is_terminal).map_err(failed("cannot read keys"))?;

    let mut comparison = Comparison::default();
    let start = Instant::now();
    let end = start + Duration::from_secs(args.seconds.unwrap_or(u32::MAX.into()));
    let mut ticks = interval(if is_terminal { REDRAW } else { LINE });
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut ended = std::pin::pin!(crate::runtime::told_to_end(false));
    loop {
        tokio::select! {
            _ = ticks.tick() => {
                let snapshot = snapshot(start, &gateway, &traffic, &collectors, &mut comparison)?;
                screen.show(&snapshot).map_err(failed("cannot write to standard output"))?;
            }
            command = keys.next() => match command {
                Some(Command::End) => break,
                Some(Command::Do(deed, which)) => {
                    collectors.apply(deed, which).await.map_err(failed("cannot restore a collector"))?;
                }
                // The pipe has ended; the time has not.
                None => keys = Keys::none(),
            },
            () = tokio::time::sleep_until(end) => break,
            told = &mut ended => {
                told.map_err(failed("cannot wait for a signal"))?;
                break;
            }
        }
    }
    traffic.finish(LAST).await;
    let last = snapshot(start, &gateway, &traffic, &collectors, &mut comparison)?;
    drop((screen, keys));
    gateway.shutdown().await;
    table::print(&table::summary(&last)).map_err(failed("cannot write to standard output"))?;
    match last.lost {
        0 => Ok(()),
        lost => Err(Error::Lost(lost)),
    }
}

/// All by default, on ports of its own.
fn config(collectors: &Collectors) -> Result<GatewayConfig, ConfigError> {
    let mut text =
        "[receiver]\ngrpc = \"127.0.0.1:0\"\nhttp = \"off\"\n[admin]\nlisten = \"off\"\n".to_owned();
    for url in collectors.urls() {
        text.push_str(&format!("[[collectors]]\nendpoint = \"{url}\"\n"));
    }
    // There is nobody to be told that it ends.
    GatewayConfig::parse(&text, [], |config| config.drain_delay = Duration::ZERO)
}

fn snapshot(
    start: Instant,
    gateway: &Gateway,
    traffic: &Traffic,
    collectors: &Collectors,
    comparison: &mut Comparison,
) -> Result<Snapshot, TooMany> {
    // What was acknowledged first: whatever is, has arrived by the time that the collectors are asked.
    let (account, acknowledged) = traffic.account();
    comparison.acknowledged(acknowledged)?;
    for (index, collector) in collectors.iter().enumerate() {
        comparison.arrived(index, collector.arrived())?;
    }
    let stats = gateway.stats();
    let mut rows = Vec::new();
    for (number, collector) in collectors.iter().enumerate() {
        let id = collector.url();
        let backend = stats.backends.iter().find(|backend| backend.id.as_str() == id);
        rows.push(Row {
            number: number + 1,
            behaviour: collector.behaviour(),
            readiness: backend.map_or("unknown", |backend| backend.readiness.as_str()),
            reason: backend.map_or("", |backend| backend.reason.as_str()),
            in_flight: backend.map_or(0, |backend| backend.requests.in_flight),
            requests: backend.map_or(0, |backend| backend.requests.requests),
            spans: comparison.arrivals[number],
        });
    }
    Ok(Snapshot {
        elapsed: start.elapsed(),
        account,
        lost: comparison.lost,
        duplicates: comparison.duplicates,
        retries: stats.retries,
        hedges: stats.hedges,
        rows,
    })
}
