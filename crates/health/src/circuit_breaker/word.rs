//! State and era of a breaker in one word, which the lock-free paths go by.

use super::CircuitState;

/// In which state and era a request was let through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Token(u64);

const STATE_BITS: u32 = 3;
const STATE_MASK: u64 = (1 << STATE_BITS) - 1;

impl Token {
    pub(super) const fn new(state: CircuitState, era: u64) -> Self {
        let code = match state {
            CircuitState::Closed => 0,
            CircuitState::Open => 1,
            CircuitState::HalfOpen => 2,
            CircuitState::ForcedOpen => 3,
            CircuitState::ForcedClosed => 4,
        };
        Self(era << STATE_BITS | code)
    }

    #[inline]
    pub(super) const fn from_word(word: u64) -> Self {
        Self(word)
    }

    #[inline]
    pub(super) const fn word(self) -> u64 {
        self.0
    }

    #[inline]
    pub(super) const fn state(self) -> CircuitState {
        match self.0 & STATE_MASK {
            0 => CircuitState::Closed,
            1 => CircuitState::Open,
            2 => CircuitState::HalfOpen,
            3 => CircuitState::ForcedOpen,
            _ => CircuitState::ForcedClosed,
        }
    }

    #[inline]
    pub(super) const fn era(self) -> u64 {
        self.0 >> STATE_BITS
    }
}
