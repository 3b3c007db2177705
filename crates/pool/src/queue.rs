//! A line of waiters that anybody may leave.
//!
//! A ring, so that joining and serving touch one cache line of it. Whoever leaves from the middle
//! leaves a gap, found by its number in logarithmic time; once gaps are the greater part, the ring is
//! swept.

use std::collections::VecDeque;

/// See the module.
#[derive(Debug)]
pub(crate) struct Queue<W> {
    /// By ascending number. The first is never a gap.
    ring: VecDeque<Entry<W>>,
    gaps: usize,
}

/// The number of a place, never used again.
pub(crate) type Number = u64;

/// Newcomers count up from here, and those who keep their turn down.
const MIDDLE: Number = 1 << 63;

#[derive(Debug)]
struct Entry<W> {
    number: Number,
    /// `None` is a gap.
    waiter: Option<W>,
}

impl<W> Queue<W> {
    pub(crate) const fn new() -> Self {
        Self {
            ring: VecDeque::new(),
            gaps: 0,
        }
    }

    /// How many are in line.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.ring.len() - self.gaps
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.ring.is_empty()
    }

    /// Everybody in line, in order.
    #[cfg(all(test, not(evenkeel_loom)))]
    pub(crate) fn iter(&self) -> impl Iterator<Item = &W> {
        self.ring.iter().filter_map(|entry| entry.waiter.as_ref())
    }

    /// The first in line.
    #[inline]
    pub(crate) fn head_mut(&mut self) -> Option<&mut W> {
        self.ring.front_mut()?.waiter.as_mut()
    }

    /// The first one's number.
    #[cfg(all(test, not(evenkeel_loom)))]
    pub(crate) fn head_number(&self) -> Option<Number> {
        self.ring.front().map(|entry| entry.number)
    }

    pub(crate) fn push_back(&mut self, waiter: W) -> Number {
        let number = self.ring.back().map_or(MIDDLE, |last| last.number + 1);
        self.ring.push_back(Entry {
            number,
            waiter: Some(waiter),
        });
        number
    }

    /// For one that keeps its turn: before everybody else.
    pub(crate) fn push_front(&mut self, waiter: W) -> Number {
        let number = self.ring.front().map_or(MIDDLE, |first| first.number - 1);
        self.ring.push_front(Entry {
            number,
            waiter: Some(waiter),
        });
        number
    }

    /// Takes the first one out.
    #[inline]
    pub(crate) fn pop(&mut self) -> Option<W> {
        let waiter = self.ring.pop_front()?.waiter;
        if self.gaps > 0 || self.ring.is_empty() {
            self.close_gaps();
        }
        waiter
    }

    /// The first for whom `is_it` says so, with the number of those before, and its own.
    pub(crate) fn first(&mut self, is_it: impl Fn(&W) -> bool) -> Option<(usize, Number, &mut W)> {
        let mut before = 0;
        for entry in &mut self.ring {
            let Some(waiter) = &mut entry.waiter else {
                continue;
            };
            if is_it(waiter) {
                return Some((before, entry.number, waiter));
            }
            before += 1;
        }
        None
    }

    /// The one with this number, if it is still in line and `is_it` knows it again: the numbers of an
    /// empty line start anew.
    pub(crate) fn find(&mut self, number: Number, is_it: impl FnOnce(&W) -> bool) -> Option<&mut W> {
        let at = self.position(number)?;
        self.ring
            .get_mut(at)?
            .waiter
            .as_mut()
            .filter(|waiter| is_it(waiter))
    }

    /// Takes that one out.
    pub(crate) fn remove(&mut self, number: Number, is_it: impl FnOnce(&W) -> bool) -> Option<W> {
        let at = self.position(number)?;
        let entry = self.ring.get_mut(at)?;
        if !entry.waiter.as_ref().is_some_and(is_it) {
            return None;
        }
        let waiter = entry.waiter.take();
        self.gaps += 1;
        self.close_gaps();
        waiter
    }

    /// Takes out everybody for whom `goes` says so, in order, each with how many were before it.
    pub(crate) fn drain_where(&mut self, mut goes: impl FnMut(&W) -> bool) -> Vec<(W, usize)> {
        let (mut gone, mut before) = (Vec::new(), 0);
        for entry in &mut self.ring {
            let Some(waiter) = &entry.waiter else {
                continue;
            };
            if goes(waiter) {
                gone.extend(entry.waiter.take().map(|waiter| (waiter, before)));
                self.gaps += 1;
            }
            before += 1;
        }
        self.close_gaps();
        gone
    }

    fn position(&self, number: Number) -> Option<usize> {
        self.ring.binary_search_by_key(&number, |entry| entry.number).ok()
    }

    /// Sees to it that the first is no gap and that gaps are not most of the ring.
    fn close_gaps(&mut self) {
        if self.gaps * 2 > self.ring.len() {
            self.ring.retain(|entry| entry.waiter.is_some());
            self.gaps = 0;
        }
        while self.ring.front().is_some_and(|entry| entry.waiter.is_none()) {
            self.ring.pop_front();
            self.gaps -= 1;
        }
        // A burst's memory goes with it.
        if self.ring.is_empty() && self.ring.capacity() > KEEP {
            self.ring = VecDeque::new();
        }
    }
}

/// Places that an empty line keeps for the next ones.
const KEEP: usize = 1024;

#[cfg(all(test, not(evenkeel_loom)))]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn in_line(queue: &Queue<u32>) -> Vec<u32> {
        queue.iter().copied().collect()
    }

    proptest! {
        #[test]
        fn whoever_leaves_the_line_keeps_the_order_of_the_others(
            steps in prop::collection::vec((0..8_u8, any::<prop::sample::Index>()), 0..120),
        ) {
            let mut queue = Queue::new();
            let mut model = VecDeque::new();
            let mut gone: Vec<(Number, u32)> = Vec::new();
            for (n, (what, who)) in (0_u32..).zip(steps) {
                match what {
                    0..3 => model.push_back((queue.push_back(n), n)),
                    3 => model.push_front((queue.push_front(n), n)),
                    4 if !model.is_empty() => {
                        let (number, n) = model.pop_front().unwrap();
                        prop_assert_eq!(queue.head_number(), Some(number));
                        prop_assert_eq!(queue.pop(), Some(n));
                        gone.push((number, n));
                    }
                    5 => {
                        let odd = queue.drain_where(|n| n % 2 == 1);
                        let places = model.iter().enumerate();
                        let expected: Vec<_> = places
                            .filter(|(_, (_, n))| n % 2 == 1)
                            .map(|(before, &(_, n))| (n, before))
                            .collect();
                        model.retain(|&(_, n)| n % 2 == 0);
                        prop_assert_eq!(odd, expected);
                    }
                    _ if !model.is_empty() => {
                        let (number, n) = model.remove(who.index(model.len())).unwrap();
                        prop_assert_eq!(queue.remove(number, |&w| w == n), Some(n));
                        gone.push((number, n));
                    }
                    _ => {}
                }
                prop_assert_eq!(queue.len(), model.len());
                prop_assert_eq!(queue.head_mut().copied(), model.front().map(|&(_, n)| n));
                let odd = queue.first(|n| n % 2 == 1).map(|(before, number, &mut n)| (before, (number, n)));
                let expected = model.iter().copied().enumerate().find(|(_, (_, n))| n % 2 == 1);
                prop_assert_eq!(odd, expected);
                let expected: Vec<u32> = model.iter().map(|&(_, n)| n).collect();
                prop_assert_eq!(in_line(&queue), expected);
                prop_assert!(queue.gaps * 2 <= queue.ring.len(), "gaps are left to grow");
                for &(number, n) in &gone {
                    prop_assert!(queue.find(number, |&w| w == n).is_none(), "{n} has left");
                }
            }
        }
    }

    #[test]
    fn a_burst_leaves_no_memory_behind_whether_it_was_served_or_left() {
        let mut queue = Queue::new();
        let numbers: Vec<_> = (0..5_000).map(|n| queue.push_back(n)).collect();
        for number in numbers {
            queue.remove(number, |_| true);
        }
        assert_eq!(queue.ring.capacity(), 0);
        for n in 0..5_000 {
            queue.push_back(n);
        }
        while queue.pop().is_some() {}
        assert_eq!(queue.ring.capacity(), 0);
    }
}
