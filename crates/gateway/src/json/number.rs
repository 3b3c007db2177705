//! Numbers and bytes as JSON writes them.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

/// A number, which JSON may give as text too.
#[derive(Clone, Copy, Debug)]
pub(super) enum Number<'a> {
    Signed(i64),
    Unsigned(u64),
    Float(f64),
    Text(&'a str),
}

/// 2^63 and 2^64, which a float can be but an integer not.
const TWO_63: f64 = 9_223_372_036_854_775_808.0;
const TWO_64: f64 = 18_446_744_073_709_551_616.0;

impl Number<'_> {
    /// As an integer; a float only if it is a whole number.
    pub(super) fn signed(self) -> Option<i64> {
        match self {
            Self::Signed(n) => Some(n),
            Self::Unsigned(n) => n.try_into().ok(),
            Self::Float(n) if n.fract() == 0.0 && (-TWO_63..TWO_63).contains(&n) => Some(n as i64),
            Self::Float(_) => None,
            Self::Text(text) => integer(text),
        }
    }

    pub(super) fn unsigned(self) -> Option<u64> {
        match self {
            Self::Signed(n) => n.try_into().ok(),
            Self::Unsigned(n) => Some(n),
            Self::Float(n) if n.fract() == 0.0 && (0.0..TWO_64).contains(&n) => Some(n as u64),
            Self::Float(_) => None,
            Self::Text(text) => integer(text),
        }
    }

    /// With the three that JSON has no number for.
    pub(super) fn double(self) -> Option<f64> {
        match self {
            Self::Signed(n) => Some(n as f64),
            Self::Unsigned(n) => Some(n as f64),
            Self::Float(n) => Some(n),
            Self::Text("NaN") => Some(f64::NAN),
            Self::Text("Infinity") => Some(f64::INFINITY),
            Self::Text("-Infinity") => Some(f64::NEG_INFINITY),
            Self::Text(text) => text.parse().ok().filter(|n: &f64| n.is_finite()),
        }
    }
}

/// Rust reads a plus too, which JSON's numbers do not have.
fn integer<T: FromStr>(text: &str) -> Option<T> {
    text.parse().ok().filter(|_| !text.starts_with('+'))
}

impl fmt::Display for Number<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Signed(n) => n.fmt(f),
            Self::Unsigned(n) => n.fmt(f),
            Self::Float(n) => n.fmt(f),
            Self::Text(text) => write!(f, "{:?}", text.chars().take(40).collect::<String>()),
        }
    }
}

pub(super) fn hex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let bytes = pairs
        .iter()
        .map(|&[high, low]| Some((digit(high)? << 4 | digit(low)?) as u8));
    rest.is_empty().then(|| bytes.collect())?
}

/// With or without padding, and in the alphabet for URLs too, as the JSON of protobuf has it.
pub(super) fn base64(text: &str) -> Option<Vec<u8>> {
    const ENGINE: GeneralPurpose = GeneralPurpose::new(
        &STANDARD,
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
    );
    if text.contains(['-', '_']) {
        return ENGINE.decode(text.replace('-', "+").replace('_', "/")).ok();
    }
    ENGINE.decode(text).ok()
}
