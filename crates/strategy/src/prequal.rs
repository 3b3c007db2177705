//! Prequal: probes, and the hot-cold rule.

use std::sync::Arc;
use std::time::Duration;

use evenkeel_stats::Timestamp;
use parking_lot::Mutex;

use crate::prequal_pool::Pool;
use crate::{
    BuildContext, BuildError, ConfigError, LoadCell, MemberSet, PickContext, PickError, Picker, PowerOfTwo,
    Strategy,
};

/// Settings of [`Prequal`]. The defaults are the paper's.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(default, deny_unknown_fields)
)]
pub struct PrequalConfig {
    /// How many probes are kept, 2 to 256; 16 by default.
    pub pool_size: usize,
    /// How old a probe may be when it is used. Above zero; 1 s by default.
    #[cfg_attr(feature = "serde", serde(with = "humantime_serde"))]
    pub max_age: Duration,
    /// A probe with more requests in flight than this quantile of the recent ones is hot. 0 to 1; 0.84
    /// (2^-0.25) by default; 0.6 to 0.9 did well.
    pub hot_quantile: f64,
    /// How many probes the caller sends for each request: above 0, up to 100; 3 by default. Only to
    /// reckon how often one may be used.
    pub probes_per_pick: f64,
    /// How many probes each pick removes, the oldest and the worst by turns: 0 to 100; 1 by default.
    pub removals_per_pick: f64,
    /// A member whose latency as this client sees it is above this is not trusted when it says that
    /// it is idle. 1 s by default: failures are recorded as 5 s, so one that fails fast, and is idle
    /// for that reason, is found out, and trusted again after a quarter of a minute.
    #[cfg_attr(feature = "serde", serde(with = "humantime_serde"))]
    pub distrust_above: Duration,
}

impl Default for PrequalConfig {
    fn default() -> Self {
        Self {
            pool_size: 16,
            max_age: Duration::from_secs(1),
            hot_quantile: 0.84,
            probes_per_pick: 3.0,
            removals_per_pick: 1.0,
            distrust_above: Duration::from_secs(1),
        }
    }
}

impl PrequalConfig {
    fn validate(&self) -> Result<(), ConfigError> {
        let check = |ok, field, value: String, expected| {
            ConfigError::check(ok, "PrequalConfig", field, value, expected)
        };
        let size = self.pool_size;
        check(
            (2..=256).contains(&size),
            "pool_size",
            size.to_string(),
            "2 to 256",
        )?;
        let age = self.max_age;
        check(age > Duration::ZERO, "max_age", format!("{age:?}"), "above zero")?;
        let quantile = self.hot_quantile;
        let sound = (0.0..=1.0).contains(&quantile);
        check(sound, "hot_quantile", quantile.to_string(), "0 to 1")?;
        let probes = self.probes_per_pick;
        let sound = probes > 0.0 && probes <= 100.0;
        check(
            sound,
            "probes_per_pick",
            probes.to_string(),
            "above 0 and at most 100",
        )?;
        let removals = self.removals_per_pick;
        let sound = (0.0..=100.0).contains(&removals);
        check(sound, "removals_per_pick", removals.to_string(), "0 to 100")
    }
}

/// What a backend answers to a probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProbeReply {
    /// Requests in flight at the backend, from all clients.
    pub in_flight: u32,
    /// What a request takes there now: the median of recent ones that came when about as many were in
    /// flight.
    pub latency: Duration,
}

/// Where the caller puts what its probes found. Clones share one pool of probes.
#[derive(Clone, Debug)]
pub struct ProbePool(Arc<Mutex<Pool>>);

impl ProbePool {
    /// The backend of this cell replied at `now`.
    ///
    /// Probe members at random, about [`PrequalConfig::probes_per_pick`] of them for each request, and
    /// do not wait for the replies: they serve the requests that come after.
    pub fn record(&self, cell: &Arc<LoadCell>, reply: ProbeReply, now: Timestamp) {
        self.0.lock().record(cell, reply, now);
    }

    /// How many probes could be used at `now`.
    #[must_use]
    pub fn len(&self, now: Timestamp) -> usize {
        self.0.lock().count(now)
    }

    /// Whether no probe could be used at `now`.
    #[must_use]
    pub fn is_empty(&self, now: Timestamp) -> bool {
        self.len(now) == 0
    }
}

/// Among backends that said lately how they are, the fastest of those that are not busy.
///
/// The caller asks backends how many requests they have in flight and how long these take
/// ([`probes`](Self::probes)). A pick takes, of the replies at hand, the cold one (few in flight) of
/// least latency, and if all are hot the one with the fewest in flight. So it knows what other clients
/// do to a backend, which no strategy knows that sees its own requests only.
///
/// Take it for many clients, fleets near capacity, and requests worth the probes: at 90 % load it held
/// the p99 at a fifth of weighted round robin's in the paper. Not without probes: with fewer than two
/// usable replies it is [`PowerOfTwo::peak_ewma`](crate::PowerOfTwo::peak_ewma).
///
/// - A reply serves a limited number of picks, and each adds one to its in-flight; the oldest and
///   worst replies are dropped.
/// - A backend that fails fast looks idle; see [`PrequalConfig::distrust_above`].
/// - Cost: O(pool size), not O(n): 100 to 300 ns for 16 replies. The pool is behind a lock that a pick
///   *tries* and never waits for: while another thread has it, the pick falls back on two choices.
/// - Source: Wydrowski et al., "Load is not what you should balance: introducing Prequal", NSDI 2024.
#[derive(Clone, Debug)]
pub struct Prequal {
    pool: ProbePool,
}

impl Prequal {
    /// The strategy with these settings and an empty pool.
    ///
    /// # Errors
    /// Names the field that is out of range.
    pub fn new(config: PrequalConfig) -> Result<Self, ConfigError> {
        config.validate()?;
        Ok(Self {
            pool: ProbePool(Arc::new(Mutex::new(Pool::new(config)))),
        })
    }

    /// The pool that the caller feeds. One for all pickers this strategy builds.
    #[must_use]
    pub fn probes(&self) -> ProbePool {
        self.pool.clone()
    }
}

impl Strategy for Prequal {
    fn build(&self, context: &BuildContext<'_>) -> Result<Arc<dyn Picker>, BuildError> {
        let members = MemberSet::new(context.members())?;
        let mut by_cell: Vec<(usize, u32)> = (0_u32..)
            .zip(context.members())
            .map(|(index, member)| (address(member.load()), index))
            .collect();
        by_cell.sort_unstable();
        self.pool.0.lock().members = members.active_len();
        Ok(Arc::new(PrequalPicker {
            pool: self.pool.clone(),
            fallback: PowerOfTwo::peak_ewma().build(context)?,
            by_cell: by_cell.into(),
            members,
        }))
    }
}

/// What tells one cell from another: where it is.
fn address(cell: &Arc<LoadCell>) -> usize {
    Arc::as_ptr(cell).addr()
}

#[derive(Debug)]
struct PrequalPicker {
    pool: ProbePool,
    fallback: Arc<dyn Picker>,
    /// Members by the address of their cell, to find the one a reply is of.
    by_cell: Box<[(usize, u32)]>,
    members: MemberSet,
}

impl PrequalPicker {
    fn index_of(&self, cell: &Arc<LoadCell>) -> Option<usize> {
        let address = address(cell);
        let at = self
            .by_cell
            .binary_search_by_key(&address, |&(address, _)| address)
            .ok()?;
        self.by_cell.get(at).map(|&(_, index)| index as usize)
    }
}

impl Picker for PrequalPicker {
    fn pick(&self, context: &PickContext<'_>) -> Result<usize, PickError> {
        let chosen = self.pool.0.try_lock().and_then(|mut pool| {
            pool.choose(context.now(), |cell| {
                self.index_of(cell)
                    .filter(|&index| self.members.is_ready(index, context))
            })
        });
        match chosen {
            Some(index) => Ok(index),
            None => self.fallback.pick(context),
        }
    }
}

#[cfg(test)]
#[cfg(not(evenkeel_loom))]
mod tests;
