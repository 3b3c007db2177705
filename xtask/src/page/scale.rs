//! From figures to places, and where an axis has its marks.

/// An axis.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scale {
    low: f64,
    high: f64,
    log: bool,
    /// The places of `low` and `high`.
    from: f64,
    to: f64,
}

impl Scale {
    /// From nothing to `high`.
    pub(super) fn linear(high: f64, from: f64, to: f64) -> Self {
        let high = if high > 0.0 { high } else { 1.0 };
        Self {
            low: 0.0,
            high,
            log: false,
            from,
            to,
        }
    }

    /// Whole decades around `low` and `high`, both above zero.
    pub(super) fn log(low: f64, high: f64, from: f64, to: f64) -> Self {
        let low = low.max(f64::MIN_POSITIVE).log10().floor();
        let high = high.max(f64::MIN_POSITIVE).log10().ceil();
        Self {
            low,
            high: if high > low { high } else { low + 1.0 },
            log: true,
            from,
            to,
        }
    }

    /// The place of a figure; what lies outside is put at the end.
    pub(super) fn at(&self, value: f64) -> f64 {
        let value = if self.log {
            value.max(f64::MIN_POSITIVE).log10()
        } else {
            value
        };
        let share = ((value - self.low) / (self.high - self.low)).clamp(0.0, 1.0);
        self.from + share * (self.to - self.from)
    }

    /// Figures to write at the axis: at most seven.
    pub(super) fn marks(&self) -> Vec<f64> {
        let decades = self.high - self.low;
        let (first, step, last) = if self.log {
            (self.low, (decades / 6.0).ceil().max(1.0), self.high)
        } else {
            (0.0, nice(self.high / 4.0), self.high * (1.0 + 1e-9))
        };
        (0..)
            .map(|n| first + step * f64::from(n))
            .take_while(|mark| *mark <= last)
            .map(|mark| if self.log { 10_f64.powf(mark) } else { mark })
            .collect()
    }
}

/// The next of 1, 2 and 5 times a power of ten.
fn nice(step: f64) -> f64 {
    let power = 10_f64.powf(step.log10().floor());
    let of_power = step / power;
    let round = [1.0, 2.0, 5.0]
        .into_iter()
        .find(|round| of_power <= *round + 1e-9);
    power * round.unwrap_or(10.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_lie_between_the_ends_of_the_axis() {
        let scale = Scale::log(3.0, 4_000.0, 10.0, 110.0);
        assert_eq!((scale.at(1.0), scale.at(10_000.0)), (10.0, 110.0));
        assert_eq!(scale.at(100.0), 60.0);
        // Zero has no place on a log axis: it stands at its end, and is no NaN.
        assert_eq!(scale.at(0.0), 10.0);
        assert_eq!(Scale::linear(8.0, 0.0, 80.0).at(2.0), 20.0);
        assert_eq!(Scale::linear(0.0, 0.0, 80.0).at(0.0), 0.0);
    }

    #[test]
    fn marks_are_few_and_round() {
        assert_eq!(
            Scale::log(3.0, 4_000.0, 0.0, 1.0).marks(),
            [1.0, 10.0, 100.0, 1_000.0, 10_000.0]
        );
        assert_eq!(Scale::linear(83.0, 0.0, 1.0).marks(), [0.0, 50.0]);
        assert_eq!(Scale::linear(100.0, 0.0, 1.0).marks(), [0.0, 50.0, 100.0]);
        for high in [1e-9, 0.3, 1.0, 7.0, 1e12] {
            assert!(
                (2..=7).contains(&Scale::linear(high, 0.0, 1.0).marks().len()),
                "{high}"
            );
            assert!(
                (2..=7).contains(&Scale::log(1e-3, high, 0.0, 1.0).marks().len()),
                "{high}"
            );
        }
    }
}
