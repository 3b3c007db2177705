//! The mark in a span's ids.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What the trace ids of marked spans begin with. Real ones are random: one in four billion is taken for ours.
const MAGIC: [u8; 4] = *b"evnk";

/// How many spans in a row belong to one trace, so that a route by trace has something to keep together.
const SPANS_PER_TRACE: u64 = 8;

/// Who sent a span: a run of `send`. In text it is eight hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub(crate) struct SenderId(pub(crate) u32);

impl fmt::Display for SenderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", self.0)
    }
}

impl From<SenderId> for String {
    fn from(id: SenderId) -> Self {
        id.to_string()
    }
}

impl FromStr for SenderId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let id = u32::from_str_radix(text, 16).ok().filter(|_| text.len() == 8);
        id.map(Self)
            .ok_or_else(|| format!("a sender is eight hexadecimal digits, not '{text}'"))
    }
}

impl TryFrom<String> for SenderId {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

/// One span of one sender; numbers begin at 1, because an id of zeros is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SpanMark {
    pub(crate) sender: SenderId,
    pub(crate) number: u64,
}

impl SpanMark {
    /// The trace's id: spans of consecutive numbers share one, and traces are spread evenly over whatever
    /// hashes them.
    pub(crate) fn trace_id(self) -> [u8; 16] {
        let trace = mixed(self.number.saturating_sub(1) / SPANS_PER_TRACE);
        let mut id = [0; 16];
        id[..4].copy_from_slice(&MAGIC);
        id[4..8].copy_from_slice(&self.sender.0.to_be_bytes());
        id[8..].copy_from_slice(&trace.to_be_bytes());
        id
    }

    pub(crate) const fn span_id(self) -> [u8; 8] {
        self.number.to_be_bytes()
    }

    /// The mark in these ids; `None` if somebody else made the span.
    pub(crate) fn of(trace_id: &[u8], span_id: &[u8]) -> Option<Self> {
        let (magic, rest) = trace_id.split_first_chunk::<4>()?;
        let (sender, trace) = rest.split_first_chunk::<4>()?;
        let number = u64::from_be_bytes(span_id.try_into().ok()?);
        let ours = *magic == MAGIC && trace.len() == 8 && number > 0;
        ours.then_some(Self {
            sender: SenderId(u32::from_be_bytes(*sender)),
            number,
        })
    }
}

/// A bijection that leaves no pattern: the finalizer of `SplitMix64` (Steele, Lea, Flood 2014).
const fn mixed(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_read_as_it_was_made_and_other_ids_are_none() {
        for number in [1, 8, 9, u64::MAX] {
            let mark = SpanMark {
                sender: SenderId(0xfeed),
                number,
            };
            assert_eq!(SpanMark::of(&mark.trace_id(), &mark.span_id()), Some(mark));
            assert_eq!(SpanMark::of(&[7; 16], &mark.span_id()), None);
            assert_eq!(SpanMark::of(&mark.trace_id()[..15], &mark.span_id()), None);
            assert_eq!(SpanMark::of(&mark.trace_id(), &[0; 8]), None);
            assert_eq!(SpanMark::of(&mark.trace_id(), &[1; 9]), None);
        }
    }

    #[test]
    fn a_trace_has_several_spans_and_traces_differ() {
        let trace = |number| {
            let sender = SenderId(1);
            SpanMark { sender, number }.trace_id()
        };
        assert_eq!(trace(1), trace(8));
        assert_ne!(trace(8), trace(9));
    }

    #[test]
    fn a_sender_survives_its_text() {
        let id = SenderId(0x2a);
        assert_eq!(id.to_string().parse(), Ok(id));
        assert!("2a".parse::<SenderId>().is_err() && "0000002g".parse::<SenderId>().is_err());
    }
}
