//! The rules of RFC 8305 as a state machine: takes the time, does no I/O.

use std::collections::VecDeque;
use std::net::SocketAddr;

use evenkeel_stats::Timestamp;

use super::Delays;
use crate::resolve::MAX_ADDRESSES_PER_FAMILY;

/// An address family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    /// The family of an address.
    pub(crate) const fn of(addr: &SocketAddr) -> Self {
        match addr {
            SocketAddr::V4(_) => Self::V4,
            SocketAddr::V6(_) => Self::V6,
        }
    }

    const fn other(self) -> Self {
        match self {
            Self::V4 => Self::V6,
            Self::V6 => Self::V4,
        }
    }
}

/// What the driver has to do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Start an attempt, then ask again.
    Dial(SocketAddr),
    /// Wait for an answer or the end of an attempt, but not beyond this time.
    WaitUntil(Timestamp),
    /// Wait for an answer or the end of an attempt.
    Wait,
    /// Resolution has ended, and there is nothing more to try.
    Failed,
}

/// One race for one name. The first attempt that succeeds ends it, so success needs no event.
///
/// Families alternate from attempt to attempt as long as both have addresses left, which interleaves
/// them as section 4 asks (First Address Family Count 1) and gives late answers their place too.
#[derive(Debug)]
pub(super) struct Race {
    delays: Delays,
    only: Option<Family>,
    /// All that were ever taken, so that none is tried twice; at most 16 of each family.
    known: Vec<SocketAddr>,
    v4: VecDeque<SocketAddr>,
    v6: VecDeque<SocketAddr>,
    /// Answers that `only` kept out.
    any_kept_out: bool,
    preferred: Family,
    last_tried: Option<Family>,
    in_flight: usize,
    resolving: bool,
    /// No attempt starts before this.
    not_before: Timestamp,
}

impl Race {
    pub(super) fn new(delays: Delays, only: Option<Family>) -> Self {
        Self {
            delays,
            only,
            known: Vec::new(),
            v4: VecDeque::new(),
            v6: VecDeque::new(),
            any_kept_out: false,
            preferred: Family::V6,
            last_tried: None,
            in_flight: 0,
            resolving: true,
            not_before: Timestamp::ZERO,
        }
    }

    /// Takes a batch of answers.
    pub(super) fn answers(&mut self, now: Timestamp, batch: impl IntoIterator<Item = SocketAddr>) {
        let first_answers = self.known.is_empty();
        for addr in batch {
            self.take(addr);
        }
        if self.last_tried.is_some() {
            return;
        }
        let (any_v4, any_v6) = (!self.v4.is_empty(), !self.v6.is_empty());
        if any_v6 {
            // A batch of both is sorted by RFC 6724 (section 4); else IPv6 is preferred.
            if let (true, true, Some(first)) = (first_answers, any_v4, self.known.first()) {
                self.preferred = Family::of(first);
            }
            self.not_before = now;
        } else if any_v4 && first_answers && self.only.is_none() {
            // Section 3: give the AAAA answer a moment. Later A answers do not prolong it.
            self.not_before = now.saturating_add(self.delays.resolution());
        }
    }

    /// No more answers will come.
    pub(super) fn resolved(&mut self, now: Timestamp) {
        self.resolving = false;
        if self.last_tried.is_none() {
            self.not_before = now;
        }
    }

    /// An attempt failed: the next one may start at once.
    pub(super) fn failed(&mut self, now: Timestamp) {
        self.in_flight = self.in_flight.saturating_sub(1);
        self.not_before = self.not_before.min(now);
    }

    /// What to do now.
    pub(super) fn step(&mut self, now: Timestamp) -> Step {
        if self.v4.is_empty() && self.v6.is_empty() {
            return if self.resolving || self.in_flight > 0 {
                Step::Wait
            } else {
                Step::Failed
            };
        }
        if now < self.not_before {
            return Step::WaitUntil(self.not_before);
        }
        let wanted = self.last_tried.map_or(self.preferred, Family::other);
        let next = self
            .untried(wanted)
            .pop_front()
            .or_else(|| self.untried(wanted.other()).pop_front());
        let Some(addr) = next else {
            return Step::Wait;
        };
        self.last_tried = Some(Family::of(&addr));
        self.in_flight += 1;
        self.not_before = now.saturating_add(self.delays.attempt());
        Step::Dial(addr)
    }

    /// Whether there were answers, all of the family that may not be used.
    pub(super) fn all_kept_out(&self) -> bool {
        self.any_kept_out && self.known.is_empty()
    }

    fn take(&mut self, addr: SocketAddr) {
        let family = Family::of(&addr);
        if self.only.is_some_and(|only| only != family) {
            self.any_kept_out = true;
            return;
        }
        let of_family = self.known.iter().filter(|known| Family::of(known) == family);
        if of_family.count() < MAX_ADDRESSES_PER_FAMILY && !self.known.contains(&addr) {
            self.known.push(addr);
            self.untried(family).push_back(addr);
        }
    }

    fn untried(&mut self, family: Family) -> &mut VecDeque<SocketAddr> {
        match family {
            Family::V4 => &mut self.v4,
            Family::V6 => &mut self.v6,
        }
    }
}

#[cfg(test)]
mod tests;
