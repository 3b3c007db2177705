//! Configs that make no sense are refused by the name of the field, before anything is opened.

use std::time::Duration;

use evenkeel_otlp::{Collector, OtlpClientConfig};

#[test]
fn the_defaults_are_valid() {
    assert!(OtlpClientConfig::default().validate().is_ok());
}

#[test]
fn the_largest_request_is_one_that_http2_takes() {
    let config = OtlpClientConfig {
        max_request_size: (1 << 31) - 6,
        ..OtlpClientConfig::default()
    };
    assert!(config.validate().is_ok());
}

/// On a slow way a ping waits behind what the kernel holds of a large request: up to 4 MiB as Linux is set.
#[test]
fn a_ping_may_take_as_long_as_a_full_send_buffer_takes_at_two_megabits() {
    let buffer = 4 << 20;
    let way = Duration::from_secs(buffer * 8 / 2_000_000);
    assert!(OtlpClientConfig::default().keep_alive_timeout > way);
}

#[test]
fn nonsense_is_refused_by_the_name_of_its_field() {
    type Spoil = fn(&mut OtlpClientConfig);
    let cases: &[(&str, Spoil)] = &[
        ("timeout", |c| c.timeout = Duration::ZERO),
        ("connect_timeout", |c| c.connect_timeout = Duration::MAX),
        ("keep_alive_interval", |c| c.keep_alive_interval = Duration::ZERO),
        ("keep_alive_timeout", |c| {
            c.keep_alive_timeout = Duration::from_micros(1);
        }),
        ("connections", |c| c.connections = 0),
        ("connections", |c| c.connections = 65),
        ("max_in_flight", |c| c.max_in_flight = 0),
        ("http_connections", |c| c.http_connections = 0),
        ("max_request_size", |c| c.max_request_size = usize::MAX),
        ("max_request_size", |c| c.max_request_size = (1 << 31) - 5),
        ("max_response_size", |c| c.max_response_size = 0),
        ("retry_delay", |c| c.balancer.retry_delay = Duration::MAX),
        ("header 'Host'", |c| {
            c.headers.insert("Host".to_owned(), "x".to_owned());
        }),
        ("header 'proxy-connection'", |c| {
            c.headers.insert("proxy-connection".to_owned(), "x".to_owned());
        }),
        ("header 'grpc-status'", |c| {
            c.headers.insert("grpc-status".to_owned(), "0".to_owned());
        }),
        ("header 'a b'", |c| {
            c.headers.insert("a b".to_owned(), "x".to_owned());
        }),
        ("header 'x-key'", |c| {
            c.headers.insert("x-key".to_owned(), "secret\n".to_owned());
        }),
    ];
    for (field, spoil) in cases {
        let mut config = OtlpClientConfig {
            collectors: vec![Collector::new("http://c:4317").unwrap()],
            ..OtlpClientConfig::default()
        };
        spoil(&mut config);
        let error = config.validate().expect_err(field).to_string();
        assert!(error.contains(field), "{field}: {error}");
        assert!(!error.contains("secret"), "{error}");
    }
}

#[test]
fn debug_shows_no_values_of_headers() {
    let mut collector = Collector::new("http://c:4317").unwrap();
    let key = || ("api-key".to_owned(), "secret".to_owned());
    collector.headers.extend([key()]);
    let config = OtlpClientConfig {
        collectors: vec![collector],
        headers: [key()].into(),
        ..OtlpClientConfig::default()
    };
    let shown = format!("{config:?}");
    assert_eq!(shown.matches("api-key").count(), 2, "{shown}");
    assert!(!shown.contains("secret"), "{shown}");
}

#[cfg(not(feature = "tls"))]
#[test]
fn https_without_tls_is_refused() {
    let config = OtlpClientConfig {
        collectors: vec![Collector::new("https://c:4317").unwrap()],
        ..OtlpClientConfig::default()
    };
    let error = config.validate().unwrap_err().to_string();
    assert!(
        error.contains("https://c:4317") && error.contains("tls"),
        "{error}"
    );
}

#[cfg(feature = "serde")]
mod files {
    use super::*;
    use evenkeel_otlp::{Compression, Protocol};

    #[test]
    fn a_file_is_read_as_people_write_it_and_keeps_our_defaults() {
        let config: OtlpClientConfig = toml::from_str(
            r#"
            protocol = "http/protobuf"
            compression = "gzip"
            timeout = "3s"
            headers = { x-tenant = "seven" }

            [balancer]
            strategy = "round_robin"
            slow_start = false

            [[collectors]]
            endpoint = "http://a:4317"
            protocol = "grpc"
            weight = 2

            [[collectors]]
            endpoint = "http://b:4318/otlp"
            id = "b"
            "#,
        )
        .unwrap();
        assert!(config.validate().is_ok());
        assert_eq!(
            (config.protocol, config.compression),
            (Protocol::HttpProtobuf, Compression::Gzip)
        );
        assert_eq!(config.timeout, Duration::from_secs(3));
        assert_eq!(config.collectors[0].weight, 2);
        assert_eq!(config.collectors[1].id().as_str(), "b");
        let ours = OtlpClientConfig::balancer_defaults();
        assert_eq!(config.balancer.strategy.name(), "round_robin");
        assert_eq!(config.balancer.hedging, ours.hedging);
        assert_eq!(config.balancer.max_retries, ours.max_retries);
        assert_eq!(config.balancer.slow_start, None);
        let again: OtlpClientConfig = toml::from_str(&toml::to_string(&config).unwrap()).unwrap();
        assert_eq!(again, config);
    }

    #[test]
    fn what_is_off_is_still_off_when_it_is_read_again() {
        let mut config = OtlpClientConfig::default();
        config.balancer.hedging = None;
        config.balancer.slow_start = None;
        config.balancer.outlier_detection = None;
        config.balancer.attempt_timeout = None;
        let text = toml::to_string(&config).unwrap();
        assert!(text.contains("hedging = false"), "{text}");
        assert_eq!(toml::from_str::<OtlpClientConfig>(&text).unwrap(), config);
        let json = serde_json::to_string(&config).unwrap();
        assert_eq!(serde_json::from_str::<OtlpClientConfig>(&json).unwrap(), config);
        let json = serde_json::from_str::<OtlpClientConfig>(r#"{"balancer":{"hedging":null}}"#);
        assert_eq!(json.unwrap().balancer.hedging, None);

        config.balancer.attempt_timeout = Some(Duration::from_millis(700));
        config.balancer.hedging = Some(evenkeel::balancer::HedgeConfig::default());
        let text = toml::to_string(&config).unwrap();
        assert_eq!(toml::from_str::<OtlpClientConfig>(&text).unwrap(), config);
    }

    #[test]
    fn a_mistake_in_the_balancers_part_is_told_with_its_line() {
        for (line, what) in [
            ("max_retrys = 1", "max_retrys"),
            ("max_retries = \"many\"", "max_retries"),
            ("retry_delay = \"soon\"", "retry_delay"),
            ("hedging = true", "hedging"),
            ("hedging = { sooner = 1 }", "sooner"),
            // It would be overridden.
            ("request_timeout = \"1s\"", "`timeout`"),
        ] {
            let text = format!("timeout = \"1s\"\n\n[balancer]\nstrategy = \"round_robin\"\n{line}\n");
            let error = toml::from_str::<OtlpClientConfig>(&text).unwrap_err().to_string();
            assert!(
                error.contains("line 5") && error.contains(what),
                "{line}: {error}"
            );
        }
    }

    #[test]
    fn a_misspelt_field_is_refused_by_name() {
        for (text, name) in [
            ("timout = \"1s\"", "timout"),
            ("[balancer]\nmax_retrys = 1", "max_retrys"),
            ("[[collectors]]\nendpoint = \"grpc://c\"", "grpc://c"),
            ("[[collectors]]\nendpoint = \"http://c\"\nwieght = 1", "wieght"),
            ("compression = \"brotli\"", "brotli"),
        ] {
            let error = toml::from_str::<OtlpClientConfig>(text).unwrap_err().to_string();
            assert!(error.contains(name), "{error}");
        }
    }
}
