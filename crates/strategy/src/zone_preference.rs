//! Zone preference.

use std::sync::Arc;
use std::time::Duration;

use crate::groups::{GroupHealth, Groups};
use crate::{BuildContext, BuildError, ConfigError, PickContext, PickError, Picker, Strategy};

/// Settings of [`ZonePreference`].
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(deny_unknown_fields)
)]
pub struct ZonePreferenceConfig {
    /// The zone this client is in. Not empty.
    pub zone: String,
    /// The share of all clients' requests that comes from this zone: above 0, up to 1. By default one
    /// part for each zone, that is, clients are taken to be spread evenly.
    #[cfg_attr(feature = "serde", serde(default))]
    pub own_share: Option<f64>,
}

impl ZonePreferenceConfig {
    /// For a client in this zone, clients being spread evenly.
    pub fn new(zone: impl Into<String>) -> Self {
        Self {
            zone: zone.into(),
            own_share: None,
        }
    }
}

/// Wraps a strategy: requests stay in the client's own zone while it has its share of the capacity,
/// and spill over to the others in proportion to what they have to spare.
///
/// With three zones of which the own one has 20 % of the eligible weight where it should have 33 %,
/// 60 % of the requests stay and 40 % go where more than 33 % is. A zone of which every member falls sick
/// is divided among the others at once, without waiting for a rebuild, and in the proportion in which the
/// rebuild will.
///
/// Take it where traffic between zones costs money or time. Not with few backends in a zone: one of
/// two lost is half of the capacity, and the other carries more until the shares are computed anew.
///
/// - Shares are computed at each build from readiness as it is then, so rebuild when it changes.
/// - With a routing hash a key keeps to its zone.
/// - Cost: that of the inner strategy and about 5 ns.
/// - Source: zone-aware routing in Envoy.
#[derive(Clone, Debug)]
pub struct ZonePreference<S> {
    inner: S,
    config: ZonePreferenceConfig,
}

impl<S: Strategy> ZonePreference<S> {
    /// Prefers a zone, choosing by `inner` within each.
    ///
    /// # Errors
    /// Names the field that is out of range.
    pub fn new(inner: S, config: ZonePreferenceConfig) -> Result<Self, ConfigError> {
        let name = "ZonePreferenceConfig";
        ConfigError::check(
            !config.zone.is_empty(),
            name,
            "zone",
            "empty",
            "the name of a zone",
        )?;
        if let Some(share) = config.own_share {
            let sound = share > 0.0 && share <= 1.0;
            ConfigError::check(sound, name, "own_share", share, "above 0 and at most 1")?;
        }
        Ok(Self { inner, config })
    }

    fn shares(&self, zones: &[(ZoneKey, GroupHealth)]) -> Vec<f64> {
        let capacity: f64 = zones.iter().map(|(_, zone)| zone.eligible).sum();
        if capacity == 0.0 {
            // Nobody is eligible: whichever is asked first has nobody.
            return vec![1.0; zones.len()];
        }
        let has_own = matches!(zones.first(), Some((ZoneKey::Own, _)));
        let others = zones.len() - usize::from(has_own);
        let own_part = self.config.own_share.unwrap_or(if others == 0 {
            1.0
        } else {
            1.0 / (others + 1) as f64
        });
        let other_part = (1.0 - own_part) / others.max(1) as f64;
        let own_capacity = match zones.first() {
            Some((ZoneKey::Own, zone)) => zone.eligible / capacity,
            _ => 0.0,
        };
        let stays = (own_capacity / own_part).min(1.0);
        let spare = |zone: &GroupHealth| (zone.eligible / capacity - other_part).max(0.0);
        let total_spare: f64 = zones
            .iter()
            .filter(|(key, _)| *key != ZoneKey::Own)
            .map(|(_, z)| spare(z))
            .sum();
        zones
            .iter()
            .map(|(key, zone)| match key {
                ZoneKey::Own => stays,
                _ if total_spare > 0.0 => (1.0 - stays) * spare(zone) / total_spare,
                // Only by rounding: what the own zone lacks, the others have.
                _ => (1.0 - stays) * zone.eligible / capacity,
            })
            .collect()
    }
}

/// The own zone is the first in order, and so the first to be tried.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum ZoneKey {
    Own,
    Other(String),
    None,
}

impl<S: Strategy> Strategy for ZonePreference<S> {
    fn build(&self, context: &BuildContext<'_>) -> Result<Arc<dyn Picker>, BuildError> {
        let previous = context.previous::<ZonePreferencePicker>();
        let groups = Groups::build(
            &self.inner,
            context,
            previous.map(|previous| &previous.0),
            |member| match member.zone() {
                Some(zone) if zone == self.config.zone => ZoneKey::Own,
                Some(zone) => ZoneKey::Other(zone.to_owned()),
                None => ZoneKey::None,
            },
            |zones| self.shares(zones),
        )?;
        Ok(Arc::new(ZonePreferencePicker(groups)))
    }

    fn rebuild_every(&self) -> Option<Duration> {
        self.inner.rebuild_every()
    }
}

#[derive(Debug)]
struct ZonePreferencePicker(Groups<ZoneKey>);

impl Picker for ZonePreferencePicker {
    fn pick(&self, context: &PickContext<'_>) -> Result<usize, PickError> {
        self.0.pick(context)
    }
}

#[cfg(test)]
#[cfg(not(evenkeel_loom))]
mod tests {
    use super::*;
    use crate::testing::context;
    use crate::{Member, Random, Readiness, RoundRobin};

    fn members(zones: &[&str]) -> Vec<Member> {
        (0..)
            .zip(zones)
            .map(|(index, &zone): (u32, _)| Member::new(index.to_string()).with_zone(zone))
            .collect()
    }

    fn prefer(zone: &str) -> ZonePreference<Random> {
        ZonePreference::new(Random, ZonePreferenceConfig::new(zone)).unwrap()
    }

    fn count(strategy: &dyn Strategy, members: &[Member], picks: u64) -> Vec<u64> {
        let picker = strategy.build(&BuildContext::new(members)).unwrap();
        let mut counts = vec![0; members.len()];
        for k in 0..picks {
            counts[picker.pick(&context(k)).unwrap()] += 1;
        }
        counts
    }

    #[test]
    fn all_stays_while_the_own_zone_has_its_share() {
        let members = members(&["a", "b", "a", "b"]);
        assert_eq!(count(&prefer("a"), &members, 1_000)[1], 0);
        assert_eq!(count(&prefer("a"), &members, 1_000)[3], 0);
    }

    #[test]
    fn what_is_lacking_spills_over_to_those_that_have_it() {
        // Own 1 of 6 where 2 would do; b has 3, one more than its share; c has its 2.
        let members = members(&["a", "b", "b", "b", "c", "c"]);
        let counts = count(&prefer("a"), &members, 30_000);
        assert!((14_500..=15_500).contains(&counts[0]), "{counts:?}");
        assert_eq!(counts[4] + counts[5], 0);
    }

    #[test]
    fn a_zone_that_falls_sick_is_left_before_the_next_build() {
        let members = members(&["a", "b"]);
        let strategy = ZonePreference::new(RoundRobin, ZonePreferenceConfig::new("a")).unwrap();
        let picker = strategy.build(&BuildContext::new(&members)).unwrap();
        assert_eq!(picker.pick(&context(0)), Ok(0));
        members[0].load().set_readiness(Readiness::Ejected);
        assert_eq!(picker.pick(&context(1)), Ok(1));
        members[1].load().set_readiness(Readiness::Ejected);
        assert!(picker.pick(&context(2)).is_ok());
        assert_eq!(picker.pick(&context(3).strict()), Err(PickError::NoneEligible));
    }

    #[test]
    fn a_zone_that_falls_sick_does_not_fall_on_one_other_zone() {
        let zones = ["a", "a", "b", "b", "b", "b", "c", "c", "c", "d"];
        let members = members(&zones);
        let strategy = prefer("a");
        let stale = strategy.build(&BuildContext::new(&members)).unwrap();
        for member in &members[..2] {
            member.load().set_readiness(Readiness::Ejected);
        }
        let fresh = strategy.build(&BuildContext::new(&members)).unwrap();
        let by_zone = |picker: &dyn Picker| {
            let mut counts = [0_u32; 4];
            for k in 0..20_000 {
                let zone = zones[picker.pick(&context(k)).unwrap()];
                counts[usize::from(zone.as_bytes()[0] - b'a')] += 1;
            }
            counts
        };
        let (stale, fresh) = (by_zone(&*stale), by_zone(&*fresh));
        // b has 4 of the 8 that are left where 2 would do for a quarter of the clients, c has 3.
        assert!((12_800..=13_900).contains(&fresh[1]), "{fresh:?}");
        for (stale, fresh) in stale.iter().zip(fresh) {
            assert!(
                stale.abs_diff(fresh) < 500,
                "{stale:?}, after the rebuild {fresh:?}"
            );
        }
    }

    #[test]
    fn a_client_in_a_zone_without_backends_uses_all_others() {
        let counts = count(&prefer("x"), &members(&["a", "b"]), 10_000);
        assert!((4_700..=5_300).contains(&counts[0]), "{counts:?}");
    }

    #[test]
    fn nonsense_in_the_config_is_named() {
        let refused = |config| ZonePreference::new(Random, config).unwrap_err().to_string();
        assert!(refused(ZonePreferenceConfig::new("")).contains(".zone"));
        let config = ZonePreferenceConfig {
            own_share: Some(0.0),
            ..ZonePreferenceConfig::new("a")
        };
        assert!(refused(config).contains("own_share"));
    }
}
