#![deny(clippy::indexing_slicing)]

use flate2::{Decompress, FlushDecompress, Status};

use super::ScanError;
use super::walk::Walk;

/// Inflates a raw deflate stream (PS3.5 §A.5) into a walk. What follows the stream's end is padding.
pub(super) struct Inflate {
    stream: Decompress,
    out: Vec<u8>,
    ended: bool,
    limit: u64,
}

impl Inflate {
    /// Refuses to inflate to more than `limit` bytes.
    pub(super) fn new(limit: u64) -> Self {
        Self { stream: Decompress::new(false), out: vec![0; BUFFER_BYTES], ended: false, limit }
    }

    pub(super) fn feed(&mut self, mut bytes: &[u8], walk: &mut Walk) -> Result<(), ScanError> {
        while !self.ended {
            let (read, written) = (self.stream.total_in(), self.stream.total_out());
            let status = self.stream.decompress(bytes, &mut self.out, FlushDecompress::None);
            let status = status.map_err(|_| ScanError::Deflate)?;
            if self.stream.total_out() > self.limit {
                return Err(ScanError::Inflated);
            }
            let read = usize::try_from(self.stream.total_in() - read).unwrap_or(usize::MAX);
            let written = usize::try_from(self.stream.total_out() - written).unwrap_or(usize::MAX);
            bytes = bytes.get(read..).unwrap_or_default();
            walk.feed(self.out.get(..written).unwrap_or_default())?;
            self.ended = status == Status::StreamEnd;
            // A full buffer means that more may come of the bytes already read.
            let is_drained = bytes.is_empty() && written < self.out.len();
            if is_drained || (read == 0 && written == 0) {
                break;
            }
        }
        Ok(())
    }

    pub(super) fn finish(&self) -> Result<(), ScanError> {
        if self.ended { Ok(()) } else { Err(ScanError::Deflate) }
    }
}

const BUFFER_BYTES: usize = 32 << 10;

#[cfg(test)]
#[expect(clippy::indexing_slicing, reason = "these bytes are our own")]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::DeflateEncoder;

    use super::*;
    use crate::syntax::Encoding;

    const BODY: &[u8] = b"\x10\0\x20\0LO\x04\0ABCD\x20\0\0\x40UT\0\0\0\0\x04\0";

    /// A long text that compresses to almost nothing.
    fn deflated() -> Vec<u8> {
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(BODY).unwrap();
        encoder.write_all(&[b' '; 0x4_0000]).unwrap();
        encoder.finish().unwrap()
    }

    fn inflate(stream: &[u8], chunk: usize, limit: u64) -> Result<u64, ScanError> {
        let mut walk = Walk::new(Encoding::ExplicitLittle);
        let mut inflate = Inflate::new(limit);
        for chunk in stream.chunks(chunk) {
            inflate.feed(chunk, &mut walk)?;
        }
        inflate.finish()?;
        Ok(walk.finish()?.len())
    }

    #[test]
    fn inflates_in_any_chunks_and_ignores_what_follows() {
        let mut stream = deflated();
        stream.extend_from_slice(b"\0and more");
        for chunk in [1, 2, 7, 64, 100, stream.len()] {
            assert_eq!(inflate(&stream, chunk, u64::MAX), Ok(BODY.len() as u64 + 0x4_0000));
        }
    }

    #[test]
    fn refuses_what_is_cut_damaged_or_too_large() {
        let stream = deflated();
        let length = BODY.len() as u64 + 0x4_0000;
        assert_eq!(inflate(&stream, 64, length), Ok(length));
        assert_eq!(inflate(&stream, 64, length - 1), Err(ScanError::Inflated));
        assert_eq!(inflate(&stream[..stream.len() - 1], 64, length), Err(ScanError::Deflate));
        assert_eq!(inflate(b"\x78\x9c\0\0", 64, length), Err(ScanError::Deflate));
        assert_eq!(inflate(b"", 64, length), Err(ScanError::Deflate));
    }
}
