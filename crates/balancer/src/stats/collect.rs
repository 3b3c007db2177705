//! Reading the statistics.

use evenkeel_health::OperatorWord;
use evenkeel_stats::{HistogramSnapshot, Readiness, Timestamp};

use super::{BackendStats, LoadBalancerStats, RequestStats, Series};
use crate::LoadBalancer;
use crate::backend::Backend;
use crate::shared::Shared;
use crate::vitals::{Counts, Vitals};

impl<B> LoadBalancer<B> {
    /// What there is to show: the whole, and each backend.
    #[must_use]
    pub fn stats(&self) -> LoadBalancerStats {
        self.shared.stats()
    }
}

impl<B> Shared<B> {
    fn stats(&self) -> LoadBalancerStats {
        let now = self.clock.now();
        let registry = self.registry.lock();
        let (members, leaving) = (registry.members.clone(), registry.leaving());
        drop(registry);
        // After those who leave were taken hold of: whoever is not among them has left what it counted.
        let mut retired = self.retired.lock().clone();
        for gone in &leaving {
            retired.take(&gone.vitals);
        }
        let (mut all, mut latency) = (retired.requests, retired.latency);
        let (mut retries, mut hedges) = (retired.retries, retired.hedges);
        let series = self.series.lock();
        let mut backends = Vec::with_capacity(members.len());
        for member in &members {
            let (stats, of_member) = backend_stats(member, &series, now);
            add(&mut all, &stats.requests);
            // The precisions are the same.
            let _ = latency.merge(&of_member);
            retries += stats.retries;
            hedges += stats.hedges;
            backends.push(stats);
        }
        let windows = series.whole();
        drop(series);
        all.latency = latency.summary();
        let sum: u64 = backends.iter().map(|backend| backend.requests.requests).sum();
        for backend in &mut backends {
            backend.share = backend.requests.requests as f64 / sum.max(1) as f64;
        }
        let load = |count: &std::sync::atomic::AtomicU64| count.load(std::sync::atomic::Ordering::Relaxed);
        LoadBalancerStats {
            at: now,
            requests: all,
            calls: self.totals.calls.value(),
            retries,
            hedges,
            hedges_won: load(&self.totals.hedges_won),
            refused_by_budget: self.budget.refused(),
            failovers: load(&self.totals.failovers),
            in_panic: self.snapshot.load().panic,
            panics: load(&self.totals.panics),
            sessions: self.sessions.as_ref().map_or(0, crate::sessions::Sessions::len),
            sessions_evicted: self
                .sessions
                .as_ref()
                .map_or(0, crate::sessions::Sessions::evicted),
            windows,
            backends,
        }
    }
}

fn backend_stats<B>(
    backend: &Backend<B>,
    series: &Series,
    now: Timestamp,
) -> (BackendStats, HistogramSnapshot) {
    let vitals = &backend.vitals;
    let cell = vitals.cell();
    let counts = vitals.tally().counts();
    let latency = vitals.tally().latency().snapshot();
    let report = vitals.tracker().report();
    let times = vitals.tracker().stats(now);
    let stats = BackendStats {
        id: vitals.id().clone(),
        weight: vitals.member().weight(),
        enabled: vitals.operator() == OperatorWord::Auto,
        readiness: report.readiness,
        reason: report.reason,
        check_error: report.error,
        requests: requests(vitals, &counts, &latency),
        share: 0.0,
        latency_average: cell.latency(now),
        retries: counts.retries,
        hedges: counts.hedges,
        overtaken: counts.overtaken,
        breaker: vitals.breaker().stats(),
        time_in: Readiness::ALL.map(|readiness| times.time_in(readiness)),
        entered: Readiness::ALL.map(|readiness| times.entered(readiness)),
        ejections: times.entered(Readiness::Ejected),
        last_divert: vitals.diverts().last(),
        longest_divert: vitals.diverts().longest(),
        windows: series.of(backend.serial),
    };
    (stats, latency)
}

/// How the requests of one backend went.
pub(super) fn requests(vitals: &Vitals, counts: &Counts, latency: &HistogramSnapshot) -> RequestStats {
    let successes = latency.count();
    let failures = counts.failures.total() + counts.unclassified;
    let in_flight = u64::from(vitals.cell().in_flight());
    RequestStats {
        requests: successes + failures + counts.overloads + counts.cancelled + in_flight,
        successes,
        failures,
        overloads: counts.overloads,
        cancelled: counts.cancelled,
        in_flight,
        failures_by_class: counts.failures,
        latency: latency.summary(),
    }
}

/// Adds one backend's to the sum, all but the latency.
pub(super) fn add(sum: &mut RequestStats, one: &RequestStats) {
    sum.requests += one.requests;
    sum.successes += one.successes;
    sum.failures += one.failures;
    sum.overloads += one.overloads;
    sum.cancelled += one.cancelled;
    sum.in_flight += one.in_flight;
    sum.failures_by_class = sum.failures_by_class.merge(&one.failures_by_class);
}
