//! [`OtlpSpanExporter`].

use std::sync::Arc;
use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::transform::common::tonic::ResourceAttributesWithSchema;
use opentelemetry_proto::transform::trace::tonic::group_spans_by_resource_and_scope;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SpanData, SpanExporter};

use super::runtime::Runtime;
use super::shared::Sender;
use crate::Signal;

/// Exports spans to one of several collectors; for `with_batch_exporter` of a tracer provider.
#[derive(Debug)]
pub struct OtlpSpanExporter {
    sender: Sender,
    resource: ResourceAttributesWithSchema,
}

impl OtlpSpanExporter {
    pub(super) fn new(runtime: Arc<Runtime>) -> Self {
        Self {
            sender: Sender::new(runtime, Signal::Traces),
            resource: ResourceAttributesWithSchema::default(),
        }
    }
}

impl SpanExporter for OtlpSpanExporter {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let resource_spans = group_spans_by_resource_and_scope(batch, &self.resource);
        self.sender
            .send(&ExportTraceServiceRequest { resource_spans })
            .await
    }

    fn shutdown_with_timeout(&self, _timeout: Duration) -> OTelSdkResult {
        self.sender.shut_down()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.resource = resource.into();
    }
}
