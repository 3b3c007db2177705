//! How snapshots are written down (feature `serde`): only what is not zero.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::{Failure, FailureCountsSnapshot, FailureKind, HistogramSnapshot, Phase, Precision};

#[derive(Serialize, Deserialize)]
struct HistogramData {
    precision: Precision,
    min_nanos: u64,
    max_nanos: u64,
    /// Index and count.
    buckets: Vec<(usize, u64)>,
}

impl Serialize for HistogramSnapshot {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (min_nanos, max_nanos) = if self.is_empty() { (0, 0) } else { self.extremes() };
        let buckets = self.occupied().collect();
        HistogramData {
            precision: self.precision(),
            min_nanos,
            max_nanos,
            buckets,
        }
        .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for HistogramSnapshot {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let data = HistogramData::deserialize(deserializer)?;
        let mut snapshot = Self::new(data.precision);
        let mut missing = None;
        snapshot.fill(
            |buckets| {
                for (index, count) in data.buckets {
                    match buckets.as_mut_slice().get_mut(index) {
                        Some(bucket) => *bucket = count,
                        None => missing = Some(index),
                    }
                }
            },
            || (data.min_nanos, data.max_nanos),
        );
        match missing {
            Some(index) => Err(de::Error::custom(format_args!("there is no bucket {index}"))),
            None => Ok(snapshot),
        }
    }
}

#[derive(Serialize, Deserialize)]
struct FailureData {
    phase: Phase,
    kind: FailureKind,
    count: u64,
}

impl Serialize for FailureCountsSnapshot {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter().map(|(Failure { phase, kind }, count)| FailureData {
            phase,
            kind,
            count,
        }))
    }
}

impl<'de> Deserialize<'de> for FailureCountsSnapshot {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let failures = Vec::<FailureData>::deserialize(deserializer)?;
        let failures = failures.into_iter();
        Ok(failures
            .map(|FailureData { phase, kind, count }| (Failure { phase, kind }, count))
            .collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{FailureCounts, Histogram};

    #[test]
    fn a_histogram_comes_back_as_it_was() {
        let histogram = Histogram::new(Precision::Compact);
        assert_eq!(round_trip(&histogram.snapshot()), histogram.snapshot());
        for nanos in [0, 3, 3, 70_001, u64::MAX] {
            histogram.record(nanos);
        }
        assert_eq!(round_trip(&histogram.snapshot()), histogram.snapshot());
    }

    #[test]
    fn buckets_that_are_not_there_are_refused() {
        let text = r#"{"precision":"compact","min_nanos":0,"max_nanos":0,"buckets":[[99999,1]]}"#;
        let error = serde_json::from_str::<HistogramSnapshot>(text).unwrap_err();
        assert!(error.to_string().contains("no bucket 99999"), "{error}");
    }

    #[test]
    fn extremes_that_contradict_the_buckets_do_no_harm() {
        let text = r#"{"precision":"compact","min_nanos":999,"max_nanos":5,"buckets":[[7,1]]}"#;
        let snapshot = serde_json::from_str::<HistogramSnapshot>(text).unwrap();
        assert_eq!(snapshot.extremes(), (7, 7));
    }

    #[test]
    fn failures_come_back_as_they_were() {
        let failures = FailureCounts::new();
        for phase in Phase::ALL {
            failures.record(Failure {
                phase,
                kind: FailureKind::Timeout,
            });
            failures.record(Failure {
                phase,
                kind: FailureKind::Other,
            });
            failures.record(Failure {
                phase,
                kind: FailureKind::Other,
            });
        }
        assert_eq!(round_trip(&failures.snapshot()), failures.snapshot());
        assert_eq!(
            serde_json::to_string(&FailureCounts::new().snapshot()).unwrap(),
            "[]",
            "what did not happen is not written"
        );
    }

    fn round_trip<T: Serialize + de::DeserializeOwned>(value: &T) -> T {
        serde_json::from_str(&serde_json::to_string(value).unwrap()).unwrap()
    }
}
