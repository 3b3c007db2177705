//! Where and with what a run was made; figures without it mean little.

use std::path::Path;
use std::process::Command;

use serde::{Deserialize, Serialize};

use crate::workspace;

/// The surroundings of a run. What cannot be found out is left empty.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Machine {
    /// The operating system.
    pub(crate) os: String,
    /// The processor's family.
    pub(crate) arch: String,
    /// Its name.
    pub(crate) processor: Option<String>,
    /// Its memory.
    pub(crate) memory_mib: Option<u64>,
    /// How many threads run at once.
    pub(crate) cores: usize,
    /// The compiler.
    pub(crate) rustc: Option<String>,
    /// The commit of the tree, with `-dirty` when there were changes.
    pub(crate) commit: Option<String>,
}

impl Machine {
    /// Finds out.
    pub(crate) fn read(root: &Path) -> Self {
        let ask = |program: &str, args: &[&str]| {
            let said = workspace::output(Command::new(program).current_dir(root).args(args)).ok()?;
            Some(said.trim().to_owned()).filter(|said| !said.is_empty())
        };
        Self {
            os: system().unwrap_or_else(|| std::env::consts::OS.to_owned()),
            arch: std::env::consts::ARCH.to_owned(),
            processor: std::fs::read_to_string("/proc/cpuinfo")
                .ok()
                .and_then(|text| processor(&text)),
            memory_mib: std::fs::read_to_string("/proc/meminfo")
                .ok()
                .and_then(|text| memory(&text)),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            rustc: ask("rustc", &["--version"]),
            commit: ask("git", &["describe", "--always", "--dirty", "--exclude=*"]),
        }
    }
}

/// `linux 6.1`: the system with its release.
fn system() -> Option<String> {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").ok()?;
    Some(format!("{} {}", std::env::consts::OS, release.trim()))
}

/// The mean of how many wanted the processor in the last minute.
pub(super) fn load() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/loadavg").ok()?;
    text.split(' ').next()?.parse().ok()
}

/// The first line of Linux's page on memory, in MiB.
fn memory(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes / 1024)
}

impl Machine {
    /// In one line, for a person.
    pub(crate) fn line(&self) -> String {
        let mut parts = vec![
            self.processor.clone().unwrap_or_else(|| self.arch.clone()),
            format!("{} cores", self.cores),
        ];
        parts.extend(self.memory_mib.map(|mib| format!("{} GiB", mib.div_ceil(1024))));
        parts.push(self.os.clone());
        parts.extend(self.rustc.clone());
        parts.extend(self.commit.as_ref().map(|commit| format!("commit {commit}")));
        parts.join(", ")
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
        assert_eq!(
            memory("MemTotal:       24576000 kB\nMemFree: 1 kB\n"),
            Some(24_000)
        );
        assert_eq!(memory("MemTotal: much"), None);
        let machine = Machine::read(Path::new("/"));
        assert_eq!(machine.commit, None);
        assert!(machine.cores >= 1);
    }
}
