//! gzip and zstd, with a bound on what comes out.

use std::io::{self, Read, Write};

use bytes::Bytes;
use flate2::bufread::MultiGzDecoder;
use flate2::write::GzEncoder;

use crate::{Compression, ExportError};

/// The level of gzip: 1 takes a third of the time of the usual 6, for a tenth more bytes.
const GZIP_LEVEL: flate2::Compression = flate2::Compression::fast();

/// Telemetry repeats itself: ten times is usual.
const USUAL_RATIO: usize = 8;

pub(crate) fn compress(compression: Compression, body: &Bytes) -> Result<Bytes, ExportError> {
    let compressed = match compression {
        Compression::None => return Ok(body.clone()),
        Compression::Gzip => {
            let room = Vec::with_capacity(body.len() / 4 + 64);
            let mut encoder = GzEncoder::new(room, GZIP_LEVEL);
            encoder.write_all(body).and_then(|()| encoder.finish())
        }
        #[cfg(feature = "zstd")]
        Compression::Zstd => zstd::bulk::compress(body, 1),
        #[cfg(not(feature = "zstd"))]
        Compression::Zstd => return Err(ExportError::NotBuiltIn { compression }),
    };
    // Both write to memory, which does not fail.
    let compressed = compressed.map_err(|source| ExportError::Corrupt { compression, source })?;
    Ok(compressed.into())
}

pub(crate) fn decompress(compression: Compression, body: &Bytes, limit: usize) -> Result<Bytes, ExportError> {
    let read = match compression {
        Compression::None => {
            if body.len() > limit {
                return Err(ExportError::TooLarge { limit });
            }
            return Ok(body.clone());
        }
        Compression::Gzip => read_within(MultiGzDecoder::new(&**body), body.len(), limit),
        #[cfg(feature = "zstd")]
        Compression::Zstd => zstd::stream::read::Decoder::with_buffer(&**body).and_then(|mut decoder| {
            // The window is memory too, whatever comes out of it: 8 MiB is what every encoder keeps to.
            decoder.window_log_max(23)?;
            read_within(decoder, body.len(), limit)
        }),
        #[cfg(not(feature = "zstd"))]
        Compression::Zstd => return Err(ExportError::NotBuiltIn { compression }),
    };
    match read {
        Ok(Some(bytes)) => Ok(bytes),
        Ok(None) => Err(ExportError::TooLarge { limit }),
        Err(source) => Err(ExportError::Corrupt { compression, source }),
    }
}

/// All that `decoder` gives; `None` as soon as that is more than `limit`.
fn read_within(decoder: impl Read, compressed: usize, limit: usize) -> io::Result<Option<Bytes>> {
    let room = compressed.saturating_mul(USUAL_RATIO).min(limit);
    let mut bytes = Vec::with_capacity(room);
    let most = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    decoder.take(most).read_to_end(&mut bytes)?;
    Ok((bytes.len() <= limit).then(|| bytes.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds() -> Vec<Compression> {
        let all = [Compression::None, Compression::Gzip, Compression::Zstd];
        all.into_iter().filter(|kind| kind.is_built_in()).collect()
    }

    #[test]
    fn what_was_compressed_comes_back() {
        let body = Bytes::from("telemetry repeats itself, ".repeat(1000));
        for kind in kinds() {
            let there = compress(kind, &body).unwrap();
            assert_eq!(decompress(kind, &there, body.len()).unwrap(), body, "{kind}");
        }
    }

    #[test]
    fn a_bomb_is_refused_before_it_is_held() {
        let body = Bytes::from(vec![0; 64 << 20]);
        for kind in kinds() {
            let bomb = compress(kind, &body).unwrap();
            let refused = decompress(kind, &bomb, 4096).unwrap_err();
            assert!(
                matches!(refused, ExportError::TooLarge { limit: 4096 }),
                "{kind}: {refused}"
            );
        }
    }

    #[test]
    fn what_is_cut_short_or_rubbish_is_corrupt() {
        let body = Bytes::from("telemetry repeats itself, ".repeat(1000));
        for kind in kinds().into_iter().filter(|&kind| kind != Compression::None) {
            let whole = compress(kind, &body).unwrap();
            let short = whole.slice(..whole.len() - 5);
            for bad in [short, Bytes::from_static(b"rubbish, not compressed")] {
                let refused = decompress(kind, &bad, 1 << 20).unwrap_err();
                assert!(
                    matches!(refused, ExportError::Corrupt { .. }),
                    "{kind}: {refused}"
                );
            }
        }
    }
}
