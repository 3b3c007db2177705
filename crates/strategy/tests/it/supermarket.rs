//! The supermarket model: a fleet of queues with a known answer.
//!
//! Requests come as a Poisson stream of rate lambda for each of n servers; each server serves one at a
//! time, in exponential time of mean 1. With d random choices a request takes, for many servers, the
//! sum over i >= 1 of lambda^((d^i - d) / (d - 1)); with d = 1 it is 1 / (1 - lambda)
//! (Mitzenmacher 1996; Vvedenskaya, Dobrushin, Karpelevich 1996).

use evenkeel_stats::Timestamp;
use evenkeel_strategy::{BuildContext, PickContext, PowerOfTwo, Random, Strategy};

use crate::all::{Words, members};

/// The mean time a request takes, over so many service times.
///
/// Simulated by uniformization: events come at the rate of all arrivals and all possible departures
/// together, each is one or the other by chance, and a departure at an idle server is none. So no
/// queue of events is needed, and the mean number there over the rate is the mean time (Little's law).
///
/// `full` starts from the queue lengths that random choice tends to, which it takes long to reach.
fn mean_time(strategy: &dyn Strategy, lambda: f64, full: bool, service_times: usize) -> f64 {
    let servers = 500;
    let members = members(&vec![1; servers]);
    let picker = strategy.build(&BuildContext::new(&members)).unwrap();
    let mut words = Words(2_024);
    let mut there = 0_u64;
    if full {
        for member in &members {
            while words.unit() < lambda {
                member.load().begin();
                there += 1;
            }
        }
    }
    let events = (servers as f64 * (1.0 + lambda)) as usize * service_times;
    let warm_up = events / 10;
    let mut sum = 0_u64;
    for event in 0..events {
        if words.unit() * (1.0 + lambda) < lambda {
            let context = PickContext::new(Timestamp::ZERO, words.next());
            members[picker.pick(&context).unwrap()].load().begin();
            there += 1;
        } else {
            let cell = members[words.below(servers)].load();
            if cell.in_flight() > 0 {
                cell.release();
                there -= 1;
            }
        }
        if event >= warm_up {
            sum += there;
        }
    }
    sum as f64 / (events - warm_up) as f64 / servers as f64 / lambda
}

fn assert_close(measured: f64, expected: f64) {
    let off = (measured / expected - 1.0).abs();
    assert!(off < 0.03, "{measured} is {:.1} % off {expected}", off * 100.0);
}

#[test]
fn two_choices_queue_as_theory_says() {
    for (lambda, expected, service_times) in [(0.7, 1.6145, 400), (0.9, 2.6141, 800), (0.95, 3.3830, 1_600)] {
        assert_close(
            mean_time(&PowerOfTwo::in_flight(), lambda, false, service_times),
            expected,
        );
    }
}

#[test]
fn random_queues_as_theory_says() {
    for (lambda, service_times) in [(0.7_f64, 600), (0.9, 6_000), (0.95, 40_000)] {
        assert_close(
            mean_time(&Random, lambda, true, service_times),
            1.0 / (1.0 - lambda),
        );
    }
}
