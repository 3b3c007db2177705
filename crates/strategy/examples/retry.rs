//! A retry goes to another backend, and a failure is remembered.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use evenkeel_stats::{Clock, ManualClock, Outcome};
use evenkeel_strategy::{BuildContext, LoadCell, Member, PickContext, PowerOfTwo, Strategy};

pub(crate) fn main() -> Result<(), Box<dyn Error>> {
    let clock = ManualClock::new();
    let members = [Member::new("good"), Member::new("bad")];
    let picker = PowerOfTwo::peak_ewma().build(&BuildContext::new(&members))?;

    let mut bad_answers = 0;
    for request in 0..100_u64 {
        let mut tried: Vec<Arc<LoadCell>> = Vec::new();
        for attempt in 0..2 {
            let random = (2 * request + attempt).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let cells: Vec<&LoadCell> = tried.iter().map(|cell| &**cell).collect();
            let index = picker.pick(&PickContext::new(clock.now(), random).with_tried(&cells))?;
            let member = &members[index];

            member.load().begin();
            clock.advance(Duration::from_millis(5));
            let failed = member.id().as_str() == "bad";
            let outcome = if failed {
                Outcome::Failure
            } else {
                Outcome::Success
            };
            member
                .load()
                .finish(outcome, Duration::from_millis(5), clock.now());
            if !failed {
                break;
            }
            bad_answers += 1;
            assert_eq!(attempt, 0, "the second attempt went to the same backend");
            tried.push(Arc::clone(member.load()));
        }
    }
    // Tried once, found failing, and left alone.
    assert_eq!(bad_answers, 1);
    Ok(())
}
