use super::*;

#[test]
fn the_default_is_valid() {
    assert_eq!(ConnectionPoolConfig::default().validate(), Ok(()));
}

#[test]
fn nonsense_is_refused_by_the_name_of_its_field() {
    type Spoil = fn(&mut ConnectionPoolConfig);
    let cases: &[(&str, Spoil)] = &[
        ("max_connections", |c| c.max_connections = 0),
        ("max_connections", |c| c.max_connections = usize::MAX),
        ("min_connections", |c| c.min_connections = 17),
        ("max_idle_connections", |c| c.max_idle_connections = Some(0)),
        ("max_idle_connections", |c| {
            c.min_connections = 4;
            c.max_idle_connections = Some(3);
        }),
        ("max_connections_per_address", |c| {
            c.max_connections_per_address = Some(0);
        }),
        ("connect_concurrency", |c| c.connect_concurrency = 0),
        ("connection_timeout", |c| c.connection_timeout = Duration::ZERO),
        ("connection_timeout", |c| c.connection_timeout = Duration::MAX),
        ("checkout_timeout", |c| {
            c.checkout_timeout = Duration::from_micros(1);
        }),
        ("max_waiters", |c| c.max_waiters = 0),
        ("max_waiters", |c| c.max_waiters = usize::MAX),
        ("idle_timeout", |c| c.idle_timeout = Duration::ZERO),
        ("max_lifetime", |c| c.max_lifetime = Some(Duration::ZERO)),
        ("max_lifetime", |c| c.max_lifetime = Some(Duration::MAX)),
        ("lifetime_jitter", |c| c.lifetime_jitter = -0.1),
        ("lifetime_jitter", |c| c.lifetime_jitter = 1.1),
        ("lifetime_jitter", |c| c.lifetime_jitter = f64::NAN),
        ("health_check_interval", |c| {
            c.health_check_interval = Duration::ZERO;
        }),
        ("validate_after_idle", |c| {
            c.validate_after_idle = Some(Duration::MAX);
        }),
        ("retry_delay", |c| c.retry_delay = Duration::ZERO),
        ("load_balancing_strategy", |c| {
            c.load_balancing_strategy =
                LoadBalancingStrategy::LeastConnections(LeastConnectionsConfig { sample: 0 });
        }),
        ("max_retry_delay", |c| {
            c.max_retry_delay = Duration::from_millis(99);
        }),
    ];
    for (field, spoil) in cases {
        let mut config = ConnectionPoolConfig::default();
        spoil(&mut config);
        let error = config.validate().expect_err(field);
        assert_eq!(error.field, *field);
        assert!(error.to_string().starts_with(field), "{error}");
    }
}

#[cfg(feature = "serde")]
#[test]
fn a_file_is_read_as_people_write_it() {
    let config: ConnectionPoolConfig = toml::from_str(
        r#"
        max_connections = 64
        checkout_timeout = "250ms"
        max_lifetime = "1h 30m"
        reuse_order = "fifo"
        load_balancing_strategy = "round_robin"
        "#,
    )
    .unwrap();
    assert_eq!(config.max_connections, 64);
    assert_eq!(config.checkout_timeout, Duration::from_millis(250));
    assert_eq!(config.max_lifetime, Some(Duration::from_secs(5400)));
    assert_eq!(config.reuse_order, ReuseOrder::Fifo);
    assert_eq!(config.load_balancing_strategy, LoadBalancingStrategy::RoundRobin);
    assert_eq!(config.idle_timeout, ConnectionPoolConfig::default().idle_timeout);

    let again: ConnectionPoolConfig = toml::from_str(&toml::to_string(&config).unwrap()).unwrap();
    assert_eq!(again, config);
}

#[cfg(feature = "serde")]
#[test]
fn no_limit_survives_a_file_as_well_as_a_limit() {
    for limited in [false, true] {
        let config = ConnectionPoolConfig {
            max_idle_connections: limited.then_some(7),
            max_connections_per_address: limited.then_some(7),
            max_lifetime: limited.then_some(Duration::from_secs(7)),
            validate_after_idle: limited.then_some(Duration::from_secs(7)),
            ..ConnectionPoolConfig::default()
        };
        let text = toml::to_string(&config).unwrap();
        assert_eq!(
            toml::from_str::<ConnectionPoolConfig>(&text).unwrap(),
            config,
            "{text}"
        );
    }
    let forever: ConnectionPoolConfig = toml::from_str("max_lifetime = \"forever\"").unwrap();
    assert_eq!(forever.max_lifetime, None);
    assert!(toml::from_str::<ConnectionPoolConfig>("max_lifetime = \"for ever\"").is_err());
}

#[cfg(feature = "serde")]
#[test]
fn a_misspelt_field_is_refused_by_name() {
    let error = toml::from_str::<ConnectionPoolConfig>("idle_timout = \"1s\"").unwrap_err();
    assert!(error.to_string().contains("idle_timout"), "{error}");
}
