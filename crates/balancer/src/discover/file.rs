//! [`FileDiscovery`]: a file that is watched.

use std::error::Error;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use thiserror::Error;
use tokio::io::AsyncReadExt;
use tokio::time::{MissedTickBehavior, interval};

use super::{Change, Discover};
use crate::BackendServer;

/// What a file of backends may hold: more is no list of backends.
const MAX_BYTES: u64 = 1 << 20;

/// Why the file gives no members.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum FileError<E> {
    /// It can not be read.
    #[error("{}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It has more than 1 MiB.
    #[error("{}: more than 1 MiB", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// It makes no sense.
    #[error("{}: {source}", path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// Where and why.
        source: E,
    },
}

/// The backends in a file, read again and again; a change of its text is a change of the members.
///
/// The text is compared, not the time of the last change, which may stand still: a file of backends is
/// small. Write it beside and rename it, so that it is never seen half written.
pub struct FileDiscovery<P> {
    path: PathBuf,
    ticks: tokio::time::Interval,
    parse: P,
    last: Option<String>,
    failed: bool,
}

impl<P> FileDiscovery<P> {
    /// Reads `path` now and then every `every` (at least 10 ms), and gives its text to `parse`, for
    /// example [`parse_lines`](super::parse_lines). To be made within a tokio runtime with time.
    pub fn new(path: impl Into<PathBuf>, every: Duration, parse: P) -> Self {
        let mut ticks = interval(every.max(Duration::from_millis(10)));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self {
            path: path.into(),
            ticks,
            parse,
            last: None,
            failed: false,
        }
    }

    async fn read(&self) -> io::Result<Option<String>> {
        let file = tokio::fs::File::open(&self.path).await?;
        let mut text = String::new();
        file.take(MAX_BYTES + 1).read_to_string(&mut text).await?;
        Ok((text.len() as u64 <= MAX_BYTES).then_some(text))
    }
}

impl<P, B, E> Discover for FileDiscovery<P>
where
    P: Fn(&str) -> Result<Vec<BackendServer<B>>, E> + Send + Sync + 'static,
    B: Send + 'static,
    E: Error + Send + 'static,
{
    type Backend = B;
    type Error = FileError<E>;

    async fn next(&mut self) -> Result<Option<Change<B>>, FileError<E>> {
        loop {
            self.ticks.tick().await;
            let path = || self.path.clone();
            let read = self.read().await;
            // Until it is found to be good.
            let failed = std::mem::replace(&mut self.failed, true);
            let text = read.map_err(|source| FileError::Read { path: path(), source })?;
            let text = text.ok_or_else(|| FileError::TooLarge { path: path() })?;
            if self.last.as_ref() == Some(&text) {
                self.failed = false;
                if failed {
                    return Ok(Some(Change::Unchanged));
                }
                continue;
            }
            let parsed = (self.parse)(&text);
            let servers = parsed.map_err(|source| FileError::Parse { path: path(), source })?;
            // From here to the return there is no await: what was read is not lost.
            self.last = Some(text);
            self.failed = false;
            return Ok(Some(Change::Replace(servers)));
        }
    }
}

impl<P> std::fmt::Debug for FileDiscovery<P> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FileDiscovery")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}
