//! [`ConnectionPoolConfig`]: plain data, checked when a pool is built from it.

mod error;
#[cfg(feature = "serde")]
mod forever;

use std::time::Duration;

use evenkeel_strategy::{LeastConnectionsConfig, LoadBalancingStrategy};

pub use error::ConfigError;

/// How a [`ConnectionPool`](crate::ConnectionPool) opens, keeps, hands out and closes its connections.
///
/// Plain data. Write what differs and take the rest from [`Default`]:
///
/// ```
/// use std::time::Duration;
/// use evenkeel_pool::ConnectionPoolConfig;
///
/// let config = ConnectionPoolConfig {
///     max_connections: 32,
///     checkout_timeout: Duration::from_secs(1),
///     ..ConnectionPoolConfig::default()
/// };
/// assert!(config.validate().is_ok());
/// ```
///
/// With the `serde` feature, durations read and write as people do (`"250ms"`, `"1m 30s"`), missing
/// fields take their defaults and unknown ones are refused.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(default, deny_unknown_fields))]
pub struct ConnectionPoolConfig {
    /// Connections the pool keeps open even when nobody uses them. Opened as soon as the pool is
    /// built; [`warm_up`](crate::ConnectionPool::warm_up) waits for them. At most `max_connections`.
    /// Default 0: a pool that is not used costs its peer nothing.
    pub min_connections: usize,

    /// Connections open or being opened at a time, idle or not. From 1 to 2^20. Default 16: a pool
    /// that is larger than what its peer works on at a time only moves the queue to the peer.
    pub max_connections: usize,

    /// Connections that may lie idle; one that comes back beyond that is closed. At least 1 and at
    /// least `min_connections`. Default `None`, no limit of its own: what is surplus goes by
    /// `idle_timeout`, and a low limit here makes bursts reconnect.
    pub max_idle_connections: Option<usize>,

    /// Connections open or being opened to one address at a time. At least 1, and so many that all
    /// addresses together have room for `min_connections`. Default `None`: no limit of its own.
    pub max_connections_per_address: Option<usize>,

    /// Connections being opened at a time. At least 1. Default 8: fills a usual pool in two rounds,
    /// and a peer that has just come back is not met by everybody at once. While connecting fails,
    /// it is tried one at a time whatever this says.
    pub connect_concurrency: usize,

    /// How long opening one connection may take. From 1 ms to a year. Default 5 s: two lost SYNs
    /// (1 + 2 s) and a reserve.
    #[cfg_attr(feature = "serde", serde(with = "humantime_serde"))]
    pub connection_timeout: Duration,

    /// How long a caller of [`checkout`](crate::ConnectionPool::checkout) waits, over all: its turn,
    /// the opening of a connection, its validation. From 1 ms to a year. Default 10 s, so that a
    /// caller outlives one dial that hangs for `connection_timeout`.
    #[cfg_attr(feature = "serde", serde(with = "humantime_serde"))]
    pub checkout_timeout: Duration,

    /// Callers that may wait at a time, those for whom a connection is being opened among them; one
    /// more gets [`CheckoutError::QueueFull`](crate::CheckoutError::QueueFull) at once. From 1 to 2^24.
    /// Default 1024: beyond that, waiting is an outage that is told too late.
    pub max_waiters: usize,

    /// How long a connection may lie idle until it is closed, as long as more than `min_connections`
    /// are open. From 1 ms to a year. Default 55 s: below the minute after which common load
    /// balancers drop an idle connection.
    #[cfg_attr(feature = "serde", serde(with = "humantime_serde"))]
    pub idle_timeout: Duration,

    /// How long a connection may live. It is drawn once, when the connection is opened, between
    /// `max_lifetime * (1 - lifetime_jitter)` and `max_lifetime`. One in use is closed when it comes
    /// back; an idle one of the last `min_connections` is closed when its successor is open.
    /// From 1 ms to a year. Default 30 min, so that load moves to backends that join; `None` is for
    /// ever, in files `"forever"`.
    #[cfg_attr(feature = "serde", serde(with = "forever"))]
    pub max_lifetime: Option<Duration>,

    /// The part of `max_lifetime` that is left to chance, so that connections opened together do
    /// not end together. From 0 to 1. Default 0.1.
    pub lifetime_jitter: f64,

    /// How often an idle connection is put to [`Recycle::check`](crate::Recycle::check) in the
    /// background: a quarter of them at a time, one at least and 16 at most, so that the others are there
    /// for whoever asks meanwhile. From 1 ms to a year. Default 30 s.
    #[cfg_attr(feature = "serde", serde(with = "humantime_serde"))]
    pub health_check_interval: Duration,

    /// A connection that was idle for this long is put to [`Recycle::check`](crate::Recycle::check)
    /// before it is handed out, on the caller's time; if that is over first, the check goes on without
    /// the caller. Zero checks every time; at most a year.
    /// Default `None`: the look without a round trip, [`Recycle::is_alive`](crate::Recycle::is_alive),
    /// is taken at every checkout anyway.
    #[cfg_attr(feature = "serde", serde(with = "humantime_serde"))]
    pub validate_after_idle: Option<Duration>,

    /// How often a failed connect is tried again until those who wait are told, and until the idle
    /// connections to that address are given up. Zero tells them at once. The pool itself goes on
    /// trying as long as somebody waits or `min_connections` are missing. Default 3.
    pub retry_attempts: usize,

    /// The pause after the first failed connect; it doubles with each further failure in a row, and
    /// each pause is drawn between half of it and the whole. From 1 ms to `max_retry_delay`.
    /// Default 100 ms.
    #[cfg_attr(feature = "serde", serde(with = "humantime_serde"))]
    pub retry_delay: Duration,

    /// The longest pause between two connects. From `retry_delay` to a year. Default 5 s: how late
    /// a backend that has come back may be noticed.
    #[cfg_attr(feature = "serde", serde(with = "humantime_serde"))]
    pub max_retry_delay: Duration,

    /// Which idle connection goes out first. Default [`ReuseOrder::Lifo`].
    pub reuse_order: ReuseOrder,

    /// How the address of a new connection is chosen among several. What counts as in flight at an
    /// address is the connections open or being opened to it. Default
    /// [`WeightedLeastConnections`](LoadBalancingStrategy::WeightedLeastConnections): each address has
    /// its share of the connections, and has it again after it was away for a while.
    pub load_balancing_strategy: LoadBalancingStrategy,
}

/// Which of several idle connections goes out first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "snake_case")
)]
#[non_exhaustive]
pub enum ReuseOrder {
    /// The one that came back last: a few connections do the work and stay warm, and what a burst
    /// left over falls idle and goes.
    #[default]
    Lifo,
    /// The one that came back first: all are used alike and none is idle for long, so the pool
    /// shrinks only when hardly anybody uses it.
    Fifo,
}

impl Default for ConnectionPoolConfig {
    fn default() -> Self {
        Self {
            min_connections: 0,
            max_connections: 16,
            max_idle_connections: None,
            max_connections_per_address: None,
            connect_concurrency: 8,
            connection_timeout: Duration::from_secs(5),
            checkout_timeout: Duration::from_secs(10),
            max_waiters: 1024,
            idle_timeout: Duration::from_secs(55),
            max_lifetime: Some(Duration::from_secs(30 * 60)),
            lifetime_jitter: 0.1,
            health_check_interval: Duration::from_secs(30),
            validate_after_idle: None,
            retry_attempts: 3,
            retry_delay: Duration::from_millis(100),
            max_retry_delay: Duration::from_secs(5),
            reuse_order: ReuseOrder::Lifo,
            load_balancing_strategy: LoadBalancingStrategy::WeightedLeastConnections(
                LeastConnectionsConfig::default(),
            ),
        }
    }
}

/// More connections than one process has descriptors for: a typing error, not a wish.
const MAX_CONNECTIONS: usize = 1 << 20;

/// More callers than fit into memory with what they hold.
const MAX_WAITERS: usize = 1 << 24;

impl ConnectionPoolConfig {
    /// Checks every field. Building a pool does this; call it to check a file before.
    ///
    /// # Errors
    ///
    /// The first field whose value makes no sense, and why.
    pub fn validate(&self) -> Result<(), ConfigError> {
        use ConfigError as E;

        E::at_least_one("max_connections", self.max_connections)?;
        E::require(
            self.max_connections <= MAX_CONNECTIONS,
            "max_connections",
            self.max_connections,
            "must not exceed 2^20",
        )?;
        E::require(
            self.min_connections <= self.max_connections,
            "min_connections",
            self.min_connections,
            "must not exceed max_connections",
        )?;
        if let Some(max_idle) = self.max_idle_connections {
            E::at_least_one("max_idle_connections", max_idle)?;
            E::require(
                max_idle >= self.min_connections,
                "max_idle_connections",
                max_idle,
                "must not be below min_connections",
            )?;
        }
        if let Some(per_address) = self.max_connections_per_address {
            E::at_least_one("max_connections_per_address", per_address)?;
        }
        E::at_least_one("connect_concurrency", self.connect_concurrency)?;
        E::wait("connection_timeout", self.connection_timeout)?;
        E::wait("checkout_timeout", self.checkout_timeout)?;
        E::at_least_one("max_waiters", self.max_waiters)?;
        E::require(
            self.max_waiters <= MAX_WAITERS,
            "max_waiters",
            self.max_waiters,
            "must not exceed 2^24",
        )?;
        E::wait("idle_timeout", self.idle_timeout)?;
        if let Some(max_lifetime) = self.max_lifetime {
            E::wait("max_lifetime", max_lifetime)?;
        }
        E::require(
            (0.0..=1.0).contains(&self.lifetime_jitter),
            "lifetime_jitter",
            self.lifetime_jitter,
            "must be from 0 to 1",
        )?;
        E::wait("health_check_interval", self.health_check_interval)?;
        if let Some(after) = self.validate_after_idle {
            E::not_absurd("validate_after_idle", after)?;
        }
        E::wait("retry_delay", self.retry_delay)?;
        E::wait("max_retry_delay", self.max_retry_delay)?;
        E::require(
            self.max_retry_delay >= self.retry_delay,
            "max_retry_delay",
            format!("{:?}", self.max_retry_delay),
            "must not be below retry_delay",
        )?;
        match self.load_balancing_strategy.build() {
            Ok(_) => Ok(()),
            Err(error) => E::require(
                false,
                "load_balancing_strategy",
                error,
                "must be one that can be built",
            ),
        }
    }
}

#[cfg(test)]
mod tests;
