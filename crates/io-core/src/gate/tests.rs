use std::future::Future;
use std::pin::pin;
use std::task::Waker;

use proptest::prelude::*;

use super::*;

fn poll<F: Future + ?Sized>(future: std::pin::Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

#[test]
fn a_free_gate_lets_in_up_to_its_limit() {
    let gate = Gate::new(2);
    assert!(gate.try_enter());
    assert!(gate.try_enter());
    assert!(!gate.try_enter());
    gate.leave();
    assert!(gate.try_enter());
    assert_eq!(gate.taken(), 2);
}

#[test]
fn places_go_in_the_order_of_asking_and_newcomers_do_not_overtake() {
    let gate = Arc::new(Gate::new(1));
    assert!(gate.try_enter());
    let mut first = pin!(Gate::enter(&gate));
    let mut second = pin!(Gate::enter(&gate));
    assert!(poll(first.as_mut()).is_pending());
    assert!(poll(second.as_mut()).is_pending());

    gate.leave();
    assert!(!gate.try_enter(), "a newcomer overtook the line");
    assert!(poll(second.as_mut()).is_pending());
    let Poll::Ready(place) = poll(first.as_mut()) else {
        panic!("the head of the line was not served")
    };
    drop(place);
    assert!(poll(second.as_mut()).is_ready());
}

#[test]
fn a_waiter_cancelled_after_its_place_was_granted_hands_it_on() {
    let gate = Arc::new(Gate::new(1));
    assert!(gate.try_enter());
    let mut cancelled = Box::pin(Gate::enter(&gate));
    let mut next = pin!(Gate::enter(&gate));
    assert!(poll(cancelled.as_mut()).is_pending());
    assert!(poll(next.as_mut()).is_pending());
    gate.leave();
    drop(cancelled);
    assert!(
        poll(next.as_mut()).is_ready(),
        "the granted place was lost with its waiter"
    );
}

#[test]
fn a_storm_of_waiters_that_give_up_leaves_nothing_behind() {
    let gate = Arc::new(Gate::new(1));
    assert!(gate.try_enter());
    for _ in 0..10_000 {
        let mut waiter = Box::pin(Gate::enter(&gate));
        assert!(poll(waiter.as_mut()).is_pending());
    }
    assert_eq!(gate.waiting(), 0);
    assert!(gate.line.lock().seats.is_empty());
    gate.leave();
    assert_eq!(gate.taken(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_limit_holds_under_contention_and_every_place_comes_back() {
    use std::sync::atomic::AtomicUsize;
    let gate = Arc::new(Gate::new(3));
    let inside = Arc::new(AtomicUsize::new(0));
    let tasks: Vec<_> = (0..16)
        .map(|_| {
            let (gate, inside) = (gate.clone(), inside.clone());
            tokio::spawn(async move {
                for _ in 0..200 {
                    let place = Gate::enter(&gate).await;
                    assert!(inside.fetch_add(1, Ordering::SeqCst) < 3);
                    tokio::task::yield_now().await;
                    inside.fetch_sub(1, Ordering::SeqCst);
                    drop(place);
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!((gate.taken(), gate.waiting()), (0, 0));
}

/// What may happen to a gate, each on one of eight numbered callers.
#[derive(Clone, Debug)]
enum Step {
    Ask(usize),
    Poll(usize),
    Drop(usize),
}

fn step() -> impl Strategy<Value = Step> {
    (0..3u8, 0..8usize).prop_map(|(what, who)| match what {
        0 => Step::Ask(who),
        1 => Step::Poll(who),
        _ => Step::Drop(who),
    })
}

proptest! {
    #[test]
    fn any_interleaving_keeps_the_limit_and_serves_the_line(
        limit in 1..4usize,
        steps in proptest::collection::vec(step(), 1..200),
    ) {
        let gate = Arc::new(Gate::new(limit));
        type Asking = std::pin::Pin<Box<dyn Future<Output = Place>>>;
        enum Caller { Out, Asking(Asking), In(#[allow(dead_code)] Place) }
        let mut callers: Vec<Caller> = (0..8).map(|_| Caller::Out).collect();
        for step in steps {
            match step {
                Step::Ask(who) if matches!(callers[who], Caller::Out) => {
                    let gate = gate.clone();
                    callers[who] = Caller::Asking(Box::pin(async move { Gate::enter(&gate).await }));
                }
                Step::Ask(who) | Step::Poll(who) => {
                    if let Caller::Asking(asking) = &mut callers[who]
                        && let Poll::Ready(place) = poll(asking.as_mut())
                    {
                        callers[who] = Caller::In(place);
                    }
                }
                Step::Drop(who) => callers[who] = Caller::Out,
            }
            let inside = callers.iter().filter(|c| matches!(c, Caller::In(_))).count();
            prop_assert!(inside <= limit);
            prop_assert!(gate.taken() <= limit);
        }
        drop(callers);
        prop_assert_eq!((gate.taken(), gate.waiting()), (0, 0));
    }

    #[test]
    fn whoever_asks_is_served_once_those_inside_are_gone(limit in 1..4usize, crowd in 1..9usize) {
        let gate = Arc::new(Gate::new(limit));
        for _ in 0..limit {
            prop_assert!(gate.try_enter());
        }
        let mut line: VecDeque<_> = (0..crowd).map(|_| Box::pin(Gate::enter(&gate))).collect();
        for waiter in &mut line {
            prop_assert!(poll(waiter.as_mut()).is_pending());
        }
        for _ in 0..limit {
            gate.leave();
        }
        while let Some(mut head) = line.pop_front() {
            prop_assert!(poll(head.as_mut()).is_ready());
        }
        prop_assert_eq!((gate.taken(), gate.waiting()), (0, 0));
    }
}
