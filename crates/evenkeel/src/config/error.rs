//! [`ConfigError`].

use std::io;
use std::path::PathBuf;

use thiserror::Error;

/// What is wrong with a configuration, and where.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file can not be read.
    #[error("{}: {source}", path.display())]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is no TOML, or a field is not known or of another type.
    #[error("line {line}, column {column}: {message}")]
    Malformed {
        /// The line, from 1.
        line: usize,
        /// The column, from 1.
        column: usize,
        /// What is wrong there.
        message: String,
    },
    /// A field has a value that makes no sense.
    #[error("{}{field}: {message}", at(*line))]
    Field {
        /// The line, from 1; `None` if the value comes from the environment.
        line: Option<usize>,
        /// The field, with the tables it is in.
        field: String,
        /// What is wrong with it.
        message: String,
    },
    /// A variable of the environment names no field, or its value does not fit.
    #[error("environment variable {variable}: {message}")]
    Variable {
        /// Which one.
        variable: String,
        /// What is wrong with it.
        message: String,
    },
}

fn at(line: Option<usize>) -> String {
    line.map_or_else(String::new, |line| format!("line {line}: "))
}
