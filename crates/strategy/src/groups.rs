//! Members divided into groups, each with a picker of its own: what zones and priorities share.

use std::mem;
use std::sync::Arc;

use crate::alias::AliasTable;
use crate::mix::derive;
use crate::{BuildContext, BuildError, Member, MemberSet, PickContext, PickError, Picker, Strategy};

/// Groups in order of preference, and how often each is chosen.
#[derive(Debug)]
pub(crate) struct Groups<K> {
    groups: Box<[Group<K>]>,
    shares: AliasTable,
    /// For each of the first groups, how often the others are chosen when it has nobody: what the shares
    /// will be after the next build. So a group that falls sick between two builds is divided up at once
    /// as it will be then, and does not fall on one other group.
    without: Box<[AliasTable]>,
    all: MemberSet,
}

#[derive(Debug)]
struct Group<K> {
    key: K,
    /// The group's members, by their index among all.
    indices: Box<[u32]>,
    picker: Arc<dyn Picker>,
}

/// For how many groups, the preferred ones first, the shares without them are kept: a table each. Of the
/// others' requests, which are few, whoever comes first in order gets all until the next build.
const FORESEEN: usize = 32;

/// What a group is judged by before the pickers are built.
pub(crate) struct GroupHealth {
    /// The weight of its members.
    pub(crate) weight: f64,
    /// The weight of those that are ready or degraded.
    pub(crate) eligible: f64,
}

/// Sets the choice of a group apart from whatever the inner picker does with the same word.
const SALT: u64 = 0x6772_6f75_7073;
/// The same for the choice among the others.
const SALT_WITHOUT: u64 = SALT + 1;

impl<K: PartialEq + Ord + Clone> Groups<K> {
    /// Divides the members by `key`, orders the groups by it, and builds a picker for each. `shares`
    /// says how often each group should be chosen, given the health of all in that order.
    ///
    /// Members of weight 0 are in no group: they are picked when no group has anybody.
    pub(crate) fn build(
        inner: &dyn Strategy,
        context: &BuildContext<'_>,
        previous: Option<&Self>,
        key: impl Fn(&Member) -> K,
        shares: impl Fn(&[(K, GroupHealth)]) -> Vec<f64>,
    ) -> Result<Self, BuildError> {
        let all = MemberSet::new(context.members())?.by_weight();
        let mut keyed: Vec<(K, u32)> = (0_u32..)
            .zip(context.members())
            .filter(|&(index, _)| all.weight(index as usize) > 0)
            .map(|(index, member)| (key(member), index))
            .collect();
        keyed.sort();
        let mut groups = Vec::new();
        let mut health = Vec::new();
        for run in keyed.chunk_by(|(a, _), (b, _)| a == b) {
            let Some((key, _)) = run.first() else { continue };
            let indices: Box<[u32]> = run.iter().map(|&(_, index)| index).collect();
            let members: Vec<Member> = indices
                .iter()
                .filter_map(|&index| context.members().get(index as usize).cloned())
                .collect();
            let before = previous.and_then(|previous| {
                let group = previous.groups.iter().find(|group| group.key == *key)?;
                Some(&group.picker)
            });
            let picker = inner.build(&context.nested(&members, before))?;
            health.push((key.clone(), judge(&members, context)));
            groups.push(Group {
                key: key.clone(),
                indices,
                picker,
            });
        }
        let by_shares = |health: &[(K, GroupHealth)]| {
            let parts: Vec<u64> = shares(health)
                .into_iter()
                // Whole parts of 2^32, which is as fine as anybody can tell.
                .map(|share| (share.clamp(0.0, 1.0) * (1_u64 << 32) as f64) as u64)
                .collect();
            AliasTable::new(&parts)
        };
        let chosen = by_shares(&health);
        let without = (0..health.len().min(FORESEEN))
            .map(|group| {
                let eligible = mem::replace(&mut health[group].1.eligible, 0.0);
                let others = by_shares(&health);
                health[group].1.eligible = eligible;
                others
            })
            .collect();
        Ok(Self {
            groups: groups.into(),
            shares: chosen,
            without,
            all,
        })
    }

    pub(crate) fn pick(&self, context: &PickContext<'_>) -> Result<usize, PickError> {
        // By the key if there is one, so that a key keeps to its group.
        let word = context.hash().unwrap_or_else(|| context.random());
        let chosen = self.shares.draw(derive(word, SALT));
        match self.pick_in(chosen, context) {
            Err(PickError::NoneEligible | PickError::Empty) => self.pick_elsewhere(chosen, word, context),
            picked => picked,
        }
    }

    fn pick_in(&self, group: usize, context: &PickContext<'_>) -> Result<usize, PickError> {
        let group = self.groups.get(group).ok_or(PickError::Empty)?;
        let index = group.picker.pick(&context.strict())?;
        group
            .indices
            .get(index)
            .map(|&index| index as usize)
            .ok_or(PickError::NoneEligible)
    }

    /// In another group by their shares without the chosen one; failing that in all others, the preferred
    /// first; then anybody.
    #[cold]
    fn pick_elsewhere(
        &self,
        chosen: usize,
        word: u64,
        context: &PickContext<'_>,
    ) -> Result<usize, PickError> {
        let second = match self.without.get(chosen) {
            Some(others) => others.draw(derive(word, SALT_WITHOUT)),
            None => chosen,
        };
        let others = (0..self.groups.len()).filter(|&group| group != chosen);
        let first = [second].into_iter().filter(|&second| second != chosen);
        for group in first.chain(others) {
            match self.pick_in(group, context) {
                Err(PickError::NoneEligible | PickError::Empty) => {}
                picked => return picked,
            }
        }
        self.all.any(context)
    }
}

fn judge(members: &[Member], context: &BuildContext<'_>) -> GroupHealth {
    let mut health = GroupHealth {
        weight: 0.0,
        eligible: 0.0,
    };
    for member in members {
        let weight = f64::from(member.weight());
        health.weight += weight;
        if member.load().readiness(context.now()).is_eligible() {
            health.eligible += weight;
        }
    }
    health
}
