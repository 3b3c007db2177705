//! Configurations from files.

use evenkeel_health::{
    BackoffConfig, CheckConfig, CircuitBreakerConfig, ConcurrencyLimitConfig, OutlierConfig,
    RetryBudgetConfig, ThrottleConfig,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

fn survives<T: Default + PartialEq + std::fmt::Debug + Serialize + DeserializeOwned>() {
    let written = toml::to_string(&T::default()).unwrap();
    assert_eq!(toml::from_str::<T>(&written).unwrap(), T::default(), "{written}");
    assert_eq!(toml::from_str::<T>("").unwrap(), T::default());
    toml::from_str::<T>("misspelt = 3").unwrap_err();
}

#[test]
fn every_config_is_written_and_read_and_a_misspelt_field_is_refused() {
    survives::<BackoffConfig>();
    survives::<CheckConfig>();
    survives::<CircuitBreakerConfig>();
    survives::<ConcurrencyLimitConfig>();
    survives::<OutlierConfig>();
    survives::<RetryBudgetConfig>();
    survives::<ThrottleConfig>();
}
