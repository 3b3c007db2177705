//! The two messages of gRPC's health protocol, and the frame they come in.
//!
//! Sources: grpc/health/v1/health.proto; "gRPC over HTTP2"; Protocol Buffers' encoding.

use std::fmt;

/// What a server says of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ServingStatus {
    /// It does not know.
    Unknown,
    /// It serves.
    Serving,
    /// It does not.
    NotServing,
    /// There is no such service (yet).
    ServiceUnknown,
}

impl ServingStatus {
    const fn of(number: u64) -> Self {
        match number {
            1 => Self::Serving,
            2 => Self::NotServing,
            3 => Self::ServiceUnknown,
            // As a client that does not know a newer word has to take it.
            _ => Self::Unknown,
        }
    }

    /// The status as the protocol spells it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "UNKNOWN",
            Self::Serving => "SERVING",
            Self::NotServing => "NOT_SERVING",
            Self::ServiceUnknown => "SERVICE_UNKNOWN",
        }
    }
}

impl fmt::Display for ServingStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The bytes are no message, or one that is far too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed;

/// One frame with the question for `service`.
pub(super) fn request(service: &str) -> Vec<u8> {
    let mut message = Vec::new();
    if !service.is_empty() {
        // Field 1, a string.
        message.push(1 << 3 | 2);
        put_varint(&mut message, service.len() as u64);
        message.extend_from_slice(service.as_bytes());
    }
    // Not compressed. The config has checked that the name is short.
    let length = u32::try_from(message.len()).unwrap_or_default();
    let mut frame = vec![0];
    frame.extend_from_slice(&length.to_be_bytes());
    frame.extend_from_slice(&message);
    frame
}

fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Bytes as they come, cut into messages.
#[derive(Debug, Default)]
pub(super) struct Frames(Vec<u8>);

/// An answer of the health protocol has two bytes.
const MAX_MESSAGE: usize = 4096;
const PREFIX: usize = 5;

impl Frames {
    /// Takes in more bytes.
    pub(super) fn extend(&mut self, bytes: &[u8]) -> Result<(), Malformed> {
        // What a server may send at once that is not an endless one.
        if self.0.len() + bytes.len() > 16 * MAX_MESSAGE {
            return Err(Malformed);
        }
        self.0.extend_from_slice(bytes);
        Ok(())
    }

    /// The status in the next message, if one is complete.
    pub(super) fn next(&mut self) -> Result<Option<ServingStatus>, Malformed> {
        let Some((&[compressed, a, b, c, d], rest)) = self.0.split_first_chunk::<PREFIX>() else {
            return Ok(None);
        };
        let length = u32::from_be_bytes([a, b, c, d]) as usize;
        if compressed != 0 || length > MAX_MESSAGE {
            return Err(Malformed);
        }
        let Some(message) = rest.get(..length) else {
            return Ok(None);
        };
        let status = status_in(message)?;
        self.0.drain(..PREFIX + length);
        Ok(Some(status))
    }
}

/// Field 1, an enum, is the status; the last one counts, and other fields are passed over.
fn status_in(mut message: &[u8]) -> Result<ServingStatus, Malformed> {
    let mut status = ServingStatus::Unknown;
    while !message.is_empty() {
        let key = take_varint(&mut message)?;
        match (key >> 3, key & 7) {
            (1, 0) => status = ServingStatus::of(take_varint(&mut message)?),
            (_, 0) => {
                take_varint(&mut message)?;
            }
            (_, 1) => skip(&mut message, 8)?,
            (_, 2) => {
                let length = take_varint(&mut message)?;
                skip(&mut message, length)?;
            }
            (_, 5) => skip(&mut message, 4)?,
            _ => return Err(Malformed),
        }
    }
    Ok(status)
}

fn take_varint(bytes: &mut &[u8]) -> Result<u64, Malformed> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes.split_first().ok_or(Malformed)?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Ok(value);
        }
    }
    Err(Malformed)
}

fn skip(bytes: &mut &[u8], count: u64) -> Result<(), Malformed> {
    let count = usize::try_from(count).map_err(|_| Malformed)?;
    *bytes = bytes.get(count..).ok_or(Malformed)?;
    Ok(())
}

#[cfg(test)]
#[cfg(not(evenkeel_loom))]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn all(bytes: &[u8]) -> Result<Vec<ServingStatus>, Malformed> {
        let mut frames = Frames::default();
        frames.extend(bytes)?;
        let mut found = Vec::new();
        while let Some(status) = frames.next()? {
            found.push(status);
        }
        Ok(found)
    }

    #[test]
    fn the_question_is_what_the_specification_says() {
        assert_eq!(request(""), [0, 0, 0, 0, 0]);
        assert_eq!(request("ab"), [0, 0, 0, 0, 4, 0x0a, 2, b'a', b'b']);
        let long = request(&"x".repeat(300));
        assert_eq!(long[..8], [0, 0, 0, 1, 47, 0x0a, 0xac, 0x02]);
    }

    #[test]
    fn each_status_is_read_and_an_empty_message_is_unknown() {
        let message = |number| [0, 0, 0, 0, 2, 0x08, number];
        let statuses = [1, 2, 3, 9].map(|number| all(&message(number)).unwrap()[0]);
        let expected = [
            ServingStatus::Serving,
            ServingStatus::NotServing,
            ServingStatus::ServiceUnknown,
            ServingStatus::Unknown,
        ];
        assert_eq!(statuses, expected);
        assert_eq!(all(&[0; 5]).unwrap(), [ServingStatus::Unknown]);
    }

    #[test]
    fn fields_of_a_newer_server_are_passed_over() {
        let newer = [
            &[0, 0, 0, 0, 24][..],
            &[0x10, 0xff, 0x01],             // 2: varint
            &[0x19, 1, 2, 3, 4, 5, 6, 7, 8], // 3: 64 bits
            &[0x22, 3, 7, 7, 7],             // 4: bytes
            &[0x2d, 1, 2, 3, 4],             // 5: 32 bits
            &[0x08, 0x01],
        ];
        assert_eq!(all(&newer.concat()).unwrap(), [ServingStatus::Serving]);
    }

    #[test]
    fn a_compressed_a_huge_and_a_cut_message_are_no_answer() {
        assert_eq!(all(&[1, 0, 0, 0, 2, 8, 1]), Err(Malformed));
        assert_eq!(all(&[0, 0xff, 0xff, 0xff, 0xff]), Err(Malformed));
        assert_eq!(all(&[0, 0, 0, 0, 1, 8]), Err(Malformed));
        assert_eq!(all(&[0, 0, 0, 0, 2, 8]).unwrap(), []);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic_or_read_for_ever(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = all(&bytes);
            let mut message = vec![0, 0, 0, 0, bytes.len() as u8];
            message.extend(&bytes);
            if let Ok(found) = all(&message) {
                prop_assert_eq!(found.len(), 1);
            }
        }

        #[test]
        fn it_does_not_matter_how_the_bytes_are_cut(numbers in proptest::collection::vec(0_u8..5, 0..20), cut in 1_usize..9) {
            let bytes: Vec<u8> = numbers.iter().flat_map(|&n| [0, 0, 0, 0, 2, 8, n]).collect();
            let mut frames = Frames::default();
            let mut found = Vec::new();
            for part in bytes.chunks(cut) {
                frames.extend(part).unwrap();
                while let Some(status) = frames.next().unwrap() {
                    found.push(status);
                }
            }
            prop_assert_eq!(found, all(&bytes).unwrap());
        }
    }
}
