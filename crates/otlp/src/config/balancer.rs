//! The balancer's part of a file: what is not written keeps the defaults of OTLP, not the balancer's own.

use evenkeel::balancer::LoadBalancerConfig;
use serde::de::{Deserialize, Deserializer, Error};
use serde_json::{Map, Value};

use super::OtlpClientConfig;

/// What is on by default and can be switched off by `false`, where a file format has no null.
const CAN_BE_OFF: [&str; 4] = ["hedging", "slow_start", "outlier_detection", "attempt_timeout"];

pub(super) fn over_our_defaults<'de, D: Deserializer<'de>>(from: D) -> Result<LoadBalancerConfig, D::Error> {
    let written = Map::deserialize(from)?;
    let mut whole = serde_json::to_value(OtlpClientConfig::balancer_defaults()).map_err(D::Error::custom)?;
    if let Some(whole) = whole.as_object_mut() {
        for (field, value) in written {
            let off = value == Value::Bool(false) && CAN_BE_OFF.contains(&field.as_str());
            whole.insert(field, if off { Value::Null } else { value });
        }
    }
    serde_json::from_value(whole).map_err(D::Error::custom)
}
