//! A strategy of one's own: fill the members one after another, so that the last ones stay idle and
//! can be switched off. It runs beside the built-in ones, in the same loop.
#![allow(clippy::print_stdout)] // an example may talk

use std::error::Error;
use std::sync::Arc;

use evenkeel_stats::Timestamp;
use evenkeel_strategy::{
    BuildContext, BuildError, LoadBalancingStrategy, Member, MemberSet, PickContext, PickError, Picker,
    Strategy,
};

/// The first member with fewer than so many requests in flight.
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
        let has_room = |index: &usize| {
            let cell = self.members.cell(*index);
            cell.is_some_and(|cell| cell.in_flight() < self.at_most)
        };
        (0..self.members.len())
            .filter(|&index| self.members.is_eligible(index, context))
            .find(has_room)
            // Nobody has room, or nobody is eligible: the set knows what to do.
            .map_or_else(|| self.members.any(context), Ok)
    }
}

/// How many requests each of five members holds after `requests` that do not end.
fn run(strategy: &dyn Strategy, requests: u64) -> Result<Vec<u32>, Box<dyn Error>> {
    let members: Vec<Member> = (0..5).map(|index: u32| Member::new(index.to_string())).collect();
    let picker = strategy.build(&BuildContext::new(&members))?;
    for k in 0..requests {
        let random = k.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let index = picker.pick(&PickContext::new(Timestamp::ZERO, random))?;
        members[index].load().begin();
    }
    Ok(members.iter().map(|member| member.load().in_flight()).collect())
}

pub(crate) fn main() -> Result<(), Box<dyn Error>> {
    let filled = run(&FillUp { at_most: 10 }, 25)?;
    println!("{:>26} {filled:?}", "fill_up");
    assert_eq!(filled, [10, 10, 5, 0, 0]);
    for name in LoadBalancingStrategy::NAMES {
        let strategy = name.parse::<LoadBalancingStrategy>()?.build()?;
        println!("{name:>26} {:?}", run(&strategy, 25)?);
    }
    Ok(())
}
