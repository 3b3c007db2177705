//! [`Shard`]: sessions in the order of their last use.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::time::Duration;

use evenkeel_stats::Timestamp;

/// No slot.
const NONE: u32 = u32::MAX;

/// A map from session to slot, and a list through the slots: the last used in front. Every operation is
/// a few steps; what has lain too long is taken off the back, one or two at a time.
#[derive(Debug)]
pub(super) struct Shard {
    slots: Vec<Slot>,
    by_session: HashMap<u64, u32, BuildHasherDefault<AsItIs>>,
    front: u32,
    back: u32,
    free: Vec<u32>,
    limit: usize,
    evicted: u64,
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    session: u64,
    serial: u64,
    used: Timestamp,
    newer: u32,
    older: u32,
}

/// Sessions are hashes already.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct AsItIs(u64);

impl Hasher for AsItIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(byte);
        }
    }

    fn write_u64(&mut self, word: u64) {
        // The shard has used the high bits, the map uses the high and the low ones.
        self.0 = word.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}

impl Shard {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            slots: Vec::new(),
            by_session: HashMap::default(),
            front: NONE,
            back: NONE,
            free: Vec::new(),
            limit,
            evicted: 0,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.by_session.len()
    }

    pub(super) const fn evicted(&self) -> u64 {
        self.evicted
    }

    /// Where the session is kept; it is now the last used.
    pub(super) fn touch(&mut self, session: u64, now: Timestamp, timeout: Duration) -> Option<u64> {
        let &at = self.by_session.get(&session)?;
        if self.is_over(at, now, timeout) {
            self.forget(at);
            return None;
        }
        self.unlink(at);
        self.link_in_front(at);
        let slot = self.slots.get_mut(at as usize)?;
        slot.used = slot.used.max(now);
        Some(slot.serial)
    }

    /// Keeps the session there.
    pub(super) fn keep(&mut self, session: u64, serial: u64, now: Timestamp, timeout: Duration) {
        if let Some(&at) = self.by_session.get(&session) {
            self.forget(at);
        }
        // Two for each that comes, so that the table shrinks when fewer come.
        for _ in 0..2 {
            if self.back != NONE && self.is_over(self.back, now, timeout) {
                self.forget(self.back);
            }
        }
        if self.len() >= self.limit {
            self.forget(self.back);
            self.evicted += 1;
        }
        let slot = Slot {
            session,
            serial,
            used: now,
            newer: NONE,
            older: NONE,
        };
        let at = match self.free.pop() {
            Some(at) => at,
            None => {
                // Never past `u32`: the limit of all shards is 2^24.
                self.slots.push(slot);
                (self.slots.len() - 1) as u32
            }
        };
        if let Some(place) = self.slots.get_mut(at as usize) {
            *place = slot;
        }
        self.by_session.insert(session, at);
        self.link_in_front(at);
    }

    fn is_over(&self, at: u32, now: Timestamp, timeout: Duration) -> bool {
        self.slots
            .get(at as usize)
            .is_none_or(|slot| now.since(slot.used) >= timeout)
    }

    fn forget(&mut self, at: u32) {
        if let Some(slot) = self.slots.get(at as usize) {
            self.by_session.remove(&slot.session);
            self.unlink(at);
            self.free.push(at);
        }
    }

    fn unlink(&mut self, at: u32) {
        let Some(&Slot { newer, older, .. }) = self.slots.get(at as usize) else {
            return;
        };
        match self.slots.get_mut(newer as usize) {
            Some(slot) => slot.older = older,
            None => self.front = older,
        }
        match self.slots.get_mut(older as usize) {
            Some(slot) => slot.newer = newer,
            None => self.back = newer,
        }
    }

    fn link_in_front(&mut self, at: u32) {
        let front = self.front;
        if let Some(slot) = self.slots.get_mut(at as usize) {
            slot.newer = NONE;
            slot.older = front;
        }
        match self.slots.get_mut(front as usize) {
            Some(slot) => slot.newer = at,
            None => self.back = at,
        }
        self.front = at;
    }
}

#[cfg(test)]
mod tests;
