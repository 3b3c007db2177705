//! Moving averages against the formula in 64 bits.

use std::time::Duration;

use evenkeel_stats::{Ewma, PeakEwma, Timestamp};
use proptest::prelude::*;

/// The definition, with time as it is: no ticks, no wrap.
#[derive(Clone, Copy, Default)]
struct Model {
    value: Option<f64>,
    last: u64,
}

impl Model {
    fn record(&mut self, sample: f64, now: u64, tau: u64, peak: bool) {
        let value = match self.value {
            None => sample,
            Some(value) if peak && sample > value => sample,
            Some(value) => {
                let weight = (-(now.saturating_sub(self.last) as f64) / tau as f64).exp();
                value * weight + sample * (1.0 - weight)
            }
        };
        self.value = Some(value);
        self.last = self.last.max(now);
    }

    fn value(&self, now: u64, tau: u64) -> f64 {
        self.value.unwrap_or(0.0) * (-(now.saturating_sub(self.last) as f64) / tau as f64).exp()
    }
}

/// Gaps of whole ticks and more, so that the model, which has none, weighs the same samples. The
/// ticks' rounding then leaves an error of one tick to a gap.
fn steps(tau: u64) -> impl Strategy<Value = Vec<(u64, f64)>> {
    let gap = prop_oneof![8 * (tau / 4096)..tau / 16, tau / 16..4 * tau];
    prop::collection::vec((gap, 0.0..1e9), 1..200)
}

fn taus() -> impl Strategy<Value = u64> {
    prop_oneof![
        Just(1_000_000),
        Just(1 << 30),
        Just(10_000_000_000),
        1_000_000..60_000_000_000_u64
    ]
}

proptest! {
    #[test]
    fn averages_follow_the_formula(
        (tau, steps) in taus().prop_flat_map(|tau| (Just(tau), steps(tau))),
        start in 0..1_u64 << 50,
        idle in 0.0..5.0,
    ) {
        let plain = Ewma::new(Duration::from_nanos(tau)).unwrap();
        let peak = PeakEwma::new(Duration::from_nanos(tau)).unwrap();
        let (mut plain_model, mut peak_model) = (Model::default(), Model::default());
        let mut now = start;
        let mut greatest = 0.0_f64;
        for (gap, sample) in steps {
            now += gap;
            let at = Timestamp::from_nanos(now);
            plain.record(sample, at);
            peak.record(sample, at);
            plain_model.record(sample, now, tau, false);
            peak_model.record(sample, now, tau, true);
            greatest = greatest.max(sample);
            // A tick is at most 1/4096 of tau: so much of a weight may be amiss, and it fades.
            let close = greatest * 2e-3 + 1e-6;
            let (value, model) = (plain.value(at).unwrap(), plain_model.value(now, tau));
            prop_assert!((value - model).abs() <= close, "plain {value} for {model}");
            let (value, model) = (peak.value(at).unwrap(), peak_model.value(now, tau));
            prop_assert!((value - model).abs() <= close, "peak {value} for {model}");
        }
        let later = now + (idle * tau as f64) as u64;
        let (value, model) = (plain.value(Timestamp::from_nanos(later)).unwrap(), plain_model.value(later, tau));
        prop_assert!((value - model).abs() <= greatest * 2e-3 + 1e-6, "idle {value} for {model}");
    }

    #[test]
    fn a_value_stays_between_the_extremes_of_its_samples_whatever_the_times(
        samples in prop::collection::vec((any::<u64>(), 1.0..1e12), 1..100),
        tau in 1..u64::MAX,
    ) {
        let plain = Ewma::new(Duration::from_nanos(tau)).unwrap();
        let peak = PeakEwma::new(Duration::from_nanos(tau)).unwrap();
        let (mut low, mut high) = (f64::MAX, 0.0_f64);
        for (now, sample) in samples {
            let now = Timestamp::from_nanos(now);
            plain.record(sample, now);
            peak.record(sample, now);
            low = low.min(sample);
            high = high.max(sample);
            // Seven digits.
            let within = low * (1.0 - 1e-6)..=high * (1.0 + 1e-6);
            prop_assert!(within.contains(&plain.last().unwrap()));
            prop_assert!(within.contains(&peak.last().unwrap()));
            prop_assert!(plain.value(now).unwrap() <= high * (1.0 + 1e-6));
        }
    }

    #[test]
    fn a_peak_average_is_never_below_the_plain_one(
        samples in prop::collection::vec((0..2_000_000_000_u64, 0.0..1e9), 1..200),
    ) {
        let tau = Duration::from_secs(1);
        let (plain, peak) = (Ewma::new(tau).unwrap(), PeakEwma::new(tau).unwrap());
        let mut now = 0;
        for (gap, sample) in samples {
            now += gap;
            let at = Timestamp::from_nanos(now);
            plain.record(sample, at);
            peak.record(sample, at);
            let (plain, peak) = (plain.value(at).unwrap(), peak.value(at).unwrap());
            prop_assert!(peak >= plain * (1.0 - 1e-6), "{peak} < {plain}");
        }
    }

    #[test]
    fn reading_fades_and_never_rises(value in 0.0..1e9, times in prop::collection::vec(0..1_u64 << 40, 2..20)) {
        let average = Ewma::new(Duration::from_secs(1)).unwrap();
        average.record(value, Timestamp::ZERO);
        let mut times = times;
        times.sort_unstable();
        let values: Vec<f64> =
            times.iter().map(|time| average.value(Timestamp::from_nanos(*time)).unwrap()).collect();
        prop_assert!(values.is_sorted_by(|earlier, later| earlier >= later));
        // The order in which it is read makes no difference.
        for (time, value) in times.iter().zip(&values).rev() {
            prop_assert_eq!(average.value(Timestamp::from_nanos(*time)).unwrap(), *value);
        }
    }
}
