//! A record as it is on disk: what it is and when it came, then its bytes as they came.
//!
//! ```text
//! 0    8        16  17
//! sum  came at  n   what it is (n bytes)   body
//! ```
//! Numbers are little-endian; the sum is XXH64 of all behind it; the time is in milliseconds of the Unix epoch;
//! what it is are the names of signal, encoding and compression, so that a new one needs no new format.

use std::hash::Hasher;

use bytes::Bytes;
use evenkeel_otlp::{Compression, Encoding, Export, Signal};
use twox_hash::XxHash64;

/// Up to where a record of any kind is the same: sum, time, length of the names.
const FIXED: usize = 17;

/// What a record takes of `max_bytes`, by the length that it has on disk: the store keeps long ones in pages of
/// their own, a power of two long, and fills pages of short ones by half.
pub(super) fn charge(len: usize) -> u64 {
    const ENTRY: u64 = 64;
    let needed = len as u64 + ENTRY;
    if needed > 2048 {
        needed.next_power_of_two()
    } else {
        needed * 2
    }
}

/// A record on its way to disk.
#[derive(Debug)]
pub(super) struct Draft {
    head: Vec<u8>,
    pub(super) export: Export,
    pub(super) came_at: u64,
}

impl Draft {
    pub(super) fn new(export: Export, came_at: u64) -> Self {
        let names = format!(
            "{} {} {}",
            export.signal().as_str(),
            export.encoding().media_type(),
            export.compression()
        );
        let mut head = Vec::with_capacity(FIXED + names.len());
        head.extend_from_slice(&[0; 8]);
        head.extend_from_slice(&came_at.to_le_bytes());
        // The names are a few dozen bytes long.
        head.push(u8::try_from(names.len()).unwrap_or(u8::MAX));
        head.extend_from_slice(names.as_bytes());
        let sum = sum(&[&head[8..], export.body()]);
        head[..8].copy_from_slice(&sum.to_le_bytes());
        Self {
            head,
            export,
            came_at,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.head.len() + self.export.body().len()
    }

    /// Writes all of it into `place`, which is as long as it is.
    pub(super) fn write(&self, place: &mut [u8]) {
        let (head, body) = place.split_at_mut(self.head.len());
        head.copy_from_slice(&self.head);
        body.copy_from_slice(self.export.body());
    }
}

/// Reads what [`Draft::write`] wrote; `None` if not a byte of it may be believed.
pub(super) fn read(bytes: &[u8]) -> Option<(Export, u64)> {
    let (stored, rest) = bytes.split_first_chunk::<8>()?;
    if u64::from_le_bytes(*stored) != sum(&[rest]) {
        return None;
    }
    let (came_at, rest) = rest.split_first_chunk::<8>()?;
    let (&names, rest) = rest.split_first()?;
    let (names, body) = rest.split_at_checked(usize::from(names))?;
    let mut names = std::str::from_utf8(names).ok()?.split(' ');
    let signal = names.next()?;
    let signal = Signal::ALL.into_iter().find(|known| known.as_str() == signal)?;
    let encoding = Encoding::from_media_type(names.next()?)?;
    let compression: Compression = names.next()?.parse().ok()?;
    let export = Export::new(signal, encoding, compression, Bytes::copy_from_slice(body));
    Some((export, u64::from_le_bytes(*came_at)))
}

fn sum(parts: &[&[u8]]) -> u64 {
    let mut hasher = XxHash64::with_seed(0);
    for part in parts {
        hasher.write(part);
    }
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn export(body: Vec<u8>, signal: usize, json: bool, compression: usize) -> Export {
        let encoding = if json { Encoding::Json } else { Encoding::Protobuf };
        let compressions = [Compression::None, Compression::Gzip, Compression::Zstd];
        Export::new(
            Signal::ALL[signal % Signal::ALL.len()],
            encoding,
            compressions[compression % 3],
            body.into(),
        )
    }

    fn written(draft: &Draft) -> Vec<u8> {
        let mut place = vec![0; draft.len()];
        draft.write(&mut place);
        place
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            body: Vec<u8>, signal: usize, json: bool, compression: usize, came_at: u64,
        ) {
            let export = export(body, signal, json, compression);
            let draft = Draft::new(export.clone(), came_at);
            prop_assert_eq!(read(&written(&draft)), Some((export, came_at)));
        }

        #[test]
        fn a_flipped_bit_is_not_delivered(body: Vec<u8>, at: prop::sample::Index, bit in 0u8..8) {
            let mut bytes = written(&Draft::new(export(body, 0, false, 0), 7));
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            prop_assert_eq!(read(&bytes), None);
        }

        #[test]
        fn a_cut_record_is_not_delivered(body: Vec<u8>, cut: prop::sample::Index) {
            let bytes = written(&Draft::new(export(body, 0, false, 0), 7));
            prop_assert_eq!(read(&bytes[..cut.index(bytes.len())]), None);
        }
    }
}
