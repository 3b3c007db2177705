//! [`Group`]: what the members share, and who may be put out.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use evenkeel_stats::Timestamp;
use parking_lot::Mutex;

use super::judge;
use super::member::Cell;
use super::{Ejection, OutlierConfig, OutlierReason};

/// What the members share.
#[derive(Debug)]
pub(crate) struct Group {
    config: OutlierConfig,
    /// Before this nobody more can be put out, unless somebody comes: so that in a total outage a failing
    /// request costs one look at it. Changed under the lock.
    full_until: AtomicU64,
    members: Mutex<Members>,
}

#[derive(Debug, Default)]
struct Members {
    cells: Vec<Arc<Cell>>,
    /// The latest time that was handed in, for those who leave, who have none.
    seen: Timestamp,
}

impl Members {
    /// Who is out at `now`.
    fn ejected(&self, now: Timestamp) -> impl Iterator<Item = &Arc<Cell>> {
        self.cells.iter().filter(move |cell| cell.is_ejected(now))
    }
}

/// What is to be told once the lock is free: a subscriber may be slow, or ask.
#[derive(Default)]
struct News {
    out: Vec<Ejection>,
    back: Vec<Arc<str>>,
    /// Somebody had to stay because too few would be left, for the first time since somebody could go.
    full: Option<(Arc<str>, OutlierReason)>,
}

impl Drop for News {
    fn drop(&mut self) {
        for name in &self.back {
            tracing::info!(name = &**name, "outlier returned");
        }
        for Ejection { name, reason, until } in &self.out {
            tracing::warn!(name = &**name, reason = reason.as_str(), until = ?until, "outlier ejected");
        }
        if let Some((name, reason)) = &self.full {
            tracing::warn!(
                name = &**name,
                reason = reason.as_str(),
                "outlier stays: too few would be left"
            );
        }
    }
}

impl Group {
    pub(super) fn new(config: OutlierConfig) -> Self {
        Self {
            config,
            full_until: AtomicU64::new(0),
            members: Mutex::default(),
        }
    }

    pub(super) const fn config(&self) -> &OutlierConfig {
        &self.config
    }

    /// How many there are, and how many of them are out.
    pub(super) fn count(&self, now: Timestamp) -> (usize, usize) {
        let members = self.members.lock();
        (members.cells.len(), members.ejected(now).count())
    }

    pub(super) fn join(&self, cell: Arc<Cell>) {
        self.members.lock().cells.push(cell);
        self.full_until.store(0, Ordering::Relaxed);
    }

    /// A member leaves, and if too many of the rest are out for its going, some of them are back.
    pub(super) fn leave(&self, cell: &Arc<Cell>) {
        let mut news = News::default();
        let mut members = self.members.lock();
        members.cells.retain(|other| !Arc::ptr_eq(other, cell));
        self.keep_enough(&members, &mut news);
        drop(members);
        self.full_until.store(0, Ordering::Relaxed);
    }

    /// Lets back in who would return soonest until no more are out than may be.
    fn keep_enough(&self, members: &Members, news: &mut News) {
        let now = members.seen;
        let mut out: Vec<_> = members.ejected(now).collect();
        out.sort_by_key(|cell| cell.until());
        let most = self.config.most_ejected(members.cells.len());
        let surplus = out.len().saturating_sub(most);
        for cell in out.into_iter().take(surplus) {
            if cell.readmit(now) && cell.has_returned(now) {
                news.back.push(cell.name().clone());
            }
        }
    }

    pub(super) fn sweep(&self, now: Timestamp) -> Vec<Ejection> {
        let mut news = News::default();
        let mut members = self.members.lock();
        members.seen = members.seen.max(now);
        let (mut judged, mut samples, mut settled) = (Vec::new(), Vec::new(), Vec::new());
        for cell in &members.cells {
            let sample = cell.take();
            if cell.is_ejected(now) {
                continue;
            }
            if cell.has_returned(now) {
                news.back.push(cell.name().clone());
            } else {
                settled.push(cell);
            }
            if sample.requests() >= u64::from(self.config.min_requests) {
                judged.push(cell);
                samples.push(sample);
            }
        }
        for (index, reason) in judge::outliers(&self.config, &samples) {
            self.eject_one(&members, judged[index], reason, now, &mut news);
        }
        // Forgiven is who was in since the last sweep and got through this one, or the times would never
        // grow.
        for cell in settled {
            if !cell.is_ejected(now) {
                cell.forgive();
            }
        }
        drop(members);
        news.out.clone()
    }

    /// Ends the ejection of a backend, if it is out.
    pub(super) fn readmit(&self, cell: &Cell, now: Timestamp) {
        let mut news = News::default();
        let members = self.members.lock();
        if cell.readmit(now) && cell.has_returned(now) {
            news.back.push(cell.name().clone());
            self.full_until.store(0, Ordering::Relaxed);
        }
        drop(members);
    }

    /// Whether one more may be put out, as far as is known without the lock.
    pub(super) fn may_eject(&self, now: Timestamp) -> bool {
        now.as_nanos() >= self.full_until.load(Ordering::Relaxed)
    }

    /// Puts a backend out at once, if one more may be.
    pub(super) fn eject(&self, cell: &Arc<Cell>, reason: OutlierReason, now: Timestamp) {
        let mut news = News::default();
        let mut members = self.members.lock();
        members.seen = members.seen.max(now);
        if !cell.is_ejected(now) {
            self.eject_one(&members, cell, reason, now, &mut news);
        }
        drop(members);
    }

    fn eject_one(
        &self,
        members: &Members,
        cell: &Cell,
        reason: OutlierReason,
        now: Timestamp,
        news: &mut News,
    ) {
        if members.ejected(now).count() >= self.config.most_ejected(members.cells.len()) {
            let first = members.ejected(now).map(|cell| cell.until()).min();
            let until = first.unwrap_or(Timestamp::MAX).as_nanos();
            if self.full_until.swap(until, Ordering::Relaxed) <= now.as_nanos() {
                news.full = Some((cell.name().clone(), reason));
            }
            return;
        }
        let times = cell.count_ejection(self.config.most_steps());
        let time = self.config.base_ejection.checked_mul(times);
        let time = time.unwrap_or(Duration::MAX).min(self.config.max_ejection);
        let until = now.saturating_add(time);
        cell.eject_until(until);
        let name = cell.name().clone();
        news.out.push(Ejection { name, reason, until });
    }
}
