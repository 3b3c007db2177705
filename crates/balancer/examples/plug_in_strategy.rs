//! A strategy of one's own in a balancer: fill the backends one after another, so that the last ones stay
//! idle and can be switched off. `docs/extending.md` leads through writing one.
#![allow(clippy::print_stdout, reason = "an example may talk")]

use std::error::Error;
use std::sync::Arc;

use evenkeel_balancer::{BackendServer, LoadBalancer, RequestContext};
use evenkeel_strategy::{BuildContext, BuildError, MemberSet, PickContext, PickError, Picker, Strategy};

/// The first backend with fewer than so many requests in flight.
#[derive(Debug)]
struct FillUp {
    at_most: u32,
}

#[derive(Debug)]
struct FillUpPicker {
    at_most: u32,
    members: MemberSet,
}

impl Strategy for FillUp {
    fn build(&self, context: &BuildContext<'_>) -> Result<Arc<dyn Picker>, BuildError> {
        Ok(Arc::new(FillUpPicker {
            at_most: self.at_most,
            members: MemberSet::new(context.members())?,
        }))
    }
}

impl Picker for FillUpPicker {
    fn pick(&self, context: &PickContext<'_>) -> Result<usize, PickError> {
        let has_room = |&index: &usize| {
            let cell = self.members.cell(index);
            cell.is_some_and(|cell| cell.in_flight() < self.at_most)
        };
        (0..self.members.len())
            .filter(|&index| self.members.is_eligible(index, context))
            .find(has_room)
            // Nobody has room, or nobody is eligible: the set knows what to do.
            .map_or_else(|| self.members.any(context), Ok)
    }
}

/// Takes 25 requests that do not end, and tells how many each of five backends holds, and how many when the
/// first is disabled and ten more come.
pub(crate) fn run() -> Result<[Vec<u32>; 2], Box<dyn Error>> {
    let names = ["a", "b", "c", "d", "e"];
    let (balancer, _upkeep) = LoadBalancer::builder()
        .backends(names.map(BackendServer::of))
        .strategy(FillUp { at_most: 10 })
        .build_parts()?;
    let held = || names.map(|name| balancer.backend(name).map_or(0, |backend| backend.in_flight()));
    let take = |requests: usize| {
        let picks = (0..requests).map(|_| balancer.pick(&RequestContext::new()));
        picks.collect::<Result<Vec<_>, _>>()
    };
    let picks = take(25)?;
    let before = held().to_vec();
    balancer.disable("a")?;
    let more = take(10)?;
    let after = held().to_vec();
    drop((picks, more));
    Ok([before, after])
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let [before, after] = run()?;
    println!("25 requests in flight: {before:?}; a disabled, and 10 more: {after:?}");
    Ok(())
}
