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
    #[cfg(all(feature = "http", feature = "grpc"))]
    {
        survives::<evenkeel_health::HttpProbeConfig>();
        survives::<evenkeel_health::GrpcProbeConfig>();
    }
}

#[cfg(feature = "http")]
#[test]
fn status_ranges_are_written_as_people_write_them() {
    let config: evenkeel_health::HttpProbeConfig =
        toml::from_str("expected_status = [\"200-299\", \"404\"]\nversion = \"http2\"").unwrap();
    assert!(config.expected_status[0].contains(204) && config.expected_status[1].contains(404));
    let error = toml::from_str::<evenkeel_health::HttpProbeConfig>("expected_status = [\"299-200\"]");
    assert!(
        error
            .unwrap_err()
            .to_string()
            .contains("expected_status is 299-200")
    );
}
