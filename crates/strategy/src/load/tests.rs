use super::*;

const fn at(millis: u64) -> Timestamp {
    Timestamp::from_nanos(millis * 1_000_000)
}

fn millis(cell: &LoadCell, now: Timestamp) -> u128 {
    cell.latency(now).unwrap().as_millis()
}

#[test]
fn a_backend_that_fails_fast_does_not_look_fast() {
    let cell = LoadCell::new();
    cell.record(Outcome::Success, Duration::from_millis(20), at(0));
    cell.record(Outcome::Failure, Duration::from_micros(5), at(1));
    assert!(millis(&cell, at(1)) >= 4_900);
}

#[test]
fn an_overload_counts_for_the_time_it_asks_for_but_not_for_ever() {
    let asked = |secs| {
        let cell = LoadCell::new();
        let retry_after = Some(Duration::from_secs(secs));
        cell.record(Outcome::Overload { retry_after }, Duration::ZERO, at(0));
        cell.latency(at(0)).unwrap().as_secs_f64()
    };
    assert!((asked(60) - 60.0).abs() < 1.0);
    assert!((asked(1) - 5.0).abs() < 0.1);
    assert!((asked(u64::MAX) - 300.0).abs() < 3.0);
}

#[test]
fn a_failure_never_lowers_the_average() {
    let cell = LoadCell::new();
    cell.record(Outcome::Success, Duration::from_secs(40), at(0));
    cell.record(Outcome::Failure, Duration::from_millis(1), at(1));
    assert!(millis(&cell, at(1)) >= 39_000);
}

#[test]
fn callers_that_give_up_do_not_make_a_backend_look_fast() {
    let cell = LoadCell::new();
    cell.record(Outcome::Success, Duration::from_millis(100), at(0));
    cell.record(Outcome::Cancelled, Duration::from_millis(1), at(0));
    assert!(millis(&cell, at(0)) >= 99);
    cell.record(Outcome::Cancelled, Duration::from_secs(3), at(1));
    assert!(millis(&cell, at(1)) >= 2_970);
    assert_eq!(cell.totals().failures, 0);
}

#[test]
fn an_end_without_a_begin_does_not_wrap_around() {
    let cell = LoadCell::new();
    cell.release();
    assert_eq!(cell.in_flight(), 0);
    cell.begin();
    assert_eq!(cell.in_flight(), 1);
}

#[test]
fn ends_without_a_begin_on_many_threads_leave_nothing_in_flight() {
    let cell = LoadCell::new();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..5_000 {
                    cell.begin();
                    cell.release();
                    cell.release();
                    assert!(cell.in_flight() <= 4);
                }
            });
        }
    });
    assert_eq!(cell.in_flight(), 0);
}

#[test]
fn the_time_of_failures_is_told_apart_from_that_of_successes() {
    let cell = LoadCell::new();
    cell.record(Outcome::Success, Duration::from_nanos(700), at(0));
    cell.record(Outcome::Failure, Duration::from_nanos(20), at(0));
    let retry_after = Some(Duration::from_secs(9));
    cell.record(Outcome::Overload { retry_after }, Duration::from_nanos(4), at(0));
    let totals = cell.totals();
    assert_eq!((totals.busy_nanos, totals.failed_nanos), (724, 24));
}

#[test]
fn a_cell_fits_the_pair_of_cache_lines_that_it_has_for_itself() {
    assert!(size_of::<Fields>() <= 128);
}

#[test]
fn an_ejection_ends_by_itself_and_gives_back_what_was_before() {
    let cell = LoadCell::new();
    cell.set_readiness(Readiness::Degraded);
    cell.eject_until(at(30));
    assert_eq!(cell.readiness(at(29)), Readiness::Ejected);
    assert_eq!(cell.readiness(at(30)), Readiness::Degraded);
}

#[test]
fn a_good_probe_does_not_cut_an_ejection_short() {
    let cell = LoadCell::new();
    cell.eject_until(at(30));
    cell.set_readiness(Readiness::Ready);
    assert_eq!(cell.readiness(at(10)), Readiness::Ejected);
    cell.end_ejection();
    assert_eq!(cell.readiness(at(10)), Readiness::Ready);
}

#[test]
fn a_shorter_ejection_does_not_cut_a_longer_one() {
    let cell = LoadCell::new();
    cell.eject_until(at(30));
    cell.eject_until(at(10));
    assert_eq!(cell.readiness(at(20)), Readiness::Ejected);
}

#[test]
fn an_ejection_until_the_end_of_time_holds() {
    let cell = LoadCell::new();
    cell.eject_until(Timestamp::MAX);
    assert_eq!(cell.readiness(at(1 << 40)), Readiness::Ejected);
}

#[test]
fn every_readiness_survives_the_state_word() {
    use Readiness::{Degraded, Draining, Ejected, Ready, Unhealthy};
    let cell = LoadCell::new();
    for readiness in [Unhealthy, Degraded, Draining, Ejected, Ready] {
        cell.set_readiness(readiness);
        assert_eq!(cell.readiness(at(5)), readiness);
    }
}

#[test]
fn every_weight_can_be_set_by_hand_and_given_back() {
    let cell = LoadCell::new();
    for weight in [Some(0), Some(u32::MAX), None] {
        cell.set_weight(weight);
        assert_eq!(cell.weight(), weight);
    }
}

#[test]
fn a_backend_that_was_always_there_was_never_young() {
    let cell = LoadCell::new();
    assert_eq!(cell.age(at(5)), None);
    cell.mark_born(Timestamp::ZERO);
    assert!(cell.age(at(5)).is_some());
}

#[test]
fn nonsense_in_the_config_is_named() {
    let config = LoadConfig {
        decay: Duration::ZERO,
        ..LoadConfig::default()
    };
    let error = LoadCell::with_config(&config).unwrap_err();
    assert!(error.to_string().contains("LoadConfig.decay"), "{error}");
    let config = LoadConfig {
        max_retry_after: Duration::from_secs(1),
        ..LoadConfig::default()
    };
    let error = LoadCell::with_config(&config).unwrap_err();
    assert!(error.to_string().contains("max_retry_after"), "{error}");
}

#[test]
fn counts_of_many_threads_come_back_to_zero() {
    let cell = LoadCell::new();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..5_000 {
                    cell.begin();
                    cell.finish(Outcome::Success, Duration::from_millis(2), at(1));
                }
            });
        }
    });
    assert_eq!(cell.in_flight(), 0);
    assert_eq!(cell.totals().successes, 20_000);
    assert_eq!(cell.totals().busy_nanos, 20_000 * 2_000_000);
}

#[test]
fn who_comes_back_is_not_held_to_the_failures_of_its_outage() {
    let cell = LoadCell::new();
    cell.record(Outcome::Failure, Duration::from_millis(1), Timestamp::ZERO);
    cell.forget_latency();
    assert_eq!(cell.latency(Timestamp::ZERO), None);
    cell.record(Outcome::Success, Duration::from_millis(1), Timestamp::ZERO);
    assert_eq!(cell.latency(Timestamp::ZERO), Some(Duration::from_millis(1)));
    assert_eq!(cell.totals().failures, 1);
}

#[test]
fn a_backend_whose_requests_are_cut_short_looks_slower_than_one_that_had_a_bad_moment() {
    let (sick, well) = (LoadCell::new(), LoadCell::new());
    let cut = Duration::from_millis(11);
    for cell in [&sick, &well] {
        cell.begin();
        cell.at_least(Duration::from_millis(10), at(10));
        cell.finish(Outcome::Cancelled, cut, at(11));
        cell.doubt();
    }
    assert_eq!(millis(&sick, at(11)), 44);
    well.record(Outcome::Success, Duration::from_millis(1), at(20));
    assert_eq!(millis(&well, at(20)), 10, "it answers: what is left is the peak");
    for _ in 0..100 {
        sick.doubt();
    }
    assert_eq!(millis(&sick, at(11)), 11 << 8, "doubts have an end");
}

#[test]
fn a_failure_after_doubts_does_not_count_them_again() {
    let cell = LoadCell::new();
    cell.record(Outcome::Success, Duration::from_millis(1), at(0));
    for _ in 0..8 {
        cell.doubt();
    }
    for _ in 0..5 {
        cell.record(Outcome::Failure, Duration::from_millis(1), at(0));
    }
    cell.record(Outcome::Success, Duration::from_millis(1), at(0));
    assert!(millis(&cell, at(0)) <= 5_000, "{} ms", millis(&cell, at(0)));
}

#[test]
fn what_is_waited_for_raises_the_average_and_never_lowers_it() {
    let cell = LoadCell::new();
    cell.record(Outcome::Success, Duration::from_millis(100), at(0));
    cell.at_least(Duration::from_millis(10), at(0));
    assert_eq!(millis(&cell, at(0)), 100);
    cell.at_least(Duration::from_millis(300), at(0));
    assert_eq!(millis(&cell, at(0)), 300);
    assert_eq!(
        cell.totals(),
        LoadTotals {
            successes: 1,
            busy_nanos: 100_000_000,
            ..LoadTotals::default()
        }
    );
}

#[test]
fn a_count_that_begins_anew_is_no_loss_and_no_flood() {
    let totals = |successes| LoadTotals {
        successes,
        ..LoadTotals::default()
    };
    assert_eq!(totals(3).since(&totals(SUCCESSES_MASK - 1)), totals(5));
    let cell = LoadCell::new();
    cell.0
        .counts
        .store(SUCCESSES_MASK << IN_FLIGHT_BITS, Ordering::Relaxed);
    cell.begin();
    cell.begin();
    assert_eq!(cell.succeed(5, at(0)), 0);
    assert_eq!((cell.successes(), cell.in_flight()), (0, 1));
    assert_eq!(cell.succeed(5, at(0)), 1);
    assert_eq!((cell.successes(), cell.in_flight()), (1, 0));
    assert_eq!(cell.succeed(5, at(0)), 2, "also where none was in flight");
    assert_eq!((cell.successes(), cell.in_flight()), (2, 0));
}
