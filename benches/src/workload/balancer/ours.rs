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
    strategy: Arc<dyn Strategy>,
    members: Vec<Member>,
    snapshot: ArcSwap<Snapshot>,
    built: Timestamp,
    open: VecDeque<(usize, Arc<LoadCell>)>,
    now: Timestamp,
    /// What each backend's share should be in proportion to.
    weights: Vec<f64>,
    /// How long each backend takes.
    latencies: Vec<Duration>,
    probes: Option<ProbePool>,
}

/// From one selection to the next. The warm-up, a tenth of a hundred thousand, is 20 s by this, and so
/// longer than the 10 s that dynamic weights wait before they use what they measured.
const STEP: Duration = Duration::from_millis(2);

/// The strategy of that name.
pub(super) fn named(name: &str, backends: usize, in_flight: usize) -> Result<Box<dyn Selector>, Error> {
    let class = |index: usize| index as u32 % 5 + 1;
    let by_weight = name.starts_with("weighted");
    let members: Vec<Member> = (0..backends)
        .map(|index| {
            let weight = if by_weight { class(index) } else { 1 };
            Member::new(format!("backend-{index}")).with_weight(weight)
        })
        .collect();
    // Dynamic weights have to find out by themselves who is how fast.
    let by_speed = name == "dynamic_weights";
    let speed = |index: usize| if by_speed { class(index) } else { 1 };
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
    let weight = |(index, member): (usize, &Member)| f64::from(member.weight() * speed(index));
    Ok(Box::new(Ours {
        weights: members.iter().enumerate().map(weight).collect(),
        latencies: (0..backends)
            .map(|index| Duration::from_millis(1) / speed(index))
            .collect(),
        snapshot: ArcSwap::from_pointee(snapshot(picker, &members)),
        strategy,
        members,
        built: Timestamp::ZERO,
        open: VecDeque::with_capacity(in_flight + 1),
        now: Timestamp::ZERO,
        probes,
    }))
}

fn snapshot(picker: Arc<dyn Picker>, members: &[Member]) -> Snapshot {
    Snapshot {
        picker,
        cells: members.iter().map(|member| Arc::clone(member.load())).collect(),
    }
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
            cell.finish(Outcome::Success, self.latencies[index], self.now);
            index
        }))
    }

    fn between(&mut self) -> Result<(), Error> {
        self.now = self.now.saturating_add(STEP);
        if let Some(period) = self.strategy.rebuild_every()
            && self.now.since(self.built) >= period
        {
            self.built = self.now;
            let picker = {
                let context = BuildContext::new(&self.members)
                    .with_now(self.now)
                    .with_seed(fastrand::u64(..));
                let before = self.snapshot.load();
                self.strategy.build(&context.with_previous(&before.picker))
            };
            let picker = picker.map_err(|e| Error::contender("rebuild", e))?;
            self.snapshot.store(Arc::new(snapshot(picker, &self.members)));
        }
        let Some(probes) = &self.probes else {
            return Ok(());
        };
        let snapshot = self.snapshot.load();
        for _ in 0..3 {
            let cell = &snapshot.cells[fastrand::usize(..snapshot.cells.len())];
            let reply = ProbeReply {
                in_flight: cell.in_flight(),
                latency: Duration::from_millis(1),
            };
            probes.record(cell, reply, self.now);
        }
        Ok(())
    }

    fn weights(&self) -> Vec<f64> {
        self.weights.clone()
    }
}
