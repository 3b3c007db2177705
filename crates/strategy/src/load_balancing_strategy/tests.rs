use super::*;

#[test]
fn every_name_is_read_and_given_back_and_builds() {
    for name in LoadBalancingStrategy::NAMES {
        let strategy: LoadBalancingStrategy = name.parse().unwrap();
        assert_eq!(strategy.name(), *name);
        strategy.build().unwrap();
    }
}

#[test]
fn an_unknown_name_lists_the_known_ones() {
    let error = "fastest"
        .parse::<LoadBalancingStrategy>()
        .unwrap_err()
        .to_string();
    for name in LoadBalancingStrategy::NAMES.iter().chain(&["fastest"]) {
        assert!(error.contains(name), "{error}");
    }
}

#[test]
fn a_parameter_out_of_range_is_named_when_it_is_built() {
    let strategy = LoadBalancingStrategy::Maglev(MaglevConfig {
        table_size: 10,
        ..MaglevConfig::default()
    });
    assert!(strategy.build().unwrap_err().to_string().contains("table_size"));
}

#[cfg(feature = "serde")]
mod from_a_file {
    use std::time::Duration;

    use super::*;
    use crate::LoadMetric;

    #[derive(Debug, PartialEq, serde::Deserialize, serde::Serialize)]
    struct File {
        strategy: LoadBalancingStrategy,
    }

    fn read(text: &str) -> Result<LoadBalancingStrategy, String> {
        toml::from_str(text)
            .map(|file: File| file.strategy)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn a_name_alone_means_the_defaults() {
        for name in LoadBalancingStrategy::NAMES {
            let expected: LoadBalancingStrategy = name.parse().unwrap();
            assert_eq!(read(&format!("strategy = \"{name}\"")).as_ref(), Ok(&expected));
            let table = format!("[strategy]\nname = \"{name}\"");
            assert_eq!(read(&table), Ok(expected));
        }
    }

    #[test]
    fn parameters_are_read_and_the_rest_stay_defaults() {
        assert_eq!(
            read("strategy = { name = \"power_of_two\", load = \"peak_ewma\" }"),
            Ok(LoadBalancingStrategy::PowerOfTwo(PowerOfTwoConfig {
                load: LoadMetric::PeakEwma
            }))
        );
        let text = "[strategy]\nname = \"dynamic_weights\"\nblackout = \"20s\"";
        assert_eq!(
            read(text),
            Ok(LoadBalancingStrategy::DynamicWeights(DynamicWeightsConfig {
                blackout: Duration::from_secs(20),
                ..DynamicWeightsConfig::default()
            }))
        );
    }

    #[test]
    fn an_unknown_name_lists_the_known_ones_in_both_forms() {
        for text in ["strategy = \"fastest\"", "strategy = { name = \"fastest\" }"] {
            let error = read(text).unwrap_err();
            assert!(
                error.contains("fastest") && error.contains("least_response_time"),
                "{error}"
            );
        }
    }

    #[test]
    fn a_parameter_that_does_not_exist_is_named() {
        for name in LoadBalancingStrategy::NAMES {
            let error = read(&format!("strategy = {{ name = \"{name}\", speeed = 1 }}")).unwrap_err();
            assert!(error.contains("speeed"), "{name}: {error}");
        }
    }

    #[test]
    fn what_is_written_reads_back_the_same() {
        for name in LoadBalancingStrategy::NAMES {
            let file = File {
                strategy: name.parse().unwrap(),
            };
            let text = toml::to_string(&file).unwrap();
            assert_eq!(read(&text), Ok(file.strategy), "{text}");
        }
    }
}
