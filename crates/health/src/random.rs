//! Random words: a sequence for types that draw seldom, and arithmetic on words that are handed in.

use std::hash::{BuildHasher, RandomState};

/// The next word of a `SplitMix64` sequence (Steele, Lea, Flood, "Fast splittable pseudorandom number
/// generators", OOPSLA 2014).
pub(crate) const fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let word = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

/// A word that differs from call to call and from process to process: std's hash keys are random.
pub(crate) fn seed() -> u64 {
    RandomState::new().hash_one(0_u64)
}

/// A uniform word as a fraction in [0, 1).
#[inline]
pub(crate) fn unit(word: u64) -> f64 {
    // 53 bits are what a double holds.
    (word >> 11) as f64 / (1_u64 << 53) as f64
}

#[cfg(test)]
#[cfg(not(evenkeel_loom))]
mod tests {
    use super::*;

    #[test]
    fn a_fraction_never_reaches_one() {
        assert_eq!(unit(0), 0.0);
        assert!(unit(u64::MAX) < 1.0);
    }

    #[test]
    fn two_seeds_differ_so_that_clients_do_not_come_back_together() {
        assert_ne!(seed(), seed());
    }
}
