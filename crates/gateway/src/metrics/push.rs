//! [`Push`]: the figures on their way to a collector.

use std::sync::Arc;
use std::time::SystemTime;

use evenkeel_otlp::{BuildError, OtlpClient, OtlpClientConfig};
use tokio::sync::oneshot;
use tokio::time::{MissedTickBehavior, interval};
use tracing::{info, warn};

use super::otlp::export;
use super::wall_time;
use crate::admin::Admin;
use crate::config::TelemetryConfig;

/// Sends the gateway's own figures at every interval, and a last time when it is told to end.
#[derive(Debug)]
pub(crate) struct Push {
    config: TelemetryConfig,
    /// `None`: to the collectors that requests go to, by the client that holds then.
    client: Option<OtlpClient>,
    resource: Vec<(String, String)>,
    started: SystemTime,
    /// What was sent last did not arrive, which was told.
    failing: bool,
}

impl Push {
    /// On the runtime this is called in.
    pub(crate) fn new(config: TelemetryConfig) -> Result<Self, BuildError> {
        let own = !config.client.collectors.is_empty();
        let client = own.then(|| OtlpClient::new(OtlpClientConfig::clone(&config.client)));
        Ok(Self {
            client: client.transpose()?,
            resource: config.resource_attributes(),
            started: wall_time(),
            failing: false,
            config,
        })
    }

    /// Until `end` is told, or dropped.
    pub(crate) async fn run(mut self, admin: Arc<Admin>, mut end: oneshot::Receiver<()>) {
        let mut ticks = interval(self.config.interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // The first is at once, when there is nothing to tell yet.
        ticks.tick().await;
        loop {
            let mut over = tokio::select! {
                _ = ticks.tick() => false,
                _ = &mut end => true,
            };
            if !over {
                over = tokio::select! {
                    () = self.send(&admin) => false,
                    // What is on its way says less than what there is to say now.
                    _ = &mut end => true,
                };
            }
            if over {
                return self.send(&admin).await;
            }
        }
    }

    /// What can not be sent is not kept: the next ones say it too.
    async fn send(&mut self, admin: &Admin) {
        let client = match &self.client {
            Some(client) => client.clone(),
            None => admin.exchange.now().client.clone(),
        };
        let error = match export(admin, &self.resource, self.started) {
            Ok(export) => match client.send(export).await {
                Ok(accepted) => accepted
                    .partial
                    .filter(|partial| partial.rejected > 0)
                    .map(|partial| format!("{} points rejected: {}", partial.rejected, partial.message)),
                Err(error) => Some(error.to_string()),
            },
            Err(error) => Some(error.to_string()),
        };
        match (error, self.failing) {
            (Some(error), false) => warn!(error, "the gateway's own metrics do not arrive"),
            (None, true) => info!("the gateway's own metrics arrive again"),
            (Some(_), true) | (None, false) => return,
        }
        self.failing = !self.failing;
    }
}
