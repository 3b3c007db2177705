//! Taking over a changed config file.

use std::path::{Path, PathBuf};

use evenkeel::ConfigError;
use tokio::time::{Interval, MissedTickBehavior, interval};
use tracing::{error, info};

use crate::config::GatewayConfig;
use crate::gateway::Gateway;

/// Watches the file by reading it: whatever puts it there, an editor, a mount or a link that is switched over, its
/// content is what counts.
pub(super) struct Reloads<'a> {
    gateway: &'a Gateway,
    path: Option<PathBuf>,
    /// What was read last, taken over or not: what was refused is not tried again until it changes.
    seen: Option<Vec<u8>>,
    looks: Option<Interval>,
}

impl<'a> Reloads<'a> {
    /// `seen` is what was in the file before the config that the gateway has was read from it: what changes from
    /// then on is not missed.
    pub(super) fn new(path: Option<&Path>, seen: Option<Vec<u8>>, gateway: &'a Gateway) -> Self {
        let every = gateway.config().reload_interval;
        let looks = path.filter(|_| !every.is_zero()).map(|_| {
            let mut looks = interval(every);
            looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            looks
        });
        Self {
            gateway,
            path: path.map(Path::to_owned),
            seen,
            looks,
        }
    }

    /// Waits until the file has other content. One that is gone for a moment, as it may be while it is replaced,
    /// is no change.
    ///
    /// # Cancel safety
    /// Dropped, nothing is lost.
    pub(super) async fn changed(&mut self) {
        loop {
            match &mut self.looks {
                Some(looks) => looks.tick().await,
                None => std::future::pending().await,
            };
            let content = self.path.as_ref().and_then(|path| std::fs::read(path).ok());
            if content.is_some() && content != self.seen {
                return;
            }
        }
    }

    /// Reads the file and takes it over; if there is something wrong with it, says so, and all stays as it is.
    pub(super) async fn now(&mut self) {
        let Some(path) = &self.path else {
            info!("there is no config file to read again");
            return;
        };
        self.seen = std::fs::read(path).ok();
        match take_over(path, self.gateway) {
            Ok(()) => info!(file = %path.display(), "config taken over"),
            Err(reason) => {
                self.gateway.reload_refused();
                error!(file = %path.display(), reason, "config refused; the one before stays");
            }
        }
        // Not one file after the other without a request in between.
        tokio::task::yield_now().await;
    }
}

fn take_over(path: &Path, gateway: &Gateway) -> Result<(), String> {
    let config = GatewayConfig::load_changed(path, &gateway.config());
    let config = config.map_err(|error: ConfigError| error.to_string())?;
    gateway.reload(config).map_err(|error| error.to_string())
}
