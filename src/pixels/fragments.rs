//! Which bytes of encapsulated pixel data are which frame's (PS3.5 §A.4).

use std::io;
use std::ops::Range;
use std::sync::Arc;

use model::limits;

use crate::ReadAt;

/// The items of an encapsulated Pixel Data element (PS3.5 §A.4).
pub struct Fragments {
    /// Offsets of the Basic Offset Table, from the first fragment's item tag; empty when there is none.
    offsets: Vec<u64>,
    /// Place in the file of each fragment's value.
    values: Arc<[Range<u64>]>,
}

/// Which fragments are a frame's.
pub struct Frames {
    values: Arc<[Range<u64>]>,
    /// Index of each frame's first fragment, and the number of fragments at the end; `None` when each fragment is a frame.
    starts: Option<Vec<usize>>,
}

/// Some of a list of places that several share.
#[derive(Debug, Clone)]
pub struct Places {
    all: Arc<[Range<u64>]>,
    span: Range<usize>,
}

/// Walks the item headers within these places of a file. Blocking.
///
/// # Errors
/// When the file cannot be read, or has more than [`limits::FRAGMENTS`] fragments.
pub fn read(file: &dyn ReadAt, within: Range<u64>) -> io::Result<Fragments> {
    let mut items = Vec::new();
    let mut window = Window { file, start: 0, bytes: Vec::new() };
    let mut position = within.start;
    let mut is_dense = true;
    while position + ITEM_HEADER_BYTES <= within.end {
        let [a, b, c, d, length @ ..] = window.header(position, is_dense, within.end)?;
        if [a, b, c, d] != ITEM {
            break;
        }
        let length = u64::from(u32::from_le_bytes(length));
        let start = position + ITEM_HEADER_BYTES;
        position = start + length;
        if position > within.end || items.len() > limits::FRAGMENTS {
            return Err(io::ErrorKind::InvalidData.into());
        }
        items.push(start..position);
        is_dense = length < WINDOW_BYTES / 4;
    }
    let table = items.first().cloned().unwrap_or_default();
    let values = items.get(1..).unwrap_or_default().into();
    Ok(Fragments { offsets: offset_table(file, table)?, values })
}

impl Fragments {
    /// The fragments by frame; `None` when they cannot be told apart.
    ///
    /// As many fragments as frames: one each. One frame: all of them. Otherwise the Basic Offset Table decides, when it has an
    /// ascending entry for each frame that is the place of a fragment. Without one, `file` is looked at: as many fragments as there are
    /// frames begin an image, each behind one that ends an image. Blocking.
    pub fn frames(self, number_of_frames: u64, file: &dyn ReadAt) -> Option<Frames> {
        let count = self.values.len();
        if count == 0 {
            return None;
        }
        let starts = if count as u64 == number_of_frames {
            None
        } else if number_of_frames == 1 {
            Some(vec![0, count])
        } else {
            Some(self.by_offset_table(number_of_frames).or_else(|| self.by_markers(number_of_frames, file))?)
        };
        Some(Frames { values: self.values, starts })
    }

    fn by_offset_table(&self, number_of_frames: u64) -> Option<Vec<usize>> {
        if self.offsets.len() as u64 != number_of_frames || self.offsets.first() != Some(&0) {
            return None;
        }
        let origin = self.values.first()?.start;
        let mut wanted = self.offsets.iter().peekable();
        let mut starts = Vec::with_capacity(self.offsets.len() + 1);
        for (index, fragment) in self.values.iter().enumerate() {
            if wanted.next_if_eq(&&(fragment.start - origin)).is_some() {
                starts.push(index);
            }
        }
        starts.push(self.values.len());
        wanted.peek().is_none().then_some(starts)
    }
}

impl Fragments {
    fn by_markers(&self, number_of_frames: u64, file: &dyn ReadAt) -> Option<Vec<usize>> {
        if !self.offsets.is_empty() || self.values.len() > limits::MARKED_FRAGMENTS {
            return None;
        }
        let mut starts = Vec::new();
        let mut has_ended = true;
        for (index, value) in self.values.iter().enumerate() {
            let mut edge = [0; EDGE_BYTES as usize];
            let length = (value.end - value.start).min(EDGE_BYTES);
            let edge = edge.get_mut(..usize::try_from(length).ok()?)?;
            file.read_exact_at(edge, value.start).ok()?;
            if edge.starts_with(&JPEG_START) || edge.starts_with(&JPEG_2000_START) {
                starts.push(index);
                if !has_ended {
                    return None;
                }
            }
            file.read_exact_at(edge, value.end - length).ok()?;
            // JPEG and JPEG 2000 end alike; a byte may fill up the last fragment.
            has_ended = edge.ends_with(&IMAGE_END) || matches!(edge, [.., 0xFF, 0xD9, 0x00 | 0xFF]);
        }
        let is_complete = has_ended && starts.len() as u64 == number_of_frames && starts.first() == Some(&0);
        starts.push(self.values.len());
        is_complete.then_some(starts)
    }
}

impl Places {
    /// A place of its own.
    pub fn one(place: Range<u64>) -> Self {
        Self { all: Arc::new([place]), span: 0..1 }
    }

    /// One after the other.
    pub fn iter(&self) -> impl Iterator<Item = &Range<u64>> {
        self.all.get(self.span.clone()).unwrap_or_default().iter()
    }
}

impl Frames {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.starts.as_ref().map_or(self.values.len(), |starts| starts.len() - 1)
    }

    /// Bytes of all fragments.
    pub(crate) fn bytes(&self) -> u64 {
        self.values.iter().map(|place| place.end - place.start).sum()
    }

    /// Places in the file of the fragments of a frame, counted from 0.
    pub fn get(&self, index: usize) -> Option<Places> {
        let span = match &self.starts {
            None => index..index.checked_add(1)?,
            Some(starts) => *starts.get(index)?..*starts.get(index + 1)?,
        };
        self.values.get(span.clone())?;
        Some(Places { all: self.values.clone(), span })
    }
}

/// Part of a file, so that many small fragments do not cost a read each.
struct Window<'a> {
    file: &'a dyn ReadAt,
    start: u64,
    bytes: Vec<u8>,
}

impl Window<'_> {
    fn header(&mut self, position: u64, is_dense: bool, end: u64) -> io::Result<[u8; 8]> {
        if let Some(header) = self.held(position) {
            return Ok(header);
        }
        let wanted = if is_dense { WINDOW_BYTES.min(end - position) } else { ITEM_HEADER_BYTES };
        self.start = position;
        self.bytes.resize(usize::try_from(wanted).map_err(io::Error::other)?, 0);
        self.file.read_exact_at(&mut self.bytes, position)?;
        self.held(position).ok_or(io::ErrorKind::UnexpectedEof.into())
    }

    fn held(&self, position: u64) -> Option<[u8; 8]> {
        let from = usize::try_from(position.checked_sub(self.start)?).ok()?;
        self.bytes.get(from..)?.first_chunk().copied()
    }
}

fn offset_table(file: &dyn ReadAt, place: Range<u64>) -> io::Result<Vec<u64>> {
    let length = usize::try_from(place.end - place.start).map_err(io::Error::other)?;
    if length / 4 > limits::FRAGMENTS {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut bytes = vec![0; length];
    file.read_exact_at(&mut bytes, place.start)?;
    let (entries, _) = bytes.as_chunks::<4>();
    Ok(entries.iter().map(|entry| u64::from(u32::from_le_bytes(*entry))).collect())
}

const ITEM: [u8; 4] = [0xFE, 0xFF, 0x00, 0xE0];
const ITEM_HEADER_BYTES: u64 = 8;
const WINDOW_BYTES: u64 = 64 << 10;
/// What is looked at of a fragment, at both ends.
const EDGE_BYTES: u64 = 4;
const JPEG_START: [u8; 3] = [0xFF, 0xD8, 0xFF];
const JPEG_2000_START: [u8; 4] = [0xFF, 0x4F, 0xFF, 0x51];
const IMAGE_END: [u8; 2] = [0xFF, 0xD9];

#[cfg(test)]
mod tests {
    use super::*;

    fn frames(offsets: &[u64], values: &[Range<u64>], number: u64) -> Option<Vec<Vec<Range<u64>>>> {
        let fragments = Fragments { offsets: offsets.to_vec(), values: values.into() };
        let frames = fragments.frames(number, &[0_u8; 200].as_slice())?;
        let frame = |index| frames.get(index).map(|places| places.iter().cloned().collect());
        assert!(frame(frames.len()).is_none());
        Some((0..frames.len()).map(|index| frame(index).unwrap()).collect())
    }

    #[test]
    fn tells_frames_apart_by_count_or_offset_table() {
        let values = [100..110, 118..130, 138..140];
        assert_eq!(frames(&[], &values, 3).unwrap().len(), 3);
        assert_eq!(frames(&[], &values, 1).unwrap(), [values.to_vec()]);
        assert_eq!(frames(&[0, 38], &values, 2).unwrap(), [vec![100..110, 118..130], vec![138..140]]);
    }

    #[test]
    fn does_not_guess() {
        let values = [100..110, 118..130, 138..140];
        assert_eq!(frames(&[], &values, 2), None);
        assert_eq!(frames(&[0, 7], &values, 2), None);
        assert_eq!(frames(&[4, 38], &values, 2), None);
        assert_eq!(frames(&[], &[], 1), None);
    }

    #[test]
    fn finds_small_and_large_fragments() {
        let mut file = Vec::new();
        let lengths = [0_u32, 10, 70_000, 2, 0, 200_000, 4];
        let mut expected = Vec::new();
        let mut at = 0;
        for length in lengths {
            file.extend(ITEM);
            file.extend(length.to_le_bytes());
            file.extend(vec![0xFE; length as usize]);
            at += 8 + u64::from(length);
            expected.push(at - u64::from(length)..at);
        }
        file.extend(b"\xFE\xFF\xDD\xE0\0\0\0\0");
        let fragments = read(&file.as_slice(), 0..at + 8).unwrap();
        assert_eq!(*fragments.values, expected[1..]);
    }
    #[test]
    fn tells_frames_apart_by_the_images_that_begin_and_end() {
        let parts: [&[u8]; 4] =
            [b"\xFF\xD8\xFF1", b"\xFF\xD9\0\0\xFF\xD9\0\0", b"\xFF\xD8\xFF2", b"34\xFF\xD9"];
        let check = |parts: &[&[u8]], number| {
            let mut values = Vec::new();
            let file = parts.iter().fold(Vec::new(), |mut file: Vec<u8>, part| {
                values.push(file.len() as u64..(file.len() + part.len()) as u64);
                file.extend_from_slice(part);
                file
            });
            let fragments = Fragments { offsets: vec![], values: values.into() };
            fragments.frames(number, &file.as_slice()).map(|frames| frames.len())
        };
        let [start, padded, ..] = parts;
        let padded = padded.strip_suffix(b"\0").unwrap_or(padded);
        assert_eq!(check(&[start, padded, start, padded], 2), Some(2));
        assert_eq!(check(&parts, 2), None, "two bytes behind the end");
        assert_eq!(check(&[start, b"12", start, padded], 2), None, "the first image does not end");
        assert_eq!(check(&[start, padded, start, padded], 3), None);
    }
}
