//! Keeping a balancer to a discovery.

use std::sync::{Arc, Weak};
use std::time::Duration;

use evenkeel_health::{Backoff, BackoffConfig};
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::sleep;

use super::{Change, Discover};
use crate::shared::Shared;
use crate::{BuildError, LoadBalancer};

/// A discovery that is being followed. Dropping this changes nothing; [`stop`](Self::stop) ends it.
#[derive(Clone, Debug)]
pub struct Following(AbortHandle);

impl Following {
    /// Follows no more. The members stay as they are.
    pub fn stop(&self) {
        self.0.abort();
    }

    /// Whether it has ended: stopped, or the discovery has no more to say, or the balancer is gone.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.0.is_finished()
    }
}

impl<B: Send + Sync + 'static> LoadBalancer<B> {
    /// Keeps the members to what `discover` says, in a task of its own that ends with the balancer.
    ///
    /// A change that can not be made (a duplicate, too many) and a discovery that fails are told by an
    /// event, and the members stay; a failing one is asked again after a pause that doubles from
    /// 100 ms to 30 s.
    ///
    /// # Errors
    /// [`BuildError::NoRuntime`] outside of a tokio runtime.
    pub fn follow<D: Discover<Backend = B>>(&self, discover: D) -> Result<Following, BuildError> {
        let runtime = tokio::runtime::Handle::try_current().map_err(|_| BuildError::NoRuntime)?;
        let gone = self.shared.alive.subscribe();
        let task = follow(Arc::downgrade(&self.shared), gone, discover);
        Ok(Following(runtime.spawn(task).abort_handle()))
    }
}

fn backoff() -> Option<Backoff> {
    let config = BackoffConfig {
        base: Duration::from_millis(100),
        max: Duration::from_secs(30),
        retries: u32::MAX,
        ..BackoffConfig::default()
    };
    Backoff::new(config).ok()
}

async fn follow<B, D>(balancer: Weak<Shared<B>>, mut gone: watch::Receiver<()>, mut discover: D)
where
    B: Send + Sync + 'static,
    D: Discover<Backend = B>,
{
    let mut waits = None;
    loop {
        let next = tokio::select! {
            _ = gone.changed() => return,
            next = discover.next() => next,
        };
        match next {
            Ok(Some(change)) => {
                if waits.take().is_some() {
                    tracing::info!("discovery is back");
                }
                let Some(shared) = balancer.upgrade() else { return };
                make(&LoadBalancer { shared }, change);
            }
            Ok(None) => return,
            Err(error) => {
                if waits.is_none() {
                    tracing::warn!(%error, "discovery failed, the members stay");
                    waits = backoff();
                }
                let wait = waits
                    .as_mut()
                    .and_then(|waits| waits.next_wait(None, fastrand::u64(..)));
                tokio::select! {
                    _ = gone.changed() => return,
                    () = sleep(wait.unwrap_or(Duration::from_secs(30))) => {}
                }
            }
        }
    }
}

fn make<B: Send + Sync + 'static>(balancer: &LoadBalancer<B>, change: Change<B>) {
    if let Err(error) = balancer.apply(change) {
        tracing::warn!(%error, "discovery: a change could not be made");
    }
}
