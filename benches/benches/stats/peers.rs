//! The peers, set up as their documentation says.

use evenkeel_stats::Histogram;
use metrics::{Key, Level, Metadata, Recorder};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle, PrometheusRecorder};
use prometheus_client::metrics::counter::Counter as PrometheusCounter;
use prometheus_client::metrics::histogram::Histogram as PrometheusHistogram;

/// `prometheus-client`: a counter and a histogram of its own.
pub(crate) struct Prometheus {
    pub(crate) counter: PrometheusCounter,
    pub(crate) histogram: PrometheusHistogram,
}

impl Prometheus {
    /// The buckets its documentation proposes for requests, in seconds.
    const BUCKETS: [f64; 11] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

    pub(crate) fn new() -> Self {
        Self {
            counter: PrometheusCounter::default(),
            histogram: PrometheusHistogram::new(Self::BUCKETS),
        }
    }

    #[inline]
    pub(crate) fn count_and_record(&self, nanos: u64) {
        self.counter.inc();
        self.histogram.observe(seconds(nanos));
    }
}

/// `metrics` with the recorder of its Prometheus exporter, through cached handles.
pub(crate) struct Metrics {
    pub(crate) exporter: PrometheusHandle,
    counter: metrics::Counter,
    histogram: metrics::Histogram,
    _recorder: PrometheusRecorder,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        const METADATA: Metadata<'static> = Metadata::new("stats", Level::INFO, None);
        let recorder = PrometheusBuilder::new().build_recorder();
        Self {
            exporter: recorder.handle(),
            counter: recorder.register_counter(&Key::from_static_name("requests"), &METADATA),
            histogram: recorder.register_histogram(&Key::from_static_name("latency"), &METADATA),
            _recorder: recorder,
        }
    }

    #[inline]
    pub(crate) fn count_and_record(&self, nanos: u64) {
        self.counter.increment(1);
        self.histogram.record(seconds(nanos));
    }
}

/// `hdrhistogram` of our range and about our precision (two digits).
#[expect(clippy::expect_used, reason = "the bounds are constants")]
pub(crate) fn hdr() -> hdrhistogram::Histogram<u64> {
    hdrhistogram::Histogram::new_with_bounds(1, Histogram::MAX_NANOS, 2).expect("valid bounds")
}

#[inline]
fn seconds(nanos: u64) -> f64 {
    nanos as f64 * 1e-9
}
