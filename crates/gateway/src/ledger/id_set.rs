//! A set of numbers that are mostly neighbours.

use std::collections::BTreeMap;

/// Numbers in one chunk.
const CHUNK: u64 = 8192;

/// Bits in a word.
const WORD: u64 = 64;

/// At most so many chunks: 2^30 numbers, 128 MiB.
const MAX_CHUNKS: usize = 1 << 17;

/// So many numbers in a row: the first, and how many.
pub(crate) type Run = (u64, u64);

type Bits = Box<[u64; (CHUNK / WORD) as usize]>;

/// One bit for each number, in chunks that are there when one of their numbers is.
#[derive(Debug, Default, Clone)]
pub(crate) struct IdSet {
    chunks: BTreeMap<u64, Bits>,
    len: u64,
}

impl IdSet {
    /// Adds the numbers in the word of `number` that are set in `bits`. Which of them are new.
    fn add(&mut self, number: u64, bits: u64) -> Option<u64> {
        let full = self.chunks.len() >= MAX_CHUNKS;
        let chunk = number / CHUNK;
        if full && !self.chunks.contains_key(&chunk) {
            return None;
        }
        let words = self
            .chunks
            .entry(chunk)
            .or_insert_with(|| Box::new([0; (CHUNK / WORD) as usize]));
        let word = &mut words[(number % CHUNK / WORD) as usize];
        let new = bits & !*word;
        *word |= bits;
        self.len += u64::from(new.count_ones());
        Some(new)
    }

    /// Those of its numbers that are in the word of `number`.
    fn word(&self, number: u64) -> u64 {
        let chunk = self.chunks.get(&(number / CHUNK));
        chunk.map_or(0, |words| words[(number % CHUNK / WORD) as usize])
    }

    /// How many of its numbers are not in the other one.
    pub(crate) fn missing_in(&self, other: &Self) -> u64 {
        let mut missing = 0;
        for (chunk, words) in &self.chunks {
            let others = other.chunks.get(chunk);
            for (index, word) in words.iter().enumerate() {
                let theirs = others.map_or(0, |others| others[index]);
                missing += u64::from((word & !theirs).count_ones());
            }
        }
        missing
    }

    /// How many numbers are in it.
    pub(crate) const fn len(&self) -> u64 {
        self.len
    }

    /// Adds all numbers of a run. How many of them were new; `None` if not all went in, because the set is
    /// full.
    pub(crate) fn insert_run(&mut self, run: Run) -> Option<u64> {
        self.insert_run_beside(run, &Self::default()).map(|(new, _)| new)
    }

    /// The same, and how many of the new ones the other set has: so two sets that grow can be compared without
    /// looking through them again.
    pub(crate) fn insert_run_beside(&mut self, (first, count): Run, other: &Self) -> Option<(u64, u64)> {
        let end = first.saturating_add(count);
        let (mut number, mut new, mut shared) = (first, 0, 0);
        while number < end {
            let at = number % WORD;
            let len = (WORD - at).min(end - number);
            let added = self.add(number, (u64::MAX >> (WORD - len)) << at)?;
            new += u64::from(added.count_ones());
            shared += u64::from((added & other.word(number)).count_ones());
            number += len;
        }
        Some((new, shared))
    }

    /// Its numbers, those in a row together, from the least to the greatest.
    pub(crate) fn runs(&self) -> Vec<Run> {
        let mut runs: Vec<Run> = Vec::new();
        for (chunk, bits) in &self.chunks {
            for (index, &word) in bits.iter().enumerate() {
                let base = chunk * CHUNK + index as u64 * WORD;
                let mut rest = word;
                while rest != 0 {
                    let from = u64::from(rest.trailing_zeros());
                    let count = u64::from((rest >> from).trailing_ones());
                    match runs.last_mut() {
                        Some((first, len)) if *first + *len == base + from => *len += count,
                        _ => runs.push((base + from, count)),
                    }
                    let done = from + count;
                    rest = if done == WORD { 0 } else { rest >> done << done };
                }
            }
        }
        runs
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_is_a_set_and_its_runs_are_its_numbers(
            runs in vec((0_u64..30_000, 0_u64..300), 0..40),
            odd in vec(0..u64::MAX, 0..20),
        ) {
            let (mut set, mut model) = (IdSet::default(), BTreeSet::new());
            for &(first, count) in &runs {
                let before = model.len();
                model.extend(first..first + count);
                prop_assert_eq!(set.insert_run((first, count)), Some((model.len() - before) as u64));
            }
            for number in odd {
                prop_assert_eq!(set.insert_run((number, 1)), Some(u64::from(model.insert(number))));
            }
            prop_assert_eq!(set.len(), model.len() as u64);
            let told: Vec<u64> = set.runs().iter().flat_map(|&(first, count)| (0..count).map(move |n| first + n)).collect();
            prop_assert_eq!(told, model.iter().copied().collect::<Vec<_>>());
            prop_assert!(set.runs().windows(2).all(|two| two[0].0 + two[0].1 < two[1].0), "neighbours are one run");
            let mut part = IdSet::default();
            for number in model.iter().step_by(2) {
                part.insert_run((*number, 1));
            }
            prop_assert_eq!(set.missing_in(&part), (model.len() / 2) as u64);
            prop_assert_eq!(part.missing_in(&set), 0);
        }
    }

    #[test]
    fn numbers_without_end_do_not_fill_the_memory() {
        let mut set = IdSet::default();
        for chunk in 0..MAX_CHUNKS as u64 {
            assert_eq!(set.insert_run((chunk * CHUNK, 1)), Some(1));
        }
        assert_eq!(set.insert_run((u64::MAX - 1, 1)), None);
        assert_eq!(
            set.insert_run((5, 1)),
            Some(1),
            "those in chunks that are there still go in"
        );
        assert_eq!(set.len(), MAX_CHUNKS as u64 + 1);
    }
}
