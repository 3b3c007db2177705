//! The stock OpenTelemetry SDK on this client: an application keeps its instrumentation and its SDK, and what the SDK
//! exports goes to several collectors.
//!
//! Two ways, by two features:
//! - `opentelemetry-http`: [`Exporters::http_client`] is what `opentelemetry-otlp`'s HTTP exporters take by
//!   `with_http_client`. They keep their own settings, retries and environment; each of their requests goes to a
//!   collector of ours, over gRPC if that is how the collector is spoken to.
//! - `opentelemetry-sdk`: [`Exporters::spans`], [`Exporters::logs`] and [`Exporters::metrics`] are exporters on the
//!   SDK's own traits. They need no `opentelemetry-otlp`. They are also the way over gRPC: the stock gRPC exporter
//!   takes nothing but a `tonic::transport::Channel`.
//!
//! ```no_run
//! # #[cfg(feature = "opentelemetry-sdk")]
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use evenkeel_otlp::sdk::Exporters;
//! use evenkeel_otlp::{Collector, OtlpClientConfig};
//! use opentelemetry_sdk::trace::SdkTracerProvider;
//!
//! let mut config = OtlpClientConfig::default();
//! for endpoint in ["http://collector-0:4317", "http://collector-1:4317"] {
//!     config.collectors.push(Collector::new(endpoint)?);
//! }
//! let exporters = Exporters::start(config)?;
//! let provider = SdkTracerProvider::builder().with_batch_exporter(exporters.spans()).build();
//! # Ok(())
//! # }
//! # #[cfg(not(feature = "opentelemetry-sdk"))]
//! # fn main() {}
//! ```
//!
//! # Where it runs
//! The SDK's processors call exporters from threads of their own, without a runtime, and `shutdown` and `force_flush`
//! block whoever calls them, a worker of the application's runtime perhaps. So [`Exporters::start`] has a thread
//! and a runtime of its own: an export never waits for a thread that waits for the export.
//! [`Exporters::on`] uses a client and a runtime that are there; then do not block its only thread.
//!
//! # What it does not do
//! It does not batch or queue: that is the SDK's. A batch that no collector took within the client's `timeout`
//! is reported to the SDK, which drops it; the SDK's queue (2 048 spans by default) is all that stands between a
//! longer outage and a loss. If `tracing` events are exported too, filter those of this crate, or each failed export
//! makes another.

#[cfg(feature = "opentelemetry-http")]
mod http_client;
#[cfg(feature = "opentelemetry-sdk")]
mod logs;
#[cfg(feature = "opentelemetry-sdk")]
mod metrics;
mod runtime;
#[cfg(feature = "opentelemetry-sdk")]
mod shared;
#[cfg(feature = "opentelemetry-sdk")]
mod spans;

use std::sync::Arc;

use thiserror::Error;
use tokio::runtime::Handle;

#[cfg(feature = "opentelemetry-http")]
pub use http_client::{HttpClientError, OtlpHttpClient};
#[cfg(feature = "opentelemetry-sdk")]
pub use logs::OtlpLogExporter;
#[cfg(feature = "opentelemetry-sdk")]
pub use metrics::OtlpMetricExporter;
#[cfg(feature = "opentelemetry-sdk")]
pub use spans::OtlpSpanExporter;

use crate::{BuildError, OtlpClient, OtlpClientConfig};
use runtime::Runtime;

/// Why there are no exporters.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StartError {
    /// The client could not be built.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// The thread or its runtime could not be started.
    #[error("exporters' thread: {0}")]
    Thread(#[from] std::io::Error),
}

/// One client for all that an application's SDK exports. Cheap to clone; the client ends with the last clone and
/// the last exporter made of it.
#[derive(Clone, Debug)]
pub struct Exporters(Arc<Runtime>);

impl Exporters {
    /// Builds a client and starts a thread for it, `evenkeel-otlp`. Blocks until the client is built.
    ///
    /// # Errors
    /// [`StartError::Build`] names the field or the collector; [`StartError::Thread`].
    pub fn start(config: OtlpClientConfig) -> Result<Self, StartError> {
        Ok(Self(Arc::new(Runtime::start(config)?)))
    }

    /// On a client and a runtime that are there already.
    #[must_use]
    pub fn on(client: OtlpClient, runtime: Handle) -> Self {
        Self(Arc::new(Runtime::on(client, runtime)))
    }

    /// The client: its statistics, its collectors.
    #[must_use]
    pub fn client(&self) -> &OtlpClient {
        self.0.client()
    }

    /// For `opentelemetry-otlp`'s HTTP exporters, by `with_http_client`.
    #[cfg(feature = "opentelemetry-http")]
    #[must_use]
    pub fn http_client(&self) -> OtlpHttpClient {
        OtlpHttpClient::new(Arc::clone(&self.0))
    }

    /// For a tracer provider.
    #[cfg(feature = "opentelemetry-sdk")]
    #[must_use]
    pub fn spans(&self) -> OtlpSpanExporter {
        OtlpSpanExporter::new(Arc::clone(&self.0))
    }

    /// For a logger provider.
    #[cfg(feature = "opentelemetry-sdk")]
    #[must_use]
    pub fn logs(&self) -> OtlpLogExporter {
        OtlpLogExporter::new(Arc::clone(&self.0))
    }

    /// For a meter provider's reader; cumulative, as OTLP's default is.
    #[cfg(feature = "opentelemetry-sdk")]
    #[must_use]
    pub fn metrics(&self) -> OtlpMetricExporter {
        OtlpMetricExporter::new(Arc::clone(&self.0))
    }
}
