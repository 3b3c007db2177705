//! What was acknowledged against what arrived, while both grow: each tick costs what is new in it.

use super::collectors::COLLECTORS;
use crate::ledger::{IdSet, Run};

/// The comparison so far.
#[derive(Debug, Default)]
pub(super) struct Comparison {
    acknowledged: IdSet,
    arrived: IdSet,
    /// Acknowledged spans that have not arrived.
    pub(super) lost: u64,
    /// Arrivals beyond the first of a span.
    pub(super) duplicates: u64,
    /// Arrivals at each collector, each span as often as it did.
    pub(super) arrivals: [u64; COLLECTORS],
}

/// More spans than can be told apart.
#[derive(Debug, thiserror::Error)]
#[error("these are more spans than can be told apart, over a billion")]
pub(super) struct TooMany;

impl Comparison {
    /// These were acknowledged.
    pub(super) fn acknowledged(&mut self, runs: impl IntoIterator<Item = Run>) -> Result<(), TooMany> {
        for run in runs {
            let added = self.acknowledged.insert_run_beside(run, &self.arrived);
            let (new, there) = added.ok_or(TooMany)?;
            self.lost += new - there;
        }
        Ok(())
    }

    /// These arrived at the collector of this index.
    pub(super) fn arrived(
        &mut self,
        collector: usize,
        runs: impl IntoIterator<Item = Run>,
    ) -> Result<(), TooMany> {
        for run in runs {
            let added = self.arrived.insert_run_beside(run, &self.acknowledged);
            let (new, missed) = added.ok_or(TooMany)?;
            self.lost -= missed;
            self.duplicates += run.1 - new;
            self.arrivals[collector] += run.1;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// In whatever order the two grow, it says what a comparison of the whole would say.
        #[test]
        fn it_comes_to_what_comparing_everything_comes_to(
            steps in vec((0..=COLLECTORS, 1_u64..3_000, 1_u64..200), 0..60),
        ) {
            let mut comparison = Comparison::default();
            let (mut acknowledged, mut arrived, mut arrivals) = (IdSet::default(), IdSet::default(), 0);
            for (whom, first, count) in steps {
                let run = (first, count);
                if whom == COLLECTORS {
                    comparison.acknowledged([run]).unwrap();
                    acknowledged.insert_run(run);
                } else {
                    comparison.arrived(whom, [run]).unwrap();
                    arrived.insert_run(run);
                    arrivals += count;
                }
                prop_assert_eq!(comparison.lost, acknowledged.missing_in(&arrived));
                prop_assert_eq!(comparison.duplicates, arrivals - arrived.len());
                prop_assert_eq!(comparison.arrivals.iter().sum::<u64>(), arrivals);
            }
        }
    }
}
