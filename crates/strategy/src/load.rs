//! What a backend carries now, live.

use std::fmt;
use std::time::Duration;

use crossbeam_utils::CachePadded;
use evenkeel_stats::{Outcome, PeakEwma, Timestamp};

use crate::sync::{AtomicU32, AtomicU64, Ordering};
use crate::{ConfigError, Readiness};

mod config;

pub use config::LoadConfig;

/// What has happened at a backend since its cell was made. Each number only grows, so a rate is what was
/// added between two readings, see [`since`](Self::since).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LoadTotals {
    /// Requests answered as they should. After 2^40 (10^12) the count begins anew.
    pub successes: u64,
    /// Requests failed or refused for overload.
    pub failures: u64,
    /// The time of all of these requests, in nanoseconds. Over a period, divided by the period, it is
    /// the mean number in flight (Little's law).
    pub busy_nanos: u64,
    /// The part of `busy_nanos` that the failures took.
    pub failed_nanos: u64,
}

impl LoadTotals {
    /// What was added since an `earlier` reading of the same cell.
    #[must_use]
    pub const fn since(&self, earlier: &Self) -> Self {
        Self {
            successes: self.successes.wrapping_sub(earlier.successes) & SUCCESSES_MASK,
            failures: self.failures.wrapping_sub(earlier.failures),
            busy_nanos: self.busy_nanos.wrapping_sub(earlier.busy_nanos),
            failed_nanos: self.failed_nanos.wrapping_sub(earlier.failed_nanos),
        }
    }
}

/// What one backend carries now: requests in flight, latency, readiness, age. All of it is atomics.
///
/// The cell lives in an `Arc` of its own, is keyed by the backend's id, and outlives every picker: a
/// rebuild shares it, so no count is lost. Pickers read it; whoever sends requests calls
/// [`begin`](Self::begin), then [`finish`](Self::finish) or [`release`](Self::release); whoever judges
/// health calls [`set_readiness`](Self::set_readiness) and [`eject_until`](Self::eject_until), and
/// the very next pick sees it.
///
/// Everything a pick reads and a request writes lies on one pair of cache lines that no other
/// backend's cell shares. Every access is relaxed: the numbers are each right by themselves, and a
/// reader may see one change before another.
///
/// ```
/// use std::time::Duration;
/// use evenkeel_stats::{Outcome, Timestamp};
/// use evenkeel_strategy::LoadCell;
///
/// let cell = LoadCell::new();
/// cell.begin();
/// assert_eq!(cell.in_flight(), 1);
/// let now = Timestamp::from_nanos(1_000);
/// cell.finish(Outcome::Failure, Duration::from_micros(3), now);
/// assert_eq!(cell.in_flight(), 0);
/// // It failed in 3 µs; that is not fast.
/// assert!(cell.latency(now).unwrap() >= Duration::from_secs(4));
/// ```
pub struct LoadCell(CachePadded<Fields>);

struct Fields {
    /// Requests in flight in the low bits, above them the successes: most requests end well, and one
    /// instruction both ends and counts them.
    counts: AtomicU64,
    /// Readiness and ejection in one word, so that a reader never sees half of a change.
    state: AtomicU64,
    /// When slow start began, 0 for never.
    born: AtomicU64,
    /// A weight set by hand, [`NO_WEIGHT`] for none.
    weight: AtomicU64,
    failures: AtomicU64,
    /// The time of the successes, and that of the failures: apart, so that a reader between two
    /// additions never takes one for the other.
    served_nanos: AtomicU64,
    failed_nanos: AtomicU64,
    /// How many requests in a row were given up that should have been answered.
    doubts: AtomicU32,
    /// Always there; an option because its constructor may refuse, and the default never is.
    latency: Option<PeakEwma>,
    failure_penalty: f64,
    max_retry_after: f64,
}

const IN_FLIGHT_BITS: u32 = 24;
const IN_FLIGHT_MASK: u64 = (1 << IN_FLIGHT_BITS) - 1;
const SUCCESS: u64 = 1 << IN_FLIGHT_BITS;
const SUCCESSES_MASK: u64 = u64::MAX >> IN_FLIGHT_BITS;

/// How much slower a backend is taken to be for each doubt: so much that one outweighs a few requests in
/// flight at each of the others.
const DOUBT: f64 = 4.0;

/// More doubts change nothing: together they make it 256 times slower. A doubt ends at a success and not with time, so
/// each makes the way back longer where nobody looks whether a shunned backend is well again.
const MOST_DOUBTS: u32 = 4;

/// No `u32` looks like this.
const NO_WEIGHT: u64 = u64::MAX;

/// The state word: the readiness in the low bits, above them when the ejection ends, in units of
/// 8 ns, rounded up. A cell that is ready and not ejected is the word 0.
const CODE_BITS: u32 = 3;
const CODE_MASK: u64 = (1 << CODE_BITS) - 1;

#[inline]
fn readiness_in(state: u64) -> Readiness {
    // Only codes are ever stored there.
    Readiness::from_code((state & CODE_MASK) as u8).unwrap_or_default()
}

impl Default for LoadCell {
    fn default() -> Self {
        Self::new()
    }
}

impl LoadCell {
    /// The cell of a backend that is ready, idle, and of unknown latency.
    #[must_use]
    pub fn new() -> Self {
        let config = LoadConfig::default();
        let latency = PeakEwma::new(config.decay).ok();
        Self::of(&config, latency)
    }

    /// Like [`new`](Self::new), judging latency as `config` says.
    ///
    /// # Errors
    /// Names the field of `config` that is out of range.
    pub fn with_config(config: &LoadConfig) -> Result<Self, ConfigError> {
        config.validate()?;
        let latency = PeakEwma::new(config.decay).map_err(|_| {
            ConfigError::out_of_range("LoadConfig", "decay", format!("{:?}", config.decay), "above zero")
        })?;
        Ok(Self::of(config, Some(latency)))
    }

    fn of(config: &LoadConfig, latency: Option<PeakEwma>) -> Self {
        Self(CachePadded::new(Fields {
            counts: AtomicU64::new(0),
            state: AtomicU64::new(0),
            born: AtomicU64::new(0),
            weight: AtomicU64::new(NO_WEIGHT),
            failures: AtomicU64::new(0),
            served_nanos: AtomicU64::new(0),
            failed_nanos: AtomicU64::new(0),
            doubts: AtomicU32::new(0),
            latency,
            failure_penalty: nanos_of(config.failure_penalty),
            max_retry_after: nanos_of(config.max_retry_after),
        }))
    }

    /// A request goes to this backend. There is room for 2^24 - 1 at a time.
    #[inline]
    pub fn begin(&self) {
        self.0.counts.fetch_add(1, Ordering::Relaxed);
    }

    /// A request that [`begin`](Self::begin) counted has ended, with nothing to learn from it.
    ///
    /// Without a `begin` before it, it changes nothing, however many threads do so at once.
    #[inline]
    pub fn release(&self) {
        self.end(0);
    }

    /// Ends a request, and adds `more` to the counts; what they were before.
    #[inline]
    fn end(&self, more: u64) -> u64 {
        let counts = &self.0.counts;
        let mut seen = counts.load(Ordering::Relaxed);
        loop {
            // Not a subtraction that is made good afterwards: between the two another thread would see a
            // count that is not there, and could be misled into making good what was not wrong.
            let ended = u64::from(seen & IN_FLIGHT_MASK != 0);
            let next = seen.wrapping_add(more) - ended;
            match counts.compare_exchange_weak(seen, next, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return seen,
                Err(newer) => seen = newer,
            }
        }
    }

    /// A request that [`begin`](Self::begin) counted ended with `outcome` at `now`, after `latency`.
    ///
    /// - A success is recorded with its latency: a peak at once, a lower one by and by.
    /// - A failure is recorded as if it had taken [`LoadConfig::failure_penalty`] or, if it was an
    ///   overload, the time it asked to be left alone; never as less than the average is now. (The
    ///   rule is that of linkerd's load-biaser.)
    /// - A cancelled request took *at least* `latency`: it may raise the average and never lowers it,
    ///   so that a backend whose callers all give up does not look idle and fast.
    #[inline]
    pub fn finish(&self, outcome: Outcome, latency: Duration, now: Timestamp) {
        if outcome.is_success() {
            self.succeed(saturating_nanos(latency), now);
        } else {
            self.record(outcome, latency, now);
            self.release();
        }
    }

    /// As [`finish`](Self::finish) of a success that took so many nanoseconds. How many there have been, this
    /// one included, for whoever would count them too.
    #[inline]
    pub fn succeed(&self, nanos: u64, now: Timestamp) -> u64 {
        self.record_success(nanos, now);
        (self.end(SUCCESS) >> IN_FLIGHT_BITS).wrapping_add(1) & SUCCESSES_MASK
    }

    /// All of a success but its count.
    #[inline]
    fn record_success(&self, nanos: u64, now: Timestamp) {
        let fields = &*self.0;
        self.record_latency(nanos as f64, now);
        if fields.doubts.load(Ordering::Relaxed) != 0 {
            fields.doubts.store(0, Ordering::Relaxed);
        }
        // As an integer: the sum of doubles would lose nanoseconds after 2^53 of them.
        fields.served_nanos.fetch_add(nanos, Ordering::Relaxed);
    }

    /// What [`finish`](Self::finish) records, for a request that was not counted by `begin`.
    pub fn record(&self, outcome: Outcome, latency: Duration, now: Timestamp) {
        let took = nanos_of(latency);
        match outcome {
            Outcome::Success => {
                self.record_success(saturating_nanos(latency), now);
                self.0.counts.fetch_add(SUCCESS, Ordering::Relaxed);
            }
            Outcome::Cancelled => self.at_least(latency, now),
            Outcome::Overload { retry_after } => {
                let asked = retry_after.map_or(0.0, nanos_of).min(self.0.max_retry_after);
                self.punish(took, took.max(asked), now);
            }
            // `Outcome` may grow; what is not known to be good is not recorded as good.
            _ => self.punish(took, took, now),
        }
    }

    /// A request waits for its answer for so long already: the average is no less from now on. Lowers nothing.
    pub fn at_least(&self, waited: Duration, now: Timestamp) {
        let waited = nanos_of(waited);
        if self.average(now).is_none_or(|average| waited > average) {
            self.record_latency(waited, now);
        }
    }

    /// A request was given up that should have been answered: for whoever gives up before the answer comes
    /// and so never learns how slow the backend is. Until the next success the backend is taken to be slower
    /// than its average says: four times for each such request in a row, four of which count.
    ///
    /// How long such requests were waited for says little by itself. All backends' are cut off at the same
    /// time, and one that is well and had a bad moment would look no better than one that is sick.
    pub fn doubt(&self) {
        // At the most the closure refuses, and nothing changes.
        let more = |doubts: u32| (doubts < MOST_DOUBTS).then_some(doubts + 1);
        let _ = self
            .0
            .doubts
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
    }

    /// Counts a failure that took so long, and records it as `cost` at least.
    fn punish(&self, took: f64, cost: f64, now: Timestamp) {
        // Without the doubts, which are not to be counted a second time.
        let average = self.average(now).unwrap_or(0.0);
        let cost = cost.max(self.0.failure_penalty).max(average);
        self.record_latency(cost, now);
        self.0.failures.fetch_add(1, Ordering::Relaxed);
        self.0.failed_nanos.fetch_add(took as u64, Ordering::Relaxed);
    }

    #[inline]
    fn record_latency(&self, nanos: f64, now: Timestamp) {
        if let Some(average) = &self.0.latency {
            average.record(nanos, now);
        }
    }

    /// Requests that have begun and not ended.
    #[must_use]
    #[inline]
    pub fn in_flight(&self) -> u32 {
        (self.0.counts.load(Ordering::Relaxed) & IN_FLIGHT_MASK) as u32
    }

    /// The latency to be expected at `now`: the last peak, decayed towards what came after it, and towards
    /// zero while nothing comes; more than that while there are [doubts](Self::doubt). `None` before the
    /// first outcome.
    #[must_use]
    pub fn latency(&self, now: Timestamp) -> Option<Duration> {
        self.latency_nanos(now)
            .map(|nanos| Duration::from_nanos(nanos as u64))
    }

    #[inline]
    pub(crate) fn latency_nanos(&self, now: Timestamp) -> Option<f64> {
        let average = self.average(now)?;
        Some(match self.0.doubts.load(Ordering::Relaxed) {
            0 => average,
            doubts => doubted(average, doubts),
        })
    }

    /// The average by itself.
    #[inline]
    fn average(&self, now: Timestamp) -> Option<f64> {
        self.0.latency.as_ref()?.value(now)
    }

    /// Forgets the latency average; the next outcome is the average. For whoever is just about to record
    /// one that says more than all before it: until then, a backend that has requests in flight and no
    /// average is the last that a strategy which goes by latency would pick.
    pub fn forget_latency(&self) {
        if let Some(average) = &self.0.latency {
            average.reset();
        }
    }

    /// How many requests succeeded so far, modulo 2^40: [`totals`](Self::totals) by one load.
    #[must_use]
    #[inline]
    pub fn successes(&self) -> u64 {
        self.0.counts.load(Ordering::Relaxed) >> IN_FLIGHT_BITS
    }

    /// What has happened here so far.
    #[must_use]
    pub fn totals(&self) -> LoadTotals {
        let failed_nanos = self.0.failed_nanos.load(Ordering::Relaxed);
        LoadTotals {
            successes: self.successes(),
            failures: self.0.failures.load(Ordering::Relaxed),
            busy_nanos: self
                .0
                .served_nanos
                .load(Ordering::Relaxed)
                .wrapping_add(failed_nanos),
            failed_nanos,
        }
    }

    /// The readiness at `now`: ejected while an ejection lasts, else as it was last set.
    #[must_use]
    #[inline]
    pub fn readiness(&self, now: Timestamp) -> Readiness {
        let state = self.0.state.load(Ordering::Relaxed);
        if state == 0 {
            return Readiness::Ready;
        }
        let until = state >> CODE_BITS;
        // Strictly: an ejection until now is over.
        if until > now.as_nanos() >> CODE_BITS {
            Readiness::Ejected
        } else {
            readiness_in(state)
        }
    }

    /// Sets the readiness. An ejection that lasts goes on: it ends by time or by
    /// [`end_ejection`](Self::end_ejection).
    pub fn set_readiness(&self, readiness: Readiness) {
        self.update_state(|state| (state & !CODE_MASK) | u64::from(readiness.code()));
    }

    /// Ejects the backend until `until`, when it is by itself as it was set before. A later end wins
    /// over an earlier one.
    pub fn eject_until(&self, until: Timestamp) {
        let until = until
            .as_nanos()
            .div_ceil(1 << CODE_BITS)
            .min(u64::MAX >> CODE_BITS);
        self.update_state(|state| (state & CODE_MASK) | ((state >> CODE_BITS).max(until) << CODE_BITS));
    }

    /// Ends an ejection before its time.
    pub fn end_ejection(&self) {
        self.update_state(|state| state & CODE_MASK);
    }

    fn update_state(&self, change: impl Fn(u64) -> u64) {
        // Never fails: the closure always gives a value.
        let _ = self
            .0
            .state
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |state| Some(change(state)));
    }

    /// Slow start begins at `now`: the backend has just joined or recovered. Without this call a
    /// backend has never been young, so a process that starts does not start all of them slowly.
    pub fn mark_born(&self, now: Timestamp) {
        self.0.born.store(now.as_nanos().max(1), Ordering::Relaxed);
    }

    /// Time since [`mark_born`](Self::mark_born); `None` if it never was.
    #[must_use]
    #[inline]
    pub fn age(&self, now: Timestamp) -> Option<Duration> {
        match self.0.born.load(Ordering::Relaxed) {
            0 => None,
            born => Some(now.since(Timestamp::from_nanos(born))),
        }
    }

    /// Sets the weight by hand, in place of the member's; `None` gives it back. Pickers follow at
    /// their next build.
    pub fn set_weight(&self, weight: Option<u32>) {
        let word = weight.map_or(NO_WEIGHT, u64::from);
        self.0.weight.store(word, Ordering::Relaxed);
    }

    /// The weight set by hand, if one is.
    #[must_use]
    pub fn weight(&self) -> Option<u32> {
        u32::try_from(self.0.weight.load(Ordering::Relaxed)).ok()
    }
}

impl fmt::Debug for LoadCell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.0.state.load(Ordering::Relaxed);
        f.debug_struct("LoadCell")
            .field("in_flight", &self.in_flight())
            .field("readiness", &readiness_in(state))
            .field(
                "ejected_until",
                &Timestamp::from_nanos((state >> CODE_BITS) << CODE_BITS),
            )
            .field("weight", &self.weight())
            .field("doubts", &self.0.doubts.load(Ordering::Relaxed))
            .field("totals", &self.totals())
            .finish_non_exhaustive()
    }
}

#[cold]
fn doubted(average: f64, doubts: u32) -> f64 {
    average * DOUBT.powi(doubts.cast_signed())
}

fn saturating_nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

fn nanos_of(duration: Duration) -> f64 {
    // Not by `as_nanos`: the conversion of 128 bits is a call.
    duration.as_secs() as f64 * 1e9 + f64::from(duration.subsec_nanos())
}

#[cfg(test)]
#[cfg(evenkeel_loom)]
mod loom;
#[cfg(test)]
#[cfg(not(evenkeel_loom))]
mod tests;
