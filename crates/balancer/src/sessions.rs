//! [`Sessions`]: which backend a session is kept at.

mod shard;

use std::fmt;
use std::time::Duration;

use crossbeam_utils::CachePadded;
use evenkeel_stats::Timestamp;
use parking_lot::Mutex;

use shard::Shard;

/// The most shards: enough that threads seldom meet. All numbers of shards are powers of two.
const MAX_SHARDS: usize = 64;

/// A shard holds so many at least, so that by chance none is full long before the table is.
const SHARD: usize = 1024;

/// A bounded table of sessions, by the hash of their keys.
///
/// Sharded, each shard under a short lock of its own. Within a shard sessions are in the order of their
/// last use, so the one that goes at the limit, and those whose time is over, are at one end: nothing
/// is ever scanned.
pub(crate) struct Sessions {
    shards: Box<[CachePadded<Mutex<Shard>>]>,
    timeout: Duration,
}

impl Sessions {
    /// Room for `limit` sessions. Several shards have some room more each, as much as chance may fill one
    /// more than another (four standard deviations).
    pub(crate) fn new(limit: usize, timeout: Duration) -> Self {
        let shards = (limit / SHARD).clamp(1, MAX_SHARDS);
        let shards = 1 << shards.ilog2();
        let each = limit.div_ceil(shards);
        let spare = if shards == 1 { 0 } else { 4 * each.isqrt() };
        let each = each + spare;
        let shard = || CachePadded::new(Mutex::new(Shard::new(each)));
        Self {
            shards: (0..shards).map(|_| shard()).collect(),
            timeout,
        }
    }

    fn with<R>(&self, session: u64, act: impl FnOnce(&mut Shard) -> R) -> Option<R> {
        // The high bits choose the shard, the map within takes what is left.
        let bits = self.shards.len().trailing_zeros();
        let index = session.checked_shr(u64::BITS - bits).unwrap_or(0) as usize;
        let shard = self.shards.get(index)?;
        Some(act(&mut shard.lock()))
    }

    /// The serial of the backend that the session is kept at, used again at `now`.
    pub(crate) fn touch(&self, session: u64, now: Timestamp) -> Option<u64> {
        self.with(session, |shard| shard.touch(session, now, self.timeout))
            .flatten()
    }

    /// Keeps the session at the backend of this serial.
    pub(crate) fn keep(&self, session: u64, serial: u64, now: Timestamp) {
        self.with(session, |shard| shard.keep(session, serial, now, self.timeout));
    }

    /// How many there are, those counted whose time is over and whom nobody has looked for.
    pub(crate) fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().len()).sum()
    }

    /// How many were put out by the limit.
    pub(crate) fn evicted(&self) -> u64 {
        self.shards.iter().map(|shard| shard.lock().evicted()).sum()
    }
}

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sessions")
            .field("len", &self.len())
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}
