//! [`Framed`]: a gRPC message with its prefix, in one piece to the writer and without a copy.

use std::io::IoSlice;

use bytes::{Buf, Bytes};

use crate::export::GRPC_PREFIX;

/// The five bytes, then the message. Both go out in one DATA frame, if the peer's frames are large enough,
/// and in one write.
#[derive(Debug)]
pub(super) struct Framed {
    prefix: [u8; GRPC_PREFIX],
    /// How much of the prefix is written.
    at: usize,
    message: Bytes,
}

impl Framed {
    /// `message` must not be longer than a u32 can say; requests are limited to half of that.
    pub(super) fn new(compressed: bool, message: Bytes) -> Self {
        let length = u32::try_from(message.len()).unwrap_or(u32::MAX).to_be_bytes();
        let [a, b, c, d] = length;
        Self {
            prefix: [u8::from(compressed), a, b, c, d],
            at: 0,
            message,
        }
    }

    fn prefix(&self) -> &[u8] {
        self.prefix.get(self.at..).unwrap_or_default()
    }
}

impl Buf for Framed {
    fn remaining(&self) -> usize {
        self.prefix().len() + self.message.len()
    }

    fn chunk(&self) -> &[u8] {
        match self.prefix() {
            [] => &self.message,
            prefix => prefix,
        }
    }

    fn chunks_vectored<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let chunks = [self.prefix(), &self.message];
        let chunks = chunks.into_iter().filter(|chunk| !chunk.is_empty());
        slices
            .iter_mut()
            .zip(chunks)
            .map(|(slice, chunk)| *slice = IoSlice::new(chunk))
            .count()
    }

    fn advance(&mut self, count: usize) {
        let of_prefix = count.min(self.prefix().len());
        self.at += of_prefix;
        self.message.advance(count - of_prefix);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_reads_the_same_however_it_is_cut() {
        let whole = [&[1, 0, 0, 0, 3][..], b"abc"].concat();
        for cut in 0..=whole.len() {
            let mut framed = Framed::new(true, Bytes::from_static(b"abc"));
            let mut read = framed.copy_to_bytes(cut).to_vec();
            let mut slices = [IoSlice::new(&[]); 2];
            let filled = framed.chunks_vectored(&mut slices);
            let rest: Vec<u8> = slices[..filled].iter().flat_map(|slice| slice.to_vec()).collect();
            assert_eq!(rest.len(), framed.remaining());
            read.extend(rest);
            assert_eq!(read, whole, "cut at {cut}");
        }
    }
}
