//! The config file.

use evenkeel_gateway::queue::QueueConfig;
use evenkeel_gateway::{GatewayConfig, RouteConfig, TelemetryConfig};

fn parse(text: &str) -> Result<GatewayConfig, String> {
    GatewayConfig::parse(text, [], |_| {}).map_err(|error| error.to_string())
}

const ONE: &str = "[[collectors]]\nendpoint = \"http://a:4317\"\n";

#[test]
fn the_example_file_is_what_it_says() {
    let text = include_str!("../../examples/evenkeel.toml");
    let written = parse(text).unwrap();
    let expected = GatewayConfig {
        collectors: written.collectors.clone(),
        ..GatewayConfig::default()
    };
    assert_eq!(written.collectors.len(), 3);
    assert_eq!(written, expected, "every value in it is the default");
    let (example, all) = (
        toml::from_str(text).unwrap(),
        toml::Table::try_from(&expected).unwrap(),
    );
    missing(&example, &all, "");
}

/// Every field is in the example, but those of the balancer, of which there are many, and of TLS.
fn missing(example: &toml::Table, all: &toml::Table, place: &str) {
    for (field, value) in all {
        if field == "tls" || (field == "collectors" && !place.is_empty()) {
            continue;
        }
        assert!(
            example.contains_key(field),
            "{place}{field} is not in the example"
        );
        let there = &example[field];
        if let (toml::Value::Table(value), toml::Value::Table(there)) = (value, there)
            && !["balancer", "headers"].contains(&field.as_str())
        {
            missing(there, value, &format!("{place}{field}."));
        }
    }
}

#[test]
fn every_field_is_in_the_readme() {
    let file = GatewayConfig {
        queue: Some(QueueConfig::default()),
        telemetry: Some(TelemetryConfig::default()),
        ..GatewayConfig::default()
    };
    let all = toml::Table::try_from(&file).unwrap();
    let fields = all.iter().flat_map(|(name, value)| match value {
        toml::Value::Table(table) => table.keys().map(|field| format!("`{name}.{field}`")).collect(),
        _ => vec![format!("`{name}`")],
    });
    let readme = include_str!("../../README.md");
    let missing: Vec<_> = fields
        .filter(|field| field != "`client.collectors`" && !readme.contains(field.as_str()))
        .collect();
    assert_eq!(missing, Vec::<String>::new());
}

#[test]
fn nonsense_in_telemetry_is_told_with_line_and_field() {
    let error = parse(&format!("[telemetry]\ninterval = \"10ms\"\n{ONE}")).unwrap_err();
    assert!(
        error.contains("line 2: telemetry.interval: 10ms is not from 1s"),
        "{error}"
    );
    let error = parse(&format!("[telemetry.client]\ntimeout = \"0s\"\n{ONE}")).unwrap_err();
    assert!(error.contains("line 2: telemetry.client.timeout"), "{error}");
    let good = "[telemetry]\n[[telemetry.client.collectors]]\nendpoint = \"http://m:4317\"\n";
    let config = parse(&format!("{good}{ONE}")).unwrap();
    assert_eq!(config.telemetry.unwrap().client.collectors.len(), 1);
    assert_eq!(config.collectors.len(), 1);
}

#[test]
fn what_is_written_reads_back_the_same() {
    let config = parse(&format!("route = {{ attribute = \"tenant\" }}\n{ONE}")).unwrap();
    assert_eq!(config.route, RouteConfig::Attribute("tenant".to_owned()));
    let written = toml::to_string(&config).unwrap();
    assert_eq!(parse(&written).unwrap(), config, "{written}");
}

#[test]
fn nonsense_is_told_with_line_and_field() {
    let with = |lines: &str| parse(&format!("{lines}\n{ONE}")).unwrap_err();
    for (lines, expected) in [
        (
            "drain_timeout = \"2h\"",
            "line 1: drain_timeout: 7200s is not from 0ns to 3600s",
        ),
        (
            "\n[limits]\nrequests = 0",
            "line 3: limits.requests: 0 is not from 1",
        ),
        (
            "[limits]\nmemory = \"1MiB\"",
            "line 2: limits.memory: 1MiB is less than limits.max_body_size, 64MiB",
        ),
        (
            "[receiver]\ngrpc = \"off\"\nhttp = \"off\"",
            "line 1: receiver: with grpc and http off",
        ),
        (
            "[receiver]\nidle_timeout = \"10ms\"",
            "line 2: receiver.idle_timeout",
        ),
        (
            "[admin]\nlisten = \"0.0.0.0:4317\"",
            "line 2: admin.listen: 0.0.0.0:4317 is receiver.grpc's already",
        ),
        ("[client]\ntimeout = \"0s\"", "line 2: client.timeout"),
        (
            "[client.balancer]\nmax_retries = 99",
            "line 2: client.balancer.max_retries",
        ),
        (
            "route = \"trace_id\"\n[client.balancer]\nstrategy = \"round_robin\"",
            "line 3: client.balancer.strategy: `round_robin` does not keep keys together",
        ),
        (
            "[[client.collectors]]\nendpoint = \"http://b:4317\"",
            "line 1: client.collectors",
        ),
    ] {
        let error = with(lines);
        assert!(error.starts_with(expected), "{lines}: {error}");
    }
    for (lines, expected) in [
        ("drain_timout = \"2s\"", "unknown field `drain_timout`"),
        (
            "[receiver]\ngrpc = \"4317\"",
            "neither an address with a port nor \"off\"",
        ),
        ("[limits]\nmemory = \"much\"", "`much` is no size"),
        ("route = \"span_id\"", "unknown variant `span_id`"),
    ] {
        let error = with(lines);
        assert!(
            error.contains(expected) && error.starts_with("line "),
            "{lines}: {error}"
        );
    }
    assert!(parse("").unwrap_err().contains("collectors: there is none"));
    let twice = parse(&format!("{ONE}{ONE}")).unwrap_err();
    assert!(
        twice.starts_with("line 4: collectors[1].endpoint: collectors[0] is called http://a:4317"),
        "{twice}"
    );
}

#[test]
fn a_route_by_content_brings_its_strategy_and_keeps_the_hedges() {
    let plain = parse(ONE).unwrap();
    assert!(plain.client.balancer.hedging.is_some());
    assert_eq!(plain.client.balancer.strategy.name(), "peak_ewma");
    let routed = parse(&format!("route = \"service\"\n{ONE}")).unwrap();
    // Without them a collector that hangs takes the whole time of every request with a part for it.
    assert_eq!(routed.client.balancer.hedging, plain.client.balancer.hedging);
    let off = format!("route = \"service\"\nclient.balancer.hedging = false\n{ONE}");
    assert_eq!(parse(&off).unwrap().client.balancer.hedging, None);
    assert_eq!(routed.client.balancer.strategy.name(), "rendezvous");
    let own = "route = \"service\"\nclient.balancer.strategy = \"maglev\"\n";
    assert_eq!(
        parse(&format!("{own}{ONE}"))
            .unwrap()
            .client
            .balancer
            .strategy
            .name(),
        "maglev"
    );
}

#[test]
fn a_variable_of_the_environment_goes_before_the_file() {
    let variables = [("EVENKEEL__LIMITS__REQUESTS".to_owned(), "7".to_owned())];
    let config = GatewayConfig::parse(ONE, variables, |_| {}).unwrap();
    assert_eq!(config.limits.requests, 7);
}

#[test]
fn the_config_in_the_manifest_of_kubernetes_is_good() {
    let manifest = include_str!("../../../../deploy/kubernetes/gateway.yaml");
    let (_, rest) = manifest.split_once("evenkeel.toml: |\n").unwrap();
    let lines = rest
        .lines()
        .take_while(|line| line.is_empty() || line.starts_with("    "));
    let text: String = lines.map(|line| format!("{}\n", line.trim_start())).collect();
    let config = parse(&text).unwrap();
    assert_eq!(config.collectors.len(), 3);
    // The pod is killed after 30 s.
    assert!((config.drain_delay + config.drain_timeout).as_secs() < 30);
}
