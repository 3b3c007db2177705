//! The commands of this workspace: `cargo xtask bench`, `cargo xtask tidy`, `cargo xtask loom`.
//!
//! Depends on no crate of ours, so that it builds fast and still works when one of them does not.

mod bench;
mod cli;
mod loom;
mod metadata;
mod say;
mod tidy;
mod workspace;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    match cli::Cli::parse().command {
        cli::Command::Bench(args) => bench::run(&args),
        cli::Command::Tidy => tidy::run(),
        cli::Command::Loom => loom::run(),
    }
}
