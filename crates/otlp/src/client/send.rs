//! Sending one request.

use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::time::Duration;

use evenkeel::balancer::{BackendRef, CallError, Classification, Classify, FailedAttempts, Outcome, Retry};
use evenkeel::{Repeat, RequestContext};
use tokio::time::{Instant, sleep};

use super::{Inner, OtlpClient, UnderWay};
use crate::channel::{Answer, AttemptError, Channel, Kind, QUIET, not_connected};
use crate::rpc::{Code, RpcStatus};
use crate::{Accepted, Compression, Encoding, Export, Protocol, SendError};

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
    /// While every collector asks to be left alone, it waits for the first that may be asked again, and ends at once
    /// if the time does not reach so far.
    ///
    /// # Errors
    /// [`SendError`]: says whether to come back, and when.
    ///
    /// # Cancel safety
    /// Dropped, all attempts are; whether a collector has taken it is not known then. Nothing stays under way.
    pub async fn send_with(&self, export: Export, options: &SendOptions) -> Result<Accepted, SendError> {
        let inner = &*self.0;
        let _under_way = UnderWay::begin(inner)?;
        let timeout = options.timeout.unwrap_or(inner.config.timeout);
        let started = Instant::now();
        let left = || timeout.saturating_sub(started.elapsed());
        let came = export.compression();
        let export = self.prepared(export, timeout).await?;
        // Only compression takes time worth a look at the clock.
        let mut within = if export.compression() == came {
            timeout
        } else {
            left()
        };
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
        let attempts = AtomicU32::new(0);
        // How many attempts have come to somebody who is connected.
        let reached = AtomicUsize::new(0);
        loop {
            let attempt = |channel: BackendRef<Channel>| {
                let number = attempts.fetch_add(1, Ordering::Relaxed);
                let (export, reached) = (&export, &reached);
                async move {
                    // What the client's own time-out is, the prepared head of a request says.
                    let told = match number {
                        0 => (options.timeout.is_some() || within != timeout).then_some(within),
                        _ => Some(left()),
                    };
                    let patient = number >= HASTY && self.connected() <= reached.load(Ordering::Relaxed);
                    let sent = channel.send(export, told, patient).await;
                    sent.map_err(|error| {
                        if !matches!(error.kind, Kind::NotConnected(_)) {
                            reached.fetch_add(1, Ordering::Relaxed);
                        }
                        self.unless_all_are_quiet(error)
                    })
                }
            };
            let context = context.with_timeout(within);
            let error = match inner.balancer.call_with(&context, &ByTable, attempt).await {
                Ok(Answer { backend, partial }) => {
                    return Ok(Accepted {
                        backend,
                        partial,
                        attempts: attempts.into_inner(),
                    });
                }
                Err(error) => error,
            };
            match quiet_of_all(&error) {
                Some(quiet) if quiet < left() => {
                    sleep(after(quiet).min(left())).await;
                    within = left();
                }
                _ => return Err(SendError::from(error)),
            }
        }
    }

    /// The request as it travels: compressed, if the config asks for it, and not too large.
    async fn prepared(&self, export: Export, timeout: Duration) -> Result<Export, SendError> {
        let inner = &*self.0;
        let limit = inner.config.max_request_size;
        let fits = |export: Export| match export.body().len() {
            size if size > limit => Err(SendError::TooLarge { size, limit }),
            _ => Ok(export),
        };
        // Before too: what is too large is not worth the time.
        let export = fits(export)?;
        let compression = inner.config.compression;
        if compression == Compression::None || export.compression() != Compression::None {
            return Ok(export);
        }
        let compressed = if export.body().len() <= AT_ONCE {
            export.compressed(compression)
        } else {
            let beside = inner.beside(move || export.compressed(compression));
            let compressed = tokio::time::timeout(timeout, beside).await;
            compressed.map_err(|_| SendError::TimedOut {
                after: timeout,
                attempts: FailedAttempts::default(),
            })?
        };
        fits(compressed.map_err(|error| SendError::unsupported(&error))?)
    }

    /// Who is to be left alone was not asked. If that holds for all, another attempt is in vain, and the error says
    /// when the first of them may be asked again.
    fn unless_all_are_quiet(&self, mut error: Box<AttemptError>) -> Box<AttemptError> {
        if let Kind::Quiet(left) = &mut error.kind {
            let of_all = self.channels().map(|channel| channel.quiet_left());
            if let Some(least) = of_all.min().flatten() {
                *left = least;
                error.verdict.retry = Retry::Never;
            }
        }
        error
    }

    /// How many collectors a request could go to without a wait.
    fn connected(&self) -> usize {
        self.channels().filter(|channel| channel.is_connected()).count()
    }

    /// Every collector. Walks over all: for what is rare.
    fn channels(&self) -> impl Iterator<Item = BackendRef<Channel>> {
        let balancer = &self.0.balancer;
        let ids = balancer.ids().into_iter();
        ids.filter_map(|id| balancer.backend(id.as_str()))
    }

    /// Whether a collector is spoken to over HTTP: for requests in JSON.
    fn has_http(&self) -> bool {
        self.channels()
            .any(|channel| channel.protocol() == Protocol::HttpProtobuf)
    }
}

impl Inner {
    /// Runs `work` beside the runtime's threads, a few such at a time.
    ///
    /// # Cancel safety
    /// Dropped while it waits for its turn, the work is not begun. Begun, it is done and its result thrown away.
    async fn beside<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> T {
        let turn = self.turns.clone().acquire_owned().await;
        let done = self.runtime.spawn_blocking(move || {
            let done = work();
            drop(turn);
            done
        });
        match done.await {
            Ok(done) => done,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                // The runtime ends, and this future with it.
                Err(_) => std::future::pending().await,
            },
        }
    }
}

/// Up to so many bytes are compressed at once: that takes a millisecond or two, and a hand-over nearly as long.
const AT_ONCE: usize = 64 << 10;

/// How long every collector is to be left alone, if that is why it was not sent.
fn quiet_of_all(error: &CallError<Box<AttemptError>>) -> Option<Duration> {
    match error {
        CallError::Failed { source, .. } if source.verdict.retry == Retry::Never => match source.kind {
            Kind::Quiet(left) => Some(left),
            _ => None,
        },
        _ => None,
    }
}

/// The wait until then, and up to a tenth more: not all who wait come back in one moment.
fn after(quiet: Duration) -> Duration {
    quiet.saturating_add(quiet.mul_f64(fastrand::f64() / 10.0))
}

/// So many attempts go past collectors that are not connected, as long as any other is. Later ones only if there is one
/// that is connected and was not asked yet; it may be that all collectors of now are new.
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
                        status: RpcStatus::new(Code::Unavailable, reason),
                        attempts,
                    },
                    Kind::NotConnected(why) => Self::Unavailable {
                        backend,
                        status: RpcStatus::new(Code::Unavailable, not_connected(why.as_deref())),
                        attempts,
                    },
                    Kind::Quiet(left) => Self::Throttled {
                        backend,
                        status: RpcStatus::new(Code::Unavailable, QUIET).with_retry_delay(left),
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
                status: RpcStatus::new(Code::Unavailable, error.to_string()),
                attempts: FailedAttempts::default(),
            },
        }
    }
}
