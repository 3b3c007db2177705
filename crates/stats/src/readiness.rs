//! What health says of a backend.

use std::fmt;

/// Whether a backend should be given requests: the word between those who judge health and those who
/// choose.
///
/// Every picker of evenkeel treats the five states alike:
///
/// | state | given requests |
/// |---|---|
/// | `Ready` | yes |
/// | `Degraded` | yes, but a ready one that turns up within a few draws goes first |
/// | `Unhealthy`, `Ejected` | only when no member is ready or degraded (panic mode) |
/// | `Draining` | only when every member is draining |
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "snake_case")
)]
#[non_exhaustive]
pub enum Readiness {
    /// Takes requests. A member of which nothing is known is ready.
    #[default]
    Ready,
    /// Works, but less well than it should.
    Degraded,
    /// Finishes what it has and wants nothing new.
    Draining,
    /// Failed its probes.
    Unhealthy,
    /// Put out by a passive judge: a circuit breaker or outlier detection.
    Ejected,
}

impl Readiness {
    /// Every state, in the order of declaration, which is that of their codes.
    pub const ALL: [Self; 5] = [
        Self::Ready,
        Self::Degraded,
        Self::Draining,
        Self::Unhealthy,
        Self::Ejected,
    ];

    /// Whether it should be given requests while things are normal: ready or degraded.
    #[must_use]
    #[inline]
    pub const fn is_eligible(self) -> bool {
        matches!(self, Self::Ready | Self::Degraded)
    }

    /// The state as one lower-case word, for labels.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Degraded => "degraded",
            Self::Draining => "draining",
            Self::Unhealthy => "unhealthy",
            Self::Ejected => "ejected",
        }
    }

    /// The state as a small number, for packing into an atomic; [`Readiness::from_code`] reads it back.
    #[must_use]
    #[inline]
    pub const fn code(self) -> u8 {
        match self {
            Self::Ready => 0,
            Self::Degraded => 1,
            Self::Draining => 2,
            Self::Unhealthy => 3,
            Self::Ejected => 4,
        }
    }

    /// The state of a [`code`](Self::code); `None` for a number that no state has.
    #[must_use]
    #[inline]
    pub const fn from_code(code: u8) -> Option<Self> {
        Some(match code {
            0 => Self::Ready,
            1 => Self::Degraded,
            2 => Self::Draining,
            3 => Self::Unhealthy,
            4 => Self::Ejected,
            _ => return None,
        })
    }
}

impl fmt::Display for Readiness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::Readiness;

    #[test]
    fn a_code_reads_back_as_its_state_and_no_other_number_does() {
        let states: Vec<_> = (0..=u8::MAX).filter_map(Readiness::from_code).collect();
        assert_eq!(states, Readiness::ALL);
        assert!(
            Readiness::ALL
                .iter()
                .all(|&state| Readiness::from_code(state.code()) == Some(state))
        );
    }
}
