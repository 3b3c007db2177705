//! Scenario `stats`: a request counted and its latency recorded, on threads that share the recorder.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::sync::Barrier;
use std::time::{Duration, Instant};

use evenkeel_stats::{Counter, Histogram, Precision};
use metrics::{Key, Level, Metadata, Recorder as _};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusRecorder};
use parking_lot::Mutex;
use prometheus_client::metrics::counter::Counter as PrometheusCounter;
use prometheus_client::metrics::histogram::Histogram as PrometheusHistogram;

use crate::workload::Task;
use crate::{Error, Metrics, Report, median};

pub(super) const CONTENDERS: &[&str] = &[
    "evenkeel",
    "evenkeel-counter-apart",
    "prometheus-client",
    "metrics",
    "naive",
];

/// How many threads share a recorder, and the metric of it.
const THREADS: [(usize, &str); 3] = [(1, "record_1"), (2, "record_2"), (4, "record_4")];

/// The buckets that prometheus-client's documentation proposes for requests, in seconds.
const BUCKETS: [f64; 11] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// Counts requests and records their latencies.
trait Record: Sync {
    fn record(&self, nanos: u64);

    /// What it does only now and then; not timed.
    fn upkeep(&self) {}
}

impl Record for Histogram {
    fn record(&self, nanos: u64) {
        self.record(nanos);
    }
}

struct Apart(Counter, Histogram);

impl Record for Apart {
    fn record(&self, nanos: u64) {
        self.0.increment();
        self.1.record(nanos);
    }
}

struct Prometheus(PrometheusCounter, PrometheusHistogram);

impl Record for Prometheus {
    fn record(&self, nanos: u64) {
        self.0.inc();
        self.1.observe(nanos as f64 * 1e-9);
    }
}

struct MetricsFacade {
    counter: metrics::Counter,
    histogram: metrics::Histogram,
    recorder: PrometheusRecorder,
}

impl MetricsFacade {
    fn new() -> Self {
        const METADATA: Metadata<'static> = Metadata::new("stats", Level::INFO, None);
        let recorder = PrometheusBuilder::new().build_recorder();
        Self {
            counter: recorder.register_counter(&Key::from_static_name("requests"), &METADATA),
            histogram: recorder.register_histogram(&Key::from_static_name("latency"), &METADATA),
            recorder,
        }
    }
}

impl Record for MetricsFacade {
    fn record(&self, nanos: u64) {
        self.counter.increment(1);
        self.histogram.record(nanos as f64 * 1e-9);
    }

    fn upkeep(&self) {
        self.recorder.handle().run_upkeep();
    }
}

struct Locked(Mutex<(u64, hdrhistogram::Histogram<u64>)>);

impl Record for Locked {
    fn record(&self, nanos: u64) {
        let mut state = self.0.lock();
        state.0 += 1;
        state.1.saturating_record(nanos);
    }
}

fn named(name: &str) -> Result<Box<dyn Record>, Error> {
    Ok(match name {
        "evenkeel" => Box::new(Histogram::new(Precision::Fine)),
        "evenkeel-counter-apart" => Box::new(Apart(Counter::new(), Histogram::new(Precision::Fine))),
        "prometheus-client" => Box::new(Prometheus(
            PrometheusCounter::default(),
            PrometheusHistogram::new(BUCKETS),
        )),
        "metrics" => Box::new(MetricsFacade::new()),
        "naive" => {
            let histogram = hdrhistogram::Histogram::new_with_bounds(1, Histogram::MAX_NANOS, 2);
            let histogram = histogram.map_err(|e| Error::contender("hdrhistogram", e))?;
            Box::new(Locked(Mutex::new((0, histogram))))
        }
        other => return Err(Error::unknown("contender", other, CONTENDERS.iter().copied())),
    })
}

/// Latencies with a long tail: from 1 ms, each doubling half as likely as the one before.
fn latencies() -> Vec<u64> {
    let scaled = || {
        let scale = 1_000_000 << (fastrand::u64(..) | 1 << 10).trailing_zeros();
        scale + fastrand::u64(..scale)
    };
    (0..4096).map(|_| scaled()).collect()
}

/// Runs all contenders of the task.
pub(super) fn run(task: &Task) -> Result<Report, Error> {
    let slices = task.params.required("slices")?;
    let records = task.params.required("records")?;
    let names: Vec<&str> = task.contender.split(',').collect();
    let latencies = latencies();
    let mut samples: BTreeMap<String, Metrics> = BTreeMap::new();
    for (threads, metric) in THREADS {
        let contenders = names
            .iter()
            .map(|name| named(name))
            .collect::<Result<Vec<_>, _>>()?;
        let mut times = vec![Vec::with_capacity(slices); names.len()];
        // The first is for warming up.
        for slice in 0..=slices {
            for turn in 0..names.len() {
                let at = (slice + turn) % names.len();
                let took = slowest(&*contenders[at], threads, records, &latencies)?;
                contenders[at].upkeep();
                if slice > 0 {
                    times[at].push(took.as_nanos() as f64 / records.max(1) as f64);
                }
            }
        }
        for (name, times) in names.iter().zip(&mut times) {
            if let Some(nanos) = median(times) {
                samples.entry((*name).to_owned()).or_default().set(metric, nanos);
            }
        }
    }
    Ok(Report {
        samples,
        notes: Vec::new(),
    })
}

/// Threads released together, each recording so often: the time of the slowest.
fn slowest(
    recorder: &dyn Record,
    threads: usize,
    records: usize,
    latencies: &[u64],
) -> Result<Duration, Error> {
    let meet = &Barrier::new(threads);
    let work = move |offset: usize| {
        meet.wait();
        let start = Instant::now();
        for nanos in latencies.iter().cycle().skip(offset).take(records) {
            black_box(recorder).record(*nanos);
        }
        start.elapsed()
    };
    std::thread::scope(|scope| {
        let running: Vec<_> = (0..threads)
            .map(|thread| scope.spawn(move || work(thread * 1021)))
            .collect();
        let took = running.into_iter().map(std::thread::ScopedJoinHandle::join);
        took.map(|took| took.map_err(|_| Error::Contender("a thread panicked".to_owned())))
            .try_fold(Duration::ZERO, |most, took| Ok(most.max(took?)))
    })
}
