//! `evenkeel sink`: a collector for tests. It takes OTLP over gRPC and HTTP, misbehaves as it is told to,
//! and says what arrived.

mod arrivals;
mod behaviour;
mod body;
mod control;
mod otlp;
mod server;

use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use tokio::net::TcpListener;

pub(crate) use arrivals::{Arrived, Counting};
pub(crate) use behaviour::{Answer, Behaviour};
pub(crate) use control::Report;
pub(crate) use server::Sink;

/// Takes what a sender or a gateway delivers, misbehaves as it is told to, and says what arrived.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Every address speaks gRPC and HTTP. Besides OTLP there are:
  GET  /report         what arrived, as JSON; with ?runs the numbers of the spans too
  GET  /control        how it behaves
  POST /control        behave like this from now on; the body is written as --behave
  GET  /healthz, grpc.health.v1.Health/Check: always well, as with many a collector that is not

A behaviour is one of
  well                 accept
  hang                 take requests and answer none until the behaviour changes
  fail=CODE            refuse with a code of gRPC, such as UNAVAILABLE or INVALID_ARGUMENT
  throttle=TIME        refuse with UNAVAILABLE, or 503, and ask to come back after TIME, such as 500ms
  partial=COUNT        accept, but say that COUNT items were rejected
and may be followed by ,latency=TIME.")]
pub(crate) struct Args {
    /// Where to listen; may be given more than once. Port 0 is any free one, and printed
    #[arg(long, value_name = "ADDRESS", default_values = ["127.0.0.1:4317", "127.0.0.1:4318"])]
    listen: Vec<SocketAddr>,
    /// How to behave from the beginning
    #[arg(long, value_name = "BEHAVIOUR", default_value = "well")]
    behave: Behaviour,
    /// How closely to look at what arrives: the less, the cheaper
    #[arg(long, value_name = "WHAT", default_value = "ids")]
    count: Counting,
    /// Keep the ids of what arrived in this file too, so that they survive a kill -9
    #[arg(long, value_name = "FILE")]
    ledger: Option<PathBuf>,
    /// Threads that serve; all of the machine's if not given
    #[arg(long, value_name = "N")]
    threads: Option<std::num::NonZeroUsize>,
    /// End when standard input does, as a child process of something should
    #[arg(long)]
    until_stdin_ends: bool,
}

/// Serves until it is asked to end, then prints its report.
pub(crate) fn run(args: &Args) -> ExitCode {
    match serve(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => crate::say::failure("sink", &error),
    }
}

#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
enum Error {
    #[error("cannot listen on {address}: {source}")]
    Listen {
        address: SocketAddr,
        source: std::io::Error,
    },
    #[error("{what}: {source}")]
    Io {
        what: &'static str,
        source: std::io::Error,
    },
    #[error("ledger {}: {source}", path.display())]
    Ledger { path: PathBuf, source: std::io::Error },
    #[error("cannot write the report: {0}")]
    Json(#[from] serde_json::Error),
}

fn serve(args: &Args) -> Result<(), Error> {
    let runtime = crate::runtime::with_threads(args.threads);
    let runtime = runtime.map_err(|source| Error::Io {
        what: "cannot start the runtime",
        source,
    })?;
    runtime.block_on(async {
        let mut sink = Sink::new(args.behave, args.count);
        if let Some(path) = &args.ledger {
            sink = sink.with_ledger(path).map_err(|source| Error::Ledger {
                path: path.clone(),
                source,
            })?;
        }
        let mut servers = Vec::new();
        for &address in &args.listen {
            let listener = TcpListener::bind(address).await;
            let listener = listener.map_err(|source| Error::Listen { address, source })?;
            let bound = listener.local_addr();
            let bound = bound.map_err(|source| Error::Listen { address, source })?;
            print(&format!("listening on {bound}"))?;
            servers.push(tokio::spawn(sink.clone().serve(listener)));
        }
        crate::runtime::told_to_end(args.until_stdin_ends)
            .await
            .map_err(|source| Error::Io {
                what: "cannot wait for a signal",
                source,
            })?;
        for server in servers {
            server.abort();
        }
        print(&serde_json::to_string(&sink.report(false))?)
    })
}

fn print(line: &str) -> Result<(), Error> {
    let mut out = std::io::stdout().lock();
    let written = writeln!(out, "{line}").and_then(|()| out.flush());
    written.map_err(|source| Error::Io {
        what: "cannot write to standard output",
        source,
    })
}
