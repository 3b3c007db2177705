//! Where and with what a run was made; figures without it mean little.

use std::path::Path;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::Serialize;

use crate::workspace;

/// The surroundings of a run. What cannot be found out is left empty.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Machine {
    /// When it began, in seconds since 1970.
    pub(super) started_unix: u64,
    /// The operating system.
    pub(super) os: &'static str,
    /// The processor's family.
    pub(super) arch: &'static str,
    /// Its name.
    pub(super) processor: Option<String>,
    /// How many threads run at once.
    pub(super) cores: usize,
    /// The compiler.
    pub(super) rustc: Option<String>,
    /// The commit of the tree, with `-dirty` when there were changes.
    pub(super) commit: Option<String>,
}

impl Machine {
    /// Finds out.
    pub(super) fn read(root: &Path) -> Self {
        let ask = |program: &str, args: &[&str]| {
            let said = workspace::output(Command::new(program).current_dir(root).args(args)).ok()?;
            Some(said.trim().to_owned()).filter(|said| !said.is_empty())
        };
        #[expect(clippy::disallowed_methods, reason = "the date of a record is wall time")]
        let now = SystemTime::now();
        Self {
            started_unix: now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()),
            os: std::env::consts::OS,
            arch: std::env::consts::ARCH,
            processor: std::fs::read_to_string("/proc/cpuinfo")
                .ok()
                .and_then(|text| processor(&text)),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            rustc: ask("rustc", &["--version"]),
            commit: ask("git", &["describe", "--always", "--dirty", "--exclude=*"]),
        }
    }
}

/// The first name in Linux's list of processors.
fn processor(text: &str) -> Option<String> {
    let line = text.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_found_out_is_empty_not_an_error() {
        assert_eq!(
            processor("cpu family\t: 6\nmodel name\t: A B\n"),
            Some("A B".to_owned())
        );
        assert_eq!(processor("Hardware: C\n"), None);
        let machine = Machine::read(Path::new("/"));
        assert_eq!(machine.commit, None);
        assert!(machine.cores >= 1);
    }
}
