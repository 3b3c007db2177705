use std::time::Duration;

use proptest::prelude::*;

use super::*;

fn v4(last: u8) -> SocketAddr {
    ([192, 0, 2, last], 80).into()
}

fn v6(last: u16) -> SocketAddr {
    ([0x2001, 0xdb8, 0, 0, 0, 0, 0, last], 80).into()
}

fn at(millis: u64) -> Timestamp {
    Timestamp::from_nanos(millis * 1_000_000)
}

fn race() -> Race {
    Race::new(Delays::default(), None)
}

#[test]
fn nothing_is_tried_before_an_answer() {
    let mut race = race();
    assert_eq!(race.step(at(0)), Step::Wait);
    race.answers(at(1), []);
    assert_eq!(race.step(at(1)), Step::Wait);
}

#[test]
fn ipv4_alone_waits_50_ms_for_ipv6_and_no_longer() {
    let mut race = race();
    race.answers(at(10), [v4(1)]);
    assert_eq!(race.step(at(10)), Step::WaitUntil(at(60)));
    // More of the same does not prolong the wait.
    race.answers(at(40), [v4(2)]);
    assert_eq!(race.step(at(59)), Step::WaitUntil(at(60)));
    assert_eq!(race.step(at(60)), Step::Dial(v4(1)));
}

#[test]
fn ipv6_ends_the_wait_and_goes_first() {
    let mut race = race();
    race.answers(at(0), [v4(1)]);
    race.answers(at(20), [v6(1)]);
    assert_eq!(race.step(at(20)), Step::Dial(v6(1)));
    assert_eq!(race.step(at(20)), Step::WaitUntil(at(270)));
    assert_eq!(race.step(at(270)), Step::Dial(v4(1)));
}

#[test]
fn the_end_of_resolution_ends_the_wait() {
    let mut race = race();
    race.answers(at(0), [v4(1)]);
    race.resolved(at(5));
    assert_eq!(race.step(at(5)), Step::Dial(v4(1)));
}

#[test]
fn ipv6_alone_does_not_wait_for_ipv4() {
    let mut race = race();
    race.answers(at(3), [v6(1)]);
    assert_eq!(race.step(at(3)), Step::Dial(v6(1)));
}

#[test]
fn a_sorted_list_is_interleaved_from_its_first_family() {
    for (batch, order) in [
        ([v4(1), v4(2), v4(3), v6(1)], [v4(1), v6(1), v4(2), v4(3)]),
        ([v6(1), v6(2), v4(1), v4(2)], [v6(1), v4(1), v6(2), v4(2)]),
    ] {
        let mut race = race();
        race.answers(at(0), batch);
        for (nth, addr) in order.into_iter().enumerate() {
            assert_eq!(race.step(at(250 * nth as u64)), Step::Dial(addr));
        }
    }
}

#[test]
fn attempts_are_250_ms_apart() {
    let mut race = race();
    race.answers(at(0), [v6(1), v6(2)]);
    assert_eq!(race.step(at(7)), Step::Dial(v6(1)));
    assert_eq!(race.step(at(256)), Step::WaitUntil(at(257)));
    // The end of resolution does not hurry them.
    race.resolved(at(256));
    assert_eq!(race.step(at(256)), Step::WaitUntil(at(257)));
    assert_eq!(race.step(at(257)), Step::Dial(v6(2)));
}

#[test]
fn a_failure_starts_the_next_at_once_and_only_one() {
    let mut race = race();
    race.answers(at(0), [v6(1), v6(2), v6(3)]);
    assert_eq!(race.step(at(0)), Step::Dial(v6(1)));
    race.failed(at(3));
    assert_eq!(race.step(at(3)), Step::Dial(v6(2)));
    assert_eq!(race.step(at(3)), Step::WaitUntil(at(253)));
}

#[test]
fn a_late_answer_after_a_failure_is_tried_at_once() {
    let mut race = race();
    race.answers(at(0), [v6(1)]);
    assert_eq!(race.step(at(0)), Step::Dial(v6(1)));
    race.failed(at(3));
    assert_eq!(race.step(at(3)), Step::Wait);
    race.answers(at(10), [v4(1)]);
    assert_eq!(race.step(at(10)), Step::Dial(v4(1)));
}

#[test]
fn a_late_answer_keeps_the_distance_to_an_attempt_under_way() {
    let mut race = race();
    race.answers(at(0), [v6(1)]);
    assert_eq!(race.step(at(0)), Step::Dial(v6(1)));
    race.answers(at(10), [v4(1)]);
    assert_eq!(race.step(at(10)), Step::WaitUntil(at(250)));
}

#[test]
fn late_ipv6_comes_next_after_ipv4_was_tried() {
    let mut race = race();
    race.answers(at(0), [v4(1), v4(2)]);
    assert_eq!(race.step(at(50)), Step::Dial(v4(1)));
    race.answers(at(60), [v6(1)]);
    race.failed(at(70));
    assert_eq!(race.step(at(70)), Step::Dial(v6(1)));
}

#[test]
fn doubles_are_tried_once() {
    let mut race = race();
    race.answers(at(0), [v6(1), v6(1)]);
    race.answers(at(0), [v6(1)]);
    assert_eq!(race.step(at(0)), Step::Dial(v6(1)));
    race.failed(at(1));
    race.answers(at(2), [v6(1)]);
    assert_eq!(race.step(at(2)), Step::Wait);
}

#[test]
fn failure_waits_for_the_resolution_and_for_every_attempt() {
    let mut race = race();
    race.answers(at(0), [v6(1), v6(2)]);
    assert_eq!(race.step(at(0)), Step::Dial(v6(1)));
    assert_eq!(race.step(at(250)), Step::Dial(v6(2)));
    race.failed(at(251));
    race.resolved(at(252));
    assert_eq!(race.step(at(252)), Step::Wait);
    race.failed(at(253));
    assert_eq!(race.step(at(253)), Step::Failed);
}

#[test]
fn no_answer_at_all_fails_when_resolution_ends() {
    let mut race = race();
    race.resolved(at(9));
    assert_eq!(race.step(at(9)), Step::Failed);
    assert!(!race.all_kept_out());
}

#[test]
fn one_family_only_neither_waits_for_nor_tries_the_other() {
    let mut race = Race::new(Delays::default(), Some(Family::V4));
    race.answers(at(0), [v6(1)]);
    assert_eq!(race.step(at(0)), Step::Wait);
    assert!(race.all_kept_out());
    race.answers(at(1), [v4(1)]);
    assert_eq!(race.step(at(1)), Step::Dial(v4(1)));
    assert!(!race.all_kept_out());
}

#[test]
fn the_list_is_bounded_for_each_family() {
    let mut race = race();
    race.answers(at(0), (0..100).map(v4));
    race.answers(at(0), (0..100).map(v6));
    assert_eq!(race.known.len(), 2 * MAX_ADDRESSES_PER_FAMILY);
}

#[test]
fn the_attempt_delay_stays_within_the_bounds_of_the_rfc() {
    let millis = Duration::from_millis;
    for (asked, given) in [(0, 10), (10, 10), (250, 250), (2_000, 2_000), (60_000, 2_000)] {
        assert_eq!(Delays::new(millis(asked)).attempt(), millis(given));
    }
}

#[derive(Clone, Debug)]
enum Event {
    Answers(Vec<SocketAddr>),
    Resolved,
    /// The nth of the attempts under way.
    Fail(usize),
    Pass(u64),
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let addr = prop_oneof![(0_u8..12).prop_map(v4), (0_u16..12).prop_map(v6)];
    let event = prop_oneof![
        3 => prop::collection::vec(addr, 0..6).prop_map(Event::Answers),
        1 => Just(Event::Resolved),
        3 => any::<usize>().prop_map(Event::Fail),
        3 => (0_u64..400).prop_map(Event::Pass),
    ];
    prop::collection::vec(event, 0..40)
}

/// Drives a race and holds it to the rules.
struct Judge {
    race: Race,
    only: Option<Family>,
    now: u64,
    answered: Vec<SocketAddr>,
    resolved: bool,
    tried: Vec<SocketAddr>,
    under_way: Vec<SocketAddr>,
    last_start: Option<u64>,
    failed_since: bool,
    over: bool,
}

impl Judge {
    fn apply(&mut self, event: Event) {
        match event {
            Event::Answers(batch) if !self.resolved => {
                self.race.answers(at(self.now), batch.clone());
                for addr in batch {
                    let wanted = self.only.is_none_or(|only| only == Family::of(&addr));
                    if wanted && !self.answered.contains(&addr) {
                        self.answered.push(addr);
                    }
                }
            }
            Event::Resolved if !self.resolved => {
                self.resolved = true;
                self.race.resolved(at(self.now));
            }
            Event::Fail(nth) if !self.under_way.is_empty() => {
                self.under_way.swap_remove(nth % self.under_way.len());
                self.failed_since = true;
                self.race.failed(at(self.now));
            }
            Event::Pass(millis) => self.now += millis,
            _ => {}
        }
        self.step();
    }

    fn step(&mut self) {
        loop {
            match self.race.step(at(self.now)) {
                Step::Dial(addr) => self.dialled(addr),
                Step::WaitUntil(time) => {
                    assert!(time > at(self.now), "a wait that is over");
                    assert!(self.untried().next().is_some(), "a timer for nothing");
                    return;
                }
                Step::Wait => {
                    assert!(self.untried().next().is_none(), "forgot an address");
                    assert!(!self.resolved || !self.under_way.is_empty(), "waits for nothing");
                    return;
                }
                Step::Failed => {
                    assert!(self.resolved && self.under_way.is_empty(), "gave up too early");
                    assert!(self.untried().next().is_none(), "gave up with addresses left");
                    self.over = true;
                    return;
                }
            }
        }
    }

    fn dialled(&mut self, addr: SocketAddr) {
        assert!(self.answered.contains(&addr), "made an address up");
        assert!(!self.tried.contains(&addr), "tried twice");
        if let Some(last) = self.last_start {
            assert!(self.failed_since || self.now - last >= 250, "attempts too close");
        }
        if let Some(last) = self.tried.last() {
            let other = Family::of(last).other();
            let other_left = self.untried().any(|addr| Family::of(addr) == other);
            assert!(Family::of(&addr) == other || !other_left, "not interleaved");
        }
        self.tried.push(addr);
        self.under_way.push(addr);
        self.last_start = Some(self.now);
        self.failed_since = false;
    }

    fn untried(&self) -> impl Iterator<Item = &SocketAddr> {
        self.answered.iter().filter(|addr| !self.tried.contains(addr))
    }
}

proptest! {
    #[test]
    fn no_order_of_events_breaks_the_rules(
        events in events(),
        only in prop_oneof![2 => Just(None), 1 => Just(Some(Family::V4)), 1 => Just(Some(Family::V6))],
    ) {
        let mut judge = Judge {
            race: Race::new(Delays::default(), only),
            only,
            now: 0,
            answered: Vec::new(),
            resolved: false,
            tried: Vec::new(),
            under_way: Vec::new(),
            last_start: None,
            failed_since: false,
            over: false,
        };
        for event in events {
            judge.apply(event);
        }
        // Then everything fails, and the race must come to its end.
        judge.apply(Event::Resolved);
        while !judge.over {
            judge.apply(if judge.under_way.is_empty() { Event::Pass(50) } else { Event::Fail(0) });
        }
        judge.tried.sort();
        judge.answered.sort();
        prop_assert_eq!(judge.tried, judge.answered);
    }
}
