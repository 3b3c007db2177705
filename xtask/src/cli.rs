//! What can be typed after `cargo xtask`.

use std::net::SocketAddr;
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
    Bench(Box<BenchArgs>),
    /// Say what changed between two runs beyond the noise, as markdown; fails when something of ours got worse
    Compare(CompareArgs),
    /// Count the instructions of the hot paths under callgrind
    Icount(IcountArgs),
    /// Minutes of chaos over real sockets on loopback; fails when a request is lost or anything leaks
    Soak(SoakArgs),
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
    /// Which peers take part beside ours and the naive way: all, none, or names with commas between
    #[arg(long, value_name = "LIST", default_value = "all")]
    pub(crate) peers: String,
    /// How often each contender runs; the scenario's own number when not given
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) repeat: Option<u32>,
    /// Write every sample and the summaries to this file
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// Write the report, one page that opens from disk, to index.html in this folder
    #[arg(long, value_name = "DIR")]
    pub(crate) report: Option<PathBuf>,
    /// Say what changed since this run (a file of --json); fails when something of ours got worse
    #[arg(long, value_name = "FILE")]
    pub(crate) baseline: Option<PathBuf>,
    /// Write docs/performance.md from this run; a whole, full run only
    #[arg(long, conflicts_with_all = ["quick", "scenarios", "contenders", "peers", "repeat"])]
    pub(crate) record: bool,
    /// Run nothing: take the figures from this file of --json
    #[arg(long, value_name = "FILE", conflicts_with_all = ["quick", "repeat", "json", "contenders", "list", "scenarios", "runner"])]
    pub(crate) from: Option<PathBuf>,
    /// Serve the scenarios of another machine at this address until Ctrl-C; anybody who reaches it is served
    #[arg(long, value_name = "ADDRESS", exclusive = true)]
    pub(crate) listen: Option<SocketAddr>,
    /// Run against the server that `--listen` serves on another machine; only scenarios that talk to one
    #[arg(long, value_name = "ADDRESS", conflicts_with_all = ["record", "from", "list"])]
    pub(crate) connect: Option<SocketAddr>,
    /// Run only these contenders (the baseline is needed for ratios)
    #[arg(long = "contender", value_name = "NAME", num_args = 1..)]
    pub(crate) contenders: Vec<String>,
    /// Use this runner instead of building one, say one kept from an older commit
    #[arg(long, value_name = "PROGRAM")]
    pub(crate) runner: Option<PathBuf>,
}

/// What `cargo xtask compare` takes.
#[derive(Debug, Args)]
pub(crate) struct CompareArgs {
    /// The earlier run, a file of `bench --json`
    #[arg(value_name = "A.json")]
    pub(crate) old: PathBuf,
    /// The later run
    #[arg(value_name = "B.json")]
    pub(crate) new: PathBuf,
}

/// What `cargo xtask icount` takes.
#[derive(Debug, Default, Args)]
pub(crate) struct IcountArgs {
    /// Only operations whose name contains this
    #[arg(value_name = "PART")]
    pub(crate) part: Option<String>,
    /// Fail when an operation of ours takes over 5 % more than what is stored
    #[arg(long)]
    pub(crate) check: bool,
    /// Store the counts in benches/icount.json, for later checks
    #[arg(long, conflicts_with_all = ["check", "part"])]
    pub(crate) record: bool,
}

/// What `cargo xtask soak` takes.
#[derive(Debug, Args)]
pub(crate) struct SoakArgs {
    /// How long the chaos lasts
    #[arg(long, value_name = "N", default_value_t = 300, value_parser = clap::value_parser!(u64).range(10..))]
    pub(crate) seconds: u64,
    /// The seed of the chaos, which every run prints; the same one makes the same plan
    #[arg(long, value_name = "SEED")]
    pub(crate) seed: Option<u64>,
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
    fn a_record_is_of_a_whole_run() {
        assert!(Cli::try_parse_from(["xtask", "bench", "--record"]).is_ok());
        assert!(Cli::try_parse_from(["xtask", "bench", "--record", "--from", "run.json"]).is_ok());
        for line in [
            ["--record", "--quick"].as_slice(),
            &["io", "--record"],
            &["--record", "--contender", "a"],
            &["--record", "--peers", "none"],
            &["--from", "run.json", "--repeat", "3"],
        ] {
            let all = ["xtask", "bench"].iter().chain(line);
            assert!(Cli::try_parse_from(all).is_err(), "{line:?}");
        }
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
