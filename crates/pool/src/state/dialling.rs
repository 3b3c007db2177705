//! Which connections are opened, and what becomes of each attempt.

use std::time::Duration;

use evenkeel_stats::Timestamp;
use futures::future::AbortHandle;

use super::State;
use crate::addresses::{Choice, Chosen};
use crate::effects::{DialEnd, DialOrder, Effects};

/// A connection being opened. It has its place among the connections from the start.
#[derive(Debug)]
pub(super) struct Dial {
    id: u64,
    chosen: Chosen,
    began: Timestamp,
    /// Until it is given up.
    abort: Option<AbortHandle>,
}

impl Dial {
    /// What ends it, unless it was given up before.
    pub(super) fn give_up(&mut self) -> Option<AbortHandle> {
        self.abort.take()
    }
}

impl<T> State<T> {
    /// Orders the connections that are wanted and have room.
    #[inline]
    pub(super) fn plan(&mut self, now: Timestamp, fx: &mut Effects<T>) {
        // A busy pool is full.
        if self.has_room() {
            self.order(now, fx);
        }
    }

    #[inline]
    fn has_room(&self) -> bool {
        self.open + self.dials.len() < self.max
    }

    fn order(&mut self, now: Timestamp, fx: &mut Effects<T>) {
        while self.has_room()
            && self.dials.len() < self.limits.connect_concurrency
            && self.dials_under_way() < self.wanted()
            && !self.closing
        {
            let random = self.rng.u64(..);
            let choice = self.book.select_address(now, random);
            if self.book.strategy_panicked() {
                fx.lists().strategy_panicked = true;
            }
            let chosen = match choice {
                Choice::Dial(chosen) => chosen,
                Choice::Later(at) => {
                    self.look_at(at, fx);
                    return;
                }
                Choice::Nowhere => return,
            };
            let (handle, registration) = AbortHandle::new_pair();
            self.next_dial += 1;
            self.dials.push(Dial {
                id: self.next_dial,
                chosen: chosen.clone(),
                began: now,
                abort: Some(handle),
            });
            fx.lists().dial.push(DialOrder {
                id: self.next_dial,
                chosen,
                lifetime: self.draw_lifetime(),
                abort: registration,
            });
        }
    }

    /// How many connections should be under way: one for each that waits, or what the minimum lacks
    /// if that is more.
    fn wanted(&self) -> usize {
        let waiting = self.line.len().saturating_sub(self.idle.len());
        let floor = (self.limits.min + self.retiring).min(self.idle_room());
        waiting.max(floor.saturating_sub(self.open))
    }

    /// The most connections that may be open with nobody using them.
    pub(super) fn idle_room(&self) -> usize {
        self.max.min(self.max_idle)
    }

    fn dials_under_way(&self) -> usize {
        self.dials.iter().filter(|dial| dial.abort.is_some()).count()
    }

    fn draw_lifetime(&mut self) -> Duration {
        let Some(longest) = self.limits.max_lifetime else {
            return Duration::MAX;
        };
        longest.mul_f64(1.0 - self.limits.lifetime_jitter * self.rng.f64())
    }

    /// Gives up the latest dials that nobody waits for any more.
    ///
    /// The oldest is let finish. Under a load that comes and goes faster than a connect takes, the
    /// pool would else never grow.
    pub(super) fn give_up_surplus(&mut self, fx: &mut Effects<T>) {
        let mut surplus = self.dials_under_way().saturating_sub(self.wanted().max(1));
        for dial in self.dials.iter_mut().rev() {
            if surplus == 0 {
                break;
            }
            if let Some(abort) = dial.give_up() {
                fx.lists().give_up.push(abort);
                self.counts.surplus_dials += 1;
                surplus -= 1;
            }
        }
    }

    /// Gives up the dials whose connection would be closed at once.
    pub(super) fn give_up_pointless(&mut self, fx: &mut Effects<T>) {
        for dial in &mut self.dials {
            if !self.book.is_wanted(&dial.chosen) {
                fx.lists().give_up.extend(dial.give_up());
            }
        }
    }

    /// A dial has ended. Says what to log.
    pub(crate) fn dial_ended(
        &mut self,
        id: u64,
        end: DialEnd<T>,
        now: Timestamp,
        fx: &mut Effects<T>,
    ) -> Option<News> {
        let at = self.dials.iter().position(|dial| dial.id == id)?;
        // Not `swap_remove`: the order is that of age.
        let dial = self.dials.remove(at);
        let took = now.since(dial.began);
        fx.lists().progress = true;
        let turn = match end {
            DialEnd::Opened(mut live) => {
                let (recovered, generation) = self.book.opened(&dial.chosen, took, now);
                live.generation = generation;
                self.last_dial = None;
                self.counts.created += 1;
                self.open += 1;
                live.epoch = self.epoch.wrapping_sub(1);
                match self.judge(&mut live, now) {
                    Some(reason) => self.forget(live, reason, fx),
                    None => self.place_later(live, false, now, fx),
                }
                // A successor is there: the one that waited for it may go.
                if self.retiring > 0 {
                    fx.lists().nudge = true;
                }
                recovered.then_some(News::Back)
            }
            DialEnd::Failed(error) => {
                self.counts.failed_dials += 1;
                let dead = self.book.failed(&dial.chosen, took, now, &mut self.rng);
                self.last_dial = Some(error);
                if dead {
                    self.sweep_old(&dial.chosen.address.target, fx);
                }
                self.give_up_hope(fx);
                dead.then_some(News::Dead)
            }
            DialEnd::GivenUp => {
                self.book.given_up(&dial.chosen);
                None
            }
        };
        self.plan(now, fx);
        turn
    }
}

/// What a dial made known about its address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum News {
    /// It failed and works again.
    Back,
    /// It proved dead.
    Dead,
}
