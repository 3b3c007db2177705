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

/// What the processors' time went to since the system started, in ticks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ProcessorTime {
    all: u64,
    stolen: u64,
}

impl ProcessorTime {
    /// Until now.
    pub(super) fn now() -> Option<Self> {
        Self::read(&std::fs::read_to_string("/proc/stat").ok()?)
    }

    /// From Linux's page: user, nice, system, idle, waiting, two of interrupts, stolen; what follows is among the
    /// first.
    fn read(text: &str) -> Option<Self> {
        let line = text.lines().find_map(|line| line.strip_prefix("cpu "))?;
        let ticks: Vec<u64> = line
            .split_whitespace()
            .take(8)
            .map_while(|ticks| ticks.parse().ok())
            .collect();
        Some(Self {
            all: ticks.iter().sum(),
            stolen: *ticks.get(7)?,
        })
    }

    /// The share that the host gave to others.
    pub(super) fn stolen_since(self, begin: Self) -> Option<f64> {
        let all = self.all.checked_sub(begin.all).filter(|&all| all > 0)?;
        Some(self.stolen.saturating_sub(begin.stolen) as f64 / all as f64)
    }
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
        assert_eq!(ProcessorTime::read("cpu  1 2 3"), None);
        let machine = Machine::read(Path::new("/"));
        assert_eq!(machine.commit, None);
        assert!(machine.cores >= 1);
    }

    #[test]
    fn what_neighbours_took_is_a_share_of_all_time_and_not_counted_twice() {
        let page =
            |stolen: u64| format!("cpu  100 0 50 800 0 0 10 {stolen} 30 0\ncpu0 1 2 3 4 5 6 7 8 9 10\n");
        let [begin, end] = [40, 80].map(|stolen| ProcessorTime::read(&page(stolen)).unwrap());
        assert_eq!(
            begin,
            ProcessorTime {
                all: 1000,
                stolen: 40
            }
        );
        assert_eq!(end.stolen_since(begin), Some(1.0));
        assert_eq!(begin.stolen_since(begin), None);
    }
}
