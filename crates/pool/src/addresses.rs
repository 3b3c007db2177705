//! The addresses of a pool: which one a new connection goes to, and which of them fail.

use std::collections::{HashMap, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
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
    /// Since somebody asked.
    strategy_panicked: bool,
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
    /// Being opened, of this round.
    dialling: usize,
    /// Open and of this generation, so that they may be lent again.
    good: usize,
    /// Raised when every connection open until then is to go: by `invalidate`, and when the address
    /// proves dead.
    generation: u64,
    /// The generation at the last `invalidate`: what was being opened then is to go too. (What opens
    /// after the address proved dead proves the contrary.)
    wanted_from: u64,
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
            strategy_panicked: false,
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
        let known: HashMap<&Target, &Arc<Address>> = self
            .entries
            .iter()
            .map(|entry| (&entry.address.target, &entry.address))
            .collect();
        let planned: Vec<(Arc<Address>, u32)> = targets
            .into_iter()
            .enumerate()
            .map(|(at, target)| {
                let weight = weights.get(at).copied().unwrap_or(1);
                let address = known.get(&target).map(|&address| address.clone());
                let address = address.unwrap_or_else(|| {
                    next_id += 1;
                    Arc::new(Address {
                        target,
                        id: next_id,
                        load: Arc::default(),
                    })
                });
                (address, weight)
            })
            .collect();
        let picker = self.picker_over(
            planned.iter().map(|(address, weight)| (&**address, *weight)),
            now,
            seed,
        )?;
        let old = std::mem::take(&mut self.entries).into_iter();
        let mut old: HashMap<u64, Entry> = old.map(|entry| (entry.address.id, entry)).collect();
        self.entries = planned
            .into_iter()
            .map(|(address, weight)| match old.remove(&address.id) {
                Some(entry) => Entry { weight, ..entry },
                None => Entry {
                    address,
                    weight,
                    connections: 0,
                    dialling: 0,
                    good: 0,
                    generation: 0,
                    wanted_from: 0,
                    failures: 0,
                    round: 0,
                    not_before: Timestamp::ZERO,
                },
            })
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
        // picker is still right about who there is. This runs in the background task, which a panic
        // would end.
        let built = catch_unwind(AssertUnwindSafe(|| self.picker_over(members, now, seed)));
        self.strategy_panicked |= built.is_err();
        if let Ok(Ok(picker)) = built {
            self.picker = Some(picker);
        }
    }

    /// Whether the strategy has panicked since this was last asked.
    pub(crate) fn strategy_panicked(&mut self) -> bool {
        std::mem::take(&mut self.strategy_panicked)
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
            // A panic that went on from here would lose the one who asks and keep its place.
            let picked = catch_unwind(AssertUnwindSafe(|| picker.pick(&context)));
            self.strategy_panicked |= picked.is_err();
            let is_free = |entry: &Entry| {
                !busy
                    .iter()
                    .any(|other| std::ptr::eq(*other, &*entry.address.load))
            };
            let index = match picked {
                Ok(index) => index.ok(),
                Err(_panic) => self.entries.iter().position(is_free),
            };
            if let Some(index) = index
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

    /// A dial gave a connection. Says whether the address had been failing, and of which generation
    /// the connection is.
    pub(crate) fn opened(&mut self, chosen: &Chosen, took: Duration, now: Timestamp) -> (bool, u64) {
        chosen.address.load.record(Outcome::Success, took, now);
        let Some(entry) = self.entry(&chosen.address) else {
            return (false, chosen.generation);
        };
        entry.dial_ended(chosen);
        let recovered = entry.failures > 0;
        if recovered {
            entry.failures = 0;
            entry.next_round(Timestamp::ZERO);
        }
        if chosen.generation < entry.wanted_from {
            return (recovered, chosen.generation);
        }
        entry.good += 1;
        (recovered, entry.generation)
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
        entry.connections = entry.connections.saturating_sub(1);
        if entry.round != chosen.round {
            return false;
        }
        entry.failures = entry.failures.saturating_add(1);
        entry.next_round(now.saturating_add(retry.backoff.pause(entry.failures, rng)));
        let dead = entry.failures as usize == retry.attempts.saturating_add(1);
        if dead {
            entry.next_generation();
        }
        dead
    }

    /// A dial was given up before it ended.
    pub(crate) fn given_up(&mut self, chosen: &Chosen) {
        chosen.address.load.release();
        if let Some(entry) = self.entry(&chosen.address) {
            entry.dial_ended(chosen);
            entry.connections = entry.connections.saturating_sub(1);
        }
    }

    /// A connection was closed.
    pub(crate) fn closed(&mut self, address: &Arc<Address>, generation: u64) {
        address.load.release();
        if let Some(entry) = self.entry(address) {
            entry.connections = entry.connections.saturating_sub(1);
            if entry.generation == generation {
                entry.good = entry.good.saturating_sub(1);
            }
        }
    }

    /// Whether any open connection may be lent again.
    pub(crate) fn has_good(&self) -> bool {
        self.entries.iter().any(|entry| entry.good > 0)
    }

    /// Whether what this dial opens may be lent.
    pub(crate) fn is_wanted(&self, chosen: &Chosen) -> bool {
        let mut entries = self.entries.iter();
        let entry = entries.find(|entry| entry.address.id == chosen.address.id);
        entry.is_some_and(|entry| chosen.generation >= entry.wanted_from)
    }

    /// The most connections that the addresses allow together.
    pub(crate) fn room(&self) -> usize {
        self.per_address.saturating_mul(self.entries.len())
    }

    /// Whether `min` connections may ever be open.
    pub(crate) fn check_min(&self, min: usize) -> Result<(), ConfigError> {
        ConfigError::require(
            min <= self.room(),
            "max_connections_per_address",
            self.per_address,
            "leaves no room for min_connections",
        )
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
        entry
            .map(|entry| {
                entry.next_generation();
                entry.wanted_from = entry.generation;
            })
            .is_some()
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

impl Entry {
    fn next_round(&mut self, not_before: Timestamp) {
        self.round += 1;
        self.dialling = 0;
        self.not_before = not_before;
    }

    fn next_generation(&mut self) {
        self.generation += 1;
        self.good = 0;
    }

    fn dial_ended(&mut self, chosen: &Chosen) {
        if self.round == chosen.round {
            self.dialling = self.dialling.saturating_sub(1);
        }
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
