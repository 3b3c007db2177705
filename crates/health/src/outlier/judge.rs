//! Who stands out of a group: arithmetic on what was counted between two sweeps.

use super::{OutlierConfig, OutlierReason};

/// One backend's requests between two sweeps.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sample {
    pub(super) successes: u64,
    pub(super) failures: u64,
    /// Of the successes together, in nanoseconds.
    pub(super) latency: u64,
}

impl Sample {
    pub(super) const fn requests(&self) -> u64 {
        self.successes + self.failures
    }

    fn success_rate(&self) -> f64 {
        self.successes as f64 / self.requests().max(1) as f64
    }

    /// In nanoseconds; `None` with fewer than `least` successes, whose mean says nothing.
    fn mean_latency(&self, least: u32) -> Option<f64> {
        let enough = self.successes >= u64::from(least).max(1);
        enough.then(|| self.latency as f64 / self.successes as f64)
    }
}

/// The indices of the outliers among `samples`, which all have enough requests, the worst first.
pub(super) fn outliers(config: &OutlierConfig, samples: &[Sample]) -> Vec<(usize, OutlierReason)> {
    let mut found = below_floor(config, samples);
    if samples.len() >= config.min_group {
        add_new(&mut found, below_mean(config, samples));
    }
    // Who fails least of them is spared first when not all may be put out.
    found.sort_by(|a, b| {
        let rate = |index: usize| samples[index].success_rate();
        rate(a.0).total_cmp(&rate(b.0))
    });
    add_new(&mut found, slow(config, samples));
    found
}

/// Adds those that are not found yet.
fn add_new(found: &mut Vec<(usize, OutlierReason)>, more: Vec<(usize, OutlierReason)>) {
    for one in more {
        if found.iter().all(|(index, _)| *index != one.0) {
            found.push(one);
        }
    }
}

/// Below the mean by so many standard deviations, and by `min_gap`.
fn below_mean(config: &OutlierConfig, samples: &[Sample]) -> Vec<(usize, OutlierReason)> {
    let count = samples.len() as f64;
    let rates = || samples.iter().map(Sample::success_rate);
    let mean = rates().sum::<f64>() / count;
    let deviation = (rates().map(|rate| (rate - mean).powi(2)).sum::<f64>() / count).sqrt();
    let least = (mean - config.deviations * deviation).min(mean - config.min_gap);
    let out = rates().enumerate().filter(|(_, rate)| *rate < least);
    out.map(|(index, _)| (index, OutlierReason::SuccessRate))
        .collect()
}

/// Below the floor while the median of the others is not: if all are, the cause is not theirs.
fn below_floor(config: &OutlierConfig, samples: &[Sample]) -> Vec<(usize, OutlierReason)> {
    let floor = config.min_success_rate;
    let low = |index: usize| {
        let others = median_of_others(samples, index, |sample| Some(sample.success_rate()));
        samples[index].success_rate() < floor && others.is_some_and(|others| others >= floor)
    };
    let out = (0..samples.len()).filter(|&index| low(index));
    out.map(|index| (index, OutlierReason::SuccessRate)).collect()
}

/// Slower than the median of the others by so many times.
fn slow(config: &OutlierConfig, samples: &[Sample]) -> Vec<(usize, OutlierReason)> {
    if config.latency_factor == 0.0 {
        return Vec::new();
    }
    let least = config.min_latency.as_nanos() as f64;
    let mean = |sample: &Sample| sample.mean_latency(config.min_requests);
    let slow = |index: usize| {
        let others = median_of_others(samples, index, mean)?;
        let own = mean(&samples[index])?;
        Some(own >= least && own > others * config.latency_factor)
    };
    let out = (0..samples.len()).filter(|&index| slow(index) == Some(true));
    out.map(|index| (index, OutlierReason::Latency)).collect()
}

/// The upper median, so that with two others the better rate, or the worse latency, is what counts.
fn median_of_others(samples: &[Sample], index: usize, value: impl Fn(&Sample) -> Option<f64>) -> Option<f64> {
    let others = samples.iter().enumerate().filter(|(other, _)| *other != index);
    let mut values: Vec<_> = others.filter_map(|(_, sample)| value(sample)).collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}
