//! The states of a breaker and what leads from one to the next: plain data, changed under the lock.

use std::fmt;
use std::time::Duration;

use evenkeel_stats::{Outcome, Timestamp};

use super::{CircuitBreakerConfig, Token};
use crate::random;

/// Where a [`CircuitBreaker`](crate::CircuitBreaker) stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "snake_case")
)]
#[non_exhaustive]
pub enum CircuitState {
    /// Lets everything through and watches.
    Closed,
    /// Lets nothing through until its time is over.
    Open,
    /// Lets a few requests through, which decide.
    HalfOpen,
    /// Lets nothing through until a hand says otherwise.
    ForcedOpen,
    /// Lets everything through and does not judge, until a hand says otherwise.
    ForcedClosed,
}

impl CircuitState {
    /// The state as one lower-case word, for labels.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half_open",
            Self::ForcedOpen => "forced_open",
            Self::ForcedClosed => "forced_closed",
        }
    }
}

impl fmt::Display for CircuitState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a [`CircuitBreaker`](crate::CircuitBreaker) is in its state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "snake_case")
)]
#[non_exhaustive]
pub enum CircuitReason {
    /// It has just been made, or was reset.
    Fresh,
    /// Too many failures in a row.
    ConsecutiveFailures,
    /// Too small a share of successes.
    SuccessRate,
    /// A burst of failures after a good time.
    ExcessFailures,
    /// The open time is over.
    TimeServed,
    /// There was news that the backend is back: see [`Detector::readmit`](crate::Detector::readmit).
    Readmitted,
    /// Every request of the trial succeeded.
    TrialPassed,
    /// A request of the trial failed.
    TrialFailed,
    /// The trial did not end in its time.
    TrialTimedOut,
    /// By hand.
    Forced,
}

impl CircuitReason {
    /// The reason in lower-case words, for labels.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Fresh => "fresh",
            Self::ConsecutiveFailures => "consecutive_failures",
            Self::SuccessRate => "success_rate",
            Self::ExcessFailures => "excess_failures",
            Self::TimeServed => "time_served",
            Self::Readmitted => "readmitted",
            Self::TrialPassed => "trial_passed",
            Self::TrialFailed => "trial_failed",
            Self::TrialTimedOut => "trial_timed_out",
            Self::Forced => "forced",
        }
    }
}

impl fmt::Display for CircuitReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// See the module.
#[derive(Clone, Debug)]
pub(super) struct Machine {
    pub(super) state: CircuitState,
    pub(super) reason: CircuitReason,
    pub(super) since: Timestamp,
    /// When an opening ends; kept through the trial, which is about requests sent after it.
    pub(super) until: Timestamp,
    /// Counts the changes of state.
    pub(super) era: u64,
    pub(super) opened: u64,
    /// How often the open time is doubled at the next opening.
    level: u32,
    /// Permits of the trial that are out.
    taken: u32,
    /// Since when at least one is.
    taken_since: Timestamp,
    /// Requests of the trial that succeeded.
    succeeded: u32,
    random: u64,
}

impl Machine {
    pub(super) const fn new(seed: u64) -> Self {
        Self {
            state: CircuitState::Closed,
            reason: CircuitReason::Fresh,
            since: Timestamp::ZERO,
            until: Timestamp::ZERO,
            era: 0,
            opened: 0,
            level: 0,
            taken: 0,
            taken_since: Timestamp::ZERO,
            succeeded: 0,
            random: seed,
        }
    }

    pub(super) const fn token(&self) -> Token {
        Token::new(self.state, self.era)
    }

    fn enter(&mut self, state: CircuitState, reason: CircuitReason, now: Timestamp) {
        self.state = state;
        self.reason = reason;
        self.since = now;
        self.era += 1;
        self.taken = 0;
        self.succeeded = 0;
    }

    /// What the passing of time changes.
    pub(super) fn advance(&mut self, config: &CircuitBreakerConfig, now: Timestamp) {
        match self.state {
            CircuitState::Open if now >= self.until => {
                self.enter(CircuitState::HalfOpen, CircuitReason::TimeServed, now);
            }
            CircuitState::HalfOpen
                if self.taken > 0 && now.since(self.taken_since) >= config.trial_timeout =>
            {
                self.open(config, CircuitReason::TrialTimedOut, None, now);
            }
            _ => {}
        }
    }

    /// Opens because of a request that ended so.
    pub(super) fn open_for(
        &mut self,
        config: &CircuitBreakerConfig,
        reason: CircuitReason,
        outcome: Outcome,
        now: Timestamp,
    ) {
        let asked = match outcome {
            Outcome::Overload { retry_after } => retry_after,
            _ => None,
        };
        self.open(config, reason, asked, now);
    }

    /// A request of the trial ended so.
    pub(super) fn judge(&mut self, config: &CircuitBreakerConfig, outcome: Outcome, now: Timestamp) {
        match outcome {
            Outcome::Cancelled => {}
            Outcome::Success => self.pass(config, now),
            outcome => self.open_for(config, CircuitReason::TrialFailed, outcome, now),
        }
    }

    /// Opens for the next open time, or for as long as the backend asked for if that is more.
    pub(super) fn open(
        &mut self,
        config: &CircuitBreakerConfig,
        reason: CircuitReason,
        asked: Option<Duration>,
        now: Timestamp,
    ) {
        if self.state == CircuitState::Closed {
            let good = now.since(self.since).as_nanos() / config.forgive_after.as_nanos().max(1);
            let good = u32::try_from(good).unwrap_or(u32::MAX);
            self.level = self.level.saturating_sub(good);
        }
        let doubled = 1_u32
            .checked_shl(self.level)
            .and_then(|times| config.circuit_breaker_timeout.checked_mul(times))
            .unwrap_or(Duration::MAX);
        // Capped before the jitter: clients that have all reached the cap shall be spread too.
        let time = doubled.max(asked.unwrap_or_default()).min(config.max_timeout);
        if doubled < config.max_timeout {
            self.level += 1;
        }
        let extra = time.as_nanos() as f64 * config.jitter * random::unit(random::next(&mut self.random));
        self.enter(CircuitState::Open, reason, now);
        self.opened += 1;
        self.until = now
            .saturating_add(time)
            .saturating_add(Duration::from_nanos(extra as u64));
    }

    /// Whether a permit of the trial is left.
    pub(super) fn has_permit(&self, config: &CircuitBreakerConfig) -> bool {
        self.taken.saturating_add(self.succeeded) < config.trial_permits
    }

    /// Takes a permit of the trial.
    pub(super) fn take(&mut self, now: Timestamp) {
        if self.taken == 0 {
            self.taken_since = now;
        }
        self.taken += 1;
    }

    /// Gives a permit of the trial back.
    pub(super) fn give_back(&mut self) {
        self.taken = self.taken.saturating_sub(1);
    }

    /// A request of the trial succeeded.
    pub(super) fn pass(&mut self, config: &CircuitBreakerConfig, now: Timestamp) {
        self.succeeded += 1;
        if self.succeeded >= config.trial_permits {
            self.enter(CircuitState::Closed, CircuitReason::TrialPassed, now);
        }
    }

    /// Ends the open time before it is over.
    pub(super) fn readmit(&mut self, now: Timestamp) {
        if self.state == CircuitState::Open {
            self.until = self.until.min(now);
            self.enter(CircuitState::HalfOpen, CircuitReason::Readmitted, now);
        }
    }

    /// Puts it by hand into `state`.
    pub(super) fn force(&mut self, state: CircuitState, now: Timestamp) {
        if self.state != state {
            self.enter(state, CircuitReason::Forced, now);
        }
    }

    /// Closes it and forgets how often it opened.
    pub(super) fn reset(&mut self, now: Timestamp) {
        self.level = 0;
        self.enter(CircuitState::Closed, CircuitReason::Fresh, now);
    }
}
