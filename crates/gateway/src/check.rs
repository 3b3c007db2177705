//! `evenkeel check`.

use std::fmt::Display;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args as ClapArgs;

use crate::config::GatewayConfig;
use crate::say::failure;

/// Reads a config file and says what is wrong with it, or what it comes to.
#[derive(Debug, ClapArgs)]
pub(crate) struct Args {
    /// The file.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Print all of the config, with every default.
    #[arg(long)]
    print: bool,
}

/// Exit code 0 if the file is good, 2 if not.
pub(crate) fn run(args: &Args) -> ExitCode {
    let config = match GatewayConfig::load(&args.config) {
        Ok(config) => config,
        Err(error) => return fail(&error),
    };
    let mut out = std::io::stdout();
    let written = if args.print {
        match toml::to_string(&config) {
            Ok(text) => out.write_all(text.as_bytes()),
            Err(error) => return fail(&error),
        }
    } else {
        let count = config.collectors.len();
        writeln!(
            out,
            "{} is good: {count} collectors, route {}",
            args.config.display(),
            config.route
        )
    };
    match written {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error),
    }
}

fn fail(error: &dyn Display) -> ExitCode {
    let _ = failure("check", error);
    ExitCode::from(2)
}
