//! Sending one request.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use evenkeel::balancer::{BackendRef, CallError, Classification, Classify, Outcome};
use evenkeel::{Repeat, RequestContext};

use super::{OtlpClient, UnderWay};
use crate::channel::{Answer, AttemptError, Channel, Kind};
use crate::{Accepted, Encoding, Export, Protocol, SendError};

/// How one request is sent, where it differs from the client's config.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SendOptions {
    /// What strategies that route by a key go by: the hash of a trace id, say. `None` by default.
    pub routing_key: Option<u64>,
    /// How long it may take, all attempts together. `None`, the client's
    /// [`timeout`](crate::OtlpClientConfig::timeout), by default.
    pub timeout: Option<Duration>,
}

impl SendOptions {
    /// As the client's config says.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            routing_key: None,
            timeout: None,
        }
    }

    /// Routed by this key, where the strategy routes by keys.
    #[must_use]
    pub const fn with_routing_key(mut self, key: u64) -> Self {
        self.routing_key = Some(key);
        self
    }

    /// Within this time.
    #[must_use]
    pub const fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }
}

impl OtlpClient {
    /// Sends a request to one collector, and to others when that fails in a way that may be repeated, until one
    /// has taken it, one has rejected it, or the time is over.
    ///
    /// It may arrive twice: when an attempt was given up, because it took long or its connection was lost, and
    /// had been taken. The specification allows that.
    ///
    /// # Errors
    /// [`SendError`]: says whether to come back, and when.
    ///
    /// # Cancel safety
    /// Dropped, all attempts are; whether a collector has taken it is not known then. Nothing stays under way.
    pub async fn send_with(&self, export: Export, options: &SendOptions) -> Result<Accepted, SendError> {
        let inner = &*self.0;
        let _under_way = UnderWay::begin(inner)?;
        let export = export.compressed(inner.config.compression);
        let export = export.map_err(|error| SendError::unsupported(&error))?;
        let (size, limit) = (export.body().len(), inner.config.max_request_size);
        if size > limit {
            return Err(SendError::TooLarge { size, limit });
        }
        if export.encoding() != Encoding::Protobuf && !self.has_http() {
            return Err(SendError::Unsupported {
                backend: "(any)".into(),
                reason: "all collectors are spoken to over gRPC, which carries no JSON".into(),
            });
        }
        let mut context = RequestContext::new().with_repeat(Repeat::Always);
        if let Some(key) = options.routing_key {
            context = context.with_hash(key);
        }
        if let Some(timeout) = options.timeout {
            context = context.with_timeout(timeout);
        }
        let attempts = AtomicU32::new(0);
        let attempt = |channel: BackendRef<Channel>| {
            let patient = attempts.fetch_add(1, Ordering::Relaxed) >= HASTY;
            let export = &export;
            async move { channel.send(export, options.timeout, patient).await }
        };
        let answer = inner.balancer.call_with(&context, &ByTable, attempt).await;
        match answer {
            Ok(Answer { backend, partial }) => Ok(Accepted {
                backend,
                partial,
                attempts: attempts.into_inner(),
            }),
            Err(error) => Err(SendError::from(error)),
        }
    }

    /// Whether a collector is spoken to over HTTP. Walks over all: for requests in JSON only.
    fn has_http(&self) -> bool {
        let balancer = &self.0.balancer;
        let channels = balancer
            .ids()
            .into_iter()
            .filter_map(|id| balancer.backend(id.as_str()));
        channels
            .into_iter()
            .any(|channel| channel.protocol() == Protocol::HttpProtobuf)
    }
}

/// So many attempts go past collectors that are not connected. Then whoever is connected is not among those to
/// be had, as when all of them are new, and it is better to wait.
const HASTY: u32 = 2;

/// Judges an attempt: its error has the verdict with it.
struct ByTable;

impl Classify<Answer, Box<AttemptError>> for ByTable {
    fn classify(&self, result: &Result<Answer, Box<AttemptError>>) -> Classification {
        match result {
            Ok(_) => Classification::SUCCESS,
            Err(error) => error.verdict.clone(),
        }
    }
}

impl From<CallError<Box<AttemptError>>> for SendError {
    fn from(error: CallError<Box<AttemptError>>) -> Self {
        match error {
            CallError::NotPicked { attempts, source } => Self::NoCollector { source, attempts },
            CallError::TimedOut { attempts, after } => Self::TimedOut { after, attempts },
            CallError::Failed { attempts, source } => {
                let AttemptError {
                    backend,
                    kind,
                    verdict,
                } = *source;
                let throttled = matches!(verdict.outcome, Outcome::Overload { .. });
                match kind {
                    Kind::Busy { limit } => Self::Busy {
                        backend,
                        limit,
                        attempts,
                    },
                    // It was looked at before that somebody takes it: who does was not to be had.
                    Kind::Unsupported(reason) => Self::Unavailable {
                        backend,
                        status: crate::rpc::RpcStatus::new(crate::rpc::Code::Unavailable, reason),
                        attempts,
                    },
                    Kind::Status(status) if !status.is_retryable() => Self::Rejected {
                        backend,
                        status,
                        attempts,
                    },
                    Kind::Status(status) if throttled || status.retry_delay.is_some() => Self::Throttled {
                        backend,
                        status,
                        attempts,
                    },
                    Kind::Status(status) => Self::Unavailable {
                        backend,
                        status,
                        attempts,
                    },
                }
            }
            // CallError may grow.
            error => Self::Unavailable {
                backend: "(any)".into(),
                status: crate::rpc::RpcStatus::new(crate::rpc::Code::Unavailable, error.to_string()),
                attempts: evenkeel::balancer::FailedAttempts::default(),
            },
        }
    }
}
