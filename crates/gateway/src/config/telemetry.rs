//! [`TelemetryConfig`].

use std::collections::BTreeMap;
use std::time::Duration;

use evenkeel_otlp::OtlpClientConfig;
use serde::{Deserialize, Serialize};

/// How the gateway sends its own metrics over OTLP: the figures that `/metrics` shows, by the same names, with
/// cumulative sums.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TelemetryConfig {
    /// How often. 1 s to a day; 60 s by default, as in the SDKs.
    #[serde(with = "humantime_serde")]
    pub interval: Duration,
    /// Attributes of the resource. `service.name` is `evenkeel-gateway`, `service.version` the gateway's and
    /// `service.instance.id` another one for each start, unless they are given here. None by default.
    pub resource: BTreeMap<String, String>,
    /// Where they go, and how. Without `collectors`, the default, they go where requests go, among which they are
    /// then counted.
    pub client: OtlpClientConfig,
}

impl Default for TelemetryConfig {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(60),
            resource: BTreeMap::new(),
            client: OtlpClientConfig::default(),
        }
    }
}

impl TelemetryConfig {
    /// Those that are given, and those that are usual.
    pub(crate) fn resource_attributes(&self) -> Vec<(String, String)> {
        let usual = [
            ("service.name", env!("CARGO_PKG_NAME").to_owned()),
            ("service.version", env!("CARGO_PKG_VERSION").to_owned()),
            ("service.instance.id", instance_id()),
        ];
        let mut all: BTreeMap<_, _> = usual.map(|(name, value)| (name.to_owned(), value)).into();
        all.extend(self.resource.clone());
        all.into_iter().collect()
    }
}

/// A random UUID, as the conventions ask for.
fn instance_id() -> String {
    let random = fastrand::u128(..);
    let version = random & !(0xf << 76) | 4 << 76;
    let variant = version & !(0x3 << 62) | 2 << 62;
    let hex = format!("{variant:032x}");
    let parts = [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]];
    parts.join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_start_has_an_id_of_its_own_that_is_a_random_uuid() {
        let id = instance_id();
        let lengths: Vec<_> = id.split('-').map(str::len).collect();
        assert_eq!(lengths, [8, 4, 4, 4, 12]);
        assert_eq!(&id[14..15], "4");
        assert!("89ab".contains(&id[19..20]), "{id}");
        assert_ne!(id, instance_id());
    }

    #[test]
    fn what_is_given_takes_the_place_of_what_is_usual() {
        let mut config = TelemetryConfig::default();
        config
            .resource
            .insert("service.name".to_owned(), "edge".to_owned());
        config.resource.insert("host.name".to_owned(), "a".to_owned());
        let all = config.resource_attributes();
        let names: Vec<_> = all.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(
            names,
            [
                "host.name",
                "service.instance.id",
                "service.name",
                "service.version"
            ]
        );
        assert_eq!(all[2].1, "edge");
    }
}
