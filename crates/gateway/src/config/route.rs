//! [`RouteConfig`].

use std::fmt;
use std::str::FromStr;

use evenkeel_otlp_wire::RouteBy;
use serde::{Deserialize, Serialize};

/// By what requests are sent to collectors.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RouteConfig {
    /// Any collector, as the strategy says. The default. Requests pass as they are, compressed or not.
    #[default]
    None,
    /// All spans and log records of a trace to the same collector, which tail sampling needs. Metrics and
    /// profiles have no trace and go to any.
    TraceId,
    /// All items of a service to the same collector, by the resource's `service.name`.
    Service,
    /// All items of resources with the same value of this attribute to the same collector.
    Attribute(String),
}

impl RouteConfig {
    /// What requests are split by; `None` if they are not.
    #[must_use]
    pub fn by(&self) -> Option<RouteBy> {
        match self {
            Self::None => None,
            Self::TraceId => Some(RouteBy::TraceId),
            Self::Service => Some(RouteBy::service_name()),
            Self::Attribute(name) => Some(RouteBy::ResourceAttribute(name.clone())),
        }
    }
}

impl fmt::Display for RouteConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("none"),
            Self::TraceId => f.write_str("trace_id"),
            Self::Service => f.write_str("service"),
            Self::Attribute(name) => write!(f, "attribute={name}"),
        }
    }
}

/// As on the command line: `none`, `trace_id`, `service`, or `attribute=NAME`.
impl FromStr for RouteConfig {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match (text, text.strip_prefix("attribute=")) {
            ("none", _) => Ok(Self::None),
            ("trace_id", _) => Ok(Self::TraceId),
            ("service", _) => Ok(Self::Service),
            (_, Some(name)) if !name.is_empty() => Ok(Self::Attribute(name.to_owned())),
            _ => Err("one of none, trace_id, service, attribute=NAME".to_owned()),
        }
    }
}
