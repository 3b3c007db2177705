//! What can go wrong in a run.

use std::io;

/// Why a run, or one step of it, could not be done.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The operating system refused something.
    #[error("{what}: {source}")]
    Io {
        /// What was being done.
        what: &'static str,
        /// What the system answered.
        source: io::Error,
    },
    /// A scenario's file does not say what it must.
    #[error("scenario file {file}: {problem}")]
    Scenario {
        /// The file, by its name in `benches/scenarios/`.
        file: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// There is nothing of that name.
    #[error("there is no {kind} '{name}'; there are: {known}")]
    Unknown {
        /// Scenario, contender, or parameter.
        kind: &'static str,
        /// The name that was asked for.
        name: String,
        /// The names there are.
        known: String,
    },
    /// A child process failed, or said something that makes no sense.
    #[error("{0}")]
    Child(String),
    /// A contender did not do what it was measured for.
    #[error("{0}")]
    Contender(String),
    /// A value on the command line cannot be used.
    #[error("{0}")]
    Usage(String),
}

impl Error {
    /// For `map_err`: adds what was being done to an error of the system.
    pub fn io(what: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { what, source }
    }

    /// For a contender that failed at something: what, and the reason it gave.
    pub fn contender(what: &str, reason: impl std::fmt::Display) -> Self {
        Self::Contender(format!("{what}: {reason}"))
    }

    /// For a name that does not exist: lists the ones that do.
    pub fn unknown<'a>(kind: &'static str, name: &str, known: impl IntoIterator<Item = &'a str>) -> Self {
        let known: Vec<&str> = known.into_iter().collect();
        Self::Unknown {
            kind,
            name: name.to_owned(),
            known: known.join(", "),
        }
    }
}
