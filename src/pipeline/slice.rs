use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read};
use std::ops::Range;

use archive::StoredInstance;
use flate2::read::DeflateDecoder;
use model::limits;
use pixels::ReadAt;

use crate::rendition::Bits;
use crate::{Error, Part, blocking};

/// Reads a stored file, or ranges of its data set, in chunks of at most [`limits::SPOOL_CHUNK_BYTES`].
pub struct PartReader {
    /// Absent only while a chunk is being read, and after an error.
    source: Option<Source>,
    ranges: VecDeque<Range<u64>>,
    length: u64,
    /// Bytes of a word to be reversed, 1 for none: big endian is sent as little endian.
    word_bytes: usize,
    shift: Option<Shift>,
}

/// Cuts a frame out of the whole words that hold it, chunk by chunk.
struct Shift {
    /// Whole bytes to be left out first.
    skipped_bytes: u64,
    /// Bits to be left out then, fewer than 8.
    skipped: u32,
    bits_left: u64,
    /// The byte whose upper bits are still to come out.
    carry: Option<u8>,
}

enum Source {
    /// The ranges are places in the file.
    Plain(File),
    /// The ranges are places in these bytes.
    Bytes(Vec<u8>),
    /// The ranges are places in the inflated data set, in ascending order.
    Deflated { stream: Box<DeflateDecoder<File>>, position: u64 },
}

impl PartReader {
    pub(crate) async fn whole(instance: &StoredInstance) -> Result<Self, Error> {
        let path = instance.path.clone();
        let file = blocking(move || File::open(path)).await.map_err(Error::File)?;
        Ok(Self {
            source: Some(Source::Plain(file)),
            ranges: VecDeque::from([0..instance.length]),
            length: instance.length,
            word_bytes: 1,
            shift: None,
        })
    }

    /// Hands out bytes that are there.
    pub fn of_bytes(bytes: Vec<u8>) -> Self {
        let length = bytes.len() as u64;
        let ranges = VecDeque::from([0..length]);
        Self { source: Some(Source::Bytes(bytes)), ranges, length, word_bytes: 1, shift: None }
    }

    pub(crate) async fn of(instance: &StoredInstance, part: &Part) -> Result<Self, Error> {
        let path = instance.path.clone();
        let (offset, inflate) = (instance.data_offset, part.inflate);
        let source = blocking(move || -> io::Result<Source> {
            let mut file = File::open(path)?;
            if !inflate {
                return Ok(Source::Plain(file));
            }
            io::Seek::seek(&mut file, io::SeekFrom::Start(offset))?;
            Ok(Source::Deflated { stream: Box::new(DeflateDecoder::new(file)), position: 0 })
        })
        .await
        .map_err(Error::File)?;
        let base = if inflate { 0 } else { offset };
        let ranges = part.ranges().map(|range| range.start + base..range.end + base).collect();
        Ok(Self {
            source: Some(source),
            ranges,
            length: part.length(),
            word_bytes: part.word_bytes,
            shift: part.bits.map(Shift::new),
        })
    }

    /// Bytes that all chunks have together.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// The next chunk; `None` at the end. Not cancel safe: a dropped call ends the reader.
    ///
    /// # Errors
    /// [`Error::File`] when the file cannot be read or is shorter than it was.
    pub async fn chunk(&mut self) -> Result<Option<Vec<u8>>, Error> {
        let wanted = take_front(&mut self.ranges, limits::SPOOL_CHUNK_BYTES as u64);
        if wanted.is_empty() {
            return Ok(None);
        }
        let Some(mut source) = self.source.take() else {
            return Err(Error::File(io::ErrorKind::BrokenPipe.into()));
        };
        let word_bytes = self.word_bytes;
        let (source, chunk) = blocking(move || {
            let chunk = source.read(&wanted).map(|mut chunk| {
                if word_bytes > 1 {
                    chunk.chunks_exact_mut(word_bytes).for_each(<[u8]>::reverse);
                }
                chunk
            });
            (source, chunk)
        })
        .await;
        let chunk = chunk.map_err(Error::File)?;
        self.source = Some(source);
        let is_last = self.ranges.is_empty();
        Ok(Some(match &mut self.shift {
            Some(shift) => shift.apply(&chunk, is_last),
            None => chunk,
        }))
    }
}

impl Source {
    fn read(&mut self, wanted: &[Range<u64>]) -> io::Result<Vec<u8>> {
        let total = wanted.iter().map(|range| range.end - range.start).sum::<u64>();
        let mut chunk = vec![0; usize::try_from(total).map_err(io::Error::other)?];
        let mut rest = chunk.as_mut_slice();
        for range in wanted {
            let length = usize::try_from(range.end - range.start).map_err(io::Error::other)?;
            let (part, after) = rest.split_at_mut(length);
            match self {
                Self::Plain(file) => file.read_exact_at(part, range.start)?,
                Self::Bytes(bytes) => bytes.as_slice().read_exact_at(part, range.start)?,
                Self::Deflated { stream, position } => {
                    let ahead = range.start.checked_sub(*position).ok_or(io::ErrorKind::InvalidInput)?;
                    io::copy(&mut stream.by_ref().take(ahead), &mut io::sink())?;
                    stream.read_exact(part)?;
                    *position = range.end;
                }
            }
            rest = after;
        }
        Ok(chunk)
    }
}

impl Shift {
    fn new(bits: Bits) -> Self {
        let skipped = (bits.skipped % 8) as u32; // below 8
        Self { skipped_bytes: bits.skipped / 8, skipped, bits_left: bits.length, carry: None }
    }

    fn apply(&mut self, chunk: &[u8], is_last: bool) -> Vec<u8> {
        let left_out = self.skipped_bytes.min(chunk.len() as u64);
        self.skipped_bytes -= left_out;
        let chunk = chunk.get(left_out as usize..).unwrap_or_default(); // at most the chunk's length
        let end = is_last.then_some(0);
        let mut shifted = Vec::with_capacity(chunk.len() + 1);
        for byte in chunk.iter().copied().chain(end) {
            if let Some(carry) = self.carry.replace(byte).filter(|_| self.bits_left > 0) {
                let [low, _] = (u16::from_le_bytes([carry, byte]) >> self.skipped).to_le_bytes();
                let kept = self.bits_left.min(8) as u32; // at most 8
                shifted.push(low & (0xFF >> (8 - kept)));
                self.bits_left -= u64::from(kept);
            }
        }
        shifted
    }
}

/// Takes ranges of at most `limit` bytes together off the front.
fn take_front(ranges: &mut VecDeque<Range<u64>>, limit: u64) -> Vec<Range<u64>> {
    let mut taken = Vec::new();
    let mut room = limit;
    while room > 0 {
        let Some(front) = ranges.front_mut() else { break };
        let length = (front.end - front.start).min(room);
        if length > 0 {
            taken.push(front.start..front.start + length);
            front.start += length;
            room -= length;
        }
        if front.start == front.end {
            ranges.pop_front();
        }
    }
    taken
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_of_single_bits_come_out_aligned_whatever_the_chunks() {
        // Two pixels of the frame before, then twelve ones and a zero of this one, then a one of the next.
        let packed = [0b1111_1100, 0b1011_1111];
        let shift = || Shift::new(Bits { skipped: 2, length: 13 });
        let expected = vec![0b1111_1111, 0b0_1111];
        assert_eq!(shift().apply(&packed, true), expected);
        let mut by_byte = shift();
        let parts = packed.iter().enumerate().map(|(n, byte)| by_byte.apply(&[*byte], n + 1 == packed.len()));
        assert_eq!(parts.collect::<Vec<_>>().concat(), expected);
    }

    #[test]
    fn frames_that_begin_inside_a_word_lose_what_is_before() {
        let mut shift = Shift::new(Bits { skipped: 24, length: 16 });
        assert_eq!([shift.apply(&[1, 2], false), shift.apply(&[3, 4, 5, 6], true)].concat(), [4, 5]);
    }

    #[test]
    fn takes_no_more_than_the_limit_and_loses_nothing() {
        let mut ranges = VecDeque::from([0..10, 20..20, 30..100]);
        assert_eq!(take_front(&mut ranges, 15), [0..10, 30..35]);
        assert_eq!(take_front(&mut ranges, 100), [35..100]);
        assert!(take_front(&mut ranges, 100).is_empty());
    }
}
