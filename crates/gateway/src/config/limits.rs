//! [`LimitsConfig`].

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::ByteSize;

/// How much may be under way. Beyond it requests are refused with `RESOURCE_EXHAUSTED` and a `RetryInfo`, or
/// with 429 and `Retry-After`, so that senders keep what they have and come again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LimitsConfig {
    /// Requests under way. At least 1; 4096 by default.
    pub requests: usize,
    /// Bytes of requests that are held, decompressed ones too. At least `max_body_size`; 256 MiB by default.
    pub memory: ByteSize,
    /// The longest request, before and, where it is decompressed here, after decompression. At least 1 KiB;
    /// 64 MiB by default, as OTLP recommends. A longer one is refused for good: `RESOURCE_EXHAUSTED` without a
    /// `RetryInfo`, or 413. With `route = "none"` only JSON is decompressed here: for all else the collector's
    /// own limit holds.
    pub max_body_size: ByteSize,
    /// How long a sender may be silent in the middle of a request's body, and how far its body may fall behind
    /// 64 KiB a second. At least 1 ms; 30 s by default.
    #[serde(with = "humantime_serde")]
    pub body_timeout: Duration,
    /// What refused senders are told to wait. 1 ms to 1 h; 1 s by default.
    #[serde(with = "humantime_serde")]
    pub retry_after: Duration,
}

impl Default for LimitsConfig {
    fn default() -> Self {
        Self {
            requests: 4096,
            memory: ByteSize::mib(256),
            max_body_size: ByteSize::mib(64),
            body_timeout: Duration::from_secs(30),
            retry_after: Duration::from_secs(1),
        }
    }
}
