//! How far a connect has come, for the one who cuts it off.

use std::io;
use std::net::SocketAddr;

use evenkeel_stats::Phase;

/// Kept by the caller, so that it outlives the connect that a time-out drops.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    resolving: bool,
    tried: Vec<Attempt>,
}

/// One attempt to connect.
#[derive(Debug)]
pub(crate) struct Attempt {
    /// Where to.
    pub(crate) addr: SocketAddr,
    /// Why it failed; `None` while it is under way.
    pub(crate) error: Option<io::Error>,
}

impl Progress {
    /// [`Phase::Connect`] as long as an attempt is under way, [`Phase::Resolve`] if all hangs on further
    /// addresses.
    pub(crate) fn phase(&self) -> Phase {
        let dialling = self.tried.iter().any(|attempt| attempt.error.is_none());
        if self.resolving && !dialling {
            Phase::Resolve
        } else {
            Phase::Connect
        }
    }

    /// The attempts so far, in the order they were started.
    pub(crate) fn tried(&self) -> &[Attempt] {
        &self.tried
    }

    /// The attempts that failed, in the order they were started; forgets all.
    pub(crate) fn take_failures(&mut self) -> Vec<(SocketAddr, io::Error)> {
        std::mem::take(&mut self.tried)
            .into_iter()
            .filter_map(|attempt| Some((attempt.addr, attempt.error?)))
            .collect()
    }

    pub(super) fn resolving(&mut self, resolving: bool) {
        self.resolving = resolving;
    }

    pub(super) fn started(&mut self, addr: SocketAddr) {
        self.tried.push(Attempt { addr, error: None });
    }

    pub(super) fn failed(&mut self, addr: SocketAddr, error: io::Error) {
        if let Some(attempt) = self.tried.iter_mut().find(|attempt| attempt.addr == addr) {
            attempt.error = Some(error);
        }
    }
}
