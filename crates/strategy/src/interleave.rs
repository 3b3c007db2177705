//! Orders in which every member's turns are spread evenly.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// The indices of `counts`, each as often as its count says, so spread that in every prefix of k
/// each index has come less than its share of k plus one, and more than its share less one.
///
/// The `j`-th turn (from 1) of an index with count c, of C in all, may come no earlier than
/// (j-1) C/c and no later than j C/c. Turns of unit length on one machine with such windows always
/// have a schedule, and taking the open window that closes first finds it: these are Pfair windows
/// (Baruah, Cohen, Plaxton, Varvel, "Proportionate progress", 1996).
///
/// O(C log n) time. Zero counts never come.
pub(crate) fn interleave(counts: &[u32]) -> Box<[u32]> {
    let total: u64 = counts.iter().map(|&count| u64::from(count)).sum();
    let mut schedule = Vec::with_capacity(usize::try_from(total).unwrap_or(0));
    // (opens or closes at, index, turn)
    let mut waiting: BinaryHeap<Reverse<(u64, u32, u32)>> = (0_u32..)
        .zip(counts)
        .filter(|&(_, &count)| count > 0)
        .map(|(index, _)| Reverse((0, index, 1)))
        .collect();
    let mut open = BinaryHeap::with_capacity(waiting.len());
    for slot in 0..total {
        while let Some(&Reverse((opens, index, turn))) = waiting.peek() {
            if opens > slot {
                break;
            }
            waiting.pop();
            let count = u64::from(counts[index as usize]);
            let closes = (u64::from(turn) * total).div_ceil(count);
            open.push(Reverse((closes, index, turn)));
        }
        // The windows open at a slot always hold at least one turn that has not been taken.
        let Some(Reverse((_, index, turn))) = open.pop() else {
            break;
        };
        schedule.push(index);
        let count = counts[index as usize];
        if turn < count {
            let opens = u64::from(turn) * total / u64::from(count);
            waiting.push(Reverse((opens, index, turn + 1)));
        }
    }
    schedule.into()
}

/// Counts in proportion to `weights` that sum to at most `limit`: exact (the weights by their greatest
/// common divisor) if that fits, else rounded, at least 1 for each weight above 0.
///
/// Rounding is by largest remainder, so a count is off its exact share by less than one, unless it had
/// to be raised to 1. `limit` should be well above the number of weights.
pub(crate) fn apportion(weights: &[u32], limit: u64) -> Vec<u32> {
    let divisor = weights.iter().fold(0, |a, &b| gcd(a, b)).max(1);
    let total: u64 = weights.iter().map(|&weight| u64::from(weight)).sum();
    if total / u64::from(divisor) <= limit {
        return weights.iter().map(|&weight| weight / divisor).collect();
    }
    let exact = |weight: u32| u128::from(weight) * u128::from(limit);
    let mut counts: Vec<u32> = weights
        .iter()
        .map(|&weight| match (exact(weight) / u128::from(total)) as u32 {
            0 if weight > 0 => 1,
            count => count,
        })
        .collect();
    let used: u64 = counts.iter().map(|&count| u64::from(count)).sum();
    // Those that were raised have had more than their remainder.
    let mut by_remainder: Vec<usize> = (0..weights.len())
        .filter(|&index| exact(weights[index]) >= u128::from(total))
        .collect();
    by_remainder.sort_by_key(|&index| Reverse(exact(weights[index]) % u128::from(total)));
    for &index in by_remainder.iter().take(limit.saturating_sub(used) as usize) {
        counts[index] += 1;
    }
    counts
}

fn gcd(mut a: u32, mut b: u32) -> u32 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

#[cfg(test)]
#[cfg(not(evenkeel_loom))]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_prefix_gives_anyone_more_than_its_share_and_one(
            counts in prop::collection::vec(0_u32..60, 1..40),
        ) {
            let total: u64 = counts.iter().map(|&count| u64::from(count)).sum();
            let schedule = interleave(&counts);
            prop_assert_eq!(schedule.len() as u64, total);
            let mut seen = vec![0_u64; counts.len()];
            for (k, &index) in (1_u64..).zip(&schedule) {
                seen[index as usize] += 1;
                for (&seen, &count) in seen.iter().zip(&counts) {
                    // seen < share + 1 and seen > share - 1, times the total.
                    prop_assert!(seen * total < k * u64::from(count) + total);
                    prop_assert!((seen + 1) * total > k * u64::from(count));
                }
            }
        }

        #[test]
        fn rounding_keeps_everyone_and_is_off_by_less_than_one(
            weights in prop::collection::vec(prop_oneof![0_u32..5, any::<u32>(), Just(u32::MAX)], 1..50),
        ) {
            let limit = 4_096_u64;
            let counts = apportion(&weights, limit);
            let total: u64 = weights.iter().map(|&weight| u64::from(weight)).sum();
            let divisor = weights.iter().fold(0, |a, &b| gcd(a, b)).max(1);
            let rounded = total / u64::from(divisor) > limit;
            for (&count, &weight) in counts.iter().zip(&weights) {
                prop_assert_eq!(count == 0, weight == 0);
                if rounded {
                    let exact = f64::from(weight) * limit as f64 / total as f64;
                    prop_assert!((f64::from(count) - exact).abs() < 1.0);
                } else {
                    prop_assert_eq!(count, weight / divisor);
                }
            }
            let sum: u64 = counts.iter().map(|&count| u64::from(count)).sum();
            prop_assert!(sum <= limit + weights.len() as u64);
        }
    }

    #[test]
    fn small_weights_are_exact() {
        assert_eq!(apportion(&[4, 2, 0, 6], 100), [2, 1, 0, 3]);
        assert_eq!(apportion(&[0, 1, u32::MAX], 4_096), [0, 1, 4_095]);
    }
}
