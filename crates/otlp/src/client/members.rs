//! Changing the collectors at run time.

use std::sync::atomic::Ordering;

use evenkeel::balancer::{BackendId, BackendServer, Change};

use super::OtlpClient;
use crate::channel::Channel;
use crate::{BuildError, Collector, OtlpClientConfig};

impl OtlpClient {
    /// Makes these the collectors. Those that are gone get nothing new and finish what they have; those that stay
    /// keep their connections and all that is known of them; those that are new, or have another endpoint, other
    /// headers or another protocol than the one of this id had, start anew. Requests under way are not disturbed.
    /// May be called from any thread, of a runtime or not.
    ///
    /// # Errors
    /// Names the collector that can not be a member, and an empty list, which is taken for a mistake. Nothing is
    /// changed then.
    pub fn set_collectors(&self, collectors: Vec<Collector>) -> Result<(), BuildError> {
        let mut now = self.0.collectors.lock();
        self.change(&collectors)?;
        *now = collectors;
        Ok(())
    }

    /// The collectors as they are now.
    #[must_use]
    pub fn collectors(&self) -> Vec<Collector> {
        self.0.collectors.lock().clone()
    }

    /// A client as `config` says: this one, with other collectors if need be, as long as nothing else differs from its
    /// own [`config`](Self::config); otherwise a new one, while this one stays as it is. Which of the two it became
    /// [`is_same`](Self::is_same) tells; the old one is to be [shut down](Self::shutdown) then.
    ///
    /// For programs that read their config again. Called on a tokio runtime if a new client may have to be built.
    ///
    /// # Errors
    /// As [`new`](Self::new) and [`set_collectors`](Self::set_collectors). Nothing is changed then.
    pub fn reconfigured(&self, config: OtlpClientConfig) -> Result<Self, BuildError> {
        let alike = OtlpClientConfig {
            collectors: self.0.config.collectors.clone(),
            ..config.clone()
        };
        if alike != self.0.config {
            return Self::new(config);
        }
        // What is known of collectors stays.
        if self.collectors() != config.collectors {
            self.set_collectors(config.collectors)?;
        }
        Ok(self.clone())
    }

    /// Whether it is a clone of the other.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        std::sync::Arc::ptr_eq(&self.0, &other.0)
    }

    fn change(&self, collectors: &[Collector]) -> Result<(), BuildError> {
        let inner = &*self.0;
        // A file watcher's thread may call this, or a signal's.
        let _within = inner.runtime.enter();
        if inner.closed.load(Ordering::SeqCst) {
            return Err(BuildError::ShutDown);
        }
        let mut wanted = Vec::with_capacity(collectors.len());
        let mut replaced = false;
        for collector in collectors {
            let id = collector.id();
            let known = inner.balancer.backend(id.as_str());
            let stays = known
                .as_ref()
                .filter(|known| known.serves(collector, &inner.config));
            replaced |= known.is_some() && stays.is_none();
            let channel = match stays {
                Some(known) => Channel::clone(known),
                None => Channel::new(collector, &inner.config, &inner.dialer)?,
            };
            wanted.push((id, channel, stays.is_some(), collector));
        }
        let servers = |name: &dyn Fn(&BackendId, bool) -> BackendId| -> Vec<BackendServer<Channel>> {
            let wanted = wanted.iter();
            let servers =
                wanted.map(|(id, channel, stays, collector)| channel.server(name(id, *stays), collector));
            servers.collect()
        };
        if replaced {
            // A member that stays keeps its channel. So that there is somebody at every moment, the new channel
            // comes in by another name first, then by its own.
            let passing = |id: &BackendId, stays: bool| match stays {
                true => id.clone(),
                false => BackendId::from(format!("{id} (new)")),
            };
            self.replace(servers(&passing))?;
        }
        self.replace(servers(&|id, _| id.clone()))
    }

    fn replace(&self, servers: Vec<BackendServer<Channel>>) -> Result<(), BuildError> {
        Ok(self.0.balancer.apply(Change::Replace(servers))?)
    }
}
