//! What the process has, and whether that grows.

use std::fmt;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::{Instant, sleep};

use super::{CONNECTIONS, MEMBERS};
use crate::{Error, process};

/// The memory after the warm-up may grow by so many bytes until the end. Over five minutes, with a quarter of a
/// million requests, that is 16 bytes a request: less than any allocation that is made for one and lost.
const MARGIN: u64 = 4 << 20;

/// More descriptors than this, and connections leak: both ends of every connection that the pools may hold, as many
/// once more for those of members that were removed and probes, and the listeners.
const MOST_DESCRIPTORS: usize = 4 * MEMBERS * CONNECTIONS + 100;

/// What it has at one moment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Watch {
    memory: u64,
    descriptors: usize,
    tasks: usize,
}

impl Watch {
    pub(super) fn now() -> Result<Self, Error> {
        Ok(Self {
            memory: process::own_memory()?,
            descriptors: process::descriptors()?,
            tasks: Handle::current().metrics().num_alive_tasks(),
        })
    }
}

impl fmt::Display for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:>3} descriptors  {:>3} tasks  {:.1} MiB",
            self.descriptors,
            self.tasks,
            mib(self.memory)
        )
    }
}

/// The least memory in a time after the warm-up and in the last part of the run: the least, because what is under way
/// comes and goes, and what leaks stays.
#[derive(Debug)]
pub(super) struct Leaks {
    length: Duration,
    early: Option<u64>,
    late: Option<u64>,
    most_descriptors: usize,
}

impl Leaks {
    pub(super) fn new(seconds: u64) -> Self {
        Self {
            length: Duration::from_secs(seconds),
            early: None,
            late: None,
            most_descriptors: 0,
        }
    }

    /// Takes in what there is so long after the beginning. The warm-up is the first fifth.
    pub(super) fn sample(&mut self, at: Duration, watch: &Watch) {
        self.most_descriptors = self.most_descriptors.max(watch.descriptors);
        let least =
            |before: Option<u64>| Some(before.map_or(watch.memory, |before| before.min(watch.memory)));
        match at.as_secs_f64() / self.length.as_secs_f64() {
            0.2..0.4 => self.early = least(self.early),
            0.8.. => self.late = least(self.late),
            _ => {}
        }
    }

    /// What of it must not be.
    pub(super) fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        match (self.early, self.late) {
            (Some(early), Some(late)) if late > early + MARGIN => faults.push(format!(
                "memory grew from {:.1} to {:.1} MiB, by more than {:.0}",
                mib(early),
                mib(late),
                mib(MARGIN)
            )),
            (Some(_), Some(_)) => {}
            _ => faults.push("memory was not measured".to_owned()),
        }
        if self.most_descriptors > MOST_DESCRIPTORS {
            let most = self.most_descriptors;
            faults.push(format!(
                "{most} descriptors were open, more than {MOST_DESCRIPTORS}"
            ));
        }
        faults
    }
}

impl fmt::Display for Leaks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "memory {:.1} MiB after the warm-up, {:.1} at the end; at most {} descriptors",
            mib(self.early.unwrap_or_default()),
            mib(self.late.unwrap_or_default()),
            self.most_descriptors
        )
    }
}

/// With clients and servers gone: what is open or running all the same. What ends in a task has some patience.
pub(super) async fn left_behind(before: usize, patience: Duration) -> Result<Vec<String>, Error> {
    let until = Instant::now() + patience;
    loop {
        let now = Watch::now()?;
        let mut found = Vec::new();
        if now.descriptors > before {
            found.push(format!(
                "{} descriptors are left, of {before} before",
                now.descriptors
            ));
        }
        if now.tasks > 0 {
            found.push(format!("{} tasks are left", now.tasks));
        }
        if found.is_empty() || Instant::now() >= until {
            return Ok(found);
        }
        sleep(Duration::from_millis(50)).await;
    }
}

fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watch(memory: u64, descriptors: usize) -> Watch {
        Watch {
            memory,
            descriptors,
            tasks: 0,
        }
    }

    #[test]
    fn memory_that_grows_beyond_the_margin_is_found_and_a_warm_up_is_not() {
        let run = |grown: u64| {
            let mut leaks = Leaks::new(100);
            for second in 0..100_u64 {
                let memory = 1_000 + 50_000_000 * u64::from(second >= 10) + grown * second;
                leaks.sample(Duration::from_secs(second), &watch(memory, 10));
            }
            leaks.faults()
        };
        assert!(run(0).is_empty());
        assert!(run(100_000)[0].contains("memory grew"));
    }

    #[test]
    fn a_run_that_measured_nothing_is_no_good_run() {
        assert_eq!(Leaks::new(10).faults().len(), 1);
    }

    #[test]
    fn descriptors_without_bound_are_found() {
        let mut leaks = Leaks::new(100);
        for second in 0..100 {
            leaks.sample(Duration::from_secs(second), &watch(1, MOST_DESCRIPTORS + 1));
        }
        assert!(leaks.faults()[0].contains("descriptors"));
    }
}
