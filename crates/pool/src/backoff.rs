//! Pauses between connects to an address that fails.

use std::time::Duration;

/// Doubles from `first` to `longest`; each pause is drawn between half of it and the whole, so that
/// many clients do not knock together.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Backoff {
    pub(crate) first: Duration,
    pub(crate) longest: Duration,
}

impl Backoff {
    /// The pause after this many failures in a row.
    pub(crate) fn pause(&self, failures: u32, rng: &mut fastrand::Rng) -> Duration {
        let doublings = failures.saturating_sub(1).min(31);
        let whole = self.first.saturating_mul(1 << doublings).min(self.longest);
        whole.mul_f64(0.5 + 0.5 * rng.f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest_and_never_overflow() {
        let backoff = Backoff {
            first: Duration::from_millis(100),
            longest: Duration::from_secs(5),
        };
        let mut rng = fastrand::Rng::with_seed(1);
        for (failures, whole) in [
            (1, 100),
            (2, 200),
            (3, 400),
            (6, 3200),
            (7, 5000),
            (u32::MAX, 5000),
        ] {
            let whole = Duration::from_millis(whole);
            for _ in 0..100 {
                let pause = backoff.pause(failures, &mut rng);
                assert!((whole / 2..=whole).contains(&pause), "{failures}: {pause:?}");
            }
        }
    }

    #[test]
    fn two_clients_do_not_knock_together() {
        let backoff = Backoff {
            first: Duration::from_secs(1),
            longest: Duration::from_secs(1),
        };
        let pauses = [1, 2].map(|seed| backoff.pause(1, &mut fastrand::Rng::with_seed(seed)));
        assert_ne!(pauses[0], pauses[1]);
    }
}
