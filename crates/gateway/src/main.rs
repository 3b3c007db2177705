//! The binary `evenkeel`: see the crate's README.

use std::process::ExitCode;

fn main() -> ExitCode {
    evenkeel_gateway::main()
}
