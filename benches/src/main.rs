//! `evenkeel-bench`: runs the scenarios. `cargo xtask bench` is the comfortable way to call it.

use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use evenkeel_benches::runner::{self, Options, Peers};
use evenkeel_benches::scenario::Params;
use evenkeel_benches::server::{self, ServerKind};
use evenkeel_benches::workload::{self, Task};
use evenkeel_benches::{Children, Error, process, protocol::Event};

/// Runs benchmark scenarios; reports them as lines of JSON.
#[derive(Debug, Parser)]
#[command(name = "evenkeel-bench", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Prints the plan of all scenarios and runs nothing.
    List {
        /// The size that ends in seconds.
        #[arg(long)]
        quick: bool,
    },
    /// Runs scenarios.
    Run {
        /// Which; all of them if none is named.
        names: Vec<String>,
        /// The size that ends in seconds.
        #[arg(long)]
        quick: bool,
        /// How often each contender runs.
        #[arg(long, value_name = "N")]
        repeat: Option<u32>,
        /// Only this contender; may be given more than once.
        #[arg(long, value_name = "NAME")]
        contender: Vec<String>,
        /// Which peers take part: all, none, or names with commas between.
        #[arg(long, value_name = "LIST", default_value = "all")]
        peers: Peers,
        /// Numbers in place of the sizes' own: name=number,name=number.
        #[arg(long, value_name = "NUMBERS", default_value = "")]
        size: Params,
        /// A server on another machine, run there by `serve`: only scenarios that talk to one take part.
        #[arg(long, value_name = "ADDRESS")]
        connect: Option<SocketAddr>,
        /// The binary `evenkeel`, for the scenarios that start it.
        #[arg(long, value_name = "PATH")]
        evenkeel: Option<PathBuf>,
    },
    /// Runs a server until standard input ends. The runner starts it, or you do on another machine.
    Serve {
        /// Which server.
        kind: ServerKind,
        /// Where it listens; anybody who reaches it is served.
        #[arg(long, value_name = "ADDRESS", default_value_t = server::LOOPBACK)]
        listen: SocketAddr,
    },
    /// Runs one contender in this process and prints its report. The runner starts it.
    #[command(hide = true)]
    Contender {
        /// The scenario.
        scenario: String,
        /// The contender, or several with commas between.
        name: String,
        /// The numbers of the size: name=number,name=number.
        #[arg(long)]
        size: Params,
        /// Where the scenario's server listens.
        #[arg(long)]
        server: Option<SocketAddr>,
        /// The binary `evenkeel`.
        #[arg(long)]
        evenkeel: Option<PathBuf>,
    },
}

fn main() -> ExitCode {
    match run(Cli::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            // With standard error gone there is nobody left to tell.
            let _ = writeln!(std::io::stderr(), "error: {e}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<(), Error> {
    let descriptors = process::raise_descriptor_limit()?;
    match command {
        Command::List { quick } => {
            print(runner::plan(&Options {
                quick,
                // What needs it is listed too, and nothing is run.
                evenkeel: Some(PathBuf::from("evenkeel")),
                ..Options::default()
            })?)?;
            print(Event::Done)
        }
        Command::Run {
            names,
            quick,
            repeat,
            contender,
            peers,
            size,
            connect,
            evenkeel,
        } => {
            let options = Options {
                scenarios: names,
                quick,
                repeats: repeat,
                contenders: contender,
                peers,
                size,
                connect,
                evenkeel,
            };
            let children = Children::of_this_program()?.with_evenkeel(options.evenkeel.clone());
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let runtime = runtime.map_err(|source| Error::Io {
                what: "cannot start the runner",
                source,
            })?;
            runtime.block_on(runner::run(&options, &children, descriptors, &mut print))
        }
        Command::Serve { kind, listen } => server::serve(kind, listen),
        Command::Contender {
            scenario,
            name,
            size,
            server,
            evenkeel,
        } => {
            let workload = workload::named(&scenario)?;
            evenkeel_benches::end_with_parent()?;
            let report = workload.run(&Task {
                contender: name,
                params: size,
                server,
                evenkeel,
            })?;
            evenkeel_benches::print_line(&report.to_line()?)
        }
    }
}

fn print(event: Event) -> Result<(), Error> {
    evenkeel_benches::print_line(&event.to_line()?)
}
