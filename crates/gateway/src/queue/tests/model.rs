//! Any order of pushes, leases, kills, power cuts and restarts: what was acknowledged comes out, in order.

use std::collections::BTreeSet;

use fastrand::Rng;
use proptest::prelude::*;

use super::*;
use crate::config::ByteSize;
use crate::queue::record::{Draft, charge};

#[derive(Clone, Debug)]
enum Step {
    Push(usize),
    Take,
    /// What becomes of a lease, by its place among those held.
    Acknowledge(prop::sample::Index),
    GiveBack(prop::sample::Index),
    PowerCut(u64),
    Kill,
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (8usize..20_000).prop_map(Step::Push),
        4 => Just(Step::Take),
        4 => any::<prop::sample::Index>().prop_map(Step::Acknowledge),
        1 => any::<prop::sample::Index>().prop_map(Step::GiveBack),
        1 => any::<u64>().prop_map(Step::PowerCut),
        1 => Just(Step::Kill),
        1 => Just(Step::Restart),
    ]
}

/// Small enough that most of the queue is on disk only, and that what two leases hold leaves room for a record.
fn config() -> QueueConfig {
    QueueConfig {
        max_memory_bytes: ByteSize::kib(64),
        ..QueueConfig::default()
    }
}

#[derive(Default)]
struct Model {
    disk: Disk,
    next: u64,
    /// Acknowledged to the sender, and not known to be settled for good.
    waiting: BTreeSet<u64>,
    /// Settled, perhaps not yet on disk.
    settled: BTreeSet<u64>,
    leases: Vec<Lease>,
    lens: Vec<usize>,
}

impl Model {
    async fn step(&mut self, queue: &mut Queue, step: Step) {
        match step {
            Step::Push(len) => {
                soon(queue.push(numbered(self.next, len)))
                    .await
                    .expect("there is room");
                self.waiting.insert(self.next);
                self.lens.push(len);
                self.next += 1;
            }
            Step::Take => {
                let held: BTreeSet<u64> = self.leases.iter().map(|lease| number(lease.export())).collect();
                let Some(oldest) = self.waiting.difference(&held).next() else {
                    return;
                };
                if held.len() < 2 {
                    let lease = take(queue).await;
                    assert_eq!(number(lease.export()), *oldest, "the oldest first");
                    assert_eq!(lease.export().body().len(), self.lens[*oldest as usize]);
                    self.leases.push(lease);
                }
            }
            Step::Acknowledge(which) if !self.leases.is_empty() => {
                let lease = self.leases.swap_remove(which.index(self.leases.len()));
                let number = number(lease.export());
                lease.acknowledge();
                self.waiting.remove(&number);
                self.settled.insert(number);
            }
            Step::GiveBack(which) if !self.leases.is_empty() => {
                drop(self.leases.swap_remove(which.index(self.leases.len())));
            }
            Step::Acknowledge(_) | Step::GiveBack(_) => {}
            Step::PowerCut(seed) => {
                let left = self.disk.after_power_cut(&mut Rng::with_seed(seed));
                self.crash(queue, left).await;
            }
            Step::Kill => {
                let left = self.disk.after_kill();
                self.crash(queue, left).await;
            }
            Step::Restart => {
                soon(queue.close()).await;
                self.leases.clear();
                *queue = on(&self.disk, config());
                let bytes: u64 = self
                    .waiting
                    .iter()
                    .map(|number| charge(Draft::new(numbered(*number, self.lens[*number as usize]), 0).len()))
                    .sum();
                assert_eq!(queue.stats().records, self.waiting.len() as u64);
                assert_eq!(queue.stats().bytes, bytes);
                self.settled.clear();
            }
        }
    }

    async fn crash(&mut self, queue: &mut Queue, left: Disk) {
        soon(queue.close()).await;
        self.leases.clear();
        self.disk = left;
        *queue = on(&self.disk, config());
        // What was settled a moment ago may come again: find out what did.
        let count = queue.stats().records;
        let mut found = Vec::new();
        let mut leases = Vec::new();
        for _ in 0..count {
            let lease = take(queue).await;
            found.push(number(lease.export()));
            // A lease kept is memory kept; but one given back would come again.
            leases.push(lease.id());
            lease.acknowledge();
        }
        assert!(found.is_sorted(), "in order: {found:?}");
        let found: BTreeSet<u64> = found.into_iter().collect();
        assert!(
            found.is_superset(&self.waiting),
            "lost: {:?}",
            self.waiting.difference(&found)
        );
        let allowed: BTreeSet<u64> = self.waiting.union(&self.settled).copied().collect();
        assert!(
            found.is_subset(&allowed),
            "from nowhere: {:?}",
            found.difference(&allowed)
        );
        self.settled.extend(&self.waiting);
        self.waiting.clear();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn what_was_acknowledged_comes_out_in_order_whatever_happened(
        steps in prop::collection::vec(step(), 1..60),
        seed: u64,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
        runtime.block_on(async {
            let mut model = Model::default();
            let mut queue = on(&model.disk, config());
            for step in steps {
                model.step(&mut queue, step).await;
            }
            let left = model.disk.after_power_cut(&mut Rng::with_seed(seed));
            model.crash(&mut queue, left).await;
            soon(queue.close()).await;
        });
    }
}
