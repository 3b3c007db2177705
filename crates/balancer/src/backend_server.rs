//! [`BackendServer`]: the description of a backend that is to become a member.

use std::sync::Arc;

use evenkeel_strategy::BackendId;

/// One backend as it is handed to a balancer: its id, what it carries, and its place among the others.
///
/// ```
/// use evenkeel_balancer::BackendServer;
///
/// let server = BackendServer::new("collector-1", "10.0.0.1:4317").with_weight(2).with_zone("a");
/// assert_eq!(server.id().as_str(), "collector-1");
/// ```
#[derive(Clone, Debug)]
pub struct BackendServer<B> {
    pub(crate) id: BackendId,
    pub(crate) payload: B,
    pub(crate) weight: u32,
    pub(crate) zone: Option<Arc<str>>,
    pub(crate) priority: u32,
}

impl<B> BackendServer<B> {
    /// A backend of weight 1, in no zone, of the first priority. The id is what consistent hashing
    /// places it by, so it should be the same in every process: an address or an instance name.
    pub fn new(id: impl Into<BackendId>, payload: B) -> Self {
        Self {
            id: id.into(),
            payload,
            weight: 1,
            zone: None,
            priority: 0,
        }
    }

    /// With this weight, relative to the others'. One of weight 0 stands by: it is given requests only
    /// when no other is eligible.
    #[must_use]
    pub const fn with_weight(mut self, weight: u32) -> Self {
        self.weight = weight;
        self
    }

    /// In this zone; counts where the config has a [`zone`](crate::LoadBalancerConfig::zone).
    #[must_use]
    pub fn with_zone(mut self, zone: impl Into<Arc<str>>) -> Self {
        self.zone = Some(zone.into());
        self
    }

    /// Of this priority, 0 being the first; counts where the config has
    /// [`priority_levels`](crate::LoadBalancerConfig::priority_levels).
    #[must_use]
    pub const fn with_priority(mut self, priority: u32) -> Self {
        self.priority = priority;
        self
    }

    /// Its id.
    #[must_use]
    pub const fn id(&self) -> &BackendId {
        &self.id
    }

    /// What it carries.
    #[must_use]
    pub const fn payload(&self) -> &B {
        &self.payload
    }

    /// Its weight.
    #[must_use]
    pub const fn weight(&self) -> u32 {
        self.weight
    }
}

impl<B: ToString> BackendServer<B> {
    /// A backend whose id is the text of what it carries: an address, mostly.
    pub fn of(payload: B) -> Self {
        Self::new(payload.to_string(), payload)
    }
}
