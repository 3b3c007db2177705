//! What all cases amount to together.

use std::time::Duration;

use super::case::Told;
use super::figures::trouble;
use crate::Metrics;

/// Sums over the cases.
#[derive(Debug, Default)]
pub(super) struct Overall {
    cases: u32,
    failed: usize,
    trouble: Duration,
}

impl Overall {
    pub(super) fn add(&mut self, told: &Told) {
        self.cases += 1;
        self.failed += told
            .requests
            .iter()
            .filter(|request| request.by.is_none())
            .count();
        self.trouble += trouble(told);
    }

    pub(super) fn note(&self, metrics: &mut Metrics) {
        let trouble = self.trouble.as_secs_f64() * 1e3;
        metrics.set("failed", self.failed as f64);
        metrics.set("trouble", trouble / f64::from(self.cases.max(1)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::failover::case::Fault;
    use crate::workload::failover::load::Request;

    #[test]
    fn failures_are_summed_and_trouble_is_averaged() {
        let told = |last_failure| Told {
            requests: (0..30)
                .map(|second| Request {
                    sent: Duration::from_secs(second),
                    took: Duration::from_millis(1),
                    by: (!(10..=last_failure).contains(&second)).then_some(1),
                })
                .collect(),
            faults: vec![Fault {
                backend: 0,
                from: Duration::from_secs(10),
                to: Duration::from_secs(20),
                received: None,
            }],
            length: Duration::from_secs(30),
            attempts: None,
        };
        let mut overall = Overall::default();
        overall.add(&told(10));
        overall.add(&told(14));
        let mut metrics = Metrics::default();
        overall.note(&mut metrics);
        assert_eq!(metrics.value("failed"), Some(6.0));
        assert_eq!(metrics.value("trouble"), Some(2_000.0));
    }
}
