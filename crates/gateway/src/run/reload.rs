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
    /// Other content than that, found at the last look. The next one has to find the same: who writes a file does so
    /// in pieces, and the first of them may be a valid config with half of the collectors.
    found: Option<Vec<u8>>,
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
            found: None,
            looks,
        }
    }

    /// Waits until the file has other content, the same at two looks in a row. One that is gone for a moment, as it may be while it is replaced,
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
            if content.is_some() && content != self.seen && content == self.found {
                return;
            }
            self.found = content;
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    const ONE: &str = "[[collectors]]\nendpoint = \"http://127.0.0.1:1\"\n";
    const TWO: &str = "[[collectors]]\nendpoint = \"http://127.0.0.1:2\"\n";
    const THREE: &str = "[[collectors]]\nendpoint = \"http://127.0.0.1:3\"\n";

    #[tokio::test(start_paused = true)]
    async fn a_file_is_taken_over_when_its_writer_is_done() {
        let ports = "receiver.grpc = \"127.0.0.1:0\"\nreceiver.http = \"off\"\nadmin.listen = \"off\"\n";
        let start = format!("{ports}client.health_checks = \"none\"\n{ONE}");
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), &start).unwrap();
        let gateway = Gateway::start(GatewayConfig::load(file.path()).unwrap()).unwrap();
        let seen = Some(start.clone().into_bytes());
        let mut reloads = Reloads::new(Some(file.path()), seen, &gateway);
        // From here on one look each, the first at once.
        let look = Duration::from_millis(2_000);
        timeout(Duration::from_millis(1_000), reloads.changed())
            .await
            .unwrap_err();

        std::fs::write(file.path(), format!("{start}{TWO}")).unwrap();
        timeout(look, reloads.changed()).await.unwrap_err();
        let whole = format!("{start}{TWO}{THREE}");
        std::fs::write(file.path(), &whole).unwrap();
        timeout(look, reloads.changed())
            .await
            .expect_err("what was there before was half of it");
        timeout(look, reloads.changed())
            .await
            .expect("it is as it was at the look before");
        reloads.now().await;
        assert_eq!(gateway.config().collectors.len(), 3);
        timeout(look * 5, reloads.changed())
            .await
            .expect_err("it is taken over already");
    }
}
