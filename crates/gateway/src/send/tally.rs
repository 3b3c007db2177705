//! What became of the requests.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::time::Duration;

use histogram::Histogram;
use serde::{Deserialize, Serialize};

use super::client::Refusal;
use crate::ledger::{IdSet, Run};

/// Latencies are kept to 1 part in 128, from a microsecond to an hour.
const PRECISION: u8 = 7;
const LONGEST: u8 = 32;

/// One request that has ended.
#[derive(Debug)]
pub(super) struct Ended {
    /// Its spans.
    pub(super) spans: Run,
    /// When it was due, from the beginning.
    pub(super) due: Duration,
    /// From when it was due to its end.
    pub(super) took: Duration,
    pub(super) attempts: u32,
    pub(super) outcome: Result<(), Refusal>,
}

/// The account of a run, while it runs.
#[derive(Debug)]
pub(super) struct Tally {
    acknowledged: IdSet,
    requests: u64,
    failures: BTreeMap<String, u64>,
    failed_spans: u64,
    attempts: u64,
    latency: Histogram,
    longest: Duration,
    log: Option<BufWriter<File>>,
    /// The first reason why a line of the log could not be written.
    log_error: Option<io::Error>,
}

/// Why there is no account.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum Error {
    /// The log can not be written.
    #[error("cannot write the log: {0}")]
    Log(#[from] io::Error),
    /// The histogram's parameters are wrong.
    #[error(transparent)]
    Histogram(#[from] histogram::Error),
}

/// Latencies in milliseconds.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Latency {
    pub(crate) p50: f64,
    pub(crate) p90: f64,
    pub(crate) p99: f64,
    pub(crate) p999: f64,
    pub(crate) max: f64,
}

/// What all requests amount to.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Totals {
    /// Requests sent.
    pub(crate) requests: u64,
    /// Attempts that took.
    pub(crate) attempts: u64,
    /// Requests that were not acknowledged, by why.
    pub(crate) failures: BTreeMap<String, u64>,
    /// Spans that were acknowledged.
    pub(crate) acknowledged_spans: u64,
    /// Spans of requests that were not.
    pub(crate) failed_spans: u64,
    /// How long requests took, from when they were due.
    pub(crate) latency_ms: Latency,
}

impl Totals {
    pub(crate) fn failed(&self) -> u64 {
        self.failures.values().sum()
    }
}

impl Tally {
    pub(super) fn new(log: Option<&Path>) -> Result<Self, Error> {
        let mut log = log.map(File::create).transpose()?.map(BufWriter::new);
        if let Some(log) = &mut log {
            writeln!(log, "due_us,took_us,attempts,outcome")?;
        }
        Ok(Self {
            acknowledged: IdSet::default(),
            requests: 0,
            failures: BTreeMap::new(),
            failed_spans: 0,
            attempts: 0,
            latency: Histogram::new(PRECISION, LONGEST)?,
            longest: Duration::ZERO,
            log,
            log_error: None,
        })
    }

    pub(super) fn add(&mut self, ended: Ended) {
        self.requests += 1;
        self.attempts += u64::from(ended.attempts);
        let micros = u64::try_from(ended.took.as_micros()).unwrap_or(u64::MAX);
        // Longer than the histogram reaches: `longest` has it.
        let _ = self.latency.increment(micros.min((1 << LONGEST) - 1));
        self.longest = self.longest.max(ended.took);
        let reason = match ended.outcome {
            Ok(()) => {
                self.acknowledged.insert_run(ended.spans);
                None
            }
            Err(refusal) => {
                self.failed_spans += ended.spans.1;
                // One for each code and status: there are not many.
                *self.failures.entry(refusal.reason.clone()).or_default() += 1;
                Some(refusal.reason)
            }
        };
        if let Some(log) = &mut self.log {
            let outcome = reason.as_deref().unwrap_or("ok");
            let (due, attempts) = (ended.due.as_micros(), ended.attempts);
            if let Err(error) = writeln!(log, "{due},{micros},{attempts},{outcome}") {
                self.log_error.get_or_insert(error);
            }
        }
    }

    /// All of it, and which spans were acknowledged.
    pub(super) fn finish(mut self) -> Result<(Totals, IdSet), Error> {
        if let Some(error) = self.log_error.take() {
            return Err(error.into());
        }
        if let Some(log) = &mut self.log {
            log.flush()?;
        }
        let max = self.longest.as_secs_f64() * 1e3;
        let at = |quantile: f64| {
            let bucket = self.latency.quantile_bucket(quantile)?;
            // A bucket's end may be beyond all that is in it.
            Ok::<f64, Error>(bucket.map_or(0.0, |bucket| (bucket.end() as f64 / 1e3).min(max)))
        };
        let totals = Totals {
            requests: self.requests,
            attempts: self.attempts,
            failures: self.failures.clone(),
            acknowledged_spans: self.acknowledged.len(),
            failed_spans: self.failed_spans,
            latency_ms: Latency {
                p50: at(0.5)?,
                p90: at(0.9)?,
                p99: at(0.99)?,
                p999: at(0.999)?,
                max,
            },
        };
        Ok((totals, self.acknowledged))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_ended_is_left_out() {
        let mut tally = Tally::new(None).unwrap();
        for request in 0..1_000_u64 {
            let outcome = if request % 10 == 0 {
                Err(Refusal::timed_out())
            } else {
                Ok(())
            };
            tally.add(Ended {
                spans: (request * 100 + 1, 100),
                due: Duration::ZERO,
                took: Duration::from_millis(request + 1),
                attempts: 2,
                outcome,
            });
        }
        let (totals, acknowledged) = tally.finish().unwrap();
        assert_eq!(
            (totals.requests, totals.attempts, totals.failed()),
            (1_000, 2_000, 100)
        );
        assert_eq!((totals.acknowledged_spans, totals.failed_spans), (90_000, 10_000));
        assert_eq!(
            acknowledged.runs()[0],
            (101, 900),
            "the first and the eleventh failed"
        );
        let latency = totals.latency_ms;
        assert!((495.0..505.0).contains(&latency.p50), "{latency:?}");
        assert!((985.0..1_000.0).contains(&latency.p99), "{latency:?}");
        assert_eq!(latency.max, 1_000.0);
    }
}
