//! `cargo xtask soak`: minutes of chaos over real sockets, and whether anything was lost or leaked.
//!
//! The chaos itself is a program of the benchmarks' package, because this one uses no crate of ours.

use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

use crate::bench::build;
use crate::cli::SoakArgs;
use crate::{say, workspace};

/// What can go wrong.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
enum Error {
    /// It did not build.
    #[error(transparent)]
    Build(#[from] build::Error),
    /// It could not be started.
    #[error(transparent)]
    Workspace(#[from] workspace::Error),
}

/// The command. It succeeds if nothing was lost and nothing leaked.
pub(crate) fn run(args: &SoakArgs) -> ExitCode {
    match run_inner(&workspace::root(), args) {
        Ok(code) => code,
        Err(error) => {
            say::err(&format!("soak: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn run_inner(root: &Path, args: &SoakArgs) -> Result<ExitCode, Error> {
    let program = build::program(root, build::SOAK)?;
    let mut command = command(&program, args);
    let status = command.status().map_err(|source| workspace::Error::Start {
        program: workspace::typed(&command),
        source,
    })?;
    Ok(if status.success() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn command(program: &Path, args: &SoakArgs) -> Command {
    let mut command = Command::new(program);
    command.args(["--seconds", &args.seconds.to_string()]);
    if let Some(seed) = args.seed {
        command.args(["--seed", &seed.to_string()]);
    }
    command.stdin(Stdio::null());
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_typed_reaches_the_program() {
        let typed = |seed| workspace::typed(&command(Path::new("soak"), &SoakArgs { seconds: 60, seed }));
        assert_eq!(typed(Some(7)), "soak --seconds 60 --seed 7");
        assert_eq!(typed(None), "soak --seconds 60");
    }
}
