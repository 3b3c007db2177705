//! The load: `evenkeel send`, and its account.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use serde::Deserialize;
use tokio::process::Command;

use crate::Error;

/// What a run of `evenkeel send` has come to, as far as it matters here.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Account {
    pub(super) rate: f64,
    pub(super) requests: u64,
    pub(super) failures: BTreeMap<String, u64>,
    pub(super) acknowledged_spans: u64,
    pub(super) failed_spans: u64,
    pub(super) dropped_spans: u64,
    pub(super) latency_ms: Latency,
    pub(super) verified: Option<Verified>,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct Latency {
    pub(super) p50: f64,
    pub(super) p99: f64,
}

#[derive(Debug, Clone, Copy, Deserialize)]
pub(super) struct Verified {
    pub(super) lost: u64,
    pub(super) duplicates: u64,
}

impl Account {
    pub(super) fn failed(&self) -> u64 {
        self.failures.values().sum()
    }
}

/// Runs it with these arguments.
pub(super) async fn run(evenkeel: &Path, arguments: &[String]) -> Result<Account, Error> {
    let output = Command::new(evenkeel)
        .args(["send", "--json"])
        .args(arguments)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .map_err(Error::io("cannot run evenkeel send"))?;
    // It ends badly, too, if spans were lost; that is a figure here.
    serde_json::from_slice(&output.stdout).map_err(|_| {
        let error = String::from_utf8_lossy(&output.stderr);
        Error::Contender(format!("evenkeel send: {}", error.trim()))
    })
}

/// One request, as the log of `evenkeel send` has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Request {
    /// When it was due, from the beginning.
    pub(super) due: Duration,
    pub(super) took: Duration,
    pub(super) acknowledged: bool,
}

/// Reads the log.
pub(super) fn log(text: &str) -> Result<Vec<Request>, Error> {
    let request = |line: &str| {
        let mut fields = line.split(',');
        let mut micros = || fields.next()?.parse().ok().map(Duration::from_micros);
        let (due, took) = (micros()?, micros()?);
        let outcome = fields.nth(1)?;
        Some(Request {
            due,
            took,
            acknowledged: outcome == "ok",
        })
    };
    let lines = text.lines().skip(1);
    let requests = lines
        .map(|line| request(line).ok_or_else(|| Error::Contender(format!("evenkeel send logged '{line}'"))));
    requests.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_is_read_as_it_is_written() {
        let read = log("due_us,took_us,attempts,outcome\n1000,250,1,ok\n2000,9,2,UNAVAILABLE\n").unwrap();
        let request = |due, took, acknowledged| Request {
            due: Duration::from_micros(due),
            took: Duration::from_micros(took),
            acknowledged,
        };
        assert_eq!(read, [request(1000, 250, true), request(2000, 9, false)]);
        assert!(log("head\n1,2,3").is_err());
    }
}
