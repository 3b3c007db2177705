//! Whether a figure rises or falls.

/// Where a series of figures is going.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct Trend {
    /// The mean of the earlier half. With an odd number of figures the middle one is in neither half.
    pub earlier: f64,
    /// The mean of the recent half.
    pub recent: f64,
    /// The slope of the line that fits best (least squares), in the figure's unit per second.
    pub slope_per_second: f64,
}

impl Trend {
    /// The fewest figures that make a trend: two in each half.
    pub const LEAST: usize = 4;

    /// The trend of figures, each a pair of a time in seconds (from any origin) and a value, oldest
    /// first. `None` with fewer than [`LEAST`](Self::LEAST), or if all times are the same.
    ///
    /// ```
    /// use evenkeel_stats::Trend;
    ///
    /// let trend = Trend::of([(0.0, 10.0), (1.0, 12.0), (2.0, 14.0), (3.0, 16.0)]).unwrap();
    /// assert_eq!(trend.slope_per_second, 2.0);
    /// assert_eq!((trend.earlier, trend.recent), (11.0, 15.0));
    /// ```
    #[must_use]
    pub fn of<I>(figures: I) -> Option<Self>
    where
        I: IntoIterator<Item = (f64, f64)>,
        I::IntoIter: Clone,
    {
        let figures = figures.into_iter();
        let count = figures.clone().count();
        if count < Self::LEAST {
            return None;
        }
        let half = count / 2;
        let mean = |skip: usize, take: usize, of: fn((f64, f64)) -> f64| {
            figures.clone().skip(skip).take(take).map(of).sum::<f64>() / take as f64
        };
        // Centred first: squares of seconds since boot would leave few digits for the differences.
        let (mean_time, mean_value) = (mean(0, count, |f| f.0), mean(0, count, |f| f.1));
        let (mut covariance, mut variance) = (0.0, 0.0);
        for (time, value) in figures.clone() {
            covariance += (time - mean_time) * (value - mean_value);
            variance += (time - mean_time) * (time - mean_time);
        }
        (variance > 0.0).then(|| Self {
            earlier: mean(0, half, |f| f.1),
            recent: mean(count - half, half, |f| f.1),
            slope_per_second: covariance / variance,
        })
    }

    /// How much the recent half differs from the earlier, relative to it: 0.5 is half as much again,
    /// -1 is down to nothing. `None` if the earlier half was zero.
    #[must_use]
    pub fn change(&self) -> Option<f64> {
        (self.earlier != 0.0).then(|| (self.recent - self.earlier) / self.earlier)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_few_figures_make_no_trend() {
        assert_eq!(Trend::of([(0.0, 1.0), (1.0, 2.0), (2.0, 3.0)]), None);
        assert_eq!(Trend::of([(1.0, 1.0); 8]), None);
    }

    #[test]
    fn a_steady_figure_has_no_slope_however_late_the_clock() {
        let trend = Trend::of((0..10).map(|i| (1e9 + f64::from(i), 7.0))).unwrap();
        assert_eq!((trend.slope_per_second, trend.change()), (0.0, Some(0.0)));
    }

    #[test]
    fn a_slope_keeps_its_digits_far_from_the_origin() {
        let trend = Trend::of((0..9).map(|i| (1e9 + f64::from(i) * 0.1, f64::from(i) * 0.3))).unwrap();
        assert!((trend.slope_per_second - 3.0).abs() < 1e-5, "{trend:?}");
        assert_eq!(trend.earlier, (0.0 + 0.3 + 0.6 + 0.9) / 4.0);
    }

    #[test]
    fn nothing_before_is_no_relative_change() {
        let trend = Trend::of([(0.0, 0.0), (1.0, 0.0), (2.0, 3.0), (3.0, 3.0)]).unwrap();
        assert_eq!(trend.change(), None);
        assert!(trend.slope_per_second > 0.0);
    }
}
