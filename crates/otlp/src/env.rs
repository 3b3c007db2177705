//! The environment by which OpenTelemetry is configured.

use std::collections::BTreeMap;
use std::time::Duration;

use evenkeel_otlp_wire::Signal;
use percent_encoding::percent_decode_str;
use thiserror::Error;

use crate::{BuildError, Collector, Endpoint, OtlpClientConfig, Protocol};

const PREFIX: &str = "OTEL_EXPORTER_OTLP_";

impl OtlpClientConfig {
    /// From the process's environment; see [`from_vars`](Self::from_vars).
    ///
    /// # Errors
    /// [`EnvError`] names the variable.
    pub fn from_env(signal: Option<Signal>) -> Result<Self, EnvError> {
        Self::from_vars(signal, |name| {
            std::env::var_os(name).map(|value| value.to_string_lossy().into_owned())
        })
    }

    /// From variables as OTLP's specification names them; what is not set, or is empty, keeps its default.
    ///
    /// For a `signal`, its own variables go before the general ones: `OTEL_EXPORTER_OTLP_TRACES_TIMEOUT` before
    /// `OTEL_EXPORTER_OTLP_TIMEOUT`. Without one the general ones alone count, for a client that sends all
    /// signals.
    ///
    /// | variable | what |
    /// |---|---|
    /// | `ENDPOINT` | one or several, separated by commas; over HTTP the signal's own is used as it is, the general one gets `/v1/traces` and so on appended. `http://localhost:4318`, or 4317 over gRPC, by default |
    /// | `PROTOCOL` | `http/protobuf` (default, as the specification has it) or `grpc` |
    /// | `HEADERS` | `name=value` pairs, separated by commas, values percent-encoded |
    /// | `TIMEOUT` | milliseconds; 10000 by default |
    /// | `COMPRESSION` | `none` (default), `gzip`, `zstd` |
    /// | `INSECURE` | `true` or `false` (default): whether a gRPC endpoint without a scheme is `http` or `https`; over HTTP an endpoint must have one |
    /// | `CERTIFICATE` | file of the roots to trust; feature `tls` |
    /// | `CLIENT_CERTIFICATE`, `CLIENT_KEY` | files of our own certificate and its key; feature `tls` |
    ///
    /// ```
    /// use evenkeel_otlp::OtlpClientConfig;
    ///
    /// let config = OtlpClientConfig::from_vars(None, |name| match name {
    ///     "OTEL_EXPORTER_OTLP_PROTOCOL" => Some("grpc".to_owned()),
    ///     "OTEL_EXPORTER_OTLP_ENDPOINT" => Some("http://a:4317,http://b:4317".to_owned()),
    ///     _ => None,
    /// })?;
    /// assert_eq!(config.collectors.len(), 2);
    /// # Ok::<(), evenkeel_otlp::EnvError>(())
    /// ```
    ///
    /// # Errors
    /// [`EnvError`] names the variable.
    pub fn from_vars(
        signal: Option<Signal>,
        look: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, EnvError> {
        let vars = Vars { signal, look: &look };
        let mut config = Self {
            protocol: Protocol::HttpProtobuf,
            ..Self::default()
        };
        if let Some(protocol) = vars.find("PROTOCOL") {
            config.protocol = match &*protocol.value {
                "grpc" => Protocol::Grpc,
                "http/protobuf" => Protocol::HttpProtobuf,
                "http/json" => {
                    return Err(protocol.refuse("http/json is not spoken; there are grpc and http/protobuf"));
                }
                _ => return Err(protocol.refuse("must be grpc or http/protobuf")),
            };
        }
        if let Some(compression) = vars.find("COMPRESSION") {
            let parsed = compression.value.parse();
            config.compression = parsed.map_err(|_| compression.refuse("must be none, gzip or zstd"))?;
            if !config.compression.is_built_in() {
                return Err(compression.refuse("is not in this build: it takes the feature of its name"));
            }
        }
        if let Some(timeout) = vars.find("TIMEOUT") {
            let millis: Option<u64> = timeout.value.parse().ok().filter(|&millis| millis > 0);
            let millis =
                millis.ok_or_else(|| timeout.refuse("must be a whole number of milliseconds above zero"))?;
            config.timeout = Duration::from_millis(millis);
        }
        if let Some(headers) = vars.find("HEADERS") {
            config.headers = headers.headers()?;
        }
        config.collectors = vars.collectors(config.protocol)?;
        vars.tls(&mut config)?;
        if let Err(error) = config.validate() {
            let what = match &error {
                BuildError::Header { .. } => "HEADERS",
                BuildError::Field { field: "timeout", .. } => "TIMEOUT",
                _ => "ENDPOINT",
            };
            let found = vars.find(what);
            return Err(EnvError {
                variable: found.map_or_else(|| format!("{PREFIX}{what}"), |found| found.name),
                reason: error.to_string(),
            });
        }
        Ok(config)
    }
}

/// A variable that makes no sense. Its value is not shown where it may be a secret.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{variable}: {reason}")]
#[non_exhaustive]
pub struct EnvError {
    /// Its name.
    pub variable: String,
    /// What it must be.
    pub reason: String,
}

struct Vars<'a> {
    signal: Option<Signal>,
    look: &'a dyn Fn(&str) -> Option<String>,
}

/// A variable that is set.
struct Found {
    name: String,
    value: String,
    /// The signal's own.
    own: bool,
}

impl Vars<'_> {
    fn find(&self, what: &str) -> Option<Found> {
        let own = self
            .signal
            .map(|signal| format!("{PREFIX}{}_{what}", signal.as_str().to_ascii_uppercase()));
        let names = own.into_iter().map(|name| (name, true));
        names
            .chain([(format!("{PREFIX}{what}"), false)])
            .find_map(|(name, own)| {
                let value = (self.look)(&name)?.trim().to_owned();
                // Set and empty is the same as not set, by the specification.
                (!value.is_empty()).then_some(Found { name, value, own })
            })
    }

    fn collectors(&self, protocol: Protocol) -> Result<Vec<Collector>, EnvError> {
        let insecure = match self.find("INSECURE") {
            None => false,
            Some(found) => match found.value.to_ascii_lowercase().as_str() {
                "true" => true,
                "false" => false,
                _ => return Err(found.refuse("must be true or false")),
            },
        };
        let usual = match protocol {
            Protocol::Grpc => "http://localhost:4317",
            Protocol::HttpProtobuf => "http://localhost:4318",
        };
        let found = self.find("ENDPOINT").unwrap_or_else(|| Found {
            name: format!("{PREFIX}ENDPOINT"),
            value: usual.to_owned(),
            own: false,
        });
        let endpoints = found.value.split(',').map(|text| {
            let parsed = match found.own && protocol == Protocol::HttpProtobuf {
                true => Endpoint::exact(text),
                false => text.parse(),
            };
            let endpoint = parsed.map_err(|error| found.refuse(&error.to_string()))?;
            let endpoint = match protocol {
                _ if endpoint.is_schemed() => endpoint,
                Protocol::HttpProtobuf => {
                    return Err(found.refuse(&format!("'{endpoint}' must begin with http:// or https://")));
                }
                Protocol::Grpc if insecure => endpoint,
                Protocol::Grpc if cfg!(feature = "tls") => endpoint.secured(),
                Protocol::Grpc => {
                    let why =
                        "has no scheme: that is TLS unless INSECURE is true, and TLS takes the feature 'tls'";
                    return Err(found.refuse(&format!("'{endpoint}' {why}")));
                }
            };
            Ok(Collector::at(endpoint))
        });
        endpoints.collect()
    }

    #[cfg(feature = "tls")]
    fn tls(&self, config: &mut OtlpClientConfig) -> Result<(), EnvError> {
        use evenkeel::io_core::{ClientAuth, Pem, TlsRoots};
        let file = |found: &Found| {
            let readable = std::fs::File::open(&found.value);
            let readable = readable.map_err(|error| found.refuse(&format!("{}: {error}", found.value)));
            readable.map(|_| Pem::File(found.value.clone().into()))
        };
        if let Some(roots) = self.find("CERTIFICATE") {
            config.tls.roots = TlsRoots::Pem(file(&roots)?);
        }
        match (self.find("CLIENT_CERTIFICATE"), self.find("CLIENT_KEY")) {
            (Some(certificates), Some(key)) => {
                config.tls.client_auth = Some(ClientAuth {
                    certificates: file(&certificates)?,
                    key: file(&key)?,
                });
            }
            (Some(alone), None) => return Err(alone.refuse("is set without CLIENT_KEY")),
            (None, Some(alone)) => return Err(alone.refuse("is set without CLIENT_CERTIFICATE")),
            (None, None) => {}
        }
        Ok(())
    }

    #[cfg(not(feature = "tls"))]
    fn tls(&self, _: &mut OtlpClientConfig) -> Result<(), EnvError> {
        let files = ["CERTIFICATE", "CLIENT_CERTIFICATE", "CLIENT_KEY"];
        match files.into_iter().find_map(|file| self.find(file)) {
            Some(found) => Err(found.refuse("takes the feature 'tls', which this build has not got")),
            None => Ok(()),
        }
    }
}

impl Found {
    fn refuse(&self, reason: &str) -> EnvError {
        EnvError {
            variable: self.name.clone(),
            reason: reason.to_owned(),
        }
    }

    /// `name=value` pairs as in W3C's baggage, without properties.
    fn headers(&self) -> Result<BTreeMap<String, String>, EnvError> {
        let pairs = self
            .value
            .split(',')
            .map(str::trim)
            .filter(|pair| !pair.is_empty());
        let headers = pairs.enumerate().map(|(index, pair)| {
            let place = || format!("pair {} of the list", index + 1);
            let Some((name, value)) = pair.split_once('=') else {
                return Err(self.refuse(&format!("{} has no '='", place())));
            };
            let value = percent_decode_str(value.trim()).decode_utf8();
            let value = value.map_err(|_| self.refuse(&format!("{} is not UTF-8", place())))?;
            Ok((name.trim().to_ascii_lowercase(), value.into_owned()))
        });
        headers.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Compression;

    fn read(signal: Option<Signal>, vars: &[(&str, &str)]) -> Result<OtlpClientConfig, EnvError> {
        OtlpClientConfig::from_vars(signal, |name| {
            let short = name.strip_prefix(PREFIX).unwrap();
            let found = vars.iter().find(|(known, _)| *known == short);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    fn paths(config: &OtlpClientConfig, signal: Signal) -> Vec<String> {
        let uris = config.collectors.iter().map(|collector| {
            let target = collector.endpoint.target(config.protocol).unwrap();
            let uri = collector.endpoint.uri(config.protocol, signal).unwrap();
            format!("{target}{}", uri.path())
        });
        uris.collect()
    }

    #[test]
    fn nothing_set_is_the_specifications_default() {
        let config = read(None, &[("HEADERS", ""), ("TIMEOUT", " ")]).unwrap();
        assert_eq!(config.collectors[0].endpoint.to_string(), "http://localhost:4318");
        assert_eq!(
            (config.protocol, config.timeout),
            (Protocol::HttpProtobuf, Duration::from_secs(10))
        );
        assert_eq!(paths(&config, Signal::Logs), ["localhost:4318/v1/logs"]);
        let grpc = read(None, &[("PROTOCOL", "grpc")]).unwrap();
        assert_eq!(grpc.collectors[0].endpoint.to_string(), "http://localhost:4317");
    }

    #[test]
    fn a_signals_own_variables_go_first_and_its_endpoint_is_used_as_it_is() {
        let vars = [
            ("PROTOCOL", "http/protobuf"),
            ("ENDPOINT", "http://a/base/, http://b:1"),
            ("TRACES_ENDPOINT", "http://c:2/in"),
            ("TIMEOUT", "3000"),
            ("TRACES_TIMEOUT", "70"),
            ("LOGS_COMPRESSION", "gzip"),
            ("HEADERS", "Api-Key=a%2Cb%3D, x = y,"),
        ];
        let traces = read(Some(Signal::Traces), &vars).unwrap();
        assert_eq!(paths(&traces, Signal::Traces), ["c:2/in"]);
        assert_eq!(traces.timeout, Duration::from_millis(70));
        let logs = read(Some(Signal::Logs), &vars).unwrap();
        assert_eq!(paths(&logs, Signal::Logs), ["a:80/base/v1/logs", "b:1/v1/logs"]);
        assert_eq!(
            (logs.timeout, logs.compression),
            (Duration::from_secs(3), Compression::Gzip)
        );
        assert_eq!(logs.headers["api-key"], "a,b=");
        assert_eq!(logs.headers["x"], "y");
        let general = read(None, &vars).unwrap();
        assert_eq!(
            (general.collectors.len(), general.compression),
            (2, Compression::None)
        );
    }

    #[test]
    fn what_makes_no_sense_is_refused_by_the_name_of_its_variable() {
        let cases = [
            ("ENDPOINT", "http://a:4317,,http://b"),
            ("ENDPOINT", "ftp://a"),
            ("ENDPOINT", "a:4318"),
            ("METRICS_ENDPOINT", "http://a:99999"),
            ("PROTOCOL", "http/json"),
            ("PROTOCOL", "carrier pigeon"),
            ("METRICS_TIMEOUT", "10s"),
            ("TIMEOUT", "0"),
            ("TIMEOUT", "-1"),
            ("COMPRESSION", "brotli"),
            ("INSECURE", "maybe"),
            ("HEADERS", "secret"),
            ("HEADERS", "te=secret"),
            ("HEADERS", "a b=secret"),
            ("HEADERS", "x=%ff"),
            ("CERTIFICATE", "/nowhere/ca.pem"),
            ("CLIENT_KEY", "/nowhere/key.pem"),
        ];
        for (name, value) in cases {
            let error = read(Some(Signal::Metrics), &[(name, value)]).expect_err(value);
            assert!(
                error.to_string().contains(&format!("{PREFIX}{name}")),
                "{name}={value}: {error}"
            );
            assert!(!error.to_string().contains("secret"), "{error}");
        }
    }

    #[test]
    fn an_endpoint_without_a_scheme_is_secure_unless_it_is_said_to_be_insecure() {
        let cases: [(&[(&str, &str)], bool); 4] = [
            (&[("INSECURE", "true")], false),
            (&[("INSECURE", "false")], true),
            (&[("INSECURE", "FALSE")], true),
            (&[], true),
        ];
        for (insecure, tls) in cases {
            let vars = [&[("PROTOCOL", "grpc"), ("ENDPOINT", "collector:4317")], insecure].concat();
            match read(None, &vars) {
                Ok(config) => assert_eq!(config.collectors[0].endpoint.is_tls(), tls),
                Err(error) => {
                    assert!(tls && cfg!(not(feature = "tls")), "{error}");
                    assert_eq!(error.variable, "OTEL_EXPORTER_OTLP_ENDPOINT");
                    assert!(error.reason.contains("INSECURE"), "{error}");
                }
            }
        }
    }
}
