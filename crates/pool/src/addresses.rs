//! The addresses of a pool: which one a new connection goes to, and which of them fail.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use evenkeel_io_core::Target;
use evenkeel_stats::{Outcome, Timestamp};
use evenkeel_strategy::{BuildContext, LoadCell, Member, PickContext, Picker, Strategy};

use crate::backoff::Backoff;
use crate::{BuildError, ConfigError};

/// One address, as the connections to it know it.
#[derive(Debug)]
pub(crate) struct Address {
    pub(crate) target: Target,
    /// Unique in the pool, never used again: an address that is taken out and put in again is new.
    id: u64,
    /// In flight, here, is every connection open or being opened.
    load: Arc<LoadCell>,
}

/// The addresses and what is known of each.
#[derive(Debug)]
pub(crate) struct AddressBook {
    entries: Vec<Entry>,
    strategy: Arc<dyn Strategy>,
    picker: Option<Arc<dyn Picker>>,
    per_address: usize,
    retry: Retry,
    next_id: u64,
}

/// When to try again, and when to give up.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Retry {
    pub(crate) attempts: usize,
    pub(crate) backoff: Backoff,
}

#[derive(Debug)]
struct Entry {
    address: Arc<Address>,
    weight: u32,
    /// Open or being opened.
    connections: usize,
    dialling: usize,
    /// Raised when every connection made until then is to go.
    generation: u64,
    /// Failed connects in a row; those that were under way together count as one.
    failures: u32,
    /// Raised with every change of `failures`, so that a dial knows whether it was there before.
    round: u64,
    not_before: Timestamp,
}

/// Where a new connection is to go, if anywhere.
#[derive(Debug)]
pub(crate) enum Choice {
    Dial(Chosen),
    /// Every address that has room pauses until then.
    Later(Timestamp),
    /// Every address is at its limit, or has its one probe under way.
    Nowhere,
}

/// The address of one dial, and how things stood with it at the time.
#[derive(Clone, Debug)]
pub(crate) struct Chosen {
    pub(crate) address: Arc<Address>,
    pub(crate) generation: u64,
    round: u64,
}

/// What is to become of a connection, as far as its address is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    Good,
    Invalidated,
    Removed,
}

impl AddressBook {
    /// A book without addresses: nothing can be dialled until [`replace`](Self::replace).
    pub(crate) fn new(strategy: Arc<dyn Strategy>, per_address: Option<usize>, retry: Retry) -> Self {
        Self {
            entries: Vec::new(),
            strategy,
            picker: None,
            per_address: per_address.unwrap_or(usize::MAX),
            retry,
            next_id: 0,
        }
    }

    /// Puts these addresses in place of the old ones; those that stay keep what is known of them.
    /// `weights` are as many as addresses, or none at all for equal ones. Changes nothing on error.
    pub(crate) fn replace(
        &mut self,
        targets: Vec<Target>,
        weights: &[u32],
        now: Timestamp,
        seed: u64,
    ) -> Result<(), BuildError> {
        check(&targets, weights)?;
        let mut next_id = self.next_id;
        let planned: Vec<(Arc<Address>, u32)> = targets
            .into_iter()
            .enumerate()
            .map(|(at, target)| {
                let weight = weights.get(at).copied().unwrap_or(1);
                let known = self.entries.iter().find(|entry| entry.address.target == target);
                let address = known.map_or_else(
                    || {
                        next_id += 1;
                        Arc::new(Address {
                            target,
                            id: next_id,
                            load: Arc::default(),
                        })
                    },
                    |entry| entry.address.clone(),
                );
                (address, weight)
            })
            .collect();
        let picker = self.picker_over(
            planned.iter().map(|(address, weight)| (&**address, *weight)),
            now,
            seed,
        )?;
        let mut old = std::mem::take(&mut self.entries);
        self.entries = planned
            .into_iter()
            .map(
                |(address, weight)| match old.iter().position(|entry| entry.address.id == address.id) {
                    Some(at) => Entry {
                        weight,
                        ..old.swap_remove(at)
                    },
                    None => Entry {
                        address,
                        weight,
                        connections: 0,
                        dialling: 0,
                        generation: 0,
                        failures: 0,
                        round: 0,
                        not_before: Timestamp::ZERO,
                    },
                },
            )
            .collect();
        self.picker = Some(picker);
        self.next_id = next_id;
        Ok(())
    }

    /// How often the strategy wants to see the load anew.
    pub(crate) fn rebuild_every(&self) -> Option<Duration> {
        self.strategy.rebuild_every()
    }

    /// Lets the strategy see the load anew.
    pub(crate) fn rebuild(&mut self, now: Timestamp, seed: u64) {
        let members = self.entries.iter().map(|entry| (&*entry.address, entry.weight));
        // The addresses are those it could choose among before; should it refuse now, the old
        // picker is still right about who there is.
        if let Ok(picker) = self.picker_over(members, now, seed) {
            self.picker = Some(picker);
        }
    }

    fn picker_over<'a>(
        &self,
        addresses: impl Iterator<Item = (&'a Address, u32)>,
        now: Timestamp,
        seed: u64,
    ) -> Result<Arc<dyn Picker>, evenkeel_strategy::BuildError> {
        let members: Vec<Member> = addresses
            .map(|(address, weight)| {
                Member::new(address.target.to_string())
                    .with_weight(weight)
                    .with_load(address.load.clone())
            })
            .collect();
        let context = BuildContext::new(&members).with_now(now).with_seed(seed);
        self.strategy.build(&match &self.picker {
            Some(previous) => context.with_previous(previous),
            None => context,
        })
    }

    /// Chooses the address of a new connection and counts it there.
    pub(crate) fn select_address(&mut self, now: Timestamp, random: u64) -> Choice {
        let Some(picker) = &self.picker else {
            return Choice::Nowhere;
        };
        let (mut busy, mut later) = (Vec::new(), None);
        for entry in &self.entries {
            let full = entry.connections >= self.per_address;
            // One probe at a time while it fails: a peer that comes back is not met by a crowd.
            let probed = entry.failures > 0 && entry.dialling > 0;
            let pauses = entry.not_before > now;
            if full || probed || pauses {
                busy.push(&*entry.address.load);
            }
            if pauses && !full && !probed {
                later = Some(later.map_or(entry.not_before, |at: Timestamp| at.min(entry.not_before)));
            }
        }
        if busy.len() < self.entries.len() {
            let context = PickContext::new(now, random).with_tried(&busy).strict();
            if let Ok(index) = picker.pick(&context)
                && let Some(entry) = self.entries.get_mut(index)
            {
                entry.connections += 1;
                entry.dialling += 1;
                entry.address.load.begin();
                return Choice::Dial(Chosen {
                    address: entry.address.clone(),
                    generation: entry.generation,
                    round: entry.round,
                });
            }
        }
        later.map_or(Choice::Nowhere, Choice::Later)
    }

    /// A dial gave a connection. Says whether the address had been failing.
    pub(crate) fn opened(&mut self, chosen: &Chosen, took: Duration, now: Timestamp) -> bool {
        chosen.address.load.record(Outcome::Success, took, now);
        let Some(entry) = self.entry(&chosen.address) else {
            return false;
        };
        entry.dialling = entry.dialling.saturating_sub(1);
        let recovered = entry.failures > 0;
        if recovered {
            entry.failures = 0;
            entry.round += 1;
            entry.not_before = Timestamp::ZERO;
        }
        recovered
    }

    /// A dial failed. Says whether that proves the address dead: it has now failed once more than it
    /// may be tried again.
    pub(crate) fn failed(
        &mut self,
        chosen: &Chosen,
        took: Duration,
        now: Timestamp,
        rng: &mut fastrand::Rng,
    ) -> bool {
        chosen.address.load.finish(Outcome::Failure, took, now);
        let retry = self.retry;
        let Some(entry) = self.entry(&chosen.address) else {
            return false;
        };
        entry.dialling = entry.dialling.saturating_sub(1);
        entry.connections = entry.connections.saturating_sub(1);
        if entry.round != chosen.round {
            return false;
        }
        entry.round += 1;
        entry.failures = entry.failures.saturating_add(1);
        entry.not_before = now.saturating_add(retry.backoff.pause(entry.failures, rng));
        entry.failures as usize == retry.attempts.saturating_add(1)
    }

    /// A dial was given up before it ended.
    pub(crate) fn given_up(&mut self, chosen: &Chosen) {
        chosen.address.load.release();
        if let Some(entry) = self.entry(&chosen.address) {
            entry.dialling = entry.dialling.saturating_sub(1);
            entry.connections = entry.connections.saturating_sub(1);
        }
    }

    /// A connection was closed.
    pub(crate) fn closed(&mut self, address: &Arc<Address>) {
        address.load.release();
        if let Some(entry) = self.entry(address) {
            entry.connections = entry.connections.saturating_sub(1);
        }
    }

    /// Whether every address has failed more often than it may be tried again.
    pub(crate) fn all_dead(&self) -> bool {
        self.entries
            .iter()
            .all(|entry| entry.failures as usize > self.retry.attempts)
    }

    /// From now on every connection made to `target` is one too old. Says whether it is known.
    pub(crate) fn invalidate(&mut self, target: &Target) -> bool {
        let entry = self
            .entries
            .iter_mut()
            .find(|entry| entry.address.target == *target);
        entry.map(|entry| entry.generation += 1).is_some()
    }

    /// What the address says of a connection made in this generation.
    pub(crate) fn standing(&self, address: &Arc<Address>, generation: u64) -> Standing {
        match self.entries.iter().find(|entry| entry.address.id == address.id) {
            None => Standing::Removed,
            Some(entry) if entry.generation != generation => Standing::Invalidated,
            Some(_) => Standing::Good,
        }
    }

    /// Each address with the connections open or being opened to it.
    pub(crate) fn counts(&self) -> impl Iterator<Item = (&Target, usize)> {
        self.entries
            .iter()
            .map(|entry| (&entry.address.target, entry.connections))
    }

    fn entry(&mut self, address: &Arc<Address>) -> Option<&mut Entry> {
        self.entries
            .iter_mut()
            .find(|entry| entry.address.id == address.id)
    }
}

/// What `addresses` and `weights` must be, in the words of their names.
fn check(targets: &[Target], weights: &[u32]) -> Result<(), BuildError> {
    ConfigError::require(!targets.is_empty(), "addresses", "[]", "must not be empty")?;
    let mut seen = HashSet::with_capacity(targets.len());
    for target in targets {
        target.check()?;
        ConfigError::require(
            seen.insert(target),
            "addresses",
            target,
            "must not be there twice",
        )?;
    }
    if !weights.is_empty() {
        let shown = format!("{weights:?}");
        ConfigError::require(
            weights.len() == targets.len(),
            "weights",
            &shown,
            "must be as many as addresses, or none",
        )?;
        ConfigError::require(
            weights.iter().any(|&weight| weight > 0),
            "weights",
            &shown,
            "must not all be 0",
        )?;
    }
    Ok(())
}

#[cfg(test)]
impl Address {
    /// An address that is in no book.
    pub(crate) fn stray() -> Arc<Self> {
        Arc::new(Self {
            target: Target::Addr(std::net::SocketAddr::from(([127, 0, 0, 1], 1))),
            id: 0,
            load: Arc::default(),
        })
    }
}

#[cfg(all(test, not(evenkeel_loom)))]
mod tests;
