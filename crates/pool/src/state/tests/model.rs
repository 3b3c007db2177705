//! Any interleaving of what can happen, beside a model that only counts.

use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug)]
enum Step {
    Join { blocks: bool, patient: bool },
    Claim(prop::sample::Index),
    Leave(prop::sample::Index),
    Arrive(prop::sample::Index),
    Return(prop::sample::Index),
    Break(prop::sample::Index),
    Detach(prop::sample::Index),
    DialOpens(prop::sample::Index),
    DialFails(prop::sample::Index),
    Advance(u32),
    Upkeep,
    Resize { min: usize, max: usize },
    Invalidate(u16),
    Readdress(u16),
    Check,
    CheckEnds { at: prop::sample::Index, good: bool },
    Close,
}

fn step() -> impl Strategy<Value = Step> {
    use any as a;
    use prop::sample::Index;
    prop_oneof![
        8 => (a::<bool>(), a::<bool>()).prop_map(|(blocks, patient)| Step::Join { blocks, patient }),
        8 => a::<Index>().prop_map(Step::Claim),
        3 => a::<Index>().prop_map(Step::Leave),
        6 => a::<Index>().prop_map(Step::Arrive),
        8 => a::<Index>().prop_map(Step::Return),
        2 => a::<Index>().prop_map(Step::Break),
        1 => a::<Index>().prop_map(Step::Detach),
        6 => a::<Index>().prop_map(Step::DialOpens),
        2 => a::<Index>().prop_map(Step::DialFails),
        4 => (1..30_000_u32).prop_map(Step::Advance),
        4 => Just(Step::Upkeep),
        1 => (0..3_usize, 1..6_usize).prop_map(|(min, max)| Step::Resize { min: min.min(max), max }),
        1 => (1..4_u16).prop_map(Step::Invalidate),
        1 => (1..4_u16).prop_map(Step::Readdress),
        3 => Just(Step::Check),
        3 => (a::<Index>(), prop::bool::weighted(0.7)).prop_map(|(at, good)| Step::CheckEnds { at, good }),
    ]
}

/// What somebody outside knows: who waits, who holds what.
#[derive(Default)]
#[expect(clippy::vec_box, reason = "boxed is how they are lent")]
struct Outside {
    waiting: Vec<Place<u32>>,
    held: Vec<Box<Live<u32>>>,
    checked: Vec<Box<Live<u32>>>,
    hits: u64,
    misses: u64,
    largest_max: usize,
}

impl Outside {
    fn got(&mut self, live: Box<Live<u32>>) {
        if live.fresh {
            self.misses += 1;
        } else {
            self.hits += 1;
        }
        let mut live = live;
        live.begin_use();
        self.held.push(live);
    }
}

fn take<V>(from: &mut Vec<V>, at: &prop::sample::Index) -> Option<V> {
    (!from.is_empty()).then(|| from.remove(at.index(from.len())))
}

fn apply(bench: &mut Bench, outside: &mut Outside, step: Step) {
    match step {
        Step::Join { blocks, patient } => {
            let timeout = Duration::from_secs(if patient { 1000 } else { 10 });
            match bench.join(blocks, timeout) {
                Ok(Ok(live)) => outside.got(live),
                Ok(Err(place)) => outside.waiting.push(place),
                Err(_) => {}
            }
        }
        Step::Claim(at) => {
            if outside.waiting.is_empty() {
                return;
            }
            let at = at.index(outside.waiting.len());
            match bench.claim(&outside.waiting[at]) {
                Poll::Pending => {}
                Poll::Ready(answer) => {
                    let place = outside.waiting.remove(at);
                    if let Ok(mut live) = answer {
                        if !place.blocks {
                            live.seat = Some(place.seat);
                        }
                        outside.got(live);
                    }
                }
            }
        }
        Step::Leave(at) => {
            if let Some(place) = take(&mut outside.waiting, &at) {
                bench.leave(&place);
            }
        }
        Step::Arrive(at) => {
            if !bench.deliveries.is_empty() {
                bench.arrive(at.index(bench.deliveries.len()));
            }
        }
        Step::Return(at) => {
            if let Some(mut live) = take(&mut outside.held, &at) {
                live.since = bench.now;
                bench.give_back(live);
            }
        }
        Step::Break(at) => {
            if let Some(live) = take(&mut outside.held, &at) {
                bench.run(|state, now, fx| state.discard(live, CloseReason::Broken, now, fx));
            }
        }
        Step::Detach(at) => {
            if let Some(live) = take(&mut outside.held, &at) {
                bench.run(|state, now, fx| state.detach(&live, now, fx));
            }
        }
        Step::DialOpens(at) if !bench.orders.is_empty() => {
            bench.end_dial(at.index(bench.orders.len()), true);
        }
        Step::DialFails(at) if !bench.orders.is_empty() => {
            bench.end_dial(at.index(bench.orders.len()), false);
        }
        Step::DialOpens(_) | Step::DialFails(_) => {}
        Step::Advance(millis) => bench.advance(Duration::from_millis(millis.into())),
        Step::Upkeep => {
            bench.upkeep();
        }
        Step::Resize { min, max } => {
            outside.largest_max = outside.largest_max.max(max);
            // What `ConnectionPool::resize` refuses.
            let min = min.min(bench.state.max_idle().unwrap_or(usize::MAX));
            bench.run(|state, now, fx| state.resize(min, max, now, fx));
        }
        Step::Invalidate(port) => {
            let target = targets(port).pop().unwrap();
            bench.run(|state, now, fx| state.invalidate(&target, now, fx));
        }
        Step::Readdress(count) => {
            bench.run(|state, now, fx| state.set_addresses(targets(count), &[], now, fx).unwrap());
        }
        Step::Check => {
            outside.checked.extend(bench.state.take_for_check(bench.now));
        }
        Step::CheckEnds { at, good } => {
            if let Some(live) = take(&mut outside.checked, &at) {
                bench.run(|state, now, fx| {
                    if good {
                        state.checked(live, now, fx);
                    } else {
                        state.check_failed(live, now, fx);
                    }
                });
            }
        }
        Step::Close => bench.run(|state, _, fx| state.close(fx)),
    }
}

fn counts_of(census: &Census) -> u64 {
    census.counts.hits + census.counts.misses
}

/// What must hold after every step.
fn check(bench: &Bench, outside: &Outside) -> Result<(), TestCaseError> {
    let state = &bench.state;
    let census = state.census();
    // Served and not fetched yet: on the way to a seat, or with a waiter that is out of the line.
    let in_hand_off = census.open - census.idle - census.checking - outside.held.len();
    prop_assert!(in_hand_off + census.waiting <= outside.waiting.len() + bench.deliveries.len());
    // Counted when served, seen when fetched.
    let served = counts_of(&census) - outside.hits - outside.misses;
    prop_assert_eq!(served, in_hand_off as u64);
    prop_assert!(
        census.open + census.dialling <= outside.largest_max,
        "above the maximum"
    );
    prop_assert_eq!(
        census.dialling,
        bench.orders.len(),
        "a dial was lost or counted twice"
    );
    let counts = census.counts;
    prop_assert_eq!(counts.created, u64::from(bench.next));
    prop_assert_eq!(
        counts.created - counts.closed.total(),
        census.open as u64,
        "created and not closed is open"
    );
    prop_assert_eq!(
        counts.closed.total() - counts.closed.detached,
        bench.closed.len() as u64
    );
    // No connection in two hands, none used after it was closed.
    let (mut seen, mut chairs) = (std::collections::HashSet::new(), std::collections::HashSet::new());
    for n in outside
        .held
        .iter()
        .chain(&outside.checked)
        .map(|live| live.connection)
    {
        prop_assert!(seen.insert(n), "{} is in two hands", n);
    }
    for live in &state.idle {
        prop_assert!(
            seen.insert(live.connection),
            "{} is idle and out",
            live.connection
        );
    }
    for (n, _) in &bench.closed {
        prop_assert!(seen.insert(*n), "{} is closed and in use", n);
    }
    // A seat is free or one waiter's.
    let seats = outside
        .waiting
        .iter()
        .map(|place| &place.seat)
        .chain(&state.seats);
    let taken_along = outside.held.iter().filter_map(|live| live.seat.as_ref());
    for seat in seats.chain(taken_along) {
        prop_assert!(chairs.insert(Arc::as_ptr(seat)), "two on one seat");
    }
    // Work is conserved: nobody who could be served is left waiting.
    prop_assert_eq!(state.woken, state.woken_in_line());
    if state.woken < census.waiting {
        prop_assert!(
            census.idle <= state.woken,
            "idle connections, and somebody whom nobody woke"
        );
    }
    let most_idle = state.max_idle.max(state.woken);
    prop_assert!(census.idle <= most_idle, "more idle than allowed");
    prop_assert_eq!(census.checking, outside.checked.len());
    Ok(())
}

/// From any state on: everybody comes back, dials work again. Every waiter must get an answer, and the
/// minimum must be open.
fn settle(bench: &mut Bench, outside: &mut Outside) -> Result<(), TestCaseError> {
    bench.slow = false;
    for _ in 0..2_000 {
        for live in std::mem::take(&mut outside.held) {
            bench.give_back(live);
        }
        for live in std::mem::take(&mut outside.checked) {
            bench.run(|state, now, fx| state.checked(live, now, fx));
        }
        while !bench.deliveries.is_empty() {
            bench.arrive(0);
        }
        bench.open_all();
        let waiting = std::mem::take(&mut outside.waiting);
        for place in waiting {
            match bench.claim(&place) {
                Poll::Pending => outside.waiting.push(place),
                Poll::Ready(Ok(live)) => outside.got(live),
                Poll::Ready(Err(_)) => {}
            }
        }
        let census = bench.state.census();
        if outside.waiting.is_empty() && outside.held.is_empty() && census.open >= census.min {
            return Ok(());
        }
        bench.advance(Duration::from_millis(50));
        bench.upkeep();
    }
    let census = bench.state.census();
    prop_assert!(false, "{} wait for ever, {census:?}", outside.waiting.len());
    Ok(())
}

proptest! {
    #[test]
    fn any_interleaving_keeps_the_counts_exact_and_answers_everybody(
        (min, max, max_idle) in (0..3_usize, 1..6_usize, 1..6_usize),
        addresses in 1..4_u16,
        steps in prop::collection::vec(step(), 1..120),
        close in any::<bool>(),
    ) {
        let min = min.min(max).min(max_idle);
        let mut bench = Bench::new(
            Limits {
                max_idle,
                max_lifetime: Some(Duration::from_secs(90)),
                lifetime_jitter: 0.5,
                check_every: Some(Duration::from_secs(20)),
                ..limits(min, max)
            },
            addresses,
        );
        bench.slow = true;
        let mut outside = Outside { largest_max: max, ..Outside::default() };
        for step in steps {
            let shown = format!("{step:?}");
            apply(&mut bench, &mut outside, step);
            check(&bench, &outside).map_err(|e| TestCaseError::fail(format!("after {shown}: {e}")))?;
        }
        if close {
            apply(&mut bench, &mut outside, Step::Close);
            while !bench.deliveries.is_empty() {
                bench.arrive(0);
            }
            for place in outside.waiting.drain(..) {
                // Some had been served before.
                match bench.claim(&place) {
                    Poll::Ready(Ok(live)) => outside.held.push(live),
                    Poll::Ready(Err(_)) => {}
                    Poll::Pending => prop_assert!(false, "a waiter outlives the pool"),
                }
            }
            for live in outside.held.drain(..) {
                bench.give_back(live);
            }
            for live in outside.checked.drain(..) {
                bench.run(|state, now, fx| state.check_failed(live, now, fx));
            }
            bench.open_all();
            let census = bench.state.census();
            prop_assert_eq!((census.open, census.dialling, census.waiting), (0, 0, 0));
            prop_assert_eq!(bench.state.book().counts().map(|(_, n)| n).sum::<usize>(), 0);
        } else {
            settle(&mut bench, &mut outside)?;
            check(&bench, &outside)?;
        }
    }
}
