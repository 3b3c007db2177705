//! Nonsense is refused, and named.

use std::time::Duration;

use evenkeel_balancer::{
    BackendServer, BuildError, HedgeConfig, LoadBalancer, LoadBalancerConfig, MemberError,
};

use crate::{balancer, quick};

fn refused(change: impl FnOnce(&mut LoadBalancerConfig)) -> String {
    let mut config = LoadBalancerConfig::default();
    change(&mut config);
    config.validate().unwrap_err().field
}

#[test]
fn each_field_out_of_range_is_named() {
    let second = Duration::from_secs(1);
    let zero = Duration::ZERO;
    assert_eq!(
        refused(|c| c.health_check_interval = zero),
        "health_check_interval"
    );
    assert_eq!(
        refused(|c| c.health_check_timeout = 2 * second),
        "health_check_timeout"
    );
    assert_eq!(
        refused(|c| c.health_check_path = "health".into()),
        "health_check_path"
    );
    assert_eq!(refused(|c| c.max_retries = 17), "max_retries");
    assert_eq!(refused(|c| c.retry_delay = 61 * second), "retry_delay");
    assert_eq!(
        refused(|c| c.circuit_breaker_threshold = 0),
        "circuit_breaker_threshold"
    );
    assert_eq!(
        refused(|c| c.circuit_breaker_threshold = 1 << 33),
        "circuit_breaker_threshold"
    );
    assert_eq!(
        refused(|c| c.circuit_breaker_timeout = zero),
        "circuit_breaker_timeout"
    );
    let shorter = refused(|c| c.circuit_breaker_max_timeout = second / 2);
    assert_eq!(shorter, "circuit_breaker_max_timeout");
    let rate = refused(|c| c.circuit_breaker_min_success_rate = 80.0);
    assert_eq!(rate, "circuit_breaker_min_success_rate");
    assert_eq!(refused(|c| c.session_timeout = zero), "session_timeout");
    assert_eq!(refused(|c| c.max_sessions = 1), "max_sessions");
    assert_eq!(refused(|c| c.max_backends = 0), "max_backends");
    assert_eq!(refused(|c| c.panic_threshold = f64::NAN), "panic_threshold");
    assert_eq!(refused(|c| c.outlier_interval = zero), "outlier_interval");
    assert_eq!(refused(|c| c.request_timeout = zero), "request_timeout");
    assert_eq!(refused(|c| c.attempt_timeout = Some(zero)), "attempt_timeout");
    assert_eq!(refused(|c| c.stats_window = zero), "stats_window");
    assert_eq!(refused(|c| c.stats_windows = 3), "stats_windows");
    assert_eq!(refused(|c| c.load.decay = zero), "load.decay");
    assert_eq!(refused(|c| c.retry_budget.ratio = 2.0), "retry_budget.ratio");
    let hedging = |hedging| refused(|c| c.hedging = Some(hedging));
    let default = HedgeConfig::default;
    assert_eq!(
        hedging(HedgeConfig {
            percentile: 100.0,
            ..default()
        }),
        "hedging.percentile"
    );
    assert_eq!(
        hedging(HedgeConfig {
            min_delay: zero,
            ..default()
        }),
        "hedging.min_delay"
    );
    assert_eq!(
        hedging(HedgeConfig {
            max_delay: second / 1000,
            ..default()
        }),
        "hedging.max_delay"
    );
    let outliers = refused(|c| c.outlier_detection.as_mut().unwrap().min_group = 1);
    assert_eq!(outliers, "outlier_detection.min_group");
    let slow = refused(|c| c.slow_start.as_mut().unwrap().min_share = 0.0);
    assert_eq!(slow, "slow_start.min_share");
    let zone = refused(|c| c.zone = Some(evenkeel_strategy::ZonePreferenceConfig::new("")));
    assert_eq!(zone, "zone.zone");
}

#[test]
fn the_default_config_is_sound() {
    LoadBalancerConfig::default().validate().unwrap();
}

#[tokio::test(start_paused = true)]
async fn two_backends_of_one_name_are_refused() {
    let twice = ["a", "b", "a"].map(BackendServer::of);
    let refused = LoadBalancer::new(twice, LoadBalancerConfig::default()).unwrap_err();
    assert_eq!(refused.to_string(), "backend a: there is one of this id already");
    let balancer = balancer(2, quick());
    let refused = balancer.add(BackendServer::new("b", 7)).unwrap_err();
    assert!(matches!(refused, MemberError::Duplicate { .. }));
    assert_eq!(balancer.ids().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_backend_without_a_name_is_refused() {
    let balancer = balancer(0, quick());
    assert!(matches!(
        balancer.add(BackendServer::new("", 0)),
        Err(MemberError::EmptyId)
    ));
}

#[tokio::test(start_paused = true)]
async fn weight_zero_on_all_is_refused_and_changes_nothing() {
    let idle = ["a", "b"].map(|id| BackendServer::of(id).with_weight(0));
    let refused = LoadBalancer::new(idle, LoadBalancerConfig::default()).unwrap_err();
    assert!(matches!(
        refused,
        BuildError::Member(MemberError::AllWeightsZero { .. })
    ));
    let balancer = balancer(2, quick());
    balancer.set_weight("a", 0).unwrap();
    let refused = balancer.set_weight("b", 0).unwrap_err();
    assert_eq!(refused.to_string(), "backend b: all backends would have weight 0");
    assert_eq!(balancer.stats().backends[1].weight, 1);
}

#[tokio::test(start_paused = true)]
async fn members_have_a_limit_and_the_error_says_which() {
    let config = LoadBalancerConfig {
        max_backends: 2,
        ..quick()
    };
    let balancer = balancer(2, config);
    let refused = balancer.add(BackendServer::new("c", 2)).unwrap_err();
    assert!(refused.to_string().contains("max_backends"), "{refused}");
}

#[test]
fn outside_of_a_runtime_the_builder_says_so() {
    let refused = LoadBalancer::new([BackendServer::of("a")], LoadBalancerConfig::default());
    assert!(matches!(refused, Err(BuildError::NoRuntime)));
}

#[cfg(feature = "serde")]
mod files {
    use super::*;

    #[test]
    fn every_field_reads_as_people_write_it() {
        let text = r#"
            strategy = { name = "power_of_two", load = "peak_ewma" }
            health_check_interval = "2s"
            health_check_timeout = "100ms"
            health_check_path = "/ready"
            max_retries = 1
            retry_delay = "5ms"
            circuit_breaker_threshold = 4
            circuit_breaker_timeout = "3s"
            circuit_breaker_max_timeout = "1m"
            sticky_sessions = true
            session_timeout = "1h"
            panic_threshold = 0.5
            attempt_timeout = "250ms"
            slow_start = { window = "20s" }
            hedging = { percentile = 99.0 }
        "#;
        let config: LoadBalancerConfig = toml::from_str(text).unwrap();
        config.validate().unwrap();
        assert_eq!(config.circuit_breaker_threshold, 4);
        assert_eq!(config.attempt_timeout, Some(Duration::from_millis(250)));
        assert_eq!(config.hedging.unwrap().percentile, 99.0);
    }

    #[test]
    fn what_is_written_reads_back() {
        let config = LoadBalancerConfig {
            attempt_timeout: Some(Duration::from_millis(250)),
            hedging: Some(HedgeConfig::default()),
            ..LoadBalancerConfig::default()
        };
        let text = toml::to_string(&config).unwrap();
        assert_eq!(toml::from_str::<LoadBalancerConfig>(&text).unwrap(), config);
    }

    #[test]
    fn nonsense_in_a_file_is_told_with_line_and_field() {
        for (text, line, word) in [
            ("max_retries = 1\nmax_retry = 2", "line 2", "max_retry"),
            ("strategy = \"best\"", "line 1", "power_of_two"),
            ("\n\nretry_delay = \"soon\"", "line 3", "retry_delay"),
        ] {
            let error = toml::from_str::<LoadBalancerConfig>(text)
                .unwrap_err()
                .to_string();
            assert!(error.contains(line) && error.contains(word), "{error}");
        }
    }
}
