//! What time alone brings about: ends of patience, of idleness, of life; checks; retries.

use std::time::Duration;

use evenkeel_stats::Timestamp;

use super::State;
use crate::CloseReason;
use crate::effects::Effects;
use crate::live::Live;

/// The pause between two rounds of reaping, so that what falls due together goes by and by.
const REAP_PAUSE: Duration = Duration::from_millis(100);

/// Idle connections that are checked at a time, at most; and never more than a quarter of them, or one.
const MOST_CHECKS: usize = 16;

impl<T> State<T> {
    /// Does what is due. Says when to look again; never once the pool is closed.
    pub(crate) fn upkeep(&mut self, now: Timestamp, fx: &mut Effects<T>) -> Option<Timestamp> {
        if self.closing {
            return None;
        }
        // What comes back while the background task sleeps can fall due neither for closing nor for a
        // check sooner than this.
        let shortest = self.limits.check_every.map_or(self.limits.idle_timeout, |every| {
            every.min(self.limits.idle_timeout)
        });
        self.wake_at = now.saturating_add(shortest);
        self.expire_waiters(now, fx);
        self.wake_at = self.wake_at.min(self.earliest_deadline);
        self.reap(now, fx);
        if let Some(every) = self.book.rebuild_every() {
            if self.rebuild_at <= now {
                self.rebuild_at = now.saturating_add(every);
                let seed = self.rng.u64(..);
                self.book.rebuild(now, seed);
            }
            self.wake_at = self.wake_at.min(self.rebuild_at);
        }
        self.plan(now, fx);
        // It is awake: what was wanted earlier is in `wake_at` already.
        fx.forget_nudge();
        Some(self.wake_at)
    }

    /// Closes idle connections that nobody used for long or that are old: a quarter of them in one
    /// round, one at least.
    fn reap(&mut self, now: Timestamp, fx: &mut Effects<T>) {
        let mut budget = if now < self.reap_after {
            0
        } else {
            (self.idle.len() / 4).max(1)
        };
        let (mut next, mut reaped, mut retiring) = (Timestamp::MAX, false, 0);
        for _ in 0..self.idle.len() {
            let Some(live) = self.idle.pop_front() else {
                break;
            };
            let expired = live.expires <= now;
            let idle_until = live.since.saturating_add(self.limits.idle_timeout);
            let above_min = self.open > self.limits.min;
            let reason = if expired {
                // Without room for a successor, one at a time makes room for it.
                let no_room = self.open >= self.idle_room() && self.dials.is_empty() && !reaped;
                (above_min || no_room).then_some(CloseReason::Expired)
            } else {
                (above_min && idle_until <= now).then_some(CloseReason::Idle)
            };
            match reason {
                Some(reason) if budget > 0 => {
                    budget -= 1;
                    reaped = true;
                    self.forget(live, reason, fx);
                    continue;
                }
                Some(_) => next = next.min(now.saturating_add(REAP_PAUSE)),
                None if expired => retiring += 1,
                None => {
                    next = next.min(live.expires);
                    if above_min {
                        next = next.min(idle_until);
                    }
                }
            }
            self.idle.push_back(live);
        }
        self.retiring = retiring;
        if reaped {
            self.reap_after = now.saturating_add(REAP_PAUSE);
        }
        self.wake_at = self.wake_at.min(next.max(self.reap_after));
    }

    /// The idle connection nobody has heard from for longest, if that is longer than the interval of
    /// checks. It counts as being checked until [`checked`](Self::checked) or
    /// [`check_failed`](Self::check_failed).
    pub(crate) fn take_for_check(&mut self, now: Timestamp) -> Option<Box<Live<T>>> {
        let every = self.limits.check_every?;
        // Those in line need it more.
        if self.closing || !self.line.is_empty() {
            return None;
        }
        // The others stay for whoever asks meanwhile.
        let most = ((self.idle.len() + self.checking) / 4).clamp(1, MOST_CHECKS);
        if self.checking >= most {
            return None;
        }
        let due = |live: &Live<T>| live.quiet_since().saturating_add(every) <= now;
        let at = self.idle.iter().position(|live| due(live))?;
        self.checking += 1;
        self.idle.remove(at)
    }

    /// When the next check is due.
    pub(crate) fn next_check(&self, now: Timestamp) -> Option<Timestamp> {
        let every = self.limits.check_every?;
        if !self.line.is_empty() {
            return Some(now.saturating_add(every));
        }
        let quiet = self.idle.iter().map(|live| live.quiet_since()).min();
        quiet.map(|since| since.saturating_add(every))
    }

    /// A checked connection is good: it goes back to those that nobody has used for long.
    pub(crate) fn checked(&mut self, mut live: Box<Live<T>>, now: Timestamp, fx: &mut Effects<T>) {
        self.checking = self.checking.saturating_sub(1);
        live.checked = now;
        if let Some(reason) = self.judge(&mut live, now) {
            self.discard(live, reason, now, fx);
        } else {
            self.place_later(live, true, now, fx);
        }
    }

    /// A checked connection is dead.
    pub(crate) fn check_failed(&mut self, live: Box<Live<T>>, now: Timestamp, fx: &mut Effects<T>) {
        self.checking = self.checking.saturating_sub(1);
        let reason = if self.closing {
            CloseReason::Shutdown
        } else {
            CloseReason::Unhealthy
        };
        self.discard(live, reason, now, fx);
    }
}
