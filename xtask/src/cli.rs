//! What can be typed after `cargo xtask`.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// The whole command line. `tidy` parses the README's commands with it too.
#[derive(Debug, Parser)]
#[command(
    name = "xtask",
    bin_name = "cargo xtask",
    about = "The commands of this workspace"
)]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// One command each.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run benchmark scenarios beside what people use today, and print what was measured
    Bench(BenchArgs),
    /// Check the rules of the tree: dependency arrows, file sizes, docs, commands and links
    Tidy,
    /// Run the loom tests of every crate that has some
    Loom,
}

/// What `cargo xtask bench` takes.
#[derive(Debug, Default, Args)]
pub(crate) struct BenchArgs {
    /// Scenarios to run; all of them when none is named
    #[arg(value_name = "SCENARIO")]
    pub(crate) scenarios: Vec<String>,
    /// Say what scenarios there are, and run none
    #[arg(long)]
    pub(crate) list: bool,
    /// Small sizes: shows that everything works, not what it can do
    #[arg(long)]
    pub(crate) quick: bool,
    /// How often each contender runs; the scenario's own number when not given
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) repeat: Option<u32>,
    /// Write every sample and the summaries to this file
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// Run only these contenders (the baseline is needed for ratios)
    #[arg(long = "contender", value_name = "NAME", num_args = 1..)]
    pub(crate) contenders: Vec<String>,
    /// Use this runner instead of building one, say one kept from an older commit
    #[arg(long, value_name = "PROGRAM")]
    pub(crate) runner: Option<PathBuf>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn zero_repeats_is_refused() {
        assert!(Cli::try_parse_from(["xtask", "bench", "--repeat", "0"]).is_err());
    }

    #[test]
    fn contenders_are_taken_in_a_row_or_one_by_one() {
        for line in [
            ["--contender", "a", "b"].as_slice(),
            &["--contender", "a", "--contender", "b"],
        ] {
            let all = ["xtask", "bench", "io"].iter().chain(line);
            let Ok(Cli {
                command: Command::Bench(args),
            }) = Cli::try_parse_from(all)
            else {
                panic!("{line:?} was refused");
            };
            assert_eq!(args.contenders, ["a", "b"]);
            assert_eq!(args.scenarios, ["io"]);
        }
    }
}
