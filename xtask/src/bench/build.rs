//! Builds a program of the benchmarks and finds out where cargo put it.

use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};

use serde::Deserialize;

use crate::workspace;

/// The package of the benchmarks.
const PACKAGE: &str = "evenkeel-benches";

/// A program to build.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Program {
    package: &'static str,
    binary: &'static str,
    features: &'static str,
}

/// The runner, with the contenders and their peers.
pub(crate) const RUNNER: Program = Program {
    package: PACKAGE,
    binary: "evenkeel-bench",
    features: "peers",
};

/// What counts instructions.
pub(crate) const ICOUNT: Program = Program {
    package: PACKAGE,
    binary: "icount",
    features: "peers",
};

/// The gateway, as it is built by default.
pub(crate) const EVENKEEL: Program = Program {
    package: "evenkeel-gateway",
    binary: "evenkeel",
    features: "",
};

/// What can go wrong.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum Error {
    /// Cargo could not be started.
    #[error("cannot start cargo: {0}")]
    Start(std::io::Error),
    /// Cargo has said why on standard error.
    #[error("{binary} did not build (cargo: {status})")]
    Failed {
        /// The program.
        binary: &'static str,
        /// What cargo ended with.
        status: ExitStatus,
    },
    /// It was built, and nobody said where.
    #[error("cargo built `{0}` without saying where it is")]
    Lost(&'static str),
}

/// Builds it and hands back its path. Cargo's own progress goes to the terminal.
pub(crate) fn program(root: &Path, program: Program) -> Result<PathBuf, Error> {
    let Program {
        package,
        binary,
        features,
    } = program;
    let done = workspace::cargo()
        .current_dir(root)
        .args(["build", "--release", "--package", package, "--bin", binary])
        .args(["--features", features])
        .arg("--message-format=json-render-diagnostics")
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .map_err(Error::Start)?;
    if !done.status.success() {
        return Err(Error::Failed {
            binary,
            status: done.status,
        });
    }
    executable(&String::from_utf8_lossy(&done.stdout), binary).ok_or(Error::Lost(binary))
}

/// Builds the criterion benchmarks, so that nothing is compiled while something is measured.
pub(super) fn benchmarks(root: &Path) -> Result<(), Error> {
    let status = workspace::cargo()
        .current_dir(root)
        .args([
            "bench",
            "--package",
            PACKAGE,
            "--features",
            "peers",
            "--benches",
            "--no-run",
        ])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .status()
        .map_err(Error::Start)?;
    if status.success() {
        return Ok(());
    }
    let binary = "the criterion benchmarks";
    Err(Error::Failed { binary, status })
}

/// One of cargo's messages, as far as it matters here.
#[derive(Debug, Deserialize)]
struct Message {
    target: Option<Target>,
    executable: Option<PathBuf>,
}

/// What the message is about.
#[derive(Debug, Deserialize)]
struct Target {
    name: String,
}

/// The path in cargo's messages.
fn executable(messages: &str, binary: &str) -> Option<PathBuf> {
    let messages = messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Message>(line).ok());
    let ours = messages.filter(|message| {
        message
            .target
            .as_ref()
            .is_some_and(|target| target.name == binary)
    });
    ours.filter_map(|message| message.executable).next_back()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_is_found_among_other_messages() {
        let messages = r#"{"reason":"compiler-artifact","target":{"name":"serde","kind":["lib"]},"executable":null}
not json
{"reason":"compiler-artifact","target":{"name":"other","kind":["bin"]},"executable":"/t/other"}
{"reason":"compiler-artifact","target":{"name":"evenkeel-bench","kind":["bin"]},"executable":"/t/evenkeel-bench"}
{"reason":"build-finished","success":true}"#;
        assert_eq!(
            executable(messages, RUNNER.binary),
            Some(PathBuf::from("/t/evenkeel-bench"))
        );
        assert_eq!(executable("{\"reason\":\"build-finished\"}", RUNNER.binary), None);
    }
}
