//! What the requests of a case amount to.

use std::time::Duration;

use super::backends::BACKENDS;
use super::case::{Case, Fault, Told, VICTIM};
use super::load::Request;
use crate::{Error, Metrics, quantile};

/// A request that takes longer has met with trouble, as one that fails has.
const LONG: Duration = Duration::from_millis(300);

/// How long after a fault's beginning requests are left out of the figures for the rest of the time.
const SETTLED: Duration = Duration::from_secs(1);

/// A backend that is asked so often within so long is in use still; at 300 requests a second that is 3 %, and
/// a trial now and then, with a hedge or two that a slow moment of the others causes, is less.
const STILL: usize = 5;
const WHILE: Duration = Duration::from_millis(500);

/// How fine the series are.
const BIN: Duration = Duration::from_millis(200);

/// Of fewer requests, one of the backends may get none by chance: by latency, the slowest of three that are
/// all idle is sent nothing for as long as it is the slowest.
const ENOUGH: usize = 130;

/// A case that did not happen as it should is no measurement.
pub(super) fn check(case: Case, told: &Told) -> Result<(), Error> {
    let first = told.faults.first().map(|fault| fault.from);
    let before = |request: &&Request| first.is_some_and(|first| request.sent + request.took < first);
    let early = || told.requests.iter().filter(before);
    let used = (0..BACKENDS).filter(|&backend| early().any(|request| request.by == Some(backend)));
    if used.count() == BACKENDS || early().count() < ENOUGH {
        Ok(())
    } else {
        let name = case.name();
        Err(Error::Contender(format!(
            "{name}: not all backends were in use before anything happened"
        )))
    }
}

/// The latencies of what was sent before anything happened, in nanoseconds.
pub(super) fn healthy(told: &Told) -> Vec<f64> {
    let first = told.faults.first().map_or(told.length, |fault| fault.from);
    let early = told.requests.iter().take_while(|request| request.sent < first);
    early.map(|request| request.took.as_nanos() as f64).collect()
}

/// Notes all figures and series of a case.
pub(super) fn note(metrics: &mut Metrics, case: Case, told: &Told) {
    let name = |figure: &str| format!("{}_{figure}", case.name());
    let millis = |duration: Duration| duration.as_secs_f64() * 1e3;
    let requests = &told.requests;
    let failed = requests.iter().filter(|request| request.by.is_none()).count();
    metrics.set(&name("failed"), failed as f64);
    let stall = requests.iter().map(|request| request.took).max();
    metrics.set(&name("stall"), millis(stall.unwrap_or_default()));
    metrics.set(&name("trouble"), millis(trouble(told)));
    metrics.set(&name("divert"), millis(divert(told)));
    if let Some(rescued) = rescued(told) {
        metrics.set(&name("rescued"), rescued);
    }
    metrics.set(&name("back"), millis(back(told)));
    let mut healthy = healthy(told);
    let mut settled = settled(told);
    if let (Some(healthy), Some(settled)) = (quantile(&mut healthy, 0.99), quantile(&mut settled, 0.99)) {
        metrics.set(&name("p99_ratio"), settled / healthy.max(1.0));
    }
    for fault in &told.faults {
        let Some(received) = fault.received else { continue };
        let sent = requests
            .iter()
            .filter(|r| (fault.from..fault.to).contains(&r.sent));
        metrics.set(
            &name("share"),
            received as f64 * 100.0 / sent.count().max(1) as f64,
        );
    }
    metrics.set_series(&name("answered"), series(told, |request| request.by.is_some()));
    metrics.set_series(&name("errors"), series(told, |request| request.by.is_none()));
    if case == Case::Rolling {
        for (backend, letter) in ["a", "b", "c"].into_iter().enumerate() {
            let by = series(told, |request| request.by == Some(backend));
            metrics.set_series(&name(letter), by);
        }
    } else {
        let by = series(told, |request| request.by == Some(VICTIM));
        metrics.set_series(&name("victim"), by);
    }
}

/// When the sick one was asked while it was sick, in order.
fn asked(told: &Told, fault: &Fault) -> Vec<Duration> {
    let mut asked = match &told.attempts {
        Some(attempts) => attempts.get(fault.backend).cloned().unwrap_or_default(),
        None => told
            .requests
            .iter()
            // With one that is sick, an error is its.
            .filter(|request| request.by.is_none_or(|by| by == fault.backend))
            .map(|request| request.sent)
            .collect(),
    };
    asked.retain(|at| (fault.from..fault.to).contains(at));
    asked.sort_unstable();
    asked
}

/// The share of the requests to a sick one that had an answer all the same, in percent; `None` if it was sent
/// none.
fn rescued(told: &Told) -> Option<f64> {
    let asked: usize = told.faults.iter().map(|fault| asked(told, fault).len()).sum();
    let lost = told.requests.iter().filter(|request| {
        let during = |fault: &Fault| (fault.from..fault.to).contains(&request.sent);
        request.by.is_none() && told.faults.iter().any(during)
    });
    (asked > 0).then(|| 100.0 - 100.0 * lost.count().min(asked) as f64 / asked as f64)
}

/// From a fault to the last moment at which the sick one had been asked [`STILL`] times within [`WHILE`], the
/// longest; no time at all if it never was.
fn divert(told: &Told) -> Duration {
    let longest = told.faults.iter().map(|fault| {
        let asked = asked(told, fault);
        let still = asked
            .windows(STILL)
            .rev()
            .find(|few| few[STILL - 1] - few[0] <= WHILE);
        still.map_or(Duration::ZERO, |few| few[STILL - 1] - fault.from)
    });
    longest.max().unwrap_or_default()
}

/// From the first fault to the last request that failed or took long.
pub(super) fn trouble(told: &Told) -> Duration {
    let Some(first) = told.faults.first() else {
        return Duration::ZERO;
    };
    let met = |request: &&Request| request.by.is_none() || request.took > LONG;
    let last = told.requests.iter().filter(met).map(|request| request.sent).max();
    last.unwrap_or_default().saturating_sub(first.from)
}

/// The longest time from a recovery until each of the three has answered a request that was sent after it, or
/// to the end if that never came.
fn back(told: &Told) -> Duration {
    let mut longest = Duration::ZERO;
    for fault in &told.faults {
        let later = |backend| {
            let by = move |request: &&Request| request.sent >= fault.to && request.by == Some(backend);
            let first = told
                .requests
                .iter()
                .filter(by)
                .map(|request| request.sent + request.took)
                .min();
            first.unwrap_or(told.length)
        };
        let all = (0..BACKENDS).map(later).max().unwrap_or_default();
        longest = longest.max(all.saturating_sub(fault.to));
    }
    longest
}

/// The latencies outside of the second that follows a fault, in nanoseconds.
fn settled(told: &Told) -> Vec<f64> {
    let outside = |request: &&Request| {
        told.faults
            .iter()
            .all(|fault| !(fault.from..fault.from + SETTLED).contains(&request.sent))
    };
    let first = told.faults.first().map_or(told.length, |fault| fault.from);
    let settled = told.requests.iter().filter(|request| request.sent >= first);
    settled
        .filter(outside)
        .map(|request| request.took.as_nanos() as f64)
        .collect()
}

/// How many a second, by when they were sent.
fn series(told: &Told, counts: impl Fn(&Request) -> bool) -> Vec<[f64; 2]> {
    let bins = told.length.as_nanos().div_ceil(BIN.as_nanos());
    let mut series: Vec<[f64; 2]> = (0..bins)
        .map(|bin| [bin as f64 * BIN.as_secs_f64() * 1e3, 0.0])
        .collect();
    for request in told.requests.iter().filter(|request| counts(request)) {
        let bin = (request.sent.as_nanos() / BIN.as_nanos()) as usize;
        if let Some([_, count]) = series.get_mut(bin) {
            *count += 1.0 / BIN.as_secs_f64();
        }
    }
    series
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 100 requests a second for 10 s, in turn; the first backend fails from 2 s to 4 s, then is out to 6 s.
    fn told() -> Told {
        let ms = Duration::from_millis;
        let requests = (0..1_000).map(|number: u64| {
            let sent = ms(number * 10);
            let turn = (number % 3) as usize;
            let sick = turn == 0 && (ms(2_000)..ms(4_000)).contains(&sent);
            let out = turn == 0 && (ms(4_000)..ms(6_000)).contains(&sent);
            Request {
                sent,
                took: if sick { ms(400) } else { ms(2) },
                by: match (sick, out) {
                    (true, _) => None,
                    (_, true) => Some(1),
                    _ => Some(turn),
                },
            }
        });
        Told {
            requests: requests.collect(),
            faults: vec![Fault {
                backend: 0,
                from: ms(2_000),
                to: ms(5_000),
                received: Some(30),
            }],
            length: ms(10_000),
            attempts: None,
        }
    }

    #[test]
    fn what_happened_is_what_is_told() {
        let mut metrics = Metrics::default();
        let told = told();
        check(Case::Hung, &told).unwrap();
        note(&mut metrics, Case::Hung, &told);
        let value = |name: &str| metrics.value(name).unwrap();
        assert_eq!(value("hung_failed"), 67.0);
        assert_eq!(value("hung_stall"), 400.0);
        assert_eq!(value("hung_trouble"), 1_990.0, "2.01 s to 3.99 s");
        assert_eq!(
            value("hung_back"),
            1_002.0,
            "the first at 6.00 s, answered 2 ms later"
        );
        assert_eq!(value("hung_share"), 10.0, "30 of the 300 sent in 3 s");
        assert_eq!(value("hung_p99_ratio"), 200.0);
        assert_eq!(value("hung_divert"), 1_990.0, "the last at 3.99 s");
    }

    #[test]
    fn a_trial_now_and_then_is_no_traffic() {
        let mut told = told();
        let ms = Duration::from_millis;
        // Five at once after the fault, then one every half second; what comes later is no matter.
        let asked = [
            1_990, 2_010, 2_020, 2_030, 2_040, 2_050, 2_700, 3_200, 3_700, 5_100, 5_110, 5_120, 5_130, 5_140,
        ];
        told.attempts = Some(vec![asked.map(ms).to_vec(), Vec::new(), Vec::new()]);
        assert_eq!(divert(&told), ms(50));
        // Sixty-seven were lost, and it was asked for eight: what else was lost is not to its account.
        assert_eq!(rescued(&told), Some(0.0));
        told.requests.retain(|request| request.by.is_some());
        assert_eq!(rescued(&told), Some(100.0));
    }

    #[test]
    fn a_case_in_which_a_backend_was_never_used_is_no_measurement() {
        let mut told = told();
        told.requests.retain(|request| request.by != Some(2));
        assert!(check(Case::Hung, &told).is_err());
    }

    #[test]
    fn every_request_is_in_a_series_once() {
        let told = told();
        let sum = |series: Vec<[f64; 2]>| series.iter().map(|[_, rate]| rate * 0.2).sum::<f64>().round();
        let answered = sum(series(&told, |request| request.by.is_some()));
        let failed = sum(series(&told, |request| request.by.is_none()));
        assert_eq!((answered, failed), (933.0, 67.0));
    }
}
