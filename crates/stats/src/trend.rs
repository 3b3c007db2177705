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
    /// let trend = Trend::of(&[(0.0, 10.0), (1.0, 12.0), (2.0, 14.0), (3.0, 16.0)]).unwrap();
    /// assert_eq!(trend.slope_per_second, 2.0);
    /// assert_eq!((trend.earlier, trend.recent), (11.0, 15.0));
    /// ```
    #[must_use]
    pub fn of(figures: &[(f64, f64)]) -> Option<Self> {
        if figures.len() < Self::LEAST {
            return None;
        }
        let mean = |figures: &[(f64, f64)], of: fn(&(f64, f64)) -> f64| {
            figures.iter().map(of).sum::<f64>() / figures.len() as f64
        };
        // Centred first: squares of seconds since boot would leave few digits for the differences.
        let (mean_time, mean_value) = (mean(figures, |f| f.0), mean(figures, |f| f.1));
        let (mut covariance, mut variance) = (0.0, 0.0);
        for (time, value) in figures {
            covariance += (time - mean_time) * (value - mean_value);
            variance += (time - mean_time) * (time - mean_time);
        }
        let half = figures.len() / 2;
        (variance > 0.0).then(|| Self {
            earlier: mean(&figures[..half], |f| f.1),
            recent: mean(&figures[figures.len() - half..], |f| f.1),
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
        assert_eq!(Trend::of(&[(0.0, 1.0), (1.0, 2.0), (2.0, 3.0)]), None);
        assert_eq!(Trend::of(&[(1.0, 1.0); 8]), None);
    }

    #[test]
    fn a_steady_figure_has_no_slope_however_late_the_clock() {
        let trend = Trend::of(&[0.0, 1.0, 2.0, 3.0, 4.0].map(|i| (1e9 + i, 7.0))).unwrap();
        assert_eq!((trend.slope_per_second, trend.change()), (0.0, Some(0.0)));
    }

    #[test]
    fn a_slope_keeps_its_digits_far_from_the_origin() {
        let figures = [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0].map(|i| (1e9 + i * 0.1, i * 0.3));
        let trend = Trend::of(&figures).unwrap();
        assert!((trend.slope_per_second - 3.0).abs() < 1e-5, "{trend:?}");
        // The middle one of seven is in neither half.
        assert!((trend.earlier - 0.3).abs() < 1e-12 && (trend.recent - 1.5).abs() < 1e-12);
    }

    #[test]
    fn nothing_before_is_no_relative_change() {
        let trend = Trend::of(&[(0.0, 0.0), (1.0, 0.0), (2.0, 3.0), (3.0, 3.0)]).unwrap();
        assert_eq!(trend.change(), None);
        assert!(trend.slope_per_second > 0.0);
    }
}
