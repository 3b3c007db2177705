//! [`AsyncIoConfig`]: plain data, checked when a manager is built from it.

use std::net::IpAddr;
use std::time::Duration;

/// How an [`AsyncIoManager`](crate::AsyncIoManager) opens and watches its connections.
///
/// Plain data. Write what differs and take the rest from [`Default`]:
///
/// ```
/// use std::time::Duration;
/// use evenkeel_io_core::AsyncIoConfig;
///
/// let config = AsyncIoConfig {
///     connect_timeout: Duration::from_secs(3),
///     max_connections: 200,
///     ..AsyncIoConfig::default()
/// };
/// assert!(config.validate().is_ok());
/// ```
///
/// With the `serde` feature, durations read and write as people do (`"250ms"`, `"1m 30s"`), missing
/// fields take their defaults and unknown ones are refused.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(default, deny_unknown_fields))]
pub struct AsyncIoConfig {
    /// Connections open or being opened at a time. A connect beyond it waits for its turn, in order,
    /// within its `connect_timeout`. At least 1. Default 1024: the usual limit on descriptors.
    pub max_connections: usize,

    /// The same for one target; `None` is no limit of its own. At least 1. Default `None`.
    pub max_connections_per_host: Option<usize>,

    /// Connects that may wait for their turn at these limits; one beyond it fails at once. Zero lets
    /// none wait for long. Default 16384.
    pub max_waiting_connects: usize,

    /// How long a read may wait for the peer's next byte. At least 1 ms. Default 30 s.
    #[cfg_attr(feature = "serde", serde(with = "humantime_serde"))]
    pub read_timeout: Duration,

    /// How long a write, flush or shutdown may wait for the peer to take a byte. At least 1 ms.
    /// Default 30 s.
    #[cfg_attr(feature = "serde", serde(with = "humantime_serde"))]
    pub write_timeout: Duration,

    /// From the call of `connect` to a connection ready for use: the turn at the limits, name
    /// resolution, every address tried and the TLS handshake are all inside. At least 1 ms.
    /// Default 10 s: three lost SYNs (1 + 2 + 4 s) and a reserve.
    #[cfg_attr(feature = "serde", serde(with = "humantime_serde"))]
    pub connect_timeout: Duration,

    /// Whether TCP probes an idle peer (`SO_KEEPALIVE`), so that one that vanished without a word is
    /// noticed. Default on.
    pub keep_alive: bool,

    /// Silence before the first probe. Whole seconds, at least 1. Default 30 s.
    #[cfg_attr(feature = "serde", serde(with = "humantime_serde"))]
    pub keep_alive_idle: Duration,

    /// Time between probes. Whole seconds, at least 1. Default 10 s.
    #[cfg_attr(feature = "serde", serde(with = "humantime_serde"))]
    pub keep_alive_interval: Duration,

    /// Unanswered probes until the connection counts as lost. At least 1. Default 3, so that with
    /// the other defaults a dead peer is noticed after a minute.
    pub keep_alive_count: u32,

    /// Whether small writes go out at once (`TCP_NODELAY`). Default on: requests are written whole,
    /// and Nagle's algorithm would only hold back their last segment.
    pub tcp_nodelay: bool,

    /// Bytes of each of the two buffers of [`AsyncConnection::into_buffered`](crate::AsyncConnection::into_buffered);
    /// a connection that is not buffered has none. At least 1. Default 8 KiB.
    pub buffer_size: usize,

    /// Operations that may wait at a time: connects being dialled, and reads and writes that could
    /// not finish at once. One beyond it waits for its turn, in order, within its own time-out.
    /// At least 1. Default 4096: a read and a write on each of `max_connections`, and the dials.
    pub max_pending_operations: usize,

    /// How long sent bytes may stay unacknowledged until the kernel gives the connection up
    /// (`TCP_USER_TIMEOUT`, Linux only; ignored elsewhere). Overrides keep-alive's own count once
    /// something was sent. At least 1 ms. Default `None`: the kernel's own, about 15 minutes; the
    /// write time-out notices earlier.
    #[cfg_attr(feature = "serde", serde(with = "humantime_serde"))]
    pub user_timeout: Option<Duration>,

    /// The kernel's send buffer in bytes (`SO_SNDBUF`). At least 1. Default `None`: self-tuning.
    pub send_buffer_size: Option<usize>,

    /// The kernel's receive buffer in bytes (`SO_RCVBUF`). At least 1. Default `None`: self-tuning.
    pub recv_buffer_size: Option<usize>,

    /// The local address to connect from; targets of the other family are then left out.
    /// Default `None`: the kernel's choice.
    pub bind_address: Option<IpAddr>,

    /// How long to wait for the next address to be tried while one is under way (RFC 8305, section 5).
    /// From 10 ms to 2 s. Default 250 ms, the RFC's.
    #[cfg_attr(feature = "serde", serde(with = "humantime_serde"))]
    pub connection_attempt_delay: Duration,
}

impl Default for AsyncIoConfig {
    fn default() -> Self {
        Self {
            max_connections: 1024,
            max_connections_per_host: None,
            max_waiting_connects: 16 * 1024,
            read_timeout: Duration::from_secs(30),
            write_timeout: Duration::from_secs(30),
            connect_timeout: Duration::from_secs(10),
            keep_alive: true,
            keep_alive_idle: Duration::from_secs(30),
            keep_alive_interval: Duration::from_secs(10),
            keep_alive_count: 3,
            tcp_nodelay: true,
            buffer_size: 8 * 1024,
            max_pending_operations: 4096,
            user_timeout: None,
            send_buffer_size: None,
            recv_buffer_size: None,
            bind_address: None,
            connection_attempt_delay: Duration::from_millis(250),
        }
    }
}

impl AsyncIoConfig {
    /// Checks every field. Building a manager does this; call it to check a file before.
    ///
    /// # Errors
    ///
    /// The first field whose value makes no sense, and why.
    pub fn validate(&self) -> Result<(), ConfigError> {
        use ConfigError as E;

        E::at_least_one("max_connections", self.max_connections)?;
        E::at_least_one_if_set("max_connections_per_host", self.max_connections_per_host)?;
        if let Some(per_host) = self.max_connections_per_host
            && per_host > self.max_connections
        {
            return Err(E::new(
                "max_connections_per_host",
                per_host,
                "must not exceed max_connections",
            ));
        }
        E::wait("read_timeout", self.read_timeout)?;
        E::wait("write_timeout", self.write_timeout)?;
        E::wait("connect_timeout", self.connect_timeout)?;
        if self.keep_alive {
            E::whole_seconds("keep_alive_idle", self.keep_alive_idle)?;
            E::whole_seconds("keep_alive_interval", self.keep_alive_interval)?;
            if !(1..=127).contains(&self.keep_alive_count) {
                return Err(E::new(
                    "keep_alive_count",
                    self.keep_alive_count,
                    "must be from 1 to 127",
                ));
            }
        }
        E::at_least_one("buffer_size", self.buffer_size)?;
        if self.buffer_size > MAX_BUFFER {
            return Err(E::new("buffer_size", self.buffer_size, "must not exceed 64 MiB"));
        }
        E::at_least_one("max_pending_operations", self.max_pending_operations)?;
        if let Some(user_timeout) = self.user_timeout {
            E::wait("user_timeout", user_timeout)?;
        }
        E::at_least_one_if_set("send_buffer_size", self.send_buffer_size)?;
        E::at_least_one_if_set("recv_buffer_size", self.recv_buffer_size)?;
        if !(Duration::from_millis(10)..=Duration::from_secs(2)).contains(&self.connection_attempt_delay) {
            return Err(E::duration(
                "connection_attempt_delay",
                self.connection_attempt_delay,
                "must be from 10ms to 2s",
            ));
        }
        Ok(())
    }
}

const MAX_BUFFER: usize = 64 * 1024 * 1024;

/// Longest time-out that is taken for meant: a year. Beyond it, timers would overflow.
const MAX_WAIT: Duration = Duration::from_secs(365 * 24 * 3600);

/// A field of [`AsyncIoConfig`] whose value makes no sense.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field} = {value}: {reason}")]
#[non_exhaustive]
pub struct ConfigError {
    /// The field, as it is written in code and in files.
    pub field: &'static str,
    /// The value it had.
    pub value: String,
    /// What it must be.
    pub reason: &'static str,
}

impl ConfigError {
    fn new(field: &'static str, value: impl ToString, reason: &'static str) -> Self {
        Self {
            field,
            value: value.to_string(),
            reason,
        }
    }

    fn duration(field: &'static str, value: Duration, reason: &'static str) -> Self {
        Self {
            field,
            value: format!("{value:?}"),
            reason,
        }
    }

    fn at_least_one(field: &'static str, value: usize) -> Result<(), Self> {
        if value == 0 {
            Err(Self::new(field, value, "must be at least 1"))
        } else {
            Ok(())
        }
    }

    fn at_least_one_if_set(field: &'static str, value: Option<usize>) -> Result<(), Self> {
        value.map_or(Ok(()), |value| Self::at_least_one(field, value))
    }

    fn wait(field: &'static str, value: Duration) -> Result<(), Self> {
        if value < Duration::from_millis(1) {
            return Err(Self::duration(field, value, "must be at least 1ms"));
        }
        if value > MAX_WAIT {
            return Err(Self::duration(field, value, "must not exceed a year"));
        }
        Ok(())
    }

    fn whole_seconds(field: &'static str, value: Duration) -> Result<(), Self> {
        // The kernel counts in seconds up to 32767 and would cut the rest off without a word.
        if value.subsec_nanos() != 0 || !(1..=32_767).contains(&value.as_secs()) {
            return Err(Self::duration(
                field,
                value,
                "must be whole seconds, from 1s to 32767s",
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_valid() {
        assert_eq!(AsyncIoConfig::default().validate(), Ok(()));
    }

    #[test]
    fn nonsense_is_refused_by_the_name_of_its_field() {
        type Spoil = fn(&mut AsyncIoConfig);
        let cases: &[(&str, Spoil)] = &[
            ("max_connections", |c| c.max_connections = 0),
            ("max_connections_per_host", |c| {
                c.max_connections_per_host = Some(0);
            }),
            ("max_connections_per_host", |c| {
                c.max_connections_per_host = Some(5000);
            }),
            ("read_timeout", |c| c.read_timeout = Duration::ZERO),
            ("read_timeout", |c| c.read_timeout = Duration::MAX),
            ("write_timeout", |c| c.write_timeout = Duration::from_micros(1)),
            ("connect_timeout", |c| c.connect_timeout = Duration::ZERO),
            ("keep_alive_idle", |c| {
                c.keep_alive_idle = Duration::from_millis(1500);
            }),
            ("keep_alive_interval", |c| c.keep_alive_interval = Duration::ZERO),
            ("keep_alive_count", |c| c.keep_alive_count = 0),
            ("keep_alive_count", |c| c.keep_alive_count = 128),
            ("buffer_size", |c| c.buffer_size = 0),
            ("buffer_size", |c| c.buffer_size = usize::MAX),
            ("max_pending_operations", |c| c.max_pending_operations = 0),
            ("user_timeout", |c| c.user_timeout = Some(Duration::ZERO)),
            ("send_buffer_size", |c| c.send_buffer_size = Some(0)),
            ("recv_buffer_size", |c| c.recv_buffer_size = Some(0)),
            ("connection_attempt_delay", |c| {
                c.connection_attempt_delay = Duration::from_millis(9);
            }),
        ];
        for (field, spoil) in cases {
            let mut config = AsyncIoConfig::default();
            spoil(&mut config);
            let error = config.validate().expect_err(field);
            assert_eq!(error.field, *field);
            assert!(error.to_string().starts_with(field), "{error}");
        }
    }

    #[test]
    fn keep_alive_that_is_off_is_not_judged() {
        let config = AsyncIoConfig {
            keep_alive: false,
            keep_alive_count: 0,
            ..AsyncIoConfig::default()
        };
        assert_eq!(config.validate(), Ok(()));
    }

    #[cfg(feature = "serde")]
    #[test]
    fn a_file_is_read_as_people_write_it() {
        let config: AsyncIoConfig = toml::from_str(
            r#"
            max_connections = 64
            read_timeout = "250ms"
            user_timeout = "1m 30s"
            bind_address = "127.0.0.1"
            "#,
        )
        .unwrap();
        assert_eq!(config.max_connections, 64);
        assert_eq!(config.read_timeout, Duration::from_millis(250));
        assert_eq!(config.user_timeout, Some(Duration::from_secs(90)));
        assert_eq!(config.write_timeout, AsyncIoConfig::default().write_timeout);

        let again: AsyncIoConfig = toml::from_str(&toml::to_string(&config).unwrap()).unwrap();
        assert_eq!(again, config);
    }

    #[cfg(feature = "serde")]
    #[test]
    fn a_misspelt_field_is_refused_by_name() {
        let error = toml::from_str::<AsyncIoConfig>("read_timout = \"1s\"").unwrap_err();
        assert!(error.to_string().contains("read_timout"), "{error}");
    }
}
