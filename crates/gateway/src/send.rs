//! `evenkeel send`: a load generator that marks every span, and finds out which of them arrived.

mod client;
mod load;
mod pace;
mod payload;
mod tally;
mod verify;

use std::io::Write;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use http::Uri;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

pub(crate) use client::{Client, Protocol};
use load::{Sender, Until};
use payload::MAX_SPANS;
pub(crate) use payload::Template;
use tally::{Tally, Totals};
use verify::Verified;

use crate::ledger::SenderId;

/// Sends marked spans to a target, as applications do, and compares what was acknowledged with what
/// arrived at the sinks.
///
/// Ends with an error if an acknowledged span did not arrive.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The target; if given more than once, requests go round
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:4317", value_parser = url)]
    to: Vec<Uri>,
    /// How to speak to it
    #[arg(long, value_name = "PROTOCOL", default_value = "grpc")]
    protocol: Protocol,
    /// Spans in each request; 100 of them are 26.6 KB
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_SPANS)))]
    spans: u32,
    /// Requests in flight, each followed by the next
    #[arg(long, value_name = "N", default_value = "16", conflicts_with = "rate")]
    in_flight: NonZeroUsize,
    /// Requests a second, at their time whatever became of those before; 20 with --serial
    #[arg(long, value_name = "N", value_parser = rate)]
    rate: Option<f64>,
    /// One request at a time and a queue of spans in front, as in a stock SDK
    #[arg(long, conflicts_with = "in_flight")]
    serial: bool,
    /// Spans that fit into that queue
    #[arg(long, value_name = "N", default_value_t = 2048, requires = "serial")]
    queue: u32,
    /// How long to send; 10s if there is no --count
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    duration: Option<Duration>,
    /// How many requests to send
    #[arg(long, value_name = "N")]
    count: Option<u64>,
    /// How long a request may take, with all its attempts
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = humantime::parse_duration)]
    timeout: Duration,
    /// Send again what may be sent again, up to five times, as SDKs do
    #[arg(long)]
    retry: bool,
    /// Connections to each target, with gRPC; over HTTP/1.1 there is one for each request in flight
    #[arg(long, value_name = "N", default_value = "1")]
    connections: NonZeroUsize,
    /// A sink behind the target, to ask what arrived; may be given more than once
    #[arg(long, value_name = "URL", value_parser = url)]
    sink: Vec<Uri>,
    /// How long to wait for what was acknowledged and has not arrived yet
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = humantime::parse_duration)]
    settle: Duration,
    /// Write a line for each request into this file: when it was due, how long it took, attempts, outcome
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,
    /// Threads that send; all of the machine's if not given
    #[arg(long, value_name = "N")]
    threads: Option<NonZeroUsize>,
    /// Print the account as one line of JSON
    #[arg(long)]
    json: bool,
}

fn url(text: &str) -> Result<Uri, String> {
    let uri: Uri = text.parse().map_err(|e| format!("{e}"))?;
    let plain = uri.scheme_str() == Some("http") && uri.authority().is_some();
    if plain {
        Ok(uri)
    } else {
        Err("a URL is http://host:port; this command knows no TLS".to_owned())
    }
}

fn rate(text: &str) -> Result<f64, String> {
    let rate: f64 = text.parse().map_err(|_| format!("'{text}' is no number"))?;
    if rate.is_finite() && rate > 0.0 && rate <= 1e6 {
        Ok(rate)
    } else {
        Err("a rate is above 0 and at most a million a second".to_owned())
    }
}

/// What a run has come to.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Account {
    /// Who sent, in the reports of sinks.
    pub(crate) sender: SenderId,
    /// From the first request to the end of the last.
    pub(crate) seconds: f64,
    /// Acknowledged requests a second.
    pub(crate) rate: f64,
    /// The requests.
    #[serde(flatten)]
    pub(crate) totals: Totals,
    /// Spans there was no room for in the queue of --serial.
    pub(crate) dropped_spans: u64,
    /// The most spans that were in that queue.
    pub(crate) longest_queue: u64,
    /// What arrived, if sinks were named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) verified: Option<Verified>,
}

#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
enum Error {
    #[error("{what}: {source}")]
    Io {
        what: &'static str,
        source: std::io::Error,
    },
    #[error("--to: {0}")]
    Target(#[from] http::Error),
    #[error(transparent)]
    Tally(#[from] tally::Error),
    #[error(transparent)]
    Verify(#[from] verify::Error),
    #[error("cannot write the account: {0}")]
    Json(#[from] serde_json::Error),
    #[error("{0} acknowledged spans did not arrive")]
    Lost(u64),
    #[error("no span was acknowledged, so there is nothing to verify")]
    NothingAcknowledged,
}

/// Sends, verifies and prints the account.
pub(crate) fn run(args: &Args) -> ExitCode {
    match run_inner(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => crate::say::failure("send", &error),
    }
}

fn run_inner(args: &Args) -> Result<(), Error> {
    let io = |what| move |source| Error::Io { what, source };
    let runtime = crate::runtime::with_threads(args.threads).map_err(io("cannot start the runtime"))?;
    let account = runtime.block_on(send(args))?;
    let text = if args.json {
        serde_json::to_string(&account)? + "\n"
    } else {
        account.to_string()
    };
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .map_err(io("cannot write to standard output"))?;
    match account.verified {
        Some(verified) => verdict(account.totals.acknowledged_spans, verified.lost),
        None => Ok(()),
    }
}

/// What was not sent can not be lost: that nothing is missing says something only if something was acknowledged.
const fn verdict(acknowledged: u64, lost: u64) -> Result<(), Error> {
    match (acknowledged, lost) {
        (0, _) => Err(Error::NothingAcknowledged),
        (_, 0) => Ok(()),
        (_, lost) => Err(Error::Lost(lost)),
    }
}

async fn send(args: &Args) -> Result<Account, Error> {
    let start = Instant::now();
    let sender = Arc::new(Sender {
        client: Client::new(&args.to, args.protocol, args.connections.get())?,
        id: SenderId(fastrand::u32(..)),
        template: Template::new(args.spans),
        timeout: args.timeout,
        retries: args.retry,
        start,
        tally: Mutex::new(Tally::new(args.log.as_deref())?),
    });
    let duration = args
        .duration
        .or_else(|| args.count.is_none().then_some(Duration::from_secs(10)));
    let until = Until {
        end: duration.map(|duration| start + duration),
        requests: args.count.unwrap_or(u64::MAX),
    };
    let mut queued = load::Queued::default();
    if args.serial {
        queued = load::serial(&sender, args.rate.unwrap_or(20.0), args.queue.into(), until).await;
    } else if let Some(rate) = args.rate {
        let steady = load::steady(&sender, rate, until).await;
        steady.map_err(|source| Error::Io {
            what: "cannot start a thread",
            source,
        })?;
    } else {
        load::closed(&sender, args.in_flight.get(), until).await;
    }
    let seconds = start.elapsed().as_secs_f64();
    let id = sender.id;
    let tally = Tally::new(None)?;
    let tally = std::mem::replace(&mut *sender.tally.lock(), tally);
    let (totals, acknowledged) = tally.finish()?;
    let mut verified = None;
    if !args.sink.is_empty() {
        verified = Some(verify::against(&args.sink, id, &acknowledged, args.settle).await?);
    }
    Ok(Account {
        sender: id,
        seconds,
        rate: (totals.requests - totals.failed()) as f64 / seconds,
        totals,
        dropped_spans: queued.dropped,
        longest_queue: queued.longest,
        verified,
    })
}

impl std::fmt::Display for Account {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Totals {
            requests,
            attempts,
            failures,
            acknowledged_spans,
            failed_spans,
            latency_ms,
        } = &self.totals;
        let (rate, seconds) = (self.rate, self.seconds);
        writeln!(
            f,
            "{requests} requests in {seconds:.1} s, {attempts} attempts, {rate:.0} acknowledged a second"
        )?;
        for (reason, count) in failures {
            writeln!(f, "  failed: {count} ({reason})")?;
        }
        let tally::Latency {
            p50,
            p90,
            p99,
            p999,
            max,
        } = latency_ms;
        writeln!(
            f,
            "  took: p50 {p50:.2} ms, p90 {p90:.2}, p99 {p99:.2}, p99.9 {p999:.2}, longest {max:.2}"
        )?;
        let dropped = self.dropped_spans;
        writeln!(
            f,
            "  spans: {acknowledged_spans} acknowledged, {failed_spans} not, {dropped} dropped before they were sent"
        )?;
        if let Some(verified) = self.verified {
            let Verified {
                unique,
                lost,
                duplicates,
                unacknowledged,
                ..
            } = verified;
            writeln!(
                f,
                "  arrived: {unique}; {lost} of the acknowledged lost, {duplicates} duplicates, {unacknowledged} that were not acknowledged"
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_of_nothing_proves_nothing() {
        assert!(matches!(verdict(0, 0), Err(Error::NothingAcknowledged)));
        assert!(matches!(verdict(100, 1), Err(Error::Lost(1))));
        assert!(verdict(100, 0).is_ok());
    }
}
