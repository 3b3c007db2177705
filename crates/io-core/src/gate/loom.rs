//! Every interleaving of few threads at a gate.

use std::task::Waker;

use ::loom::{model, thread};

use super::*;

fn cx() -> Context<'static> {
    Context::from_waker(Waker::noop())
}

#[test]
fn loom_a_leaver_and_a_joiner_never_miss_each_other() {
    model(|| {
        let gate = Arc::new(Gate::new(1));
        assert!(gate.try_enter());
        let joiner = {
            let gate = gate.clone();
            thread::spawn(move || {
                let mut ticket = None;
                let ready = gate.poll_enter(&mut ticket, &mut cx()).is_ready();
                (ready, ticket)
            })
        };
        gate.leave();
        let (ready, mut ticket) = joiner.join().unwrap();
        // With the only holder gone, whoever queued must have been served.
        assert!(ready || gate.poll_enter(&mut ticket, &mut cx()).is_ready());
        gate.leave();
        assert_eq!((gate.taken(), gate.waiting()), (0, 0));
    });
}

#[test]
fn loom_a_place_granted_to_one_who_gives_up_is_not_lost() {
    model(|| {
        let gate = Arc::new(Gate::new(1));
        assert!(gate.try_enter());
        let mut ticket = None;
        assert!(gate.poll_enter(&mut ticket, &mut cx()).is_pending());
        let leaver = {
            let gate = gate.clone();
            thread::spawn(move || gate.leave())
        };
        gate.abandon(ticket.take().unwrap());
        leaver.join().unwrap();
        assert_eq!((gate.taken(), gate.waiting()), (0, 0));
        assert!(gate.try_enter());
    });
}

#[test]
fn loom_two_who_enter_at_once_never_exceed_the_limit() {
    model(|| {
        let gate = Arc::new(Gate::new(1));
        let other = {
            let gate = gate.clone();
            thread::spawn(move || gate.try_enter())
        };
        let mine = gate.try_enter();
        let theirs = other.join().unwrap();
        assert!(mine ^ theirs, "exactly one gets the only place");
    });
}
