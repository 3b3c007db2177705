//! [`OtlpLogExporter`].

use std::sync::Arc;
use std::time::Duration;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::transform::common::tonic::ResourceAttributesWithSchema;
use opentelemetry_proto::transform::logs::tonic::group_logs_by_resource_and_scope;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::logs::{LogBatch, LogExporter};

use super::runtime::Runtime;
use super::shared::Sender;
use crate::Signal;

/// Exports log records to one of several collectors; for `with_batch_exporter` of a logger provider.
#[derive(Debug)]
pub struct OtlpLogExporter {
    sender: Sender,
    resource: ResourceAttributesWithSchema,
}

impl OtlpLogExporter {
    pub(super) fn new(runtime: Arc<Runtime>) -> Self {
        Self {
            sender: Sender::new(runtime, Signal::Logs),
            resource: ResourceAttributesWithSchema::default(),
        }
    }
}

impl LogExporter for OtlpLogExporter {
    async fn export(&self, batch: LogBatch<'_>) -> OTelSdkResult {
        let resource_logs = group_logs_by_resource_and_scope(&batch, &self.resource);
        self.sender
            .send(&ExportLogsServiceRequest { resource_logs })
            .await
    }

    fn shutdown_with_timeout(&self, _timeout: Duration) -> OTelSdkResult {
        self.sender.shut_down()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.resource = resource.into();
    }
}
