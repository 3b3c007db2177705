//! [`CircuitBreaker`]: stops asking a backend that does not answer, and finds out when it does again.

mod config;
#[cfg(all(test, evenkeel_loom))]
mod loom;
mod machine;
mod permit;
#[cfg(all(test, not(evenkeel_loom)))]
mod tests;
mod timed;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use evenkeel_stats::{Counter, Outcome, SuccessWindow, Timestamp};

pub use config::CircuitBreakerConfig;
use machine::Machine;
pub use machine::{CircuitReason, CircuitState};
pub use permit::Permit;
pub use timed::TimedBreaker;

use crate::sync::{AtomicU64, Mutex, Ordering};
use crate::{ConfigError, Detector, Observation, Rejected, Verdict, random};

/// A circuit breaker for one backend.
///
/// ```text
///             a run of failures, or too few successes
///    ┌────────┐ ─────────────────────────────────────► ┌──────┐ ◄─┐
///    │ closed │                                        │ open │   │ a request of the trial failed,
///    └────────┘ ◄──────────────┐      the time is over └──────┘   │ or the trial takes too long
///                              │                           ▼      │ (open for twice as long)
///      all requests of         │                      ┌───────────┐
///      the trial succeeded     └───────────────────── │ half-open │
///                                                     └───────────┘
/// ```
///
/// - Half-open, exactly [`trial_permits`](CircuitBreakerConfig::trial_permits) requests go through. A
///   permit that is dropped without an outcome is there for the next.
/// - An answer counts only in the state its request was let through in: a late success of a request
///   from before the opening does not close the breaker, nor does a late failure open it again.
/// - [`force_open`](Self::force_open), [`force_close`](Self::force_close) and [`reset`](Self::reset)
///   are for operators and tests.
///
/// Closed, asking is one atomic load; a success adds one to a window, and takes no lock. The lock is for
/// changes of state and for the few requests of a trial. Counting is exact but for this: a thread that is
/// held up in the middle of recording, for a whole opening and closing, adds its one sample to the window
/// after it.
///
/// Sources: M. Nygard, "Release It!", 2007, for the states; linkerd for the two rules side by side.
///
/// ```
/// use std::time::Duration;
/// use evenkeel_health::{CircuitBreaker, CircuitBreakerConfig, CircuitState};
/// use evenkeel_stats::{Clock, ManualClock, Outcome};
///
/// let clock = ManualClock::new(); // RealClock::new() outside of tests
/// let breaker = CircuitBreaker::new(CircuitBreakerConfig {
///     circuit_breaker_threshold: 3,
///     circuit_breaker_timeout: Duration::from_secs(1),
///     jitter: 0.0,
///     ..CircuitBreakerConfig::default()
/// })?;
/// for _ in 0..3 {
///     let permit = breaker.permit(clock.now()).unwrap();
///     permit.finish(Outcome::Failure, clock.now());
/// }
/// assert!(breaker.permit(clock.now()).is_err());
///
/// clock.advance(Duration::from_secs(1));
/// let trial = breaker.permit(clock.now()).unwrap();
/// assert!(breaker.permit(clock.now()).is_err(), "one is enough");
/// trial.finish(Outcome::Success, clock.now());
/// assert_eq!(breaker.state(), CircuitState::Closed);
/// # Ok::<(), evenkeel_health::ConfigError>(())
/// ```
pub struct CircuitBreaker {
    config: CircuitBreakerConfig,
    name: Arc<str>,
    /// The state in the low bits, the era above them: what the lock-free paths go by. Written under
    /// the lock, after `since` and `until`.
    word: AtomicU64,
    since: AtomicU64,
    until: AtomicU64,
    /// Failures in a row in the low half; above it the era they belong to, so that one that comes late
    /// does not count in the next.
    run: AtomicU64,
    window: Option<SuccessWindow>,
    rejected: Counter,
    machine: Mutex<Machine>,
}

/// What a [`CircuitBreaker`] shows of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CircuitBreakerStats {
    /// Where it stands. An opening that is over shows as open until somebody asks for a permit.
    pub state: CircuitState,
    /// Why it is there.
    pub reason: CircuitReason,
    /// Since when.
    pub since: Timestamp,
    /// How often it opened by itself.
    pub opened: u64,
    /// How many requests it did not let through.
    pub rejected: u64,
}

/// In which state and era a request was let through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Token(u64);

const STATE_BITS: u32 = 3;
const STATE_MASK: u64 = (1 << STATE_BITS) - 1;
const RUN_BITS: u32 = 32;
const RUN_MASK: u64 = (1 << RUN_BITS) - 1;

const fn word_of(state: CircuitState, era: u64) -> u64 {
    let code = match state {
        CircuitState::Closed => 0,
        CircuitState::Open => 1,
        CircuitState::HalfOpen => 2,
        CircuitState::ForcedOpen => 3,
        CircuitState::ForcedClosed => 4,
    };
    era << STATE_BITS | code
}

const fn state_of(word: u64) -> CircuitState {
    match word & STATE_MASK {
        0 => CircuitState::Closed,
        1 => CircuitState::Open,
        2 => CircuitState::HalfOpen,
        3 => CircuitState::ForcedOpen,
        _ => CircuitState::ForcedClosed,
    }
}

impl CircuitBreaker {
    /// A closed breaker.
    ///
    /// # Errors
    /// Names the field of `config` that is out of range.
    pub fn new(config: CircuitBreakerConfig) -> Result<Self, ConfigError> {
        Self::with_seed(config, random::seed())
    }

    /// Like [`new`](Self::new), with the jitter drawn from `seed`: for tests and simulations.
    ///
    /// # Errors
    /// Names the field of `config` that is out of range.
    pub fn with_seed(config: CircuitBreakerConfig, seed: u64) -> Result<Self, ConfigError> {
        let window = config.build_window()?;
        Ok(Self {
            name: Arc::from(""),
            word: AtomicU64::new(word_of(CircuitState::Closed, 0)),
            since: AtomicU64::new(0),
            until: AtomicU64::new(0),
            run: AtomicU64::new(0),
            window,
            rejected: Counter::new(),
            machine: Mutex::new(Machine::new(seed)),
            config,
        })
    }

    /// Gives it the name, of its backend usually, that its events carry.
    #[must_use]
    pub fn named(mut self, name: impl Into<Arc<str>>) -> Self {
        self.name = name.into();
        self
    }

    /// What it goes by.
    #[must_use]
    pub const fn config(&self) -> &CircuitBreakerConfig {
        &self.config
    }

    /// Asks to send a request at `now`.
    ///
    /// # Errors
    /// [`Rejected`] says why not, and when to ask again if that is known.
    #[inline]
    pub fn permit(&self, now: Timestamp) -> Result<Permit<&Self>, Rejected> {
        self.acquire(now).map(|token| Permit::new(self, token))
    }

    /// Like [`permit`](Self::permit), with a permit that owns the breaker, to be kept in a guard that
    /// outlives the caller.
    ///
    /// # Errors
    /// As `permit`.
    #[inline]
    pub fn permit_owned(self: &Arc<Self>, now: Timestamp) -> Result<Permit<Arc<Self>>, Rejected> {
        self.acquire(now).map(|token| Permit::new(self.clone(), token))
    }

    /// Where it stands. An opening that is over shows as open until somebody asks for a permit.
    #[must_use]
    pub fn state(&self) -> CircuitState {
        state_of(self.word.load(Ordering::Acquire))
    }

    /// What there is to show.
    #[must_use]
    pub fn stats(&self) -> CircuitBreakerStats {
        let machine = self.machine.lock();
        CircuitBreakerStats {
            state: machine.state,
            reason: machine.reason,
            since: machine.since,
            opened: machine.opened,
            rejected: self.rejected.value(),
        }
    }

    /// Lets nothing through from `now` on, until [`force_close`](Self::force_close) or
    /// [`reset`](Self::reset).
    pub fn force_open(&self, now: Timestamp) {
        self.change(|machine| machine.force(CircuitState::ForcedOpen, now));
    }

    /// Lets everything through from `now` on and judges nothing, until
    /// [`force_open`](Self::force_open) or [`reset`](Self::reset).
    pub fn force_close(&self, now: Timestamp) {
        self.change(|machine| machine.force(CircuitState::ForcedClosed, now));
    }

    /// Closes it at `now` as if it were new: runs, rates and past openings are forgotten.
    pub fn reset(&self, now: Timestamp) {
        self.change(|machine| machine.reset(now));
    }

    #[inline]
    pub(crate) fn acquire(&self, now: Timestamp) -> Result<Token, Rejected> {
        let word = self.word.load(Ordering::Acquire);
        match state_of(word) {
            CircuitState::Closed | CircuitState::ForcedClosed => Ok(Token(word)),
            state => self.acquire_slowly(state, now),
        }
    }

    #[cold]
    fn acquire_slowly(&self, state: CircuitState, now: Timestamp) -> Result<Token, Rejected> {
        let until = Timestamp::from_nanos(self.until.load(Ordering::Relaxed));
        let result = if state == CircuitState::Open && now < until {
            let retry_after = until.since(now);
            Err(Rejected::Open { retry_after })
        } else {
            self.change(|machine| {
                machine.advance(&self.config, now);
                let token = Token(word_of(machine.state, machine.era));
                match machine.state {
                    CircuitState::Closed | CircuitState::ForcedClosed => Ok(token),
                    CircuitState::HalfOpen if machine.has_permit(&self.config) => {
                        machine.take(now);
                        Ok(token)
                    }
                    CircuitState::HalfOpen => Err(Rejected::OnTrial),
                    CircuitState::Open => Err(Rejected::Open {
                        retry_after: machine.until.since(now),
                    }),
                    CircuitState::ForcedOpen => Err(Rejected::ForcedOpen),
                }
            })
        };
        if result.is_err() {
            self.rejected.increment();
        }
        result
    }

    /// A request that was let through has ended; whether that changed the state.
    #[inline]
    pub(crate) fn settle(&self, token: Token, outcome: Outcome, now: Timestamp) -> bool {
        match state_of(token.0) {
            CircuitState::Closed if self.word.load(Ordering::Acquire) == token.0 => {
                self.count(token, outcome, now)
            }
            CircuitState::HalfOpen => self.settle_trial(token, outcome, now),
            _ => false,
        }
    }

    #[cold]
    fn settle_trial(&self, token: Token, outcome: Outcome, now: Timestamp) -> bool {
        self.change(|machine| {
            let mine = word_of(machine.state, machine.era) == token.0;
            if mine {
                machine.give_back();
                self.judge_trial(machine, outcome, now);
            }
            mine && machine.state != CircuitState::HalfOpen
        })
    }

    fn judge_trial(&self, machine: &mut Machine, outcome: Outcome, now: Timestamp) {
        match outcome {
            Outcome::Cancelled => {}
            Outcome::Success => machine.pass(&self.config, now),
            outcome => {
                let reason = CircuitReason::TrialFailed;
                machine.open(&self.config, reason, retry_after(outcome), now);
            }
        }
    }

    /// Counts an outcome of the closed state that `token` is of; whether that opened it.
    #[inline]
    fn count(&self, token: Token, outcome: Outcome, now: Timestamp) -> bool {
        match outcome {
            Outcome::Success => {
                let run = self.run.load(Ordering::Relaxed);
                if run & RUN_MASK != 0 {
                    self.end_run(token, run);
                }
                if let Some(window) = &self.window {
                    window.record(true, now);
                }
                false
            }
            Outcome::Cancelled => false,
            outcome => self.count_failure(token, outcome, now),
        }
    }

    /// A success ends a run of its own era only.
    #[cold]
    fn end_run(&self, token: Token, run: u64) {
        let none = run_of(token);
        if run & !RUN_MASK == none {
            // Whoever changes it meanwhile is counted as having come after.
            let _ = self
                .run
                .compare_exchange(run, none, Ordering::AcqRel, Ordering::Relaxed);
        }
    }

    #[cold]
    fn count_failure(&self, token: Token, outcome: Outcome, now: Timestamp) -> bool {
        let mut reason = None;
        if let Some(window) = &self.window {
            window.record(false, now);
            let (good, bad) = (window.successes(now), window.failures(now));
            let all = good + bad;
            if all >= u64::from(self.config.min_samples)
                && (good as f64) < self.config.min_success_rate * all as f64
            {
                reason = Some(CircuitReason::SuccessRate);
            }
        }
        if !matches!(outcome, Outcome::Overload { .. }) && self.lengthen_run(token) {
            reason = Some(CircuitReason::ConsecutiveFailures);
        }
        let Some(reason) = reason else {
            return false;
        };
        self.change(|machine| {
            // Another thread may have opened it on the same evidence.
            let first = word_of(machine.state, machine.era) == token.0;
            if first {
                machine.open(&self.config, reason, retry_after(outcome), now);
            }
            first
        })
    }

    /// Adds a failure to the run; whether that makes it long enough.
    fn lengthen_run(&self, token: Token) -> bool {
        let none = run_of(token);
        let longer = |run: u64| (run & !RUN_MASK == none && run & RUN_MASK < RUN_MASK).then_some(run + 1);
        match self.run.fetch_update(Ordering::AcqRel, Ordering::Relaxed, longer) {
            Ok(before) => (before & RUN_MASK) + 1 >= u64::from(self.config.circuit_breaker_threshold),
            Err(_) => false,
        }
    }

    /// The only way to change the state: under the lock, published at its end, told after it.
    fn change<R>(&self, change: impl FnOnce(&mut Machine) -> R) -> R {
        let mut machine = self.machine.lock();
        let (era, from, held) = (machine.era, machine.state, machine.since);
        let result = change(&mut machine);
        if machine.era == era {
            return result;
        }
        let word = word_of(machine.state, machine.era);
        if machine.state == CircuitState::Closed {
            // A swap, not a store: nobody's late failure can come after it unseen.
            self.run.swap(run_of(Token(word)), Ordering::AcqRel);
            if let Some(window) = &self.window {
                window.clear();
            }
        }
        self.since.store(machine.since.as_nanos(), Ordering::Relaxed);
        self.until.store(machine.until.as_nanos(), Ordering::Relaxed);
        self.word.store(word, Ordering::Release);
        let (to, reason, since) = (machine.state, machine.reason, machine.since);
        let open_for = machine.until.since(since);
        // A subscriber may be slow, or ask the breaker.
        drop(machine);
        tracing::info!(
            name = &*self.name,
            from = from.as_str(),
            to = to.as_str(),
            reason = reason.as_str(),
            after = ?since.since(held),
            open_for = ?open_for,
            "circuit breaker changed"
        );
        result
    }
}

/// An empty run of the token's era.
const fn run_of(token: Token) -> u64 {
    token.0 >> STATE_BITS << RUN_BITS
}

const fn retry_after(outcome: Outcome) -> Option<Duration> {
    match outcome {
        Outcome::Overload { retry_after } => retry_after,
        _ => None,
    }
}

/// For whoever sends without permits. Closed, requests that were sent since it closed count; half-open,
/// those that were sent after the open time was over are the trial.
impl Detector for CircuitBreaker {
    fn observe(&self, observation: &Observation) -> Verdict {
        let Observation {
            outcome,
            started,
            now,
        } = *observation;
        let word = self.word.load(Ordering::Acquire);
        match state_of(word) {
            CircuitState::Closed => {
                if started.as_nanos() >= self.since.load(Ordering::Relaxed) {
                    self.count(Token(word), outcome, now);
                }
            }
            CircuitState::Open | CircuitState::HalfOpen => {
                self.change(|machine| {
                    machine.advance(&self.config, now);
                    if machine.state == CircuitState::HalfOpen && started >= machine.until {
                        self.judge_trial(machine, outcome, now);
                    }
                });
            }
            CircuitState::ForcedOpen | CircuitState::ForcedClosed => {}
        }
        self.verdict(now)
    }

    fn verdict(&self, now: Timestamp) -> Verdict {
        match self.state() {
            CircuitState::Closed | CircuitState::ForcedClosed => Verdict::Healthy,
            CircuitState::HalfOpen => Verdict::OnTrial,
            CircuitState::Open => {
                let until = Timestamp::from_nanos(self.until.load(Ordering::Relaxed));
                if now < until {
                    Verdict::Ejected { until }
                } else {
                    Verdict::OnTrial
                }
            }
            CircuitState::ForcedOpen => Verdict::Ejected {
                until: Timestamp::MAX,
            },
        }
    }

    /// Open, it is on trial from now on. Who forced it open meant it: then nothing changes.
    fn readmit(&self, now: Timestamp) {
        self.change(|machine| machine.readmit(now));
    }
}

impl fmt::Debug for CircuitBreaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CircuitBreaker")
            .field("name", &self.name)
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}
