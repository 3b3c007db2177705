//! The table: which member holds which entry.

use std::collections::HashMap;

use crate::hash::hash_id;
use crate::mix::{below, derive};
use crate::{BackendId, Member, MemberSet};

/// An entry that nobody holds.
const FREE: u32 = u32::MAX;

/// A member on its way through its permutation of the table.
struct Walker {
    index: u32,
    weight: u64,
    at: u32,
    skip: u32,
}

impl Walker {
    /// The next entry of the permutation.
    #[inline]
    fn step(&mut self, size: u32) -> usize {
        let entry = self.at;
        self.at += self.skip;
        if self.at >= size {
            self.at -= size;
        }
        entry as usize
    }
}

/// The members with a weight, in the order of their ids: it must not hang on the order of discovery, or
/// two clients' tables differ.
fn walkers(described: &[Member], members: &MemberSet, size: u32) -> Vec<Walker> {
    let mut walkers: Vec<(&BackendId, Walker)> = (0_u32..)
        .zip(described)
        .map(|(index, member)| {
            let place = hash_id(member.id());
            let walker = Walker {
                index,
                weight: u64::from(members.weight(index as usize)),
                at: below(derive(place, 0), size as usize).0 as u32,
                skip: below(derive(place, 1), size as usize - 1).0 as u32 + 1,
            };
            (member.id(), walker)
        })
        .filter(|(_, walker)| walker.weight > 0)
        .collect();
    walkers.sort_by_key(|&(id, _)| id);
    walkers.into_iter().map(|(_, walker)| walker).collect()
}

fn weights(walkers: &[Walker]) -> Vec<u64> {
    walkers.iter().map(|walker| walker.weight).collect()
}

/// Calls `take` for each of `size` turns with the position of whose it is; the weights are above 0.
///
/// In the first round each has a turn: a weight too small for one is not no weight. After that each has
/// its next turn in the round in which it has saved up the greatest weight once more. It waits for that
/// round in line, so a turn costs O(1) whatever the weights, and no round asks everybody.
fn turns(weights: &[u64], size: u32, mut take: impl FnMut(usize)) {
    const NOBODY: u32 = u32::MAX;
    /// Who has a turn in a round, as a list through `behind`.
    #[derive(Clone, Copy)]
    struct Line {
        first: u32,
        last: u32,
    }
    let Some(&heaviest) = weights.iter().max() else {
        return;
    };
    let total: u64 = weights.iter().sum();
    // After r rounds there have been more than r total / heaviest turns.
    let rounds = u64::from(size) * heaviest / total + 2;
    let nobody = Line {
        first: NOBODY,
        last: NOBODY,
    };
    let mut lines = vec![nobody; rounds as usize];
    let mut behind: Vec<u32> = (1..=weights.len() as u32).collect();
    if let Some(last) = behind.last_mut() {
        *last = NOBODY;
    }
    lines[0].first = 0;
    let mut taken = vec![0_u64; weights.len()];
    let mut left = size;
    for round in 0..lines.len() {
        let mut position = lines[round].first;
        while position != NOBODY {
            if left == 0 {
                return;
            }
            left -= 1;
            let who = position as usize;
            take(who);
            taken[who] += 1;
            let next = behind[who];
            let due = (taken[who] * heaviest).div_ceil(weights[who]);
            if let Some(line) = lines.get_mut(usize::try_from(due).unwrap_or(usize::MAX)) {
                behind[who] = NOBODY;
                match line.last {
                    NOBODY => line.first = position,
                    last => behind[last as usize] = position,
                }
                line.last = position;
            }
            position = next;
        }
    }
}

/// The paper's table: at its turn a member takes the next entry of its permutation that is free.
pub(super) fn fill(described: &[Member], members: &MemberSet, size: u32) -> Vec<u32> {
    let mut walkers = walkers(described, members, size);
    let weights = weights(&walkers);
    let mut table = vec![FREE; size as usize];
    turns(&weights, size, |position| {
        let walker = &mut walkers[position];
        // There is a free entry, since there is a turn; the size is prime, so the walk passes it.
        loop {
            let entry = walker.step(size);
            if table[entry] == FREE {
                table[entry] = walker.index;
                break;
            }
        }
    });
    table
}

/// The table `before`, of the members called `ids`, changed as little as can be: everyone holds as many
/// entries as in the paper's table, and keeps those it has up to that number.
///
/// Those who lack entries take turns, each along its permutation, and take what is free or held by
/// somebody beyond its number.
pub(super) fn refill(
    described: &[Member],
    members: &MemberSet,
    ids: &[BackendId],
    before: &[u32],
) -> Vec<u32> {
    let size = before.len() as u32;
    let mut walkers = walkers(described, members, size);
    let mut lacks = vec![0_i64; walkers.len()];
    turns(&weights(&walkers), size, |position| lacks[position] += 1);

    let positions: HashMap<&BackendId, u32> = (0_u32..)
        .zip(&walkers)
        .map(|(position, walker)| (described[walker.index as usize].id(), position))
        .collect();
    let stays: Vec<u32> = ids
        .iter()
        .map(|id| positions.get(id).copied().unwrap_or(FREE))
        .collect();
    // By position, until the end.
    let mut table: Vec<u32> = before
        .iter()
        .map(|&owner| stays.get(owner as usize).copied().unwrap_or(FREE))
        .collect();
    for &owner in &table {
        if owner != FREE {
            lacks[owner as usize] -= 1;
        }
    }

    let mut taking: Vec<usize> = (0..lacks.len()).filter(|&position| lacks[position] > 0).collect();
    while !taking.is_empty() {
        taking.retain(|&position| {
            // What all lack together is what is free and what others have beyond their number; and an
            // entry that can not be taken when it is passed never can, so one walk is enough.
            loop {
                let entry = walkers[position].step(size);
                match table[entry] {
                    FREE => {}
                    owner if lacks[owner as usize] < 0 => lacks[owner as usize] += 1,
                    _ => continue,
                }
                table[entry] = position as u32;
                break;
            }
            lacks[position] -= 1;
            lacks[position] > 0
        });
    }
    for entry in &mut table {
        if let Some(walker) = walkers.get(*entry as usize) {
            *entry = walker.index;
        }
    }
    table
}
