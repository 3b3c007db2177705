//! [`Collector`]: one destination, as plain data.

use std::collections::BTreeMap;
use std::fmt;

use evenkeel::balancer::BackendId;

use crate::{Endpoint, EndpointError, Protocol};

/// One collector: where it is, how it is spoken to, and its place among the others.
///
/// ```
/// use evenkeel_otlp::{Collector, Protocol};
///
/// let mut collector = Collector::new("http://collector-1:4318")?;
/// collector.protocol = Some(Protocol::HttpProtobuf);
/// assert_eq!(collector.id().as_str(), "http://collector-1:4318");
/// # Ok::<(), evenkeel_otlp::EndpointError>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(deny_unknown_fields)
)]
pub struct Collector {
    /// Where it is.
    pub endpoint: Endpoint,
    /// Its name in statistics and errors, and what consistent hashing places it by. `None`, the default, is
    /// the endpoint as it was written.
    #[cfg_attr(feature = "serde", serde(default, skip_serializing_if = "Option::is_none"))]
    pub id: Option<String>,
    /// How it is spoken to. `None`, the default, is the client's [`protocol`](crate::OtlpClientConfig::protocol).
    #[cfg_attr(feature = "serde", serde(default, skip_serializing_if = "Option::is_none"))]
    pub protocol: Option<Protocol>,
    /// Its share, relative to the others'. 1 by default; 0 stands by until no other is well.
    #[cfg_attr(feature = "serde", serde(default = "one"))]
    pub weight: u32,
    /// Its zone, for the balancer's `zone`.
    #[cfg_attr(feature = "serde", serde(default, skip_serializing_if = "Option::is_none"))]
    pub zone: Option<String>,
    /// Its priority, 0 being the first, for the balancer's `priority_levels`.
    #[cfg_attr(feature = "serde", serde(default))]
    pub priority: u32,
    /// Headers that go to it with every request, beside the client's; of the same name they take their place.
    #[cfg_attr(feature = "serde", serde(default, skip_serializing_if = "BTreeMap::is_empty"))]
    pub headers: BTreeMap<String, String>,
}

/// Without the values of headers, which may be secrets.
impl fmt::Debug for Collector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Collector")
            .field("endpoint", &self.endpoint)
            .field("id", &self.id)
            .field("protocol", &self.protocol)
            .field("weight", &self.weight)
            .field("zone", &self.zone)
            .field("priority", &self.priority)
            .field("headers", &self.headers.keys())
            .finish()
    }
}

#[cfg(feature = "serde")]
const fn one() -> u32 {
    1
}

impl Collector {
    /// A collector of weight 1, called by its endpoint.
    ///
    /// # Errors
    /// [`EndpointError`].
    pub fn new(endpoint: &str) -> Result<Self, EndpointError> {
        Ok(Self::at(endpoint.parse()?))
    }

    /// A collector of weight 1 there, called by its endpoint.
    #[must_use]
    pub const fn at(endpoint: Endpoint) -> Self {
        Self {
            endpoint,
            id: None,
            protocol: None,
            weight: 1,
            zone: None,
            priority: 0,
            headers: BTreeMap::new(),
        }
    }

    /// Its id, or else its endpoint as it was written.
    #[must_use]
    pub fn id(&self) -> BackendId {
        match &self.id {
            Some(id) => BackendId::from(id.as_str()),
            None => BackendId::from(self.endpoint.to_string()),
        }
    }
}
