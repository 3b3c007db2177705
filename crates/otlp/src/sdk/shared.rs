//! What the exporters of all signals do.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use prost::Message;

use super::runtime::Runtime;
use crate::{Compression, Encoding, Export, SendError, Signal};

/// One exporter's way to the client.
#[derive(Debug)]
pub(super) struct Sender {
    runtime: Arc<Runtime>,
    signal: Signal,
    closed: AtomicBool,
}

impl Sender {
    pub(super) const fn new(runtime: Arc<Runtime>, signal: Signal) -> Self {
        Self {
            runtime,
            signal,
            closed: AtomicBool::new(false),
        }
    }

    /// Sends `request`, which is the signal's.
    pub(super) async fn send(&self, request: &impl Message) -> OTelSdkResult {
        if self.closed.load(Ordering::Relaxed) {
            return Err(OTelSdkError::AlreadyShutdown);
        }
        let body = request.encode_to_vec().into();
        let export = Export::new(self.signal, Encoding::Protobuf, Compression::None, body);
        match self.runtime.send(export).await {
            Ok(accepted) => {
                if let Some(partial) = accepted.partial {
                    tracing::warn!(
                        signal = self.signal.as_str(),
                        backend = %accepted.backend,
                        rejected = partial.rejected,
                        message = partial.message,
                        "otlp.partial_success"
                    );
                }
                Ok(())
            }
            Err(SendError::TimedOut { after, .. }) => Err(OTelSdkError::Timeout(after)),
            Err(error) => Err(OTelSdkError::InternalFailure(error.to_string())),
        }
    }

    pub(super) fn shut_down(&self) -> OTelSdkResult {
        if self.closed.swap(true, Ordering::Relaxed) {
            return Err(OTelSdkError::AlreadyShutdown);
        }
        Ok(())
    }
}
