//! [`CircuitBreaker`]: stops asking a backend that does not answer, and finds out when it does again.

mod config;
mod detect;
mod evidence;
#[cfg(all(test, evenkeel_loom))]
mod loom;
mod machine;
mod marks;
mod permit;
#[cfg(all(test, not(evenkeel_loom)))]
mod tests;
mod timed;
mod word;

use std::fmt;
use std::sync::Arc;

use evenkeel_stats::{Counter, Outcome, Timestamp};

pub use config::CircuitBreakerConfig;
use evidence::{CountedBy, Evidence};
use machine::Machine;
pub use machine::{CircuitReason, CircuitState};
pub use permit::Permit;
pub use timed::TimedBreaker;
use word::Token;

use crate::sync::{AtomicU64, Mutex, Ordering};
use crate::{ConfigError, Rejected, random};

/// A circuit breaker for one backend.
///
/// ```text
///        a run of failures, too few successes, or a burst of failures
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
/// - A trial times out when somebody asks, and only if a request of it is out then: without anybody who
///   asks, a late success still closes the breaker.
///
/// Closed, asking is one atomic load; a success adds one to a window, and takes no lock. The lock is for
/// changes of state, and while a trial is on. Counting is exact but for this: a thread that is held up in
/// the middle of recording, for a whole opening and closing, adds its one sample to the window after it.
///
/// Sources: M. Nygard, "Release It!", 2007, for the states; linkerd for the run and the rate side by side;
/// E. S. Page, "Continuous inspection schemes", Biometrika 41, 1954, for the excess (the cumulative sum).
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
    evidence: Evidence,
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
        let evidence = Evidence::new(&config)?;
        Ok(Self {
            name: Arc::from(""),
            word: AtomicU64::new(Token::new(CircuitState::Closed, 0).word()),
            since: AtomicU64::new(0),
            until: AtomicU64::new(0),
            evidence,
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
        self.token().state()
    }

    #[inline]
    fn token(&self) -> Token {
        Token::from_word(self.word.load(Ordering::Acquire))
    }

    /// When the opening ends; right for a state that was read before.
    fn until(&self) -> Timestamp {
        Timestamp::from_nanos(self.until.load(Ordering::Relaxed))
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
    fn acquire(&self, now: Timestamp) -> Result<Token, Rejected> {
        let token = self.token();
        match token.state() {
            CircuitState::Closed | CircuitState::ForcedClosed => Ok(token),
            state => self.acquire_slowly(state, now),
        }
    }

    #[cold]
    fn acquire_slowly(&self, state: CircuitState, now: Timestamp) -> Result<Token, Rejected> {
        let until = self.until();
        let result = if state == CircuitState::Open && now < until {
            let retry_after = until.since(now);
            Err(Rejected::Open { retry_after })
        } else {
            self.change(|machine| {
                machine.advance(&self.config, now);
                let token = machine.token();
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
    fn settle(&self, token: Token, outcome: Outcome, now: Timestamp) -> bool {
        match token.state() {
            CircuitState::Closed if self.token() == token => {
                self.count(token, outcome, CountedBy::Breaker, now)
            }
            CircuitState::HalfOpen => self.settle_trial(token, outcome, now),
            _ => false,
        }
    }

    #[cold]
    fn settle_trial(&self, token: Token, outcome: Outcome, now: Timestamp) -> bool {
        self.change(|machine| {
            let mine = machine.token() == token;
            if mine {
                machine.give_back();
                machine.judge(&self.config, outcome, now);
            }
            mine && machine.token() != token
        })
    }

    /// Counts an outcome of the closed state that `token` is of; whether that opened it.
    #[inline]
    fn count(&self, token: Token, outcome: Outcome, by: CountedBy, now: Timestamp) -> bool {
        match outcome {
            Outcome::Success => {
                self.evidence.success(token.era(), by, now);
                false
            }
            Outcome::Cancelled => false,
            outcome => self.count_failure(token, outcome, by, now),
        }
    }

    #[cold]
    fn count_failure(&self, token: Token, outcome: Outcome, by: CountedBy, now: Timestamp) -> bool {
        let overload = matches!(outcome, Outcome::Overload { .. });
        let Some(reason) = self.evidence.failure(token.era(), overload, by, now) else {
            return false;
        };
        self.change(|machine| {
            // Another thread may have opened it on the same evidence.
            let first = machine.token() == token;
            if first {
                machine.open_for(&self.config, reason, outcome, now);
            }
            first
        })
    }

    /// The only way to change the state: under the lock, published at its end, told after it.
    fn change<R>(&self, change: impl FnOnce(&mut Machine) -> R) -> R {
        let mut machine = self.machine.lock();
        let (before, held) = (machine.token(), machine.since);
        let result = change(&mut machine);
        let after = machine.token();
        if after == before {
            return result;
        }
        if machine.state == CircuitState::Closed {
            self.evidence.reset(after.era());
        }
        self.since.store(machine.since.as_nanos(), Ordering::Relaxed);
        self.until.store(machine.until.as_nanos(), Ordering::Relaxed);
        self.word.store(after.word(), Ordering::Release);
        let (reason, since, until) = (machine.reason, machine.since, machine.until);
        // A subscriber may be slow, or ask the breaker.
        drop(machine);
        let (from, to) = (before.state(), after.state());
        if from != to {
            let open_for = (to == CircuitState::Open).then(|| tracing::field::debug(until.since(since)));
            tracing::info!(
                name = &*self.name,
                from = from.as_str(),
                to = to.as_str(),
                reason = reason.as_str(),
                after = ?since.since(held),
                open_for,
                "circuit breaker changed"
            );
        }
        result
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
