//! A resolver that knows what it was told.

use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;

use super::{Answers, Resolution, Resolve};

/// A fixed table of names and their addresses: for tests, and for pinning names.
///
/// Names compare without regard to case and to a trailing dot. A name that is not in the table goes to
/// the [fallback](Self::with_fallback), or is an error of the kind [`io::ErrorKind::NotFound`].
///
/// ```
/// use evenkeel_io_core::{StaticResolver, SystemResolver};
///
/// let resolver = StaticResolver::new()
///     .with("collector.local", ["10.0.0.7".parse()?])
///     .with_fallback(SystemResolver::new());
/// # Ok::<(), std::net::AddrParseError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct StaticResolver {
    table: HashMap<String, Vec<IpAddr>>,
    fallback: Option<Arc<dyn Resolve>>,
}

impl StaticResolver {
    /// An empty table, where every name is unknown.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds addresses to a name; they are handed over as one batch, in the order they were added.
    #[must_use]
    pub fn with(mut self, host: &str, addresses: impl IntoIterator<Item = IpAddr>) -> Self {
        let known = self.table.entry(key(host)).or_default();
        for address in addresses {
            if !known.contains(&address) {
                known.push(address);
            }
        }
        self
    }

    /// Asks `fallback` for the names that are not in the table.
    #[must_use]
    pub fn with_fallback(mut self, fallback: impl Resolve + 'static) -> Self {
        self.fallback = Some(Arc::new(fallback));
        self
    }
}

impl Resolve for StaticResolver {
    fn resolve<'a>(&'a self, host: &'a str, answers: Answers) -> Resolution<'a> {
        if let Some(known) = self.table.get(&key(host)) {
            answers.push(known.iter().copied());
            return Box::pin(std::future::ready(Ok(())));
        }
        match &self.fallback {
            Some(fallback) => fallback.resolve(host, answers),
            None => Box::pin(std::future::ready(Err(io::Error::new(
                io::ErrorKind::NotFound,
                "the name is not in the table",
            )))),
        }
    }
}

fn key(host: &str) -> String {
    host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase()
}
