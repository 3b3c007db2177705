//! Whether every field is in its range.

use std::time::Duration;

use evenkeel_health::RetryBudget;

use super::{ConfigError, LoadBalancerConfig};

/// Longest wait that is taken for meant: a year. Beyond it, timers would overflow.
const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);

const NANO: Duration = Duration::from_nanos(1);

impl LoadBalancerConfig {
    /// Whether every field is in its range.
    ///
    /// # Errors
    /// Names the field that is not.
    pub fn validate(&self) -> Result<(), ConfigError> {
        self.validate_checks()?;
        self.validate_calls()?;
        let breaker = self.breaker()?.validate();
        breaker.map_err(|error| ConfigError::health("", error))?;
        self.validate_members()?;
        self.validate_judges()?;
        self.validate_statistics()?;
        // The strategies check their own parameters.
        crate::compose::strategy(self).map(|_| ())
    }

    fn validate_checks(&self) -> Result<(), ConfigError> {
        let interval = self.health_check_interval;
        between("health_check_interval", interval, NANO, YEAR, "above zero")?;
        let timeout = self.health_check_timeout;
        let expected = "above zero, at most health_check_interval";
        between("health_check_timeout", timeout, NANO, interval, expected)?;
        let path = &self.health_check_path;
        let sound = path.starts_with('/');
        let expected = "a path that begins with /";
        ConfigError::check(sound, "health_check_path", format!("{path:?}"), expected)
    }

    fn validate_calls(&self) -> Result<(), ConfigError> {
        let retries = self.max_retries;
        ConfigError::check(retries <= 16, "max_retries", retries, "at most 16")?;
        let (delay, minute) = (self.retry_delay, Duration::from_secs(60));
        between("retry_delay", delay, Duration::ZERO, minute, "at most a minute")?;
        wait("request_timeout", self.request_timeout)?;
        if let Some(attempt) = self.attempt_timeout {
            wait("attempt_timeout", attempt)?;
        }
        let budget = RetryBudget::new(self.retry_budget.clone());
        budget.map_err(|error| ConfigError::health("retry_budget.", error))?;
        match &self.hedging {
            Some(hedging) => hedging.validate(),
            None => Ok(()),
        }
    }

    fn validate_members(&self) -> Result<(), ConfigError> {
        wait("session_timeout", self.session_timeout)?;
        let sessions = self.max_sessions;
        let sound = (64..=1 << 24).contains(&sessions);
        ConfigError::check(sound, "max_sessions", sessions, "from 64 to 2^24")?;
        let backends = self.max_backends;
        let sound = (1..=1 << 16).contains(&backends);
        ConfigError::check(sound, "max_backends", backends, "from 1 to 2^16")
    }

    fn validate_judges(&self) -> Result<(), ConfigError> {
        let threshold = self.panic_threshold;
        let sound = (0.0..=1.0).contains(&threshold);
        ConfigError::check(sound, "panic_threshold", threshold, "from 0 to 1")?;
        if let Some(outlier) = &self.outlier_detection {
            let checked = outlier.validate();
            checked.map_err(|error| ConfigError::health("outlier_detection.", error))?;
        }
        wait("outlier_interval", self.outlier_interval)?;
        let checked = self.load.validate();
        checked.map_err(|error| ConfigError::strategy("load.", error))
    }

    fn validate_statistics(&self) -> Result<(), ConfigError> {
        let (window, least) = (self.stats_window, Duration::from_millis(100));
        let hour = Duration::from_secs(3600);
        between("stats_window", window, least, hour, "from 100ms to an hour")?;
        let windows = self.stats_windows;
        let sound = (4..=1024).contains(&windows);
        ConfigError::check(sound, "stats_windows", windows, "from 4 to 1024")
    }
}

fn wait(field: &'static str, value: Duration) -> Result<(), ConfigError> {
    between(field, value, Duration::from_millis(1), YEAR, "from 1ms to a year")
}

fn between(
    field: &'static str,
    value: Duration,
    least: Duration,
    most: Duration,
    expected: &'static str,
) -> Result<(), ConfigError> {
    let sound = (least..=most).contains(&value);
    ConfigError::check(sound, field, format!("{value:?}"), expected)
}
