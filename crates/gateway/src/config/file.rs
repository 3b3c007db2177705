//! Reading and checking a [`GatewayConfig`].

use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use evenkeel::balancer::LoadBalancingStrategy;
use evenkeel::{ConfigError, Given, load_config, parse_config};
use evenkeel_otlp::BuildError;

use super::{GatewayConfig, RouteConfig};

const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);

impl GatewayConfig {
    /// Reads a TOML file, and takes what is in variables of the environment in place of what is in the file:
    /// `EVENKEEL__LIMITS__REQUESTS=100` is `requests = 100` in the table `limits`.
    ///
    /// # Errors
    /// [`ConfigError`] names the line and the field, or the variable.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, ConfigError> {
        load_config(path, |config: &mut Self, given| config.complete(given))
    }

    /// The same, to take the place of `now` in a running gateway.
    ///
    /// # Errors
    /// As [`load`](Self::load), and [`ConfigError::Field`] for a field that takes a restart.
    pub fn load_changed(path: impl AsRef<Path>, now: &Self) -> Result<Self, ConfigError> {
        load_config(path, |config: &mut Self, given| {
            config.complete(given)?;
            let fixed = [
                ("receiver", config.receiver == now.receiver),
                ("limits", config.limits == now.limits),
                ("admin", config.admin == now.admin),
                ("queue", config.queue == now.queue),
                ("telemetry", config.telemetry == now.telemetry),
                ("threads", config.threads == now.threads),
                ("reload_interval", config.reload_interval == now.reload_interval),
            ];
            let changed = fixed.iter().find(|(_, same)| !same);
            let message = "can not change while the gateway runs; it takes a restart";
            changed.map_or(Ok(()), |(field, _)| Err(wrong(field, message.to_owned())))
        })
    }

    /// The same from a text, and from these variables. `change` comes before the check.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn parse(
        text: &str,
        variables: impl IntoIterator<Item = (String, String)>,
        change: impl FnOnce(&mut Self),
    ) -> Result<Self, ConfigError> {
        parse_config(text, variables, |config: &mut Self, given| {
            change(config);
            config.complete(given)
        })
    }

    /// Fills in what depends on the route, and checks all.
    fn complete(&mut self, given: Given<'_>) -> Result<(), ConfigError> {
        if self.route != RouteConfig::None {
            let balancer = &mut self.client.balancer;
            if !given.has("client.balancer.strategy") {
                // Of those that go by a key the one that moves the fewest when a collector leaves.
                balancer.strategy = LoadBalancingStrategy::Rendezvous;
            }
        }
        self.validate()
    }

    /// Whether every field is in its range and fits the others.
    ///
    /// # Errors
    /// [`ConfigError::Field`] names the field.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let time = |field: &str, value: Duration, least: Duration, most: Duration| {
            let range = format!("{value:?} is not from {least:?} to {most:?}");
            check((least..=most).contains(&value), field, range)
        };
        let size = |field: &str, value: usize, least: usize, most: usize| {
            let range = format!("{value} is not from {least} to {most}");
            check((least..=most).contains(&value), field, range)
        };
        let (ms, second, hour) = (
            Duration::from_millis(1),
            Duration::from_secs(1),
            Duration::from_secs(3600),
        );
        time("drain_timeout", self.drain_timeout, Duration::ZERO, hour)?;
        time("drain_delay", self.drain_delay, Duration::ZERO, hour)?;
        time("reload_interval", self.reload_interval, Duration::ZERO, YEAR)?;
        size("threads", self.threads, 0, 1024)?;

        let receiver = &self.receiver;
        let listens = receiver.grpc.0.is_some() || receiver.http.0.is_some();
        check(
            listens,
            "receiver",
            "with grpc and http off nothing is received".to_owned(),
        )?;
        size("receiver.max_connections", receiver.max_connections, 1, 1_000_000)?;
        time("receiver.idle_timeout", receiver.idle_timeout, second, YEAR)?;
        time("receiver.header_timeout", receiver.header_timeout, second, hour)?;
        size(
            "receiver.max_header_size",
            receiver.max_header_size.0,
            8 << 10,
            16 << 20,
        )?;
        size(
            "receiver.max_streams",
            receiver.max_streams as usize,
            1,
            i32::MAX as usize,
        )?;

        let limits = &self.limits;
        size("limits.requests", limits.requests, 1, 1 << 24)?;
        size("limits.max_body_size", limits.max_body_size.0, 1 << 10, 1 << 31)?;
        let fits = limits.memory >= limits.max_body_size;
        let message = format!(
            "{} is less than limits.max_body_size, {}",
            limits.memory, limits.max_body_size
        );
        check(fits, "limits.memory", message)?;
        time("limits.body_timeout", limits.body_timeout, ms, hour)?;
        time("limits.retry_after", limits.retry_after, ms, hour)?;

        self.validate_ports()?;
        self.validate_queue()?;
        if let Some(telemetry) = &self.telemetry {
            let day = hour.saturating_mul(24);
            time("telemetry.interval", telemetry.interval, second, day)?;
            telemetry
                .client
                .validate()
                .map_err(|error| of_client("telemetry.client", error))?;
        }
        self.validate_collectors()?;
        self.validate_route()?;
        self.client()
            .validate()
            .map_err(|error| of_client("client", error))
    }

    fn validate_ports(&self) -> Result<(), ConfigError> {
        let ports = [
            ("receiver.grpc", self.receiver.grpc),
            ("receiver.http", self.receiver.http),
            ("admin.listen", self.admin.listen),
        ];
        let mut seen = HashMap::new();
        for (field, listen) in ports {
            // Port 0 is another one each time.
            let Some(address) = listen.0.filter(|address| address.port() != 0) else {
                continue;
            };
            if let Some(before) = seen.insert(address, field) {
                return Err(wrong(field, format!("{address} is {before}'s already")));
            }
        }
        Ok(())
    }

    fn validate_queue(&self) -> Result<(), ConfigError> {
        let Some(queue) = &self.queue else {
            return Ok(());
        };
        queue.validate().map_err(|error| {
            let message = format!("{}, must be {}", error.value, error.expected);
            wrong(&format!("queue.{}", error.field), message)
        })?;
        // Pages are a power of two long.
        let needed = self
            .limits
            .max_body_size
            .0
            .saturating_add(1 << 10)
            .saturating_mul(2);
        let message = format!(
            "{} must be at least {needed} bytes: twice limits.max_body_size, {}, and 2 KiB",
            queue.max_bytes, self.limits.max_body_size
        );
        check(queue.max_bytes.0 >= needed, "queue.max_bytes", message)
    }

    fn validate_collectors(&self) -> Result<(), ConfigError> {
        check(
            self.client.collectors.is_empty(),
            "client.collectors",
            "collectors are written as [[collectors]], outside of client".to_owned(),
        )?;
        check(
            !self.collectors.is_empty(),
            "collectors",
            "there is none to deliver to".to_owned(),
        )?;
        let mut seen = HashMap::new();
        for (index, collector) in self.collectors.iter().enumerate() {
            let field = if collector.id.is_some() { "id" } else { "endpoint" };
            if let Some(before) = seen.insert(collector.id(), index) {
                let message = format!("collectors[{before}] is called {} already", collector.id());
                return Err(wrong(&format!("collectors[{index}].{field}"), message));
            }
        }
        let all_stand_by = self.collectors.iter().all(|collector| collector.weight == 0);
        check(
            !all_stand_by,
            "collectors[0].weight",
            "all collectors have weight 0".to_owned(),
        )
    }

    /// A route by content needs a strategy that goes by it.
    fn validate_route(&self) -> Result<(), ConfigError> {
        let strategy = &self.client.balancer.strategy;
        let by_key = matches!(
            strategy,
            LoadBalancingStrategy::Rendezvous
                | LoadBalancingStrategy::RingHash(_)
                | LoadBalancingStrategy::Maglev(_)
                | LoadBalancingStrategy::BoundedLoad(_)
        );
        if let RouteConfig::Attribute(name) = &self.route {
            check(!name.is_empty(), "route", "the attribute has no name".to_owned())?;
        }
        check(
            by_key || self.route == RouteConfig::None,
            "client.balancer.strategy",
            format!(
                "`{}` does not keep keys together, which `route` asks for; rendezvous, ring_hash, maglev and \
                 bounded_load do",
                strategy.name()
            ),
        )
    }
}

fn wrong(field: &str, message: String) -> ConfigError {
    ConfigError::Field {
        line: None,
        field: field.to_owned(),
        message,
    }
}

fn check(sound: bool, field: &str, message: String) -> Result<(), ConfigError> {
    if sound { Ok(()) } else { Err(wrong(field, message)) }
}

/// What a client says of its part.
fn of_client(table: &str, error: BuildError) -> ConfigError {
    match error {
        BuildError::Field { field, value, reason } => {
            wrong(&format!("{table}.{field}"), format!("{value} {reason}"))
        }
        BuildError::Balancer(evenkeel::balancer::BuildError::Config(error)) => wrong(
            &format!("{table}.balancer.{}", error.field),
            format!("{}, must be {}", error.value, error.expected),
        ),
        BuildError::Header { place, name, reason } => {
            wrong(&format!("{table}.headers.{name}"), format!("{place}: {reason}"))
        }
        error => wrong(table, error.to_string()),
    }
}
