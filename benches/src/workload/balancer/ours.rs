//! Our strategies, through a snapshot, as a balancer uses them.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use evenkeel_stats::{Outcome, Timestamp};
use evenkeel_strategy::{
    BuildContext, LoadBalancingStrategy, LoadCell, Member, PickContext, Picker, Prequal, PrequalConfig,
    ProbePool, ProbeReply, Strategy,
};

use super::Selector;
use crate::Error;

struct Snapshot {
    picker: Arc<dyn Picker>,
    cells: Vec<Arc<LoadCell>>,
}

struct Ours {
    snapshot: ArcSwap<Snapshot>,
    open: VecDeque<(usize, Arc<LoadCell>)>,
    now: Timestamp,
    weights: Vec<f64>,
    probes: Option<ProbePool>,
}

/// The strategy of that name.
pub(super) fn named(name: &str, backends: usize, in_flight: usize) -> Result<Box<dyn Selector>, Error> {
    let by_weight = name.starts_with("weighted") || name == "dynamic_weights";
    let members: Vec<Member> = (0..backends)
        .map(|index| {
            let weight = if by_weight { index as u32 % 5 + 1 } else { 1 };
            Member::new(format!("backend-{index}")).with_weight(weight)
        })
        .collect();
    let (strategy, probes): (Arc<dyn Strategy>, _) = if name == "prequal" {
        let prequal = Prequal::new(PrequalConfig::default()).map_err(|e| Error::contender(name, e))?;
        let probes = prequal.probes();
        (Arc::new(prequal), Some(probes))
    } else {
        let named = name.parse::<LoadBalancingStrategy>();
        let built = named.and_then(|named| named.build());
        (built.map_err(|e| Error::contender(name, e))?, None)
    };
    let context = BuildContext::new(&members).with_seed(fastrand::u64(..));
    let picker = strategy.build(&context).map_err(|e| Error::contender(name, e))?;
    Ok(Box::new(Ours {
        snapshot: ArcSwap::from_pointee(Snapshot {
            picker,
            cells: members.iter().map(|member| Arc::clone(member.load())).collect(),
        }),
        open: VecDeque::with_capacity(in_flight + 1),
        now: Timestamp::ZERO,
        weights: members.iter().map(|member| f64::from(member.weight())).collect(),
        probes,
    }))
}

impl Selector for Ours {
    fn select(&mut self) -> Result<(), Error> {
        let snapshot = self.snapshot.load();
        let context = PickContext::new(self.now, fastrand::u64(..)).with_hash(fastrand::u64(..));
        let index = snapshot
            .picker
            .pick(&context)
            .map_err(|e| Error::contender("pick", e))?;
        let cell = Arc::clone(&snapshot.cells[index]);
        cell.begin();
        self.open.push_back((index, cell));
        Ok(())
    }

    fn end_oldest(&mut self) -> Result<Option<usize>, Error> {
        Ok(self.open.pop_front().map(|(index, cell)| {
            cell.finish(Outcome::Success, Duration::from_millis(1), self.now);
            index
        }))
    }

    fn between(&mut self) {
        self.now = self.now.saturating_add(Duration::from_micros(10));
        let Some(probes) = &self.probes else { return };
        let snapshot = self.snapshot.load();
        for _ in 0..3 {
            let cell = &snapshot.cells[fastrand::usize(..snapshot.cells.len())];
            let reply = ProbeReply {
                in_flight: cell.in_flight(),
                latency: Duration::from_millis(1),
            };
            probes.record(cell, reply, self.now);
        }
    }

    fn weights(&self) -> Vec<f64> {
        self.weights.clone()
    }
}
