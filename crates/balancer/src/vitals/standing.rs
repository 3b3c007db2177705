//! [`Standing`]: how a backend stands with operator, checks and judges, and for how long it has.

use std::time::Duration;

use evenkeel_stats::{Readiness, Timestamp};
use evenkeel_strategy::LoadCell;

/// What the operator says of a backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Admin {
    /// In use.
    Enabled,
    /// Out of use until it is enabled.
    Disabled,
    /// Finishes what it has, and leaves.
    Draining,
    /// Gone.
    Removed,
}

/// Changed seldom, under a lock of its own.
#[derive(Clone, Debug)]
pub(crate) struct Standing {
    admin: Admin,
    reported: Readiness,
    /// Until when a judge has put it out; for as long as no judge has said that it is well again.
    ejected_until: Option<Timestamp>,
    by_breaker: bool,
    readiness: Readiness,
    since: Timestamp,
    time_in: [Duration; 5],
    entered: [u64; 5],
    ejections: u64,
    last_divert: Option<Duration>,
    longest_divert: Option<Duration>,
}

impl Standing {
    pub(crate) fn new(now: Timestamp) -> Self {
        let mut entered = [0; 5];
        entered[usize::from(Readiness::Ready.code())] = 1;
        Self {
            admin: Admin::Enabled,
            reported: Readiness::Ready,
            ejected_until: None,
            by_breaker: false,
            readiness: Readiness::Ready,
            since: now,
            time_in: [Duration::ZERO; 5],
            entered,
            ejections: 0,
            last_divert: None,
            longest_divert: None,
        }
    }

    pub(crate) const fn admin(&self) -> Admin {
        self.admin
    }

    pub(crate) const fn set_admin(&mut self, admin: Admin) {
        self.admin = admin;
    }

    pub(crate) const fn reported(&self) -> Readiness {
        self.reported
    }

    pub(crate) const fn report(&mut self, health: Readiness) {
        self.reported = health;
    }

    /// The readiness with ejections left aside. The operator's word is above that of the checks:
    ///
    /// | operator | checks | is |
    /// |---|---|---|
    /// | enabled | anything | what the checks say |
    /// | disabled, draining, removed | anything | draining |
    pub(crate) fn base(&self) -> Readiness {
        match self.admin {
            Admin::Enabled => self.reported,
            Admin::Disabled | Admin::Draining | Admin::Removed => Readiness::Draining,
        }
    }

    /// A judge has put it out until then. Whether it was in before.
    pub(crate) const fn eject(&mut self, until: Timestamp, by_breaker: bool, now: Timestamp) -> bool {
        let was_out = match self.ejected_until {
            Some(before) => before.as_nanos() > now.as_nanos(),
            None => false,
        };
        self.ejected_until = Some(until);
        self.by_breaker = by_breaker;
        if !was_out {
            self.ejections += 1;
        }
        !was_out
    }

    /// No judge has anything against it. Whether that is because it stood a trial: other ejections
    /// end by time, without anybody's doing.
    pub(crate) fn reinstate(&mut self) -> bool {
        self.ejected_until.take().is_some() && self.by_breaker
    }

    /// When the ejection that is under way ends.
    pub(crate) fn returns_at(&self, now: Timestamp) -> Option<Timestamp> {
        self.ejected_until.filter(|&until| until > now)
    }

    pub(crate) fn diverted(&mut self, after: Duration) {
        self.last_divert = Some(after);
        self.longest_divert = self.longest_divert.max(Some(after));
    }

    /// Books the time until `now`, and notes how the cell reads there. Whether that is new.
    pub(crate) fn advance(&mut self, cell: &LoadCell, now: Timestamp) -> bool {
        let now = now.max(self.since);
        let readiness = cell.readiness(now);
        let spent = &mut self.time_in[usize::from(self.readiness.code())];
        *spent = spent.saturating_add(now.since(self.since));
        self.since = now;
        if readiness == self.readiness {
            return false;
        }
        self.readiness = readiness;
        let entered = &mut self.entered[usize::from(readiness.code())];
        *entered = entered.saturating_add(1);
        true
    }

    pub(crate) const fn readiness(&self) -> Readiness {
        self.readiness
    }

    /// The time in each readiness, up to `now`, by code.
    pub(crate) fn time_in(&self, now: Timestamp) -> [Duration; 5] {
        let mut time_in = self.time_in;
        let spent = &mut time_in[usize::from(self.readiness.code())];
        *spent = spent.saturating_add(now.since(self.since));
        time_in
    }

    /// How often it came into each readiness, by code.
    pub(crate) const fn entered(&self) -> [u64; 5] {
        self.entered
    }

    pub(crate) const fn ejections(&self) -> u64 {
        self.ejections
    }

    pub(crate) const fn last_divert(&self) -> Option<Duration> {
        self.last_divert
    }

    pub(crate) const fn longest_divert(&self) -> Option<Duration> {
        self.longest_divert
    }
}
