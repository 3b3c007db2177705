//! [`ReceiverConfig`].

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{ByteSize, Listen};

/// Where and how requests are received. Both ports take both protocols, over HTTP/1.1 and HTTP/2.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ReceiverConfig {
    /// The port for gRPC. `"0.0.0.0:4317"` by default.
    pub grpc: Listen,
    /// The port for HTTP. `"0.0.0.0:4318"` by default.
    pub http: Listen,
    /// How many connections may be open. 1 to 1 000 000; 8192 by default. At the limit the one that has been
    /// idle longest makes room; if none is idle, the new one is closed. Each takes a descriptor: where the system
    /// allows the process fewer, there are fewer, and 256 descriptors (half of them, if that is less) are left for
    /// all else.
    pub max_connections: usize,
    /// A connection without a request for this long is closed. At least 1 s; 5 min by default: senders that
    /// export once a minute keep theirs.
    #[serde(with = "humantime_serde")]
    pub idle_timeout: Duration,
    /// How long the head of a connection's first request may take to come. At least 1 s; 10 s by default. Later
    /// heads have `idle_timeout`, the rest before them included.
    #[serde(with = "humantime_serde")]
    pub header_timeout: Duration,
    /// How many bytes the headers of a request may have. 8 KiB to 16 MiB; 64 KiB by default.
    pub max_header_size: ByteSize,
    /// How many requests may be under way on one HTTP/2 connection. At least 1; 512 by default.
    pub max_streams: u32,
}

impl Default for ReceiverConfig {
    fn default() -> Self {
        Self {
            grpc: Listen::on(4317),
            http: Listen::on(4318),
            max_connections: 8192,
            idle_timeout: Duration::from_secs(5 * 60),
            header_timeout: Duration::from_secs(10),
            max_header_size: ByteSize::kib(64),
            max_streams: 512,
        }
    }
}
