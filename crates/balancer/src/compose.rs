//! The strategy that a config describes: the one it names, inside the wrappers it asks for.

use std::sync::Arc;

use evenkeel_strategy::{LoadBalancingStrategy, PriorityLevels, SlowStart, Strategy, ZonePreference};

use crate::{ConfigError, LoadBalancerConfig};

/// What the config names and asks for.
pub(crate) fn strategy(config: &LoadBalancerConfig) -> Result<Arc<dyn Strategy>, ConfigError> {
    let named = config.strategy.build();
    let named = named.map_err(|error| ConfigError::strategy("strategy.", error))?;
    let by_hash = matches!(
        config.strategy,
        LoadBalancingStrategy::RingHash(_)
            | LoadBalancingStrategy::Maglev(_)
            | LoadBalancingStrategy::Rendezvous
            | LoadBalancingStrategy::BoundedLoad(_)
    );
    wrapped(named, config, by_hash)
}

/// `inner`, inside the wrappers that the config asks for: slow start innermost, because what it passes
/// on should stay in the zone and the priority.
pub(crate) fn wrapped(
    inner: Arc<dyn Strategy>,
    config: &LoadBalancerConfig,
    by_hash: bool,
) -> Result<Arc<dyn Strategy>, ConfigError> {
    let mut strategy = inner;
    if let Some(slow_start) = &config.slow_start {
        // Checked also where it is not used.
        let wrapped = SlowStart::new(strategy.clone(), slow_start.clone());
        let wrapped = wrapped.map_err(|error| ConfigError::strategy("slow_start.", error))?;
        if !by_hash {
            strategy = Arc::new(wrapped);
        }
    }
    if let Some(zone) = &config.zone {
        let wrapped = ZonePreference::new(strategy, zone.clone());
        strategy = Arc::new(wrapped.map_err(|error| ConfigError::strategy("zone.", error))?);
    }
    if let Some(levels) = &config.priority_levels {
        let wrapped = PriorityLevels::new(strategy, levels.clone());
        strategy = Arc::new(wrapped.map_err(|error| ConfigError::strategy("priority_levels.", error))?);
    }
    Ok(strategy)
}
