use evenkeel_stats::Timestamp;

use super::*;

fn members(weights: &[u32]) -> Vec<Member> {
    (0..)
        .zip(weights)
        .map(|(index, &weight): (u32, _)| Member::new(index.to_string()).with_weight(weight))
        .collect()
}

fn context(random: u64) -> PickContext<'static> {
    PickContext::new(Timestamp::ZERO, random)
}

/// Who is picked, over many random words, when the picker only ever likes member 0.
fn picked(members: &[Member], context: impl Fn(u64) -> Result<usize, PickError>) -> Vec<usize> {
    let mut counts = vec![0; members.len()];
    for random in 0..2_000_u64 {
        if let Ok(index) = context(random.wrapping_mul(0x9e37_79b9_7f4a_7c15)) {
            counts[index] += 1;
        }
    }
    counts
}

#[test]
fn panic_mode_spares_the_draining_and_spreads_over_the_rest() {
    let members = members(&[1; 4]);
    members[0].load().set_readiness(Readiness::Unhealthy);
    members[1].load().set_readiness(Readiness::Draining);
    members[2].load().set_readiness(Readiness::Ejected);
    members[3].load().eject_until(Timestamp::MAX);
    let set = MemberSet::new(&members).unwrap();
    let counts = picked(&members, |random| set.first_eligible(&context(random), |_| 0));
    assert_eq!(counts[1], 0);
    for index in [0, 2, 3] {
        assert!((560..=780).contains(&counts[index]), "{counts:?}");
    }
}

#[test]
fn all_draining_is_still_no_error() {
    let members = members(&[1; 2]);
    for member in &members {
        member.load().set_readiness(Readiness::Draining);
    }
    let set = MemberSet::new(&members).unwrap();
    assert!(set.first_eligible(&context(1), |_| 0).is_ok());
    assert_eq!(
        set.first_eligible(&context(1).strict(), |_| 0),
        Err(PickError::NoneEligible)
    );
}

#[test]
fn one_tried_and_healthy_goes_before_one_that_is_sick() {
    let members = members(&[1; 2]);
    members[1].load().set_readiness(Readiness::Ejected);
    let set = MemberSet::new(&members).unwrap();
    let tried = [&**members[0].load()];
    let retry = context(1).with_tried(&tried);
    assert_eq!(set.first_eligible(&retry, |_| 0), Ok(0));
    assert_eq!(
        set.first_eligible(&retry.strict(), |_| 0),
        Err(PickError::NoneEligible)
    );
}

#[test]
fn a_member_standing_by_takes_over_only_when_nobody_else_can() {
    let members = members(&[1, 0]);
    let set = MemberSet::new(&members).unwrap();
    assert_eq!(set.first_eligible(&context(1), |_| 1), Ok(0));
    members[0].load().set_readiness(Readiness::Unhealthy);
    assert_eq!(set.first_eligible(&context(1).strict(), |_| 0), Ok(1));
}

#[test]
fn a_ready_member_goes_before_a_degraded_one() {
    let members = members(&[1, 1]);
    members[0].load().set_readiness(Readiness::Degraded);
    let set = MemberSet::new(&members).unwrap();
    let pick = |context: &PickContext<'_>| set.first_eligible(context, |attempt| attempt as usize % 2);
    assert_eq!(pick(&context(1)), Ok(1));
    members[1].load().set_readiness(Readiness::Draining);
    assert_eq!(pick(&context(1).strict()), Ok(0));
}

#[test]
fn ignoring_readiness_brings_back_the_sick_but_not_the_draining() {
    let members = members(&[1; 2]);
    members[0].load().set_readiness(Readiness::Unhealthy);
    members[1].load().set_readiness(Readiness::Draining);
    let set = MemberSet::new(&members).unwrap();
    let blind = context(1).ignoring_readiness().strict();
    assert_eq!(set.first_eligible(&blind, |_| 1), Ok(0));
}

#[test]
fn the_last_resort_goes_by_weight_when_asked_to() {
    let members = members(&[1, 3, 0]);
    members[0].load().set_readiness(Readiness::Unhealthy);
    members[1].load().set_readiness(Readiness::Unhealthy);
    members[2].load().set_readiness(Readiness::Unhealthy);
    let set = MemberSet::new(&members[..2]).unwrap().by_weight();
    let counts = picked(&members, |random| set.any(&context(random)));
    assert!((1_400..=1_600).contains(&counts[1]), "{counts:?}");
}

#[test]
fn no_members_and_no_weights_are_errors_not_panics() {
    let set = MemberSet::new(&[]).unwrap();
    assert_eq!(set.first_eligible(&context(1), |_| 0), Err(PickError::Empty));
    assert_eq!(
        MemberSet::new(&members(&[0, 0])).unwrap_err(),
        BuildError::AllWeightsZero { members: 2 }
    );
}

#[test]
fn a_weight_set_by_hand_counts_from_the_next_build() {
    let members = members(&[1, 1]);
    let set = MemberSet::new(&members).unwrap();
    members[0].load().set_weight(Some(5));
    assert_eq!(set.weight(0), 1);
    assert_eq!(MemberSet::new(&members).unwrap().weight(0), 5);
}
