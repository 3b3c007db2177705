//! `icount list`, or `icount OPERATION ROUNDS`: an operation so often, and nothing else, for counting its
//! instructions. `cargo xtask icount` is the comfortable way to call it.

use std::process::ExitCode;

use evenkeel_benches::{Error, icount};

fn main() -> ExitCode {
    match run(std::env::args().skip(1).collect()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            // With standard error gone there is nobody left to tell.
            let _ = std::io::Write::write_fmt(&mut std::io::stderr(), format_args!("error: {e}\n"));
            ExitCode::FAILURE
        }
    }
}

fn run(args: Vec<String>) -> Result<(), Error> {
    if args == ["list"] {
        return evenkeel_benches::print_line(&icount::names().join("\n"));
    }
    let usage = || Error::Usage("icount list, or icount OPERATION ROUNDS".to_owned());
    let [operation, rounds] = args.try_into().map_err(|_| usage())?;
    icount::run(&operation, rounds.parse().map_err(|_| usage())?)
}
