//! [`Explore`]: a backend that the strategy shuns for what it did a while ago is asked again.
//!
//! A strategy that goes by latency never learns that a backend is well again, because it does not ask:
//! after one failure, which counts as five seconds, an average that forgets in ten would keep the backend
//! out for more than a minute. So who is shunned gets one request a second, and a good answer to it takes
//! the place of the average.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use evenkeel_stats::Timestamp;
use parking_lot::Mutex;

use crate::Repeat;
use crate::backend::Backend;

/// Who was not asked for so long while its like were is asked.
const SILENCE: Duration = Duration::from_secs(1);

/// How often that is looked at.
pub(crate) const EXPLORE_TICK: Duration = Duration::from_millis(500);

/// So much worse an average than that of the best of its like is why it is not asked. By less, it is
/// chance or the strategy's own choice.
const SHUNNED: f64 = 2.0;

/// Which backend is to be asked; nobody, most of the time.
#[derive(Debug, Default)]
pub(crate) struct Explore {
    /// One more than its serial; 0 is nobody.
    who: AtomicU64,
    since: AtomicU64,
    heard: Mutex<HashMap<u64, Heard>>,
}

/// What was seen of a backend when it was last looked at.
#[derive(Clone, Copy, Debug)]
struct Heard {
    begun: u64,
    at: Timestamp,
}

impl Explore {
    /// Whether somebody is to be asked: one load, which almost always says no.
    #[inline]
    pub(crate) fn is_due(&self) -> bool {
        self.who.load(Ordering::Relaxed) != 0
    }

    /// Takes up the task, if a request that may be repeated like this should: it may fail, so one that
    /// can be sent again goes first, and others only if none has come for a while.
    pub(crate) fn take(&self, repeat: Repeat, now: Timestamp) -> Option<u64> {
        let since = Timestamp::from_nanos(self.since.load(Ordering::Relaxed));
        if repeat != Repeat::Always && now.since(since) < SILENCE {
            return None;
        }
        self.who.swap(0, Ordering::Relaxed).checked_sub(1)
    }

    /// Looks who is shunned. Backends are compared within their priority and zone: what lies idle
    /// because others come first is not shunned.
    pub(crate) fn look<B>(&self, backends: &[Arc<Backend<B>>], now: Timestamp) {
        let mut heard = self.heard.lock();
        let mut seen = HashMap::with_capacity(backends.len());
        let mut best: HashMap<(u32, Option<&str>), Duration> = HashMap::new();
        for backend in backends {
            let vitals = &backend.vitals;
            // In flight says nothing: one long stream is no reason to be asked for nothing else.
            let begun = vitals.begun();
            let eligible = vitals.cell().readiness(now).is_eligible();
            let before = heard.get(&backend.serial).copied();
            let at = match before {
                // Out of use: when it is back it is asked at once.
                _ if !eligible => now.saturating_sub(SILENCE),
                Some(before) if before.begun == begun => before.at,
                _ => now,
            };
            seen.insert(backend.serial, Heard { begun, at });
            if eligible
                && at == now
                && let Some(latency) = vitals.cell().latency(now)
            {
                let like = (vitals.member().priority(), vitals.member().zone());
                let best = best.entry(like).or_insert(latency);
                *best = latency.min(*best);
            }
        }
        *heard = seen;
        let shunned = backends.iter().filter_map(|backend| {
            let member = backend.vitals.member();
            let cell = backend.vitals.cell();
            let at = heard.get(&backend.serial)?.at;
            let best = best.get(&(member.priority(), member.zone()))?;
            let worse = cell.latency(now)? >= best.mul_f64(SHUNNED);
            let silent = cell.readiness(now).is_eligible() && now.since(at) >= SILENCE;
            (worse && silent && member.weight() > 0).then_some((at, backend.serial))
        });
        let who = shunned.min().map_or(0, |(_, serial)| serial + 1);
        drop(heard);
        if self.who.swap(who, Ordering::Relaxed) != who {
            self.since.store(now.as_nanos(), Ordering::Relaxed);
        }
    }
}
