//! What the requests of a case amount to.

use std::time::Duration;

use super::case::{Case, Told};
use crate::{Error, Metrics, quantile};

/// A request that takes longer than this, beyond what collectors take themselves, has stalled.
const STALLED: Duration = Duration::from_millis(50);

/// The sender's clock starts when it does, a little after ours: so much earlier the window begins, so that
/// nothing is left out which the fault met.
const BEFORE: Duration = Duration::from_millis(100);

/// Notes the figures of a case. Those over the fault are of the requests that were due between the fault and
/// the recovery.
pub(super) fn note(metrics: &mut Metrics, case: Case, told: &Told) -> Result<(), Error> {
    let name = case.name();
    let verified = told.account.verified;
    let verified = verified.ok_or_else(|| Error::Contender("nothing was verified".to_owned()))?;
    let took = |request: &super::super::send::Request| request.took.saturating_sub(case.own_time());
    let during: Vec<_> = told
        .requests
        .iter()
        .filter(|request| (told.fault.from.saturating_sub(BEFORE)..told.fault.to).contains(&request.due))
        .collect();
    if during.is_empty() {
        return Err(Error::Contender("no request was due during the fault".to_owned()));
    }
    let mut millis: Vec<f64> = during
        .iter()
        .map(|request| took(request).as_secs_f64() * 1e3)
        .collect();
    metrics.set(&format!("{name}_failed"), told.account.failed() as f64);
    metrics.set(&format!("{name}_lost"), verified.lost as f64);
    metrics.set(&format!("{name}_duplicates"), verified.duplicates as f64);
    for (suffix, q) in [("p90", 0.9), ("p99", 0.99), ("longest", 1.0)] {
        if let Some(value) = quantile(&mut millis, q) {
            metrics.set(&format!("{name}_{suffix}"), value);
        }
    }
    let stalled = during.iter().filter(|request| took(request) > STALLED).count();
    metrics.set(&format!("{name}_stalled"), stalled as f64);
    if let Some(received) = told.fault.received {
        let share = 100.0 * received as f64 / during.len() as f64;
        metrics.set(&format!("{name}_share"), share);
    }
    Ok(())
}

/// How long requests took before anything happened, without what collectors take themselves, in milliseconds:
/// what sender, gateway, collectors and the machine take in any case.
pub(super) fn healthy(case: Case, told: &Told) -> impl Iterator<Item = f64> {
    let before = told.fault.from.saturating_sub(BEFORE);
    let early = told.requests.iter().filter(move |request| request.due < before);
    early.map(move |request| request.took.saturating_sub(case.own_time()).as_secs_f64() * 1e3)
}

/// What a reader must know of a case: that the sick one had little to do with it.
pub(super) fn caveat(case: Case, told: &Told) -> Option<String> {
    let due = told
        .requests
        .iter()
        .filter(|request| request.due < told.fault.from)
        .count();
    let hardly = told.fault.before * 10 < due as u64;
    hardly.then(|| {
        format!(
            "{}: before the fault the sick collector was sent {} of {due} requests, so its fault met few",
            case.name(),
            told.fault.before
        )
    })
}

#[cfg(test)]
mod tests {
    use super::super::case::Fault;
    use super::*;
    use crate::workload::gateway::send::Request;

    #[test]
    fn what_happened_is_what_is_told() {
        let ms = Duration::from_millis;
        let account = r#"{"rate":1,"requests":1000,"failures":{"UNAVAILABLE":3},"acknowledged_spans":99700,
            "failed_spans":300,"dropped_spans":0,"latency_ms":{"p50":1,"p99":1},
            "verified":{"lost":2,"duplicates":5}}"#;
        let requests = (0..1_000_u64).map(|number| Request {
            due: ms(number * 10),
            took: ms(if (3_000..3_100).contains(&(number * 10)) {
                150
            } else {
                1
            }),
            acknowledged: true,
        });
        let mut told = Told {
            account: serde_json::from_str(account).unwrap(),
            requests: requests.collect(),
            fault: Fault {
                from: ms(2_500),
                to: ms(6_000),
                received: Some(35),
                before: 80,
            },
        };
        let mut metrics = Metrics::default();
        note(&mut metrics, Case::Slow, &told).unwrap();
        let value = |name: &str| metrics.value(&format!("slow_{name}")).unwrap();
        assert_eq!(
            (value("failed"), value("lost"), value("duplicates")),
            (3.0, 2.0, 5.0)
        );
        assert_eq!(
            (value("p90"), value("p99"), value("longest")),
            (1.0, 150.0, 150.0)
        );
        assert_eq!((value("stalled"), value("share")), (10.0, 9.722));
        note(&mut metrics, Case::KilledBusy, &told).unwrap();
        assert_eq!(caveat(Case::Slow, &told), None);
        assert_eq!(healthy(Case::Slow, &told).collect::<Vec<_>>(), [1.0; 240]);
        told.fault.before = 24;
        assert!(caveat(Case::Slow, &told).unwrap().contains("24 of 250"));
        assert_eq!(
            metrics.value("killed_busy_longest"),
            Some(100.0),
            "without their own 50 ms"
        );
    }
}
