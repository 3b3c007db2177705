//! Weights that follow what is measured.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use evenkeel_stats::Timestamp;

use crate::{
    BackendId, BuildContext, BuildError, ConfigError, LoadTotals, Member, PickContext, PickError, Picker,
    Strategy,
};

/// Settings of [`DynamicWeights`]. The defaults are gRPC's (A58).
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(default, deny_unknown_fields)
)]
pub struct DynamicWeightsConfig {
    /// How often weights are computed anew. At least 100 ms; 1 s by default. Shorter periods hold too
    /// few requests to measure by.
    #[cfg_attr(feature = "serde", serde(with = "humantime_serde"))]
    pub update_period: Duration,
    /// How long a member must have been measured before its weight is used; 10 s by default. A new
    /// server with cold caches would be weighted down for nothing.
    #[cfg_attr(feature = "serde", serde(with = "humantime_serde"))]
    pub blackout: Duration,
    /// After how long without a request a weight is forgotten. Above `blackout`; 3 min by default.
    #[cfg_attr(feature = "serde", serde(with = "humantime_serde"))]
    pub expiry: Duration,
    /// How much errors count: a member of which every request fails for this reason alone is worth
    /// 1 / (1 + this). 0 to 100; 1 by default.
    pub error_penalty: f64,
}

impl Default for DynamicWeightsConfig {
    fn default() -> Self {
        Self {
            update_period: Duration::from_secs(1),
            blackout: Duration::from_secs(10),
            expiry: Duration::from_secs(180),
            error_penalty: 1.0,
        }
    }
}

/// Wraps a strategy that knows weights, and sets them from what the members are measured to do.
///
/// The weight of a member is its rate of successes over what it takes to serve them:
///
/// weight = successes / (busy time x (1 + error penalty x errors / requests))
///
/// Busy time over real time is the mean number in flight, which stands where gRPC has the utilization
/// that servers report; nothing but outcomes is needed. A failure counts as busy for as long as it took
/// and at least as long as a success takes, so that failing at once does not look like being idle. So a
/// member twice as fast gets twice the weight, one that fails every tenth request, however fast, a
/// tenth less for the requests lost and another for the penalty, and one that only fails gets next to
/// nothing.
///
/// - A member that is not known yet (new, or without requests) gets the mean of the others. With fewer
///   than two known ones all keep the weights they were described with.
/// - Weights stay within 1/100 and 10 times their mean, so that nobody is starved and nobody
///   is buried by an error of measurement.
/// - A weight set by hand ([`LoadCell::set_weight`](crate::LoadCell::set_weight)) is left alone: it
///   counts relative to the mean of the weights the members were described with, as this mean stands
///   for the mean of the measured ones. Weight 0 stays 0.
///
/// Take it around [`WeightedRoundRobin`](crate::WeightedRoundRobin) when backends differ in speed, and
/// change it over minutes: noisy neighbours, mixed hardware. Not for faults, which it follows within a
/// second and not within a request; see [`PowerOfTwo::peak_ewma`](crate::PowerOfTwo::peak_ewma).
///
/// - Cost of a pick: that of the inner strategy. It wants to be rebuilt every `update_period`.
/// - Source: gRPC A58, `weighted_round_robin`.
#[derive(Clone, Debug)]
pub struct DynamicWeights<S> {
    inner: S,
    config: DynamicWeightsConfig,
}

impl<S: Strategy> DynamicWeights<S> {
    /// Follows what is measured, choosing by `inner`.
    ///
    /// # Errors
    /// Names the field that is out of range.
    pub fn new(inner: S, config: DynamicWeightsConfig) -> Result<Self, ConfigError> {
        let name = "DynamicWeightsConfig";
        let period = config.update_period;
        ConfigError::check(
            period >= Duration::from_millis(100),
            name,
            "update_period",
            format!("{period:?}"),
            "at least 100ms",
        )?;
        ConfigError::check(
            config.expiry > config.blackout,
            name,
            "expiry",
            format!("{:?}", config.expiry),
            "above blackout",
        )?;
        let penalty = config.error_penalty;
        let sound = (0.0..=100.0).contains(&penalty);
        ConfigError::check(sound, name, "error_penalty", penalty, "0 to 100")?;
        Ok(Self { inner, config })
    }

    /// What is known of a member now.
    fn track(&self, member: &Member, before: Option<&Track>, now: Timestamp) -> Track {
        let totals = member.load().totals();
        let Some(before) = before else {
            return Track {
                totals,
                at: now,
                known: None,
            };
        };
        if now.since(before.at) < self.config.update_period {
            return *before;
        }
        let known = match (self.rate(before.totals, totals), before.known) {
            (Some(weight), Some(known)) => Some(Known {
                weight,
                updated: now,
                ..known
            }),
            (Some(weight), None) => Some(Known {
                weight,
                since: before.at,
                updated: now,
            }),
            (None, Some(known)) if now.since(known.updated) < self.config.expiry => Some(known),
            (None, _) => None,
        };
        Track {
            totals,
            at: now,
            known,
        }
    }

    /// Successes per second of busy time, errors punished; `None` without a request.
    fn rate(&self, before: LoadTotals, after: LoadTotals) -> Option<f64> {
        // Totals only grow; less than before is another cell under the same name, of which nothing is
        // known yet.
        let grown =
            |pick: fn(&LoadTotals) -> u64| pick(&after).checked_sub(pick(&before)).map(|grown| grown as f64);
        let successes = grown(|totals| totals.successes)?;
        let failures = grown(|totals| totals.failures)?;
        let requests = successes + failures;
        if requests == 0.0 {
            return None;
        }
        if successes == 0.0 {
            return Some(0.0);
        }
        let failed = grown(|totals| totals.failed_nanos)?;
        // A nanosecond at the least: answers can be quicker than the clock.
        let succeeded = (grown(|totals| totals.busy_nanos)? - failed).max(1.0);
        // Failing at once must not pass for having time to spare.
        let busy = (succeeded + failed.max(failures * succeeded / successes)) / 1e9;
        Some(successes / (busy * (1.0 + self.config.error_penalty * failures / requests)))
    }

    /// The weights to build with, if enough is known.
    fn weights(&self, members: &[Member], tracks: &[(BackendId, Track)], now: Timestamp) -> Option<Vec<u32>> {
        let usable = |track: &Track| {
            let known = track.known?;
            (now.since(known.since) >= self.config.blackout).then_some(known.weight)
        };
        let known: Vec<f64> = tracks.iter().filter_map(|(_, track)| usable(track)).collect();
        let sum: f64 = known.iter().sum();
        if known.len() < 2 || sum <= 0.0 {
            return None;
        }
        let mean = sum / known.len() as f64;
        let mean_described = mean_described(members);
        let weights = members
            .iter()
            .zip(tracks)
            .map(|(member, (_, track))| {
                let part = match (member.weight(), member.load().weight()) {
                    (0, _) => return 0,
                    (_, Some(by_hand)) => f64::from(by_hand) / mean_described,
                    _ => usable(track).map_or(1.0, |weight| (weight / mean).clamp(LEAST, MOST)),
                };
                ((part * RESOLUTION) as u32).max(1)
            })
            .collect();
        Some(weights)
    }
}

/// The bounds of a weight, in parts of the mean.
const LEAST: f64 = 0.01;
const MOST: f64 = 10.0;
/// The whole number that stands for the mean.
const RESOLUTION: f64 = 1000.0;

impl<S: Strategy> Strategy for DynamicWeights<S> {
    fn build(&self, context: &BuildContext<'_>) -> Result<Arc<dyn Picker>, BuildError> {
        let previous = context.previous::<DynamicWeightsPicker>();
        let before: HashMap<&BackendId, &Track> = previous
            .iter()
            .flat_map(|previous| previous.tracks.iter().map(|(id, track)| (id, track)))
            .collect();
        let tracks: Box<[(BackendId, Track)]> = context
            .members()
            .iter()
            .map(|member| {
                let before = before.get(member.id()).copied();
                (member.id().clone(), self.track(member, before, context.now()))
            })
            .collect();
        let inner_before = previous.map(|previous| &previous.inner);
        let inner = match self.weights(context.members(), &tracks, context.now()) {
            None => self
                .inner
                .build(&context.nested(context.members(), inner_before))?,
            Some(weights) => {
                let members: Vec<Member> = context
                    .members()
                    .iter()
                    .zip(weights)
                    .map(|(member, weight)| member.clone().reweighted(weight))
                    .collect();
                self.inner.build(&context.nested(&members, inner_before))?
            }
        };
        Ok(Arc::new(DynamicWeightsPicker { inner, tracks }))
    }

    fn rebuild_every(&self) -> Option<Duration> {
        let inner = self.inner.rebuild_every().unwrap_or(Duration::MAX);
        Some(inner.min(self.config.update_period))
    }
}

/// What is remembered of a member from one build to the next.
#[derive(Clone, Copy, Debug)]
struct Track {
    totals: LoadTotals,
    at: Timestamp,
    known: Option<Known>,
}

#[derive(Clone, Copy, Debug)]
struct Known {
    weight: f64,
    since: Timestamp,
    updated: Timestamp,
}

#[derive(Debug)]
struct DynamicWeightsPicker {
    inner: Arc<dyn Picker>,
    tracks: Box<[(BackendId, Track)]>,
}

impl Picker for DynamicWeightsPicker {
    fn pick(&self, context: &PickContext<'_>) -> Result<usize, PickError> {
        self.inner.pick(context)
    }
}

/// The mean of the weights that members were described with, those that stand by left out; 1 if all do.
fn mean_described(members: &[Member]) -> f64 {
    let described = || {
        members
            .iter()
            .map(Member::described_weight)
            .filter(|&weight| weight > 0)
    };
    let count = described().count();
    if count == 0 {
        1.0
    } else {
        described().map(f64::from).sum::<f64>() / count as f64
    }
}

#[cfg(test)]
#[cfg(not(evenkeel_loom))]
mod tests;
