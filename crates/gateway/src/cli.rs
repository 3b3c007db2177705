//! The command line.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::{check, run};

#[derive(Debug, Parser)]
#[command(name = "evenkeel", version, about = "An OTLP gateway that loses nothing")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

/// Each command is a module of its own with its `Args` and `run`.
#[derive(Debug, Subcommand)]
enum Command {
    Run(run::Args),
    Check(check::Args),
    Demo(crate::demo::Args),
    Send(crate::send::Args),
    Sink(crate::sink::Args),
}

/// Parses the command line and runs what it asks for.
#[must_use]
pub fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Run(args) => run::run(&args),
        Command::Check(args) => check::run(&args),
        Command::Demo(args) => crate::demo::run(&args),
        Command::Send(args) => crate::send::run(&args),
        Command::Sink(args) => crate::sink::run(&args),
    }
}
