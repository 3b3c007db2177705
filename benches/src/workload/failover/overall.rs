//! What all cases amount to together: the figures that the report's claims are about.

use std::time::Duration;

use super::backends::BACKENDS;
use super::case::Told;
use super::figures::trouble;
use crate::Metrics;

/// Sums over the cases.
#[derive(Debug, Default)]
pub(super) struct Overall {
    cases: u32,
    /// Requests sent while a backend was sick.
    exposed: u64,
    failed: u64,
    /// Attempts that failed.
    errors: u64,
    trouble: Duration,
}

impl Overall {
    pub(super) fn add(&mut self, told: &Told) {
        let exposed = |sent| {
            told.faults
                .iter()
                .any(|fault| (fault.from..fault.to).contains(&sent))
        };
        let failed = told
            .requests
            .iter()
            .filter(|request| request.by.is_none())
            .count() as u64;
        self.cases += 1;
        self.exposed += told
            .requests
            .iter()
            .filter(|request| exposed(request.sent))
            .count() as u64;
        self.failed += failed;
        self.errors += told.errors.unwrap_or(failed);
        self.trouble += trouble(told);
    }

    pub(super) fn note(&self, metrics: &mut Metrics) {
        for (name, figure) in self.figures() {
            metrics.set(name, figure);
        }
    }

    fn figures(&self) -> Vec<(&'static str, f64)> {
        let failed = self.failed as f64;
        // Without failover, the sick one's share of the requests would be lost.
        let share = (self.exposed as f64 / BACKENDS as f64).max(1.0);
        let trouble = self.trouble.as_secs_f64() * 1e3;
        let mut figures = vec![
            ("failed", failed),
            ("trouble", trouble / f64::from(self.cases.max(1))),
            ("saved", 100.0 * (1.0 - failed / share).max(0.0)),
        ];
        if self.errors > 0 {
            let lost = failed / self.errors as f64;
            figures.push(("recovered", 100.0 * (1.0 - lost).max(0.0)));
        }
        figures
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::failover::case::Fault;
    use crate::workload::failover::load::Request;

    #[test]
    fn of_what_the_sick_one_would_have_had_what_did_not_fail_is_saved() {
        let at = |millis, by| Request {
            sent: Duration::from_millis(millis),
            took: Duration::from_millis(1),
            by,
        };
        let fault = Fault {
            backend: 0,
            from: Duration::from_millis(10),
            to: Duration::from_millis(20),
            received: None,
        };
        let mut requests: Vec<_> = (10..19).map(|millis| at(millis, Some(1))).collect();
        requests.push(at(19, None));
        requests.extend([at(1, Some(0)), at(30, Some(0))]);
        let mut overall = Overall::default();
        overall.add(&Told {
            requests,
            faults: vec![fault],
            length: Duration::from_millis(40),
            attempts: None,
            errors: Some(4),
        });
        // Ten were sent meanwhile, so a third of them was at stake.
        let expected = [
            ("failed", 1.0),
            ("trouble", 9.0),
            ("saved", 70.0),
            ("recovered", 75.0),
        ];
        for ((name, figure), (expected_name, expected)) in overall.figures().into_iter().zip(expected) {
            assert_eq!(name, expected_name);
            assert!((figure - expected).abs() < 1e-9, "{name}: {figure}");
        }
    }
}
