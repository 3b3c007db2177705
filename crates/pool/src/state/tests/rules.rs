//! One rule at a time.

use super::*;

const HOUR: Duration = Duration::from_secs(3600);

#[test]
fn a_returned_connection_goes_to_the_head_and_nobody_overtakes() {
    let mut bench = Bench::new(limits(0, 1), 1);
    let holder = bench.wait();
    bench.open_all();
    let live = bench.served(&holder);
    let (first, second) = (bench.wait(), bench.wait());
    bench.give_back(live);
    assert!(bench.state.take_idle().is_none(), "a newcomer overtook the line");
    assert!(bench.claim(&second).is_pending());
    let live = bench.served(&first);
    bench.give_back(live);
    bench.served(&second);
}

#[test]
fn a_waiter_that_leaves_after_it_was_served_passes_the_connection_on() {
    let mut bench = Bench::new(limits(0, 1), 1);
    let holder = bench.wait();
    bench.open_all();
    let live = bench.served(&holder);
    let (gone, next) = (bench.wait(), bench.wait());
    bench.give_back(live);
    bench.leave(&gone);
    bench.served(&next);
}

#[test]
fn a_connection_that_finds_nobody_at_the_seat_goes_to_the_next() {
    let mut bench = Bench::new(limits(0, 1), 1);
    let holder = bench.wait();
    bench.open_all();
    let live = bench.served(&holder);
    let (gone, next) = (bench.wait(), bench.wait());
    bench.slow = true;
    bench.give_back(live);
    bench.leave(&gone);
    bench.slow = false;
    bench.arrive(0);
    bench.served(&next);
}

#[test]
fn what_was_kept_for_those_whose_time_is_over_does_not_lie_idle_beyond_the_limit() {
    let mut bench = Bench::new(
        Limits {
            max_idle: 1,
            ..limits(0, 2)
        },
        1,
    );
    let (first, second) = (bench.wait(), bench.wait());
    bench.open_all();
    let (one, other) = (bench.served(&first), bench.served(&second));
    let late = |bench: &mut Bench, blocks| bench.join(blocks, Duration::from_secs(10)).unwrap().unwrap_err();
    let _thread = late(&mut bench, true);
    let _task = late(&mut bench, false);
    bench.give_back(one);
    assert_eq!(bench.state.census().idle, 1, "lies there for the thread");
    bench.advance(Duration::from_secs(11));
    bench.give_back(other);
    assert_eq!(bench.state.census().idle, 1);
    assert_eq!(bench.closed.len(), 1);
}

#[test]
fn a_connection_is_not_handed_to_a_waiter_whose_time_is_over() {
    let mut bench = Bench::new(limits(0, 1), 1);
    let holder = bench.wait();
    bench.open_all();
    let live = bench.served(&holder);
    let Ok(Err(late)) = bench.join(false, Duration::from_secs(1)) else {
        panic!()
    };
    let next = bench.wait();
    bench.advance(Duration::from_secs(2));
    bench.give_back(live);
    assert!(matches!(bench.refused(&late), CheckoutError::Timeout { .. }));
    bench.served(&next);
}

#[test]
fn a_timeout_says_how_many_were_ahead_and_what_it_waited_for() {
    let mut bench = Bench::new(limits(0, 1), 1);
    let _dialled_for = bench.wait();
    let Ok(Err(second)) = bench.join(false, Duration::from_secs(1)) else {
        panic!()
    };
    bench.advance(Duration::from_secs(1));
    bench.upkeep();
    let CheckoutError::Timeout {
        phase, waited, ahead, ..
    } = bench.refused(&second)
    else {
        panic!("not timed out");
    };
    assert_eq!((ahead, waited), (1, Duration::from_secs(1)));
    assert_eq!(
        phase,
        evenkeel_stats::Phase::Queue,
        "the one dial is the first one's"
    );
}

#[test]
fn a_blocking_caller_may_be_overtaken_but_not_for_long() {
    let mut bench = Bench::new(limits(0, 1), 1);
    let holder = bench.wait();
    bench.open_all();
    let live = bench.served(&holder);
    let Ok(Err(sleeper)) = bench.join(true, HOUR) else {
        panic!()
    };
    bench.give_back(live);
    let live = bench.state.take_idle().expect("the sleeper has not woken yet");
    assert!(bench.claim(&sleeper).is_pending(), "it woke too late");
    bench.advance(Duration::from_millis(2));
    bench.give_back(live);
    assert!(bench.state.take_idle().is_none(), "it has waited long enough");
    bench.served(&sleeper);
}

#[test]
fn a_blocking_caller_that_leaves_lets_the_next_one_have_what_it_was_woken_for() {
    for next_blocks in [false, true] {
        let mut bench = Bench::new(limits(0, 1), 1);
        let holder = bench.wait();
        bench.open_all();
        let live = bench.served(&holder);
        let Ok(Err(sleeper)) = bench.join(true, HOUR) else {
            panic!()
        };
        let Ok(Err(next)) = bench.join(next_blocks, HOUR) else {
            panic!()
        };
        bench.give_back(live);
        bench.leave(&sleeper);
        bench.served(&next);
    }
}

#[test]
fn what_lies_idle_for_a_sleeper_is_the_next_ones_once_the_sleeper_is_served() {
    let mut bench = Bench::new(limits(0, 2), 1);
    let holders = [bench.wait(), bench.wait()];
    bench.open_all();
    let [one, two] = holders.map(|key| bench.served(&key));
    let Ok(Err(sleeper)) = bench.join(true, HOUR) else {
        panic!()
    };
    let task = bench.wait();
    bench.give_back(one);
    bench.advance(Duration::from_millis(2));
    bench.give_back(two);
    bench.served(&sleeper);
    bench.served(&task);
}

#[test]
fn surplus_dials_are_given_up_but_the_oldest_goes_on() {
    let mut bench = Bench::new(limits(0, 9), 1);
    let holder = bench.wait();
    bench.open_all();
    let mut live = bench.served(&holder);
    let waiters: Vec<_> = (0..3).map(|_| bench.wait()).collect();
    assert_eq!(bench.orders.len(), 3);
    for key in waiters {
        bench.give_back(live);
        live = bench.served(&key);
    }
    let given_up: Vec<_> = bench
        .orders
        .iter()
        .map(|order| order.abort.handle().is_aborted())
        .collect();
    assert_eq!(given_up, [false, true, true]);
}

#[test]
fn dials_are_bounded_by_the_waiters_the_concurrency_and_the_room() {
    let mut bench = Bench::new(limits(0, 9), 1);
    bench.wait();
    bench.wait();
    assert_eq!(bench.orders.len(), 2, "one for each that waits");
    for _ in 0..6 {
        bench.wait();
    }
    assert_eq!(bench.orders.len(), 3, "connect_concurrency");
    let error = bench.join(false, HOUR).unwrap_err();
    assert!(matches!(*error, CheckoutError::QueueFull { limit: 8 }), "{error}");
}

#[test]
fn a_failed_dial_tells_those_who_wait_only_when_nothing_is_open_and_retries_are_spent() {
    let mut bench = Bench::new(limits(0, 2), 1);
    let key = bench.wait();
    bench.end_dial(0, false);
    assert!(bench.claim(&key).is_pending(), "there is a retry left");
    let at = bench.upkeep().unwrap();
    bench.now = at;
    bench.upkeep();
    bench.end_dial(0, false);
    assert!(matches!(bench.refused(&key), CheckoutError::Connect(_)));

    let mut bench = Bench::new(limits(0, 2), 1);
    let holder = bench.wait();
    bench.open_all();
    let live = bench.served(&holder);
    let hopeful = bench.wait();
    bench.end_dial(0, false);
    assert!(
        bench.claim(&hopeful).is_pending(),
        "something is open that may come back"
    );
    bench.now = bench.upkeep().unwrap();
    bench.upkeep();
    bench.end_dial(0, false);
    // The address has proved dead, and its connections with it: what comes back is nobody's.
    assert!(matches!(bench.refused(&hopeful), CheckoutError::Connect(_)));
    bench.give_back(live);
    assert_eq!(bench.closed, [(1, CloseReason::Invalidated)]);
}

#[test]
fn the_background_task_does_not_wake_itself() {
    let mut bench = Bench::new(limits(1, 1), 1);
    bench.upkeep();
    bench.end_dial(0, false);
    let mut fx = Effects::none();
    let at = bench.state.upkeep(bench.now, &mut fx).unwrap();
    assert!(at > bench.now, "there is a retry to wait for");
    let lists = fx.into_lists();
    assert!(
        lists.is_none_or(|lists| !lists.nudge),
        "it would spin until the retry"
    );
}

#[test]
fn an_idle_pool_shrinks_to_its_minimum_by_and_by() {
    let mut bench = Bench::new(limits(2, 12), 1);
    let waiters: Vec<_> = (0..8).map(|_| bench.wait()).collect();
    bench.open_all();
    for key in waiters {
        let live = bench.served(&key);
        bench.give_back(live);
    }
    assert_eq!(bench.state.census().open, 8);
    bench.advance(Duration::from_secs(60));
    bench.upkeep();
    assert_eq!(bench.state.census().open, 6, "a quarter at a time");
    for _ in 0..100 {
        bench.now = bench.upkeep().unwrap();
    }
    assert_eq!(bench.state.census().open, 2);
    assert!(
        bench
            .closed
            .iter()
            .all(|&(_, reason)| reason == CloseReason::Idle)
    );
}

#[test]
fn an_old_connection_of_the_minimum_stays_until_its_successor_is_open() {
    let mut bench = Bench::new(
        Limits {
            max_lifetime: Some(Duration::from_secs(100)),
            idle_timeout: HOUR,
            ..limits(2, 3)
        },
        1,
    );
    bench.upkeep();
    bench.open_all();
    assert_eq!(bench.state.census().open, 2);
    for _ in 0..20 {
        bench.now = bench.upkeep().unwrap();
        bench.upkeep();
        assert!(bench.state.census().open >= 2, "below the minimum");
        bench.open_all();
        if bench.closed.len() >= 2 {
            break;
        }
    }
    assert!(bench.closed.len() >= 2);
    assert!(
        bench
            .closed
            .iter()
            .all(|&(_, reason)| reason == CloseReason::Expired)
    );
}

#[test]
fn renewing_a_minimum_that_is_all_that_may_be_idle_does_not_open_what_it_must_close() {
    let mut bench = Bench::new(
        Limits {
            max_idle: 2,
            max_lifetime: Some(Duration::from_secs(100)),
            idle_timeout: HOUR,
            ..limits(2, 5)
        },
        1,
    );
    bench.upkeep();
    bench.open_all();
    bench.advance(Duration::from_secs(100));
    for _ in 0..4 {
        bench.upkeep();
        bench.open_all();
        bench.advance(Duration::from_millis(100));
    }
    assert_eq!(
        bench.closed,
        [(1, CloseReason::Expired), (2, CloseReason::Expired)]
    );
}

#[test]
fn without_room_for_a_successor_old_connections_go_one_at_a_time() {
    let mut bench = Bench::new(
        Limits {
            max_lifetime: Some(Duration::from_secs(100)),
            idle_timeout: HOUR,
            ..limits(4, 4)
        },
        1,
    );
    bench.upkeep();
    bench.open_all();
    bench.advance(Duration::from_secs(100));
    for renewed in 1..=4 {
        bench.upkeep();
        assert_eq!(bench.state.census().open, 3);
        assert_eq!(bench.closed.len(), renewed);
        bench.open_all();
        bench.advance(Duration::from_millis(100));
    }
}

#[test]
fn invalidate_spares_what_is_opened_after_it_and_other_addresses() {
    let mut bench = Bench::new(limits(0, 4), 2);
    let waiters: Vec<_> = (0..2).map(|_| bench.wait()).collect();
    let during = bench.wait();
    bench.end_dial(0, true);
    bench.end_dial(0, true);
    let lives: Vec<_> = waiters.into_iter().map(|key| bench.served(&key)).collect();
    let dead = bench.orders[0].chosen.address.target.clone();
    assert_eq!(bench.run(|state, now, fx| state.invalidate(&dead, now, fx)), 0);
    assert!(
        bench.orders[0].abort.handle().is_aborted(),
        "it could only be thrown away"
    );
    bench.end_dial(0, true);
    assert!(bench.claim(&during).is_pending());
    for live in lives {
        bench.give_back(live);
    }
    let survivors: Vec<_> = bench.closed.iter().map(|&(_, reason)| reason).collect();
    assert_eq!(survivors, [CloseReason::Invalidated]);
    let live = bench.served(&during);
    assert_ne!(live.address.target, dead);
}

#[test]
fn a_closed_pool_answers_everybody_and_takes_nothing_back() {
    let mut bench = Bench::new(limits(0, 1), 1);
    let holder = bench.wait();
    bench.open_all();
    let live = bench.served(&holder);
    let waiting = bench.wait();
    bench.run(|state, _, fx| state.close(fx));
    assert!(matches!(bench.refused(&waiting), CheckoutError::Closed));
    assert!(matches!(
        *bench.join(false, HOUR).unwrap_err(),
        CheckoutError::Closed
    ));
    bench.give_back(live);
    assert_eq!(bench.closed, [(1, CloseReason::Shutdown)]);
    assert_eq!((bench.state.out(), bench.upkeep()), (0, None));
}

#[test]
fn shrinking_at_run_time_closes_what_is_too_much_now_and_on_return() {
    let mut bench = Bench::new(limits(0, 4), 1);
    let waiters: Vec<_> = (0..4).map(|_| bench.wait()).collect();
    bench.open_all();
    let mut lives: Vec<_> = waiters.into_iter().map(|key| bench.served(&key)).collect();
    bench.give_back(lives.pop().unwrap());
    bench.run(|state, now, fx| state.resize(0, 2, now, fx));
    assert_eq!(bench.state.census().open, 3);
    for live in lives {
        bench.give_back(live);
    }
    assert_eq!((bench.state.census().open, bench.state.census().idle), (2, 2));
}

#[test]
fn lifo_reuses_the_warmest_and_fifo_the_coldest() {
    for (order, expected) in [(ReuseOrder::Lifo, 3), (ReuseOrder::Fifo, 1)] {
        let mut bench = Bench::new(
            Limits {
                order,
                ..limits(0, 3)
            },
            1,
        );
        let waiters: Vec<_> = (0..3).map(|_| bench.wait()).collect();
        bench.open_all();
        for key in waiters {
            let live = bench.served(&key);
            bench.give_back(live);
        }
        assert_eq!(bench.state.take_idle().unwrap().connection, expected, "{order:?}");
    }
}

#[test]
fn a_checked_connection_does_not_become_the_warmest() {
    let mut bench = Bench::new(
        Limits {
            check_every: Some(Duration::from_secs(1)),
            ..limits(0, 2)
        },
        1,
    );
    let waiters = [bench.wait(), bench.wait()];
    bench.open_all();
    for key in waiters {
        let live = bench.served(&key);
        bench.give_back(live);
    }
    assert!(
        bench.state.take_for_check(bench.now).is_none(),
        "both were just used"
    );
    bench.advance(Duration::from_secs(1));
    let live = bench.state.take_for_check(bench.now).unwrap();
    assert_eq!((live.connection, bench.state.census().checking), (1, 1));
    bench.run(|state, now, fx| state.checked(live, now, fx));
    assert_eq!(bench.state.take_idle().unwrap().connection, 2);
    assert!(
        bench.state.take_for_check(bench.now).is_none(),
        "checked a second time"
    );
}
