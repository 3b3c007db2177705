//! How finely a histogram tells values apart, and where its buckets lie.

use std::ops::RangeInclusive;

use histogram::Config;

/// The largest value a bucket holds is 2^40 - 1 ns; see [`Histogram::MAX_NANOS`](crate::Histogram).
const MAX_POWER: u8 = 40;

pub(crate) const MAX_NANOS: u64 = (1 << MAX_POWER) - 1;

/// How finely a histogram tells values apart: error against memory.
///
/// The buckets are log-linear (H2, the arrangement of `HdrHistogram` and of the `histogram` crate): every
/// power of two is cut into the same number of equal buckets, so the error is relative to the value
/// and memory does not depend on what is recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "snake_case")
)]
#[non_exhaustive]
pub enum Precision {
    /// 128 buckets to a power of two: 0.78 % error, 34 KiB. For what a process has few of.
    ///
    /// The default, because a percentile should be trusted before memory is saved.
    #[default]
    Fine,
    /// 32 buckets to a power of two: 3.1 % error, 9 KiB. For one histogram per backend or connection.
    Compact,
}

impl Precision {
    const FINE: Config = config(7);
    const COMPACT: Config = config(5);

    /// The width of a bucket relative to the values in it, at most: 1/128 or 1/32.
    #[must_use]
    pub const fn relative_error(self) -> f64 {
        1.0 / (1_u64 << self.grouping_power()) as f64
    }

    /// What the buckets take, in bytes: 34 816 or 9 216, whatever is recorded.
    #[must_use]
    pub const fn memory_bytes(self) -> usize {
        self.config().total_buckets() * size_of::<u64>()
    }

    pub(crate) const fn config(self) -> Config {
        match self {
            Self::Fine => Self::FINE,
            Self::Compact => Self::COMPACT,
        }
    }

    /// How many buckets in a row are equally wide.
    pub(crate) const fn block(self) -> usize {
        1 << self.grouping_power()
    }

    const fn grouping_power(self) -> u8 {
        self.config().grouping_power()
    }

    /// The values that fall into bucket `index`.
    ///
    /// The `histogram` crate gives ranges only by walking every bucket; percentiles need a handful.
    #[inline]
    pub(crate) const fn range(self, index: usize) -> RangeInclusive<u64> {
        let power = self.grouping_power();
        let index = index as u64;
        let block = index >> power;
        if block == 0 {
            return index..=index;
        }
        let shift = block - 1;
        let low = ((1 << power) + (index & ((1 << power) - 1))) << shift;
        low..=low + (1 << shift) - 1
    }
}

const fn config(grouping_power: u8) -> Config {
    match Config::new(grouping_power, MAX_POWER) {
        Ok(config) => config,
        #[expect(
            clippy::panic,
            reason = "run by the compiler: a wrong constant fails the build"
        )]
        Err(_) => panic!("a grouping power below the largest power is valid"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_agree_with_the_histogram_crate_for_every_bucket() {
        for precision in [Precision::Fine, Precision::Compact] {
            let histogram = histogram::Histogram::with_config(&precision.config());
            for (index, bucket) in histogram.iter().enumerate() {
                assert_eq!(precision.range(index), bucket.range(), "{precision:?} {index}");
            }
        }
    }

    #[test]
    fn memory_is_what_the_docs_state() {
        assert_eq!(Precision::Fine.memory_bytes(), 34 * 1024);
        assert_eq!(Precision::Compact.memory_bytes(), 9 * 1024);
    }

    #[test]
    fn no_bucket_is_wider_than_the_stated_error() {
        for precision in [Precision::Fine, Precision::Compact] {
            for index in 0..precision.config().total_buckets() {
                let range = precision.range(index);
                let width = (range.end() - range.start()) as f64;
                assert!(width <= *range.start() as f64 * precision.relative_error());
            }
        }
    }
}
