use std::io::{self, BufReader, Read};
use std::ops::Range;

use flate2::read::DeflateDecoder;
use model::syntax;

use crate::{Error, ReadAt};

/// The bytes of a stored data set, inflated where they are deflated. What is read in ascending order is inflated once.
pub(crate) struct Source<'a> {
    stored: Stored<'a>,
    inflated: Option<Inflated<'a>>,
}

/// Where a data set lies.
#[derive(Clone, Copy)]
pub(crate) struct Stored<'a> {
    pub(crate) bytes: &'a dyn ReadAt,
    pub(crate) offset: u64,
    /// Bytes of the file.
    pub(crate) end: u64,
}

struct Inflated<'a> {
    stream: DeflateDecoder<BufReader<Tail<'a>>>,
    position: u64,
}

/// Reads a file on to its end.
struct Tail<'a> {
    stored: Stored<'a>,
}

impl<'a> Source<'a> {
    pub(crate) fn new(stored: Stored<'a>, transfer_syntax: &str) -> Self {
        let inflated = syntax::form(transfer_syntax).deflated.then(|| Inflated::new(stored));
        Self { stored, inflated }
    }

    /// Fills `buffer` from a place in the (inflated) data set on.
    pub(crate) fn read(&mut self, position: u64, buffer: &mut [u8]) -> Result<(), Error> {
        let read = match &mut self.inflated {
            None => self.stored.bytes.read_exact_at(buffer, self.stored.offset + position),
            Some(inflated) => {
                if inflated.position > position {
                    *inflated = Inflated::new(self.stored);
                }
                inflated.read(position, buffer)
            }
        };
        read.map_err(Error::Read)
    }

    /// Hands a range of the (inflated) data set to `take` in chunks of whole words of 8 bytes, but for the last one.
    pub(crate) fn copy(
        &mut self,
        range: Range<u64>,
        mut take: impl FnMut(&mut [u8]) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let mut chunk = vec![0; CHUNK_BYTES];
        let mut position = range.start;
        while position < range.end {
            let length = usize::try_from(range.end - position).unwrap_or(CHUNK_BYTES).min(CHUNK_BYTES);
            let bytes = chunk.get_mut(..length).unwrap_or_default();
            self.read(position, bytes)?;
            take(bytes)?;
            position += length as u64;
        }
        Ok(())
    }
}

impl<'a> Inflated<'a> {
    fn new(stored: Stored<'a>) -> Self {
        let tail = BufReader::with_capacity(CHUNK_BYTES, Tail { stored });
        Self { stream: DeflateDecoder::new(tail), position: 0 }
    }

    fn read(&mut self, position: u64, buffer: &mut [u8]) -> io::Result<()> {
        let ahead = position - self.position;
        let skipped = io::copy(&mut self.stream.by_ref().take(ahead), &mut io::sink())?;
        if skipped < ahead {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.stream.read_exact(buffer)?;
        self.position = position + buffer.len() as u64;
        Ok(())
    }
}

impl Read for Tail<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.stored.end.saturating_sub(self.stored.offset);
        let length = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
        let part = buffer.get_mut(..length).unwrap_or_default();
        self.stored.bytes.read_exact_at(part, self.stored.offset)?;
        self.stored.offset += length as u64;
        Ok(length)
    }
}

const CHUNK_BYTES: usize = 64 << 10;
