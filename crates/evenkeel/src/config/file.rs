//! Reading a [`Config`].

use std::collections::HashMap;
use std::path::Path;

use serde::de::DeserializeOwned;
use toml::{Table, Value};

use super::place::{line_and_column, line_of};
use super::{Config, ConfigError, overrides};

/// Reads a config of any shape from a TOML file, and takes what is in variables of the environment in place of
/// what is in the file: `EVENKEEL__POOL__MAX_CONNECTIONS=32` is `max_connections = 32` in the table `pool`.
/// `complete` is handed what was read, and what of it was given, to fill in and check.
///
/// [`Config::load`] is this; those whose config holds more than a client's use it for theirs.
///
/// # Errors
/// [`ConfigError`] names the line and the field, or the variable; to a [`ConfigError::Field`] of `complete`
/// the line is added.
pub fn load_config<T: DeserializeOwned>(
    path: impl AsRef<Path>,
    complete: impl FnOnce(&mut T, Given<'_>) -> Result<(), ConfigError>,
) -> Result<T, ConfigError> {
    let path = path.as_ref();
    let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Unreadable {
        path: path.to_owned(),
        source,
    })?;
    // Only what is text: others are not ours.
    let variables = std::env::vars_os();
    let variables =
        variables.filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    parse_config(&text, variables, complete)
}

/// [`load_config`] from a text, and from these variables.
///
/// # Errors
/// As [`load_config`].
pub fn parse_config<T: DeserializeOwned>(
    text: &str,
    variables: impl IntoIterator<Item = (String, String)>,
    complete: impl FnOnce(&mut T, Given<'_>) -> Result<(), ConfigError>,
) -> Result<T, ConfigError> {
    let malformed = |error: toml::de::Error| {
        let (line, column) = line_and_column(text, error.span().map_or(0, |span| span.start));
        ConfigError::Malformed {
            line,
            column,
            message: error.message().to_owned(),
        }
    };
    // Read twice: from the text, whose errors know their line, and as a table, which can be changed.
    let mut config: T = toml::from_str(text).map_err(malformed)?;
    let mut table: Table = text.parse().map_err(malformed)?;
    let mut of_variables = false;
    for (variable, value) in variables {
        let Some(path) = overrides::path(&variable) else {
            continue;
        };
        let wrong = |message: String| ConfigError::Variable {
            variable: variable.clone(),
            message,
        };
        overrides::set(&mut table, &path, &value).map_err(wrong)?;
        config = T::deserialize(table.clone()).map_err(|error| wrong(error.message().to_owned()))?;
        of_variables = true;
    }
    complete(&mut config, Given(&table)).map_err(|error| match error {
        // What a variable says has no line; the line of what it replaces would mislead.
        ConfigError::Field { field, message, .. } => ConfigError::Field {
            line: if of_variables { None } else { line_of(text, &field) },
            field,
            message,
        },
        other => other,
    })?;
    Ok(config)
}

impl Config {
    /// Reads a TOML file, and takes what is in variables of the environment in place of what is in the file:
    /// `EVENKEEL__POOL__MAX_CONNECTIONS=32` is `max_connections = 32` in the table `pool`.
    ///
    /// # Errors
    /// [`ConfigError`] names the line and the field, or the variable.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, ConfigError> {
        load_config(path, Self::complete)
    }

    /// The same from a text, and from these variables.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn parse(
        text: &str,
        variables: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, ConfigError> {
        parse_config(text, variables, Self::complete)
    }

    fn complete(&mut self, given: Given<'_>) -> Result<(), ConfigError> {
        if !given.has("pool.retry_attempts") {
            self.pool.retry_attempts = Self::default().pool.retry_attempts;
        }
        self.validate()
    }

    /// Whether every field is in its range, and the backends fit together.
    ///
    /// # Errors
    /// [`ConfigError::Field`] names the field.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let wrong = |field: String, message: String| ConfigError::Field {
            line: None,
            field,
            message,
        };
        let io = self.io.validate();
        io.map_err(|error| {
            wrong(
                format!("io.{}", error.field),
                format!("{}, {}", error.value, error.reason),
            )
        })?;
        let pool = self.pool.validate();
        pool.map_err(|error| {
            wrong(
                format!("pool.{}", error.field),
                format!("{}, {}", error.value, error.reason),
            )
        })?;
        let balancer = self.balancer.validate();
        balancer.map_err(|error| {
            let message = format!("{}, must be {}", error.value, error.expected);
            wrong(format!("balancer.{}", error.field), message)
        })?;
        let mut seen = HashMap::new();
        for (index, backend) in self.backends.iter().enumerate() {
            let name = backend.name();
            let field = if backend.id.is_some() { "id" } else { "address" };
            if let Some(before) = seen.insert(name.clone(), index) {
                let message = format!("backends[{before}] is called {name} already");
                return Err(wrong(format!("backends[{index}].{field}"), message));
            }
        }
        if !self.backends.is_empty() && self.backends.iter().all(|backend| backend.weight == 0) {
            return Err(wrong(
                "backends[0].weight".to_owned(),
                "all backends have weight 0".to_owned(),
            ));
        }
        Ok(())
    }
}

/// Which fields were given, in the file or in the environment; the others have their defaults.
#[derive(Clone, Copy, Debug)]
pub struct Given<'a>(&'a Table);

impl Given<'_> {
    /// Whether this field was, such as `pool.retry_attempts`.
    #[must_use]
    pub fn has(&self, field: &str) -> bool {
        let mut table = Some(self.0);
        field.split('.').all(|step| {
            let value = table.and_then(|table| table.get(step));
            table = value.and_then(Value::as_table);
            value.is_some()
        })
    }
}
