//! Changing the collectors at run time.

use std::sync::atomic::Ordering;

use evenkeel::balancer::{BackendId, BackendServer, Change};

use super::OtlpClient;
use crate::channel::Channel;
use crate::{BuildError, Collector};

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
        let inner = &*self.0;
        // A file watcher's thread may call this, or a signal's.
        let _within = inner.runtime.enter();
        let _one_at_a_time = inner.changing.lock();
        if inner.closed.load(Ordering::SeqCst) {
            return Err(BuildError::ShutDown);
        }
        let mut wanted = Vec::with_capacity(collectors.len());
        let mut replaced = false;
        for collector in &collectors {
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
