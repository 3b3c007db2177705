//! Drawing by weight in constant time.

use crate::mix::below;

/// Walker's alias method, built as Vose does (M. D. Vose, "A linear algorithm for generating random
/// numbers with a given distribution", IEEE TSE 1991), in integers.
///
/// O(n) to build, O(1) to draw. Probabilities are exact to 2^-64 of the column's height.
#[derive(Clone, Debug)]
pub(crate) struct AliasTable {
    columns: Box<[Column]>,
}

#[derive(Clone, Copy, Debug)]
struct Column {
    /// Fractions below this are the column's own.
    threshold: u64,
    alias: u32,
}

impl AliasTable {
    /// A table over these weights; draws are indices into it. Weights that are all zero are drawn
    /// uniformly, and an empty table draws 0.
    pub(crate) fn new(weights: &[u64]) -> Self {
        let count = weights.len() as u128;
        let total: u128 = weights.iter().map(|&weight| u128::from(weight)).sum();
        let mut columns: Box<[Column]> = (0..weights.len() as u32)
            .map(|index| Column {
                threshold: u64::MAX,
                alias: index,
            })
            .collect();
        if total == 0 {
            return Self { columns };
        }
        // Each weight times the number of columns, so that a full column is `total`.
        let mut heights: Vec<u128> = weights.iter().map(|&weight| u128::from(weight) * count).collect();
        let (mut small, mut large): (Vec<u32>, Vec<u32>) =
            (0..weights.len() as u32).partition(|&index| heights[index as usize] < total);
        while let (Some(&from), Some(to)) = (large.last(), small.pop()) {
            let height = heights[to as usize];
            columns[to as usize] = Column {
                threshold: fraction(height, total),
                alias: from,
            };
            let rest = heights[from as usize] - (total - height);
            heights[from as usize] = rest;
            if rest < total {
                large.pop();
                small.push(from);
            }
        }
        Self { columns }
    }

    /// The index that a uniform word draws.
    #[inline]
    pub(crate) fn draw(&self, word: u64) -> usize {
        let (index, rest) = below(word, self.columns.len());
        match self.columns.get(index) {
            Some(column) if rest >= column.threshold => column.alias as usize,
            _ => index,
        }
    }
}

/// `part` / `whole` in units of 2^-64; `part` is less than `whole`, and both are below 2^96.
fn fraction(part: u128, whole: u128) -> u64 {
    // Long division in two steps of 32 bits, because part * 2^64 need not fit.
    let high = (part << 32) / whole;
    let low = (((part << 32) % whole) << 32) / whole;
    ((high << 32) | low) as u64
}

#[cfg(test)]
#[cfg(not(evenkeel_loom))]
mod tests {
    use super::*;
    use crate::mix::derive;

    #[test]
    fn the_lightest_beside_the_heaviest_is_drawn_almost_never_and_the_zero_never() {
        let table = AliasTable::new(&[0, 1, u64::from(u32::MAX)]);
        let mut counts = [0_u32; 3];
        for k in 0..100_000 {
            counts[table.draw(derive(3, k))] += 1;
        }
        assert_eq!(counts[0], 0);
        assert!(counts[1] <= 1);
    }

    #[test]
    fn draws_follow_the_weights() {
        let weights = [5_u64, 1, 0, 3, 11];
        let table = AliasTable::new(&weights);
        let mut counts = [0_f64; 5];
        for k in 0..200_000 {
            counts[table.draw(derive(1, k))] += 1.0;
        }
        for (count, weight) in counts.iter().zip(weights) {
            let expected = 10_000.0 * weight as f64;
            assert!((count - expected).abs() <= 4.0 * expected.sqrt(), "{counts:?}");
        }
    }

    #[test]
    fn nothing_to_draw_from_is_no_panic() {
        assert_eq!(AliasTable::new(&[]).draw(u64::MAX), 0);
        assert_eq!(AliasTable::new(&[0, 0]).draw(u64::MAX), 1);
    }
}
