//! The pool of probes: which are kept, and which one is taken.

use std::sync::Arc;

use evenkeel_stats::Timestamp;

use crate::{LoadCell, PrequalConfig, ProbeReply};

/// How many replies the hot quantile is taken of.
const RECENT: usize = 128;

#[derive(Debug)]
pub(crate) struct Pool {
    config: PrequalConfig,
    /// In the order they came. Never longer than `pool_size`, for which there is room from the start.
    probes: Vec<Probe>,
    /// The in-flights of recent replies, a ring.
    recent: Vec<u32>,
    next_recent: usize,
    /// More than this in flight is hot.
    threshold: u32,
    /// How many members there are, for the reuse budget.
    pub(crate) members: usize,
    /// Removals that are due, in parts.
    due: f64,
    /// Whether the next removal takes the worst, not the oldest.
    worst_next: bool,
}

#[derive(Debug)]
struct Probe {
    cell: Arc<LoadCell>,
    in_flight: u32,
    latency_nanos: u64,
    at: Timestamp,
    uses_left: f64,
}

impl Pool {
    pub(crate) fn new(config: PrequalConfig) -> Self {
        Self {
            probes: Vec::with_capacity(config.pool_size),
            recent: Vec::with_capacity(RECENT),
            next_recent: 0,
            threshold: 0,
            members: 0,
            due: 0.0,
            worst_next: false,
            config,
        }
    }

    pub(crate) fn record(&mut self, cell: &Arc<LoadCell>, reply: ProbeReply, now: Timestamp) {
        self.remember(reply.in_flight);
        // A newer word of the same backend takes the place of the older one.
        self.probes.retain(|probe| !Arc::ptr_eq(&probe.cell, cell));
        self.drop_old(now);
        if self.probes.len() >= self.config.pool_size {
            self.probes.remove(0);
        }
        self.probes.push(Probe {
            cell: Arc::clone(cell),
            in_flight: reply.in_flight,
            latency_nanos: u64::try_from(reply.latency.as_nanos()).unwrap_or(u64::MAX),
            at: now,
            uses_left: self.reuse_budget(),
        });
    }

    pub(crate) fn count(&mut self, now: Timestamp) -> usize {
        self.drop_old(now);
        self.probes.len()
    }

    /// Takes the best probe of those that `index_of` knows a pickable member for; `None` if there are
    /// fewer than two, or if the best is not to be trusted.
    pub(crate) fn choose(
        &mut self,
        now: Timestamp,
        index_of: impl Fn(&Arc<LoadCell>) -> Option<usize>,
    ) -> Option<usize> {
        self.drop_old(now);
        let distrust = self.config.distrust_above.as_nanos() as f64;
        let mut usable = 0;
        let mut best: Option<(Rank, usize, usize)> = None;
        for (position, probe) in self.probes.iter().enumerate() {
            if probe.cell.latency_nanos(now).is_some_and(|seen| seen > distrust) {
                continue;
            }
            let Some(index) = index_of(&probe.cell) else {
                continue;
            };
            usable += 1;
            let rank = self.rank(probe);
            if best.is_none_or(|(least, ..)| rank < least) {
                best = Some((rank, position, index));
            }
        }
        let (_, position, index) = best.filter(|_| usable >= 2)?;
        self.spend(position);
        self.remove_due();
        Some(index)
    }

    /// The hot-cold rule: cold before hot, cold by latency, hot by in-flight.
    fn rank(&self, probe: &Probe) -> Rank {
        let hot = probe.in_flight > self.threshold;
        if hot {
            (true, u64::from(probe.in_flight))
        } else {
            (false, probe.latency_nanos)
        }
    }

    /// The chosen one has a request more, and a use less.
    fn spend(&mut self, position: usize) {
        let Some(probe) = self.probes.get_mut(position) else {
            return;
        };
        probe.in_flight = probe.in_flight.saturating_add(1);
        probe.uses_left -= 1.0;
        if probe.uses_left < 1.0 {
            self.probes.remove(position);
        }
    }

    fn remove_due(&mut self) {
        self.due += self.config.removals_per_pick;
        // The last two stay until they are old, for without them there is nothing to compare.
        while self.due >= 1.0 && self.probes.len() > 2 {
            self.due -= 1.0;
            let position = if self.worst_next {
                let ranks = self.probes.iter().map(|probe| self.rank(probe)).enumerate();
                ranks
                    .max_by_key(|&(_, rank)| rank)
                    .map_or(0, |(position, _)| position)
            } else {
                0
            };
            self.worst_next = !self.worst_next;
            self.probes.remove(position);
        }
        self.due = self.due.min(1.0);
    }

    fn drop_old(&mut self, now: Timestamp) {
        let max_age = self.config.max_age;
        self.probes.retain(|probe| now.since(probe.at) <= max_age);
    }

    /// The paper's equation 1, with d = 1: max(1, (1 + d) / ((1 - pool / members) x probes - removals)).
    fn reuse_budget(&self) -> f64 {
        let config = &self.config;
        let part = config.pool_size as f64 / self.members.max(1) as f64;
        let gain = (1.0 - part) * config.probes_per_pick - config.removals_per_pick;
        if gain <= 0.0 {
            // Fewer come than go: each may serve until it is old.
            f64::INFINITY
        } else {
            (2.0 / gain).max(1.0).round()
        }
    }

    fn remember(&mut self, in_flight: u32) {
        if self.recent.len() < RECENT {
            self.recent.push(in_flight);
        } else if let Some(slot) = self.recent.get_mut(self.next_recent) {
            *slot = in_flight;
        }
        self.next_recent = (self.next_recent + 1) % RECENT;
        let mut sorted = [0_u32; RECENT];
        let Some(sorted) = sorted.get_mut(..self.recent.len()) else {
            return;
        };
        sorted.copy_from_slice(&self.recent);
        let rank = ((sorted.len() - 1) as f64 * self.config.hot_quantile) as usize;
        self.threshold = *sorted.select_nth_unstable(rank).1;
    }
}

/// Hot or not, then what counts among such; less is better.
type Rank = (bool, u64);
