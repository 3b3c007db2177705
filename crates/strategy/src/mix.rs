//! Arithmetic on random words.

/// The finaliser of `SplitMix64` (Steele, Lea, Flood, "Fast splittable pseudorandom number
/// generators", OOPSLA 2014): every input bit reaches every output bit.
#[must_use]
#[inline]
pub(crate) const fn mix(word: u64) -> u64 {
    let word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

/// The `k`-th word derived from `word`; `k` = 0 gives another word than `word` itself.
#[must_use]
#[inline]
pub(crate) const fn derive(word: u64, k: u64) -> u64 {
    mix(word.wrapping_add(k.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15)))
}

/// A number below `n` from a uniform word, and the rest of the word as a fraction of 2^64.
///
/// Multiply and shift (Lemire, "Fast random integer generation in an interval", 2019) without the
/// rejection: the error is below n / 2^64.
#[must_use]
#[inline]
pub(crate) const fn below(word: u64, n: usize) -> (usize, u64) {
    let product = word as u128 * n as u128;
    ((product >> 64) as usize, product as u64)
}

/// A uniform word as a fraction in (0, 1], never zero, so that its logarithm is finite.
#[must_use]
#[inline]
pub(crate) fn unit(word: u64) -> f64 {
    // 53 bits are what a double holds.
    ((word >> 11) + 1) as f64 / (1_u64 << 53) as f64
}

#[cfg(test)]
#[cfg(not(evenkeel_loom))]
mod tests {
    use super::*;

    #[test]
    fn the_ends_of_the_word_stay_inside_the_range() {
        assert_eq!(below(0, 7).0, 0);
        assert_eq!(below(u64::MAX, 7).0, 6);
        assert_eq!(below(u64::MAX, usize::MAX).0, usize::MAX - 1);
    }

    #[test]
    fn a_unit_fraction_is_never_zero() {
        assert!(unit(0) > 0.0);
        assert!(unit(u64::MAX) <= 1.0);
    }
}
