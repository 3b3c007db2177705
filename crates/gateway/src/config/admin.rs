//! [`AdminConfig`].

use serde::{Deserialize, Serialize};

use super::Listen;

/// Where the gateway tells of itself: `/healthz`, `/readyz`, `/metrics`, `/status`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AdminConfig {
    /// The port. `"0.0.0.0:13133"` by default, where probes of a Collector look.
    pub listen: Listen,
}

impl Default for AdminConfig {
    fn default() -> Self {
        Self {
            listen: Listen::on(13133),
        }
    }
}
