//! Where the workspace is, which files it has, and how other programs are asked.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What can go wrong when cargo or git is asked, or a file is read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum Error {
    /// The program could not be started.
    #[error("cannot start `{program}`: {source}")]
    Start {
        /// The command as typed.
        program: String,
        /// Why not.
        source: std::io::Error,
    },
    /// The program said no.
    #[error("`{program}` failed ({status}): {complaint}")]
    Failed {
        /// The command as typed.
        program: String,
        /// How it ended.
        status: std::process::ExitStatus,
        /// What it printed on standard error.
        complaint: String,
    },
    /// Cargo's answer is not what it was when this was written.
    #[error("cannot read the answer of `cargo metadata`: {source}")]
    Metadata {
        /// Where it is off.
        source: serde_json::Error,
    },
    /// A file or folder could not be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
}

/// The root of the workspace: the folder above this package's.
pub(crate) fn root() -> PathBuf {
    // Cargo sets it for `cargo run` and `cargo test`; the built-in value serves a program started by hand.
    let own =
        std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| OsString::from(env!("CARGO_MANIFEST_DIR")));
    let own = PathBuf::from(own);
    own.parent().map(Path::to_path_buf).unwrap_or(own)
}

/// The cargo that started this, or the first on the path.
pub(crate) fn cargo() -> Command {
    Command::new(std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo")))
}

/// Runs `command` to its end and hands back what it printed.
pub(crate) fn output(command: &mut Command) -> Result<String, Error> {
    finished(command).map(|done| String::from_utf8_lossy(&done.stdout).into_owned())
}

/// Runs `command` to its end and hands back what it said on standard error.
pub(crate) fn complaints(command: &mut Command) -> Result<String, Error> {
    finished(command).map(|done| String::from_utf8_lossy(&done.stderr).into_owned())
}

fn finished(command: &mut Command) -> Result<std::process::Output, Error> {
    let program = typed(command);
    let done = command
        .stdin(Stdio::null())
        .output()
        .map_err(|source| Error::Start {
            program: program.clone(),
            source,
        })?;
    if done.status.success() {
        Ok(done)
    } else {
        let complaint = String::from_utf8_lossy(&done.stderr).trim().to_owned();
        Err(Error::Failed {
            program,
            status: done.status,
            complaint,
        })
    }
}

/// A command as one would type it, without the folders of the program.
pub(crate) fn typed(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let mut words = vec![
        program
            .file_name()
            .unwrap_or(program.as_os_str())
            .to_string_lossy()
            .into_owned(),
    ];
    words.extend(command.get_args().map(|word| word.to_string_lossy().into_owned()));
    words.join(" ")
}

/// Every file that belongs to the tree: tracked, or new and not ignored. Relative, with `/`.
pub(crate) fn files(root: &Path) -> Result<Vec<String>, Error> {
    let listed = output(Command::new("git").current_dir(root).args([
        "ls-files",
        "-z",
        "--cached",
        "--others",
        "--exclude-standard",
    ]));
    let mut files: Vec<String> = match listed {
        Ok(text) => text
            .split('\0')
            .filter(|path| !path.is_empty())
            .map(str::to_owned)
            .collect(),
        // An unpacked archive has no git folder: every file in it is meant.
        Err(_) => walk(root, Path::new(""))?,
    };
    files.sort_unstable();
    files.dedup();
    // Deleted but not yet committed.
    files.retain(|path| root.join(path).is_file());
    Ok(files)
}

/// The same without git: everything but build output and bookkeeping.
fn walk(root: &Path, under: &Path) -> Result<Vec<String>, Error> {
    let folder = root.join(under);
    let read = |source| Error::Read {
        path: folder.clone(),
        source,
    };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(&folder).map_err(read)? {
        let entry = entry.map_err(read)?;
        let name = entry.file_name();
        let path = under.join(&name);
        if !entry.file_type().map_err(read)?.is_dir() {
            files.push(path.to_string_lossy().replace('\\', "/"));
        } else if !built(&name.to_string_lossy()) {
            files.extend(walk(root, &path)?);
        }
    }
    Ok(files)
}

/// Whether a folder of this name is output or bookkeeping.
fn built(name: &str) -> bool {
    matches!(name, ".git" | "target" | "results") || name.starts_with("target-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_git_build_output_is_not_taken_for_source() {
        let root = root();
        let files = walk(&root, Path::new("")).expect("the workspace can be read");
        assert!(files.iter().any(|path| path == "xtask/src/main.rs"));
        assert!(
            !files
                .iter()
                .any(|path| path.starts_with("target") || path.starts_with(".git/"))
        );
    }

    #[test]
    fn a_failing_program_is_named_with_what_it_said() {
        let error = output(cargo().arg("no-such-command"))
            .expect_err("there is no such command")
            .to_string();
        assert!(error.contains("no-such-command"), "{error}");
    }
}
