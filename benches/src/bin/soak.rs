//! `soak --seconds N --seed S`: chaos over real sockets on loopback for so long, and whether anything was lost or
//! leaked. `cargo xtask soak` is the comfortable way to call it.

use std::process::ExitCode;

use clap::Parser;
use evenkeel_benches::{Error, soak};

/// What it takes.
#[derive(Debug, Parser)]
struct Args {
    /// How long the chaos lasts, in seconds
    #[arg(long, default_value_t = 300, value_parser = clap::value_parser!(u64).range(soak::LEAST_SECONDS..))]
    seconds: u64,
    /// Where the chaos begins: the same seed makes the same plan
    #[arg(long)]
    seed: Option<u64>,
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            // With standard error gone there is nobody left to tell.
            let _ = std::io::Write::write_fmt(&mut std::io::stderr(), format_args!("error: {error}\n"));
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<bool, Error> {
    let seed = args.seed.unwrap_or_else(|| fastrand::u64(..1_000_000));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(Error::io("cannot start the runtime"))?;
    let faults = runtime.block_on(soak::run(args.seconds, seed))?;
    for fault in &faults {
        evenkeel_benches::print_line(&format!("soak: FAULT: {fault}"))?;
    }
    let verdict = if faults.is_empty() {
        "nothing lost, nothing leaked"
    } else {
        "failed"
    };
    evenkeel_benches::print_line(&format!("soak: {verdict} (seed {seed})"))?;
    Ok(faults.is_empty())
}
