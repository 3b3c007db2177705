//! The core of both moving averages: a value and the time it was true, in one atomic word.

use std::time::Duration;

use crate::sync::{AtomicU64, Ordering};
use crate::timestamp::saturating_nanos;
use crate::{SettingError, Timestamp};

/// No sample yet. Its value half is a NaN, which no sample can be.
const EMPTY: u64 = u64::MAX;

/// The time constant is cut into at least this many ticks. Finer ones would make the clock of 32 bits
/// wrap sooner and leave updates smaller than an `f32` can add; at this size one update still moves
/// the average by a thousand times its rounding error.
const TICKS: u64 = 4096;

/// How far a time may lie before the one stored and count as "stepped back": 2^24 ticks, that is at
/// least 2048 time constants. Everything else is forward.
const BACK: u32 = 1 << 24;

/// An exponentially decaying value: `f32` bits above, a tick of 32 bits below.
///
/// The tick is a power of two of nanoseconds, so that the time is turned into one by a shift.
#[derive(Debug)]
pub(crate) struct Decaying {
    state: AtomicU64,
    /// Nanoseconds to a tick, as a shift.
    shift: u32,
    /// Time constants to a tick.
    taus_per_tick: f64,
}

/// What becomes of a sample.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rise {
    /// It is weighted, whichever way it points.
    Weighted,
    /// Above the average it replaces it at once.
    AtOnce,
}

impl Decaying {
    pub(crate) fn new(tau: Duration) -> Result<Self, SettingError> {
        let tau = saturating_nanos(tau);
        if tau == 0 {
            return Err(SettingError::Zero { field: "tau" });
        }
        let shift = (tau / TICKS).checked_ilog2().unwrap_or(0);
        Ok(Self {
            state: AtomicU64::new(EMPTY),
            shift,
            taus_per_tick: (1_u64 << shift) as f64 / tau as f64,
        })
    }

    #[inline]
    pub(crate) fn record(&self, sample: f64, now: Timestamp, rise: Rise) {
        let Some(sample) = admissible(sample) else {
            return;
        };
        let tick = self.tick(now);
        // Relaxed throughout: the word is all there is, nothing else is published with it.
        let mut seen = self.state.load(Ordering::Relaxed);
        loop {
            let next = match unpack(seen) {
                None => pack(sample, tick),
                Some((value, last)) => {
                    let gap = elapsed(tick, last);
                    if rise == Rise::AtOnce && sample > value {
                        pack(sample, if gap == 0 { last } else { tick })
                    } else if gap == 0 {
                        // Its weight would be zero.
                        return;
                    } else {
                        let weight = fading(f64::from(gap) * self.taus_per_tick);
                        let value = f64::from(value);
                        pack((value + (f64::from(sample) - value) * weight) as f32, tick)
                    }
                }
            };
            match self
                .state
                .compare_exchange_weak(seen, next, Ordering::Relaxed, Ordering::Relaxed)
            {
                Ok(_) => return,
                Err(newer) => seen = newer,
            }
        }
    }

    #[inline]
    pub(crate) fn value(&self, now: Timestamp) -> Option<f64> {
        let (value, last) = unpack(self.state.load(Ordering::Relaxed))?;
        let gap = elapsed(self.tick(now), last);
        let value = f64::from(value);
        Some(value - value * fading(f64::from(gap) * self.taus_per_tick))
    }

    pub(crate) fn last(&self) -> Option<f64> {
        unpack(self.state.load(Ordering::Relaxed)).map(|(value, _)| f64::from(value))
    }

    pub(crate) fn reset(&self) {
        self.state.store(EMPTY, Ordering::Relaxed);
    }

    #[inline]
    fn tick(&self, now: Timestamp) -> u32 {
        (now.as_nanos() >> self.shift) as u32
    }
}

/// A sample as it is stored: none for NaN, zero for what is below, the greatest `f32` for what is above.
#[inline]
fn admissible(sample: f64) -> Option<f32> {
    (!sample.is_nan()).then(|| sample.clamp(0.0, f64::from(f32::MAX)) as f32)
}

#[inline]
fn pack(value: f32, tick: u32) -> u64 {
    u64::from(value.to_bits()) << 32 | u64::from(tick)
}

#[inline]
fn unpack(state: u64) -> Option<(f32, u32)> {
    (state != EMPTY).then(|| (f32::from_bits((state >> 32) as u32), state as u32))
}

/// Ticks from `last` to `now`, zero if time stepped back.
#[inline]
fn elapsed(now: u32, last: u32) -> u32 {
    let gap = now.wrapping_sub(last);
    if gap > u32::MAX - BACK { 0 } else { gap }
}

/// `1 - e^-x`: the share of an old value that `x` time constants take away.
///
/// On a busy path samples are close together. There four terms of the series are exact to 1e-8, an
/// eighth of what an `f32` can tell, and save the call; they are paired so that they run side by side.
#[inline]
fn fading(x: f64) -> f64 {
    if x < 1.0 / 32.0 {
        x * ((1.0 - x * (1.0 / 2.0)) + (x * x) * (1.0 / 6.0 - x * (1.0 / 24.0)))
    } else {
        -(-x).exp_m1()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn at(nanos: u64) -> Timestamp {
        Timestamp::from_nanos(nanos)
    }

    #[test]
    fn the_series_and_the_exponential_meet() {
        for i in 0..20_000 {
            let x = f64::from(i) / 10_000.0;
            let exact = -(-x).exp_m1();
            assert!((fading(x) - exact).abs() <= exact * 1e-8, "{x}");
        }
        assert_eq!(fading(0.0), 0.0);
        assert_eq!(fading(f64::INFINITY), 1.0);
    }

    #[test]
    fn ticks_are_as_fine_as_promised_for_every_time_constant() {
        for power in 0..64 {
            let decaying = Decaying::new(Duration::from_nanos(1 << power)).unwrap();
            let ticks = 1.0 / decaying.taus_per_tick;
            assert!(ticks < 8192.0 + 1.0, "{power}");
            assert!(ticks >= 4096.0 || decaying.shift == 0, "{power}");
        }
    }

    #[test]
    fn the_clock_of_32_bits_may_wrap_between_two_samples() {
        let decaying = Decaying::new(Duration::from_secs(1)).unwrap();
        let wrap = (1_u64 << 32) << decaying.shift;
        decaying.record(8.0, at(wrap - SECOND), Rise::Weighted);
        let value = decaying.value(at(wrap + SECOND)).unwrap();
        assert!((value - 8.0 * (-2.0_f64).exp()).abs() < 0.01, "{value}");
    }

    #[test]
    fn a_long_silence_reads_as_zero_up_to_the_wrap() {
        let decaying = Decaying::new(Duration::from_secs(1)).unwrap();
        decaying.record(8.0, at(0), Rise::Weighted);
        for days in 1..=6 {
            assert_eq!(decaying.value(at(days * 86_400 * SECOND)), Some(0.0), "{days}");
        }
    }

    #[test]
    fn time_that_steps_back_changes_nothing_and_does_not_rewind() {
        let decaying = Decaying::new(Duration::from_secs(1)).unwrap();
        decaying.record(8.0, at(100 * SECOND), Rise::Weighted);
        decaying.record(1.0, at(99 * SECOND), Rise::Weighted);
        assert_eq!(decaying.value(at(98 * SECOND)), Some(8.0));
        decaying.record(9.0, at(99 * SECOND), Rise::AtOnce);
        assert_eq!(decaying.value(at(100 * SECOND)), Some(9.0));
    }
}
