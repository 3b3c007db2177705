//! [`TimedBreaker`]: a breaker with a clock, around futures.

use std::future::Future;
use std::sync::Arc;

use evenkeel_stats::{Clock, Outcome, RealClock, Timestamp};

use super::CircuitBreaker;
use crate::{CallError, CircuitBreakerConfig, ConfigError};

/// A [`CircuitBreaker`] with a clock of its own, for use by itself. Clones share the breaker.
///
/// It knows no runtime: the futures may be of any.
///
/// ```
/// use evenkeel_health::{CallError, CircuitBreakerConfig, TimedBreaker};
///
/// # futures::executor::block_on(async {
/// let breaker = TimedBreaker::new(CircuitBreakerConfig::default())?;
/// let answer = breaker.call(async { Ok::<_, std::io::Error>(42) }).await;
/// match answer {
///     Ok(answer) => assert_eq!(answer, 42),
///     Err(CallError::Rejected(why)) => println!("not sent: {why}"),
///     Err(CallError::Failed(error)) => println!("sent, and failed: {error}"),
///     Err(_) => {}
/// }
/// # Ok::<(), evenkeel_health::ConfigError>(())
/// # })?;
/// # Ok::<(), evenkeel_health::ConfigError>(())
/// ```
#[derive(Clone, Debug)]
pub struct TimedBreaker {
    breaker: Arc<CircuitBreaker>,
    clock: Arc<dyn Clock>,
}

impl TimedBreaker {
    /// A closed breaker on the machine's own clock.
    ///
    /// # Errors
    /// Names the field of `config` that is out of range.
    pub fn new(config: CircuitBreakerConfig) -> Result<Self, ConfigError> {
        let breaker = Arc::new(CircuitBreaker::new(config)?);
        Ok(Self::with_clock(breaker, Arc::new(RealClock::new())))
    }

    /// `breaker`, on `clock`.
    #[must_use]
    pub fn with_clock(breaker: Arc<CircuitBreaker>, clock: Arc<dyn Clock>) -> Self {
        Self { breaker, clock }
    }

    /// The breaker itself.
    #[must_use]
    pub const fn breaker(&self) -> &Arc<CircuitBreaker> {
        &self.breaker
    }

    /// The time it goes by, for [`CircuitBreaker::force_open`] and its like.
    ///
    /// It is the clock's coarse one: windows and open times of seconds need no nanoseconds, and it is
    /// cheaper.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.coarse()
    }

    /// Runs `request` if the breaker lets it through; an `Err` is a failure.
    ///
    /// A time-out belongs inside, around the request: around the call it cancels the call, from which
    /// nothing is learnt, and a backend that hangs would never open the breaker.
    ///
    /// ```
    /// # use std::{io, time::Duration};
    /// # use evenkeel_health::{CallError, TimedBreaker};
    /// # async fn ask() -> io::Result<u32> { Ok(1) }
    /// # async fn example(breaker: &TimedBreaker) -> Result<u32, CallError<io::Error>> {
    /// let patience = Duration::from_secs(1);
    /// breaker.call(async { tokio::time::timeout(patience, ask()).await? }).await
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`CallError::Rejected`] if it does not, and then `request` was never polled;
    /// [`CallError::Failed`] with what `request` failed with.
    ///
    /// # Cancel safety
    /// Dropped, the request counts as cancelled, and a permit of a trial is given back.
    pub async fn call<T, E>(&self, request: impl Future<Output = Result<T, E>>) -> Result<T, CallError<E>> {
        let outcome_of = |result: &Result<T, E>| {
            if result.is_ok() {
                Outcome::Success
            } else {
                Outcome::Failure
            }
        };
        self.call_with(request, outcome_of).await
    }

    /// Like [`call`](Self::call), with `outcome_of` to say what counts: a "not found" is an answer, a
    /// "too many requests" is an overload.
    ///
    /// # Errors
    /// As `call`.
    ///
    /// # Cancel safety
    /// As `call`.
    pub async fn call_with<T, E>(
        &self,
        request: impl Future<Output = Result<T, E>>,
        outcome_of: impl FnOnce(&Result<T, E>) -> Outcome,
    ) -> Result<T, CallError<E>> {
        let permit = self.breaker.permit(self.now())?;
        let result = request.await;
        permit.finish(outcome_of(&result), self.now());
        result.map_err(CallError::Failed)
    }
}
