//! Who can be picked.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

use crate::LoadCell;

/// The name of a backend, for as long as it is a member.
///
/// Its text is what consistent hashing places the backend by, so it should be the same in every
/// process and after every restart: an address or an instance name, not a counter. Cloning is a
/// reference count.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(from = "String", into = "String")
)]
pub struct BackendId(Arc<str>);

impl BackendId {
    /// The id with this text.
    pub fn new(text: impl Into<Arc<str>>) -> Self {
        Self(text.into())
    }

    /// Its text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for BackendId {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl From<String> for BackendId {
    fn from(text: String) -> Self {
        Self::new(text)
    }
}

impl From<BackendId> for String {
    fn from(id: BackendId) -> Self {
        id.as_str().to_owned()
    }
}

impl AsRef<str> for BackendId {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

// Looks ids up in a map by their text.
impl Borrow<str> for BackendId {
    fn borrow(&self) -> &str {
        self.as_str()
    }
}

impl fmt::Display for BackendId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for BackendId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

/// What a strategy knows of one backend when it builds a picker.
///
/// Everything but the load is fixed until the next build.
///
/// ```
/// use evenkeel_strategy::Member;
///
/// let member = Member::new("10.0.0.7:4317").with_weight(3).with_zone("eu-west-1a");
/// assert_eq!(member.weight(), 3);
/// member.load().set_weight(Some(0)); // by hand, at run time: out, from the next build on
/// assert_eq!(member.weight(), 0);
/// ```
#[derive(Clone, Debug)]
pub struct Member {
    id: BackendId,
    weight: u32,
    /// A weight that a wrapper works with, above all others.
    reweighted: Option<u32>,
    zone: Option<Arc<str>>,
    priority: u32,
    load: Arc<LoadCell>,
}

impl Member {
    /// A member of weight 1, priority 0 and no zone, with a load cell of its own.
    pub fn new(id: impl Into<BackendId>) -> Self {
        Self {
            id: id.into(),
            weight: 1,
            reweighted: None,
            zone: None,
            priority: 0,
            load: Arc::default(),
        }
    }

    /// With this weight, relative to the other members'. A member of weight 0 stands by: it is given
    /// requests only when no other is eligible.
    #[must_use]
    pub fn with_weight(mut self, weight: u32) -> Self {
        self.weight = weight;
        self
    }

    /// With this weight in place of whatever it was described with or set by hand: for wrappers that
    /// compute weights and hand the members on.
    #[must_use]
    pub fn reweighted(mut self, weight: u32) -> Self {
        self.reweighted = Some(weight);
        self
    }

    /// In this zone.
    #[must_use]
    pub fn with_zone(mut self, zone: impl Into<Arc<str>>) -> Self {
        self.zone = Some(zone.into());
        self
    }

    /// At this priority level: 0 is the first, higher ones take over as lower ones fail.
    #[must_use]
    pub fn with_priority(mut self, priority: u32) -> Self {
        self.priority = priority;
        self
    }

    /// With this load cell, which it shared before the rebuild.
    #[must_use]
    pub fn with_load(mut self, load: Arc<LoadCell>) -> Self {
        self.load = load;
        self
    }

    /// Its name.
    #[must_use]
    pub fn id(&self) -> &BackendId {
        &self.id
    }

    /// Its weight: the one set by hand on its load cell, or else the one it was described with.
    #[must_use]
    pub fn weight(&self) -> u32 {
        self.reweighted
            .or_else(|| self.load.weight())
            .unwrap_or(self.weight)
    }

    /// The weight it was described with, whatever was set by hand since.
    pub(crate) fn described_weight(&self) -> u32 {
        self.weight
    }

    /// Its zone, if it is in one.
    #[must_use]
    pub fn zone(&self) -> Option<&str> {
        self.zone.as_deref()
    }

    /// Its priority level.
    #[must_use]
    pub fn priority(&self) -> u32 {
        self.priority
    }

    /// What it carries now.
    #[must_use]
    pub fn load(&self) -> &Arc<LoadCell> {
        &self.load
    }
}
