//! `cargo xtask loom`: the loom tests of every crate that has some.
//!
//! A crate takes part by having `cfg(evenkeel_loom)` somewhere under its `src`; its loom tests have
//! `loom` in their path (`mod loom_tests`). They are built apart, because the flag swaps the atomics
//! of the whole crate.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use crate::workspace::{self, Error};
use crate::{metadata, say};

/// The flag that swaps std's atomics for loom's.
const FLAG: &str = "--cfg evenkeel_loom";

/// Loom tries every order, so it and our crates are optimised. The rest of what a crate's tests need is
/// not: in a release build it takes four times as long, and none of it runs here.
const PROFILE: [&str; 4] = [
    "profile.dev.opt-level=2",
    "profile.dev.package.'*'.opt-level=0",
    "profile.dev.package.loom.opt-level=2",
    "profile.dev.package.generator.opt-level=2",
];

/// The command.
pub(crate) fn run() -> ExitCode {
    match run_all(&workspace::root()) {
        Ok(code) => code,
        Err(error) => {
            say::err(&format!("loom: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// Runs crate after crate; a failure does not hide the next one's.
fn run_all(root: &Path) -> Result<ExitCode, Error> {
    let workspace = metadata::read(root)?;
    let files = workspace::files(root)?;
    let mut failed = Vec::new();
    let mut ran = 0_usize;
    for package in &workspace.packages {
        let folder = package.manifest_path.parent().unwrap_or(root);
        let sources = folder.strip_prefix(root).unwrap_or(folder).join("src");
        // This package and the benchmarks only talk about it.
        if !sources.starts_with("crates") || !has_loom(root, &files, &sources)? {
            continue;
        }
        let target = workspace.target_directory.join("loom");
        let tests = count(&workspace::output(
            cargo(root, &target, &package.name).args(["--", "--list"]),
        )?);
        say::err(&format!("loom: {}: {tests} tests", package.name));
        if tests == 0 {
            say::err(&format!(
                "loom: {} has cfg(evenkeel_loom) but no test with `loom` in its path",
                package.name
            ));
            failed.push(package.name.as_str());
            continue;
        }
        ran += tests;
        let mut command = cargo(root, &target, &package.name);
        let status = command
            .stdin(Stdio::null())
            .status()
            .map_err(|source| Error::Start {
                program: workspace::typed(&command),
                source,
            })?;
        if !status.success() {
            failed.push(package.name.as_str());
        }
    }
    if failed.is_empty() {
        say::out(&format!("loom: {ran} tests passed"));
        return Ok(ExitCode::SUCCESS);
    }
    say::err(&format!("loom: failed in {}", failed.join(", ")));
    Ok(ExitCode::FAILURE)
}

/// Whether any source file below `sources` mentions the flag.
fn has_loom(root: &Path, files: &[String], sources: &Path) -> Result<bool, Error> {
    for path in files
        .iter()
        .filter(|path| path.ends_with(".rs") && Path::new(path).starts_with(sources))
    {
        let path: PathBuf = root.join(path);
        let text = std::fs::read_to_string(&path).map_err(|source| Error::Read { path, source })?;
        if mentions(&text) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether code outside of comments asks for the flag.
fn mentions(text: &str) -> bool {
    let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    code.into_iter()
        .any(|line| line.contains("cfg") && line.contains("evenkeel_loom"))
}

/// `cargo test` of one crate's loom tests.
fn cargo(root: &Path, target: &Path, package: &str) -> Command {
    let flags = std::env::var("RUSTFLAGS").unwrap_or_default();
    let mut command = workspace::cargo();
    command
        .current_dir(root)
        .env("RUSTFLAGS", format!("{flags} {FLAG}").trim())
        .env("CARGO_TARGET_DIR", target)
        .arg("test");
    for setting in PROFILE {
        command.args(["--config", setting]);
    }
    command.args(["--package", package, "--lib", "loom"]);
    command
}

/// The tests in the answer to `--list`.
fn count(listed: &str) -> usize {
    listed.lines().filter(|line| line.ends_with(": test")).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crate_without_the_flag_is_left_out_and_one_with_it_is_not() {
        assert!(mentions("#[cfg(evenkeel_loom)]\nuse loom::sync;"));
        assert!(mentions("    #[cfg(all(test, evenkeel_loom))]"));
        assert!(!mentions("//! tested under cfg(evenkeel_loom)\nfn a() {}"));
    }

    #[test]
    fn an_empty_list_of_tests_is_not_taken_for_success() {
        assert_eq!(count("\n0 tests, 0 benchmarks\n"), 0);
        assert_eq!(
            count("ring::loom_tests::two_writers: test\nother::loom: test\n\n2 tests, 0 benchmarks\n"),
            2
        );
    }
}
