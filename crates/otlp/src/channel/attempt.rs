//! How one attempt ends.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use evenkeel::balancer::{BackendId, Classification};

use super::quiet::QUIET;
use crate::PartialSuccess;
use crate::rpc::RpcStatus;

/// A collector took it.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) backend: BackendId,
    pub(crate) partial: Option<PartialSuccess>,
}

/// Nobody took it.
#[derive(Debug)]
pub(crate) struct AttemptError {
    /// Filled in by the channel.
    pub(crate) backend: BackendId,
    pub(crate) kind: Kind,
    /// What it means to the balancer.
    pub(crate) verdict: Classification,
}

#[derive(Debug)]
pub(crate) enum Kind {
    /// The collector, or something before it, said this; or what came between, as a status.
    Status(RpcStatus),
    /// There is no connection to it, for this reason if one is known.
    NotConnected(Option<Arc<str>>),
    /// It was not asked: it wants to be left alone, for so long still.
    Quiet(Duration),
    /// As much is under way there as may be.
    Busy { limit: usize },
    /// It does not go there in this form.
    Unsupported(&'static str),
}

impl AttemptError {
    pub(crate) fn new(kind: Kind, verdict: Classification) -> Box<Self> {
        Box::new(Self {
            backend: BackendId::from(""),
            kind,
            verdict,
        })
    }
}

/// As the list of attempts shows it.
impl fmt::Display for AttemptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            Kind::Status(status) => write!(f, "{status}"),
            Kind::NotConnected(why) => f.write_str(not_connected(why.as_deref())),
            Kind::Quiet(left) => write!(f, "{QUIET}, for {left:?} still"),
            Kind::Busy { limit } => write!(f, "{limit} requests are under way, as many as may be"),
            Kind::Unsupported(reason) => f.write_str(reason),
        }
    }
}

/// Why there is no connection, in words.
pub(crate) fn not_connected(why: Option<&str>) -> &str {
    why.unwrap_or("not connected yet")
}
