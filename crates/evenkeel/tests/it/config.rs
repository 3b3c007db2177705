//! Configs from files and from the environment, the wrong ones too.

use std::time::Duration;

use evenkeel::{Backend, Config, ConfigError};

const EXAMPLE: &str = include_str!("../../examples/evenkeel.toml");

fn none() -> [(String, String); 0] {
    []
}

fn refused(text: &str) -> String {
    Config::parse(text, none()).unwrap_err().to_string()
}

fn with(text: &str, variable: &str, value: &str) -> Result<Config, ConfigError> {
    Config::parse(text, [(variable.to_owned(), value.to_owned())])
}

#[test]
fn the_example_file_is_what_it_says() {
    let config = Config::parse(EXAMPLE, none()).unwrap();
    assert_eq!(config.io.connect_timeout, Duration::from_secs(2));
    assert_eq!(config.pool.max_connections, 16);
    assert_eq!(config.balancer.hedging.unwrap().percentile, 95.0);
    let names: Vec<_> = config.backends.iter().map(Backend::name).collect();
    assert_eq!(names, ["127.0.0.1:4317", "127.0.0.1:4318", "far"]);
    assert_eq!(config.backends[1].weight, 2);
}

#[test]
fn an_empty_file_is_the_default_config() {
    assert_eq!(Config::parse("", none()).unwrap(), Config::default());
    // The pool's own table does not bring back the pool's own default.
    let config = Config::parse("[pool]\nmax_connections = 3", none()).unwrap();
    assert_eq!((config.pool.max_connections, config.pool.retry_attempts), (3, 0));
    let config = Config::parse("[pool]\nretry_attempts = 3", none()).unwrap();
    assert_eq!(config.pool.retry_attempts, 3);
}

#[test]
fn what_is_written_reads_back_the_same() {
    let config = Config::parse(EXAMPLE, none()).unwrap();
    let written = toml::to_string(&config).unwrap();
    assert_eq!(Config::parse(&written, none()).unwrap(), config);
}

#[test]
fn nonsense_in_a_file_is_told_with_line_and_field() {
    let unknown = refused("[pool]\nmax_conections = 3\n");
    assert!(
        unknown.starts_with("line 2, column 1: ") && unknown.contains("max_conections"),
        "{unknown}"
    );
    let typed = refused("[io]\n\nconnect_timeout = 3\n");
    assert!(typed.starts_with("line 3, column 19: "), "{typed}");
    let syntax = refused("[io\n");
    assert!(syntax.starts_with("line 1, column "), "{syntax}");
    let strategy = refused("[balancer]\nstrategy = \"round_robbin\"\n");
    assert!(
        strategy.contains("line 2") && strategy.contains("round_robin"),
        "{strategy}"
    );
    let range = refused("[pool]\nidle_timeout = \"1s\"\nmin_connections = 9\nmax_connections = 3\n");
    assert!(range.starts_with("line 3: pool.min_connections: 9"), "{range}");
    let range = refused("[io]\nbuffer_size = 0\n");
    assert!(range.starts_with("line 2: io.buffer_size: 0"), "{range}");
    let range = refused("[balancer]\nhealth_check_path = \"health\"\n");
    assert!(
        range.starts_with("line 2: balancer.health_check_path: "),
        "{range}"
    );
}

#[test]
fn backends_that_do_not_fit_together_are_told_with_their_line() {
    let twice = refused("[[backends]]\naddress = \"a:1\"\n\n[[backends]]\naddress = \"A:1\"\n");
    assert_eq!(
        twice,
        "line 5: backends[1].address: backends[0] is called a:1 already"
    );
    let weightless = refused("[[backends]]\naddress = \"a:1\"\nweight = 0\n");
    assert_eq!(
        weightless,
        "line 3: backends[0].weight: all backends have weight 0"
    );
    let address = refused("[[backends]]\naddress = \"http://a:1\"\n");
    assert!(
        address.starts_with("line 2, column 11: ") && address.contains("scheme"),
        "{address}"
    );
}

#[test]
fn a_variable_of_the_environment_goes_before_the_file() {
    let config = with(
        "[pool]\nmax_connections = 3\n",
        "EVENKEEL__POOL__MAX_CONNECTIONS",
        "32",
    )
    .unwrap();
    assert_eq!(config.pool.max_connections, 32);
    let config = with("", "EVENKEEL__BALANCER__HEDGING__MIN_DELAY", "20ms").unwrap();
    assert_eq!(
        config.balancer.hedging.unwrap().min_delay,
        Duration::from_millis(20)
    );
    let config = with("", "EVENKEEL__BACKENDS", "[{ address = 'a:1' }]").unwrap();
    assert_eq!(config.backends.len(), 1);
    assert_eq!(with("", "EVENKEEL_POOL", "x").unwrap(), Config::default());
}

#[test]
fn a_variable_that_fits_no_field_is_named() {
    let told = |variable: &str, value: &str| with("", variable, value).unwrap_err().to_string();
    let unknown = told("EVENKEEL__POOL__MAX_CONECTIONS", "3");
    assert!(
        unknown.starts_with("environment variable EVENKEEL__POOL__MAX_CONECTIONS: unknown field"),
        "{unknown}"
    );
    let typed = told("EVENKEEL__POOL__MAX_CONNECTIONS", "many");
    assert!(
        typed.starts_with("environment variable EVENKEEL__POOL__MAX_CONNECTIONS: "),
        "{typed}"
    );
    let no_table = told("EVENKEEL__HEALTH_CHECKS__KIND", "tcp");
    assert!(no_table.contains("EVENKEEL__HEALTH_CHECKS__KIND"), "{no_table}");
    let range = told("EVENKEEL__POOL__MAX_CONNECTIONS", "0");
    assert!(range.starts_with("pool.max_connections: 0"), "{range}");
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let error = Config::load("/nowhere/evenkeel.toml").unwrap_err().to_string();
    assert!(error.starts_with("/nowhere/evenkeel.toml: "), "{error}");
}
