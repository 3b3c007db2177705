//! The commands of this workspace: `cargo xtask bench`, `compare`, `icount`, `soak`, `tidy`, `loom`.
//!
//! Depends on no crate of ours, so that it builds fast and still works when one of them does not.

mod bench;
mod claims;
mod cli;
mod compare;
mod icount;
mod loom;
mod metadata;
mod number;
mod page;
mod performance;
mod record;
mod say;
mod soak;
mod stopwatch;
mod tidy;
mod workspace;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    match cli::Cli::parse().command {
        cli::Command::Bench(args) => bench::run(&args),
        cli::Command::Compare(args) => compare::run(&args),
        cli::Command::Icount(args) => icount::run(&args),
        cli::Command::Soak(args) => soak::run(&args),
        cli::Command::Tidy => tidy::run(),
        cli::Command::Loom => loom::run(),
    }
}
