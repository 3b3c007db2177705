//! [`OtlpMetricExporter`].

use std::sync::Arc;
use std::time::Duration;

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::metrics::Temporality;
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;

use super::runtime::Runtime;
use super::shared::Sender;
use crate::Signal;

/// Exports metrics to one of several collectors; for `with_periodic_exporter` of a meter provider.
#[derive(Debug)]
pub struct OtlpMetricExporter {
    sender: Sender,
    temporality: Temporality,
}

impl OtlpMetricExporter {
    pub(super) const fn new(runtime: Arc<Runtime>) -> Self {
        Self {
            sender: Sender::new(runtime, Signal::Metrics),
            temporality: Temporality::Cumulative,
        }
    }

    /// With another temporality than cumulative. With delta, what a failed export had is lost; cumulative sums
    /// come again with the next.
    #[must_use]
    pub const fn with_temporality(mut self, temporality: Temporality) -> Self {
        self.temporality = temporality;
        self
    }
}

impl PushMetricExporter for OtlpMetricExporter {
    async fn export(&self, metrics: &ResourceMetrics) -> OTelSdkResult {
        self.sender
            .send(&ExportMetricsServiceRequest::from(metrics))
            .await
    }

    fn force_flush(&self) -> OTelSdkResult {
        // Nothing is held back here.
        Ok(())
    }

    fn shutdown_with_timeout(&self, _timeout: Duration) -> OTelSdkResult {
        self.sender.shut_down()
    }

    fn temporality(&self) -> Temporality {
        self.temporality
    }
}
