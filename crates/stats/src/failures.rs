//! Failures counted by where and how they happened.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::{Failure, FailureKind, Phase};

const PHASES: usize = Phase::ALL.len();
const KINDS: usize = FailureKind::ALL.len();

/// Counts of failures by [`Phase`] and [`FailureKind`].
///
/// The labels are fixed, so memory is too: one number for each pair, 480 bytes, and no look-up when
/// one is counted. Not padded: failures are rare, or nothing is fast any more.
///
/// ```
/// use evenkeel_stats::{Failure, FailureCounts, FailureKind, Phase};
///
/// let failures = FailureCounts::new();
/// failures.record(Failure { phase: Phase::Connect, kind: FailureKind::Refused });
/// for (failure, count) in failures.snapshot().iter() {
///     assert_eq!((failure.phase.as_str(), failure.kind.as_str(), count), ("connect", "refused", 1));
/// }
/// ```
pub struct FailureCounts([[AtomicU64; KINDS]; PHASES]);

impl FailureCounts {
    /// Nothing has failed.
    #[must_use]
    pub const fn new() -> Self {
        Self([const { [const { AtomicU64::new(0) }; KINDS] }; PHASES])
    }

    /// Counts one failure.
    #[inline]
    pub fn record(&self, failure: Failure) {
        self.0[failure.phase as usize][failure.kind as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// How often this one has happened.
    #[must_use]
    pub fn count(&self, failure: Failure) -> u64 {
        self.0[failure.phase as usize][failure.kind as usize].load(Ordering::Relaxed)
    }

    /// All failures together.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.snapshot().total()
    }

    /// The counts as they are now. Each is read on its own, so failures that happen meanwhile may be
    /// in or not.
    #[must_use]
    pub fn snapshot(&self) -> FailureCountsSnapshot {
        FailureCountsSnapshot(
            self.0
                .each_ref()
                .map(|kinds| kinds.each_ref().map(|count| count.load(Ordering::Relaxed))),
        )
    }
}

impl Default for FailureCounts {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for FailureCounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.snapshot().fmt_as(f, "FailureCounts")
    }
}

/// [`FailureCounts`] at one moment.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct FailureCountsSnapshot([[u64; KINDS]; PHASES]);

impl FailureCountsSnapshot {
    /// How often this one had happened.
    #[must_use]
    pub fn count(&self, failure: Failure) -> u64 {
        self.0[failure.phase as usize][failure.kind as usize]
    }

    /// All failures together.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.0
            .as_flattened()
            .iter()
            .fold(0, |sum, count| sum.saturating_add(*count))
    }

    /// The failures that had happened at least once, in the order of the phases and then of the kinds.
    pub fn iter(&self) -> impl Iterator<Item = (Failure, u64)> + '_ {
        Phase::ALL
            .into_iter()
            .flat_map(|phase| {
                FailureKind::ALL
                    .into_iter()
                    .map(move |kind| Failure { phase, kind })
            })
            .map(|failure| (failure, self.count(failure)))
            .filter(|(_, count)| *count > 0)
    }

    /// What happened after `earlier` was taken: each count less the earlier one, never below zero.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        self.zip(earlier, u64::saturating_sub)
    }

    /// Both together, as for the sum over several backends.
    #[must_use]
    pub fn merge(&self, other: &Self) -> Self {
        self.zip(other, u64::saturating_add)
    }

    fn zip(&self, other: &Self, of: impl Fn(u64, u64) -> u64) -> Self {
        let mut counts = *self;
        for (count, other) in counts.0.as_flattened_mut().iter_mut().zip(other.0.as_flattened()) {
            *count = of(*count, *other);
        }
        counts
    }

    fn fmt_as(&self, f: &mut fmt::Formatter<'_>, name: &str) -> fmt::Result {
        let mut out = f.debug_struct(name);
        for (failure, count) in self.iter() {
            out.field(&format!("{}/{}", failure.phase, failure.kind), &count);
        }
        out.finish()
    }
}

impl FromIterator<(Failure, u64)> for FailureCountsSnapshot {
    /// Counts of the same failure are added up.
    fn from_iter<I: IntoIterator<Item = (Failure, u64)>>(counts: I) -> Self {
        let mut snapshot = Self::default();
        for (failure, count) in counts {
            let sum = &mut snapshot.0[failure.phase as usize][failure.kind as usize];
            *sum = sum.saturating_add(count);
        }
        snapshot
    }
}

impl fmt::Debug for FailureCountsSnapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.fmt_as(f, "FailureCountsSnapshot")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn every_failure() -> impl Iterator<Item = Failure> {
        Phase::ALL.into_iter().flat_map(|phase| {
            FailureKind::ALL
                .into_iter()
                .map(move |kind| Failure { phase, kind })
        })
    }

    #[test]
    fn each_pair_has_a_count_of_its_own() {
        let failures = FailureCounts::new();
        for (i, failure) in every_failure().enumerate() {
            for _ in 0..=i {
                failures.record(failure);
            }
        }
        for (i, failure) in every_failure().enumerate() {
            assert_eq!(failures.count(failure), i as u64 + 1, "{failure:?}");
        }
        assert_eq!(failures.snapshot().iter().count(), 60);
        assert_eq!(failures.total(), (1..=60).sum::<u64>());
    }

    #[test]
    fn a_snapshot_lists_only_what_happened() {
        let failures = FailureCounts::new();
        let reset = Failure {
            phase: Phase::Read,
            kind: FailureKind::Reset,
        };
        failures.record(reset);
        assert_eq!(failures.snapshot().iter().collect::<Vec<_>>(), [(reset, 1)]);
        assert_eq!(format!("{failures:?}"), "FailureCounts { read/reset: 1 }");
    }

    #[test]
    fn the_difference_and_the_sum_are_taken_pair_by_pair() {
        let failures = FailureCounts::new();
        let timeout = Failure {
            phase: Phase::Connect,
            kind: FailureKind::Timeout,
        };
        failures.record(timeout);
        let earlier = failures.snapshot();
        failures.record(timeout);
        failures.record(timeout);
        let later = failures.snapshot();
        assert_eq!(later.since(&earlier).count(timeout), 2);
        assert_eq!(earlier.since(&later).total(), 0);
        assert_eq!(later.merge(&earlier).total(), 4);
    }
}
