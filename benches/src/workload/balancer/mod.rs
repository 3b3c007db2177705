//! Scenario `balancer`: a hundred thousand selections, how long each took, and how even they came out.

mod ours;
mod tower_peer;

use std::time::Instant;

use crate::workload::Task;
use crate::{Error, Metrics, Report, quantile};

/// Who can do it. Ours have the names of configuration files.
pub(crate) const CONTENDERS: &[&str] = &[
    "round_robin",
    "weighted_round_robin",
    "random",
    "weighted_random",
    "least_connections",
    "weighted_least_connections",
    "power_of_two",
    "peak_ewma",
    "least_response_time",
    "ring_hash",
    "maglev",
    "rendezvous",
    "bounded_load",
    "dynamic_weights",
    "prequal",
    "tower-p2c",
    "tower-peak-ewma",
];

/// A balancer over a fixed set of backends.
pub(crate) trait Selector {
    /// Selects a backend for a request, and counts it as in flight. Does nothing else, for it is timed.
    fn select(&mut self) -> Result<(), Error>;

    /// Ends the oldest request and says where it was, if there is one.
    fn end_oldest(&mut self) -> Result<Option<usize>, Error>;

    /// What goes on beside selections, not timed.
    fn between(&mut self) -> Result<(), Error> {
        Ok(())
    }

    /// The backends' weights, as far as it knows them.
    fn weights(&self) -> Vec<f64>;
}

/// The contender of that name.
pub(crate) fn selector(name: &str, backends: usize, in_flight: usize) -> Result<Box<dyn Selector>, Error> {
    Ok(match name {
        "tower-p2c" => tower_peer::pending(backends),
        "tower-peak-ewma" => tower_peer::peak_ewma(backends),
        name => ours::named(name, backends, in_flight)?,
    })
}

/// Runs one contender.
pub(super) fn run(task: &Task) -> Result<Report, Error> {
    let selections = task.params.required("selections")?;
    let backends = task.params.required("backends")?;
    let in_flight = task.params.required("in_flight")?;
    let mut selector = selector(&task.contender, backends, in_flight)?;

    let mut counts = vec![0_u64; backends];
    let mut took = Vec::with_capacity(selections);
    // A tenth in advance, to fill caches and to reach the number in flight.
    let warm_up = selections / 10;
    for selection in 0..warm_up + selections {
        let start = Instant::now();
        selector.select()?;
        let nanos = start.elapsed().as_nanos() as f64;
        if selection >= warm_up {
            took.push(nanos);
        }
        if selection >= in_flight
            && let Some(backend) = selector.end_oldest()?
            && selection >= warm_up
        {
            counts[backend] += 1;
        }
        selector.between()?;
    }

    let mut metrics = Metrics::default();
    for (name, q) in [("select_p50", 0.5), ("select_p99", 0.99), ("select_p999", 0.999)] {
        if let Some(nanos) = quantile(&mut took, q) {
            metrics.set(name, nanos);
        }
    }
    metrics.set_distribution("select", &mut took, 1.0);
    let mut empty: Vec<f64> = (0..10_000)
        .map(|_| Instant::now().elapsed().as_nanos() as f64)
        .collect();
    if let Some(nanos) = quantile(&mut empty, 0.5) {
        metrics.set("clock_p50", nanos);
    }
    evenness(&counts, &selector.weights(), &mut metrics);
    let samples = [(task.contender.clone(), metrics)].into();
    Ok(Report {
        samples,
        notes: Vec::new(),
    })
}

fn evenness(counts: &[u64], weights: &[f64], metrics: &mut Metrics) {
    let picks: u64 = counts.iter().sum();
    let total: f64 = weights.iter().sum();
    // 1 is the exact share.
    let parts: Vec<f64> = counts
        .iter()
        .zip(weights)
        .map(|(&count, weight)| count as f64 * total / (weight * picks as f64))
        .collect();
    let squares: f64 = parts.iter().map(|part| (part - 1.0).powi(2)).sum();
    metrics.set("variation", (squares / parts.len() as f64).sqrt() * 100.0);
    let most = parts.iter().copied().fold(0.0, f64::max);
    let least = parts.iter().copied().fold(f64::INFINITY, f64::min);
    // JSON has no infinity; one that got nothing counts as one that got half a request.
    let floor = 0.5 * parts.len() as f64 / picks as f64;
    metrics.set("max_over_min", most / least.max(floor));
    metrics.set("worst_deviation", (most - 1.0).max(1.0 - least) * 100.0);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exact_shares_are_even_whatever_the_weights() {
        let mut metrics = Metrics::default();
        evenness(&[10, 20, 30], &[1.0, 2.0, 3.0], &mut metrics);
        let mut expected = Metrics::default();
        expected.set("variation", 0.0);
        expected.set("max_over_min", 1.0);
        expected.set("worst_deviation", 0.0);
        assert_eq!(metrics, expected);
    }

    #[test]
    fn dynamic_weights_are_measured_past_their_blackout() {
        // The shares of backends of speeds 1 to 5 are far from even: it must have followed.
        let report = run(&Task {
            contender: "dynamic_weights".to_owned(),
            params: "selections=60000,backends=10,in_flight=8".parse().unwrap(),
            server: None,
            evenkeel: None,
        });
        let metrics = &report.unwrap().samples["dynamic_weights"];
        assert!(metrics.value("worst_deviation").unwrap() < 5.0);
    }

    #[test]
    fn every_contender_selects_what_it_is_asked_to() {
        for name in CONTENDERS {
            let report = run(&Task {
                contender: (*name).to_owned(),
                params: "selections=400,backends=10,in_flight=8".parse().unwrap(),
                server: None,
                evenkeel: None,
            });
            assert!(report.unwrap().samples.contains_key(*name), "{name}");
        }
    }
}
