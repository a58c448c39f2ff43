use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;

use model::limits;

/// The items of an encapsulated Pixel Data element (PS3.5 §A.4).
pub(crate) struct Fragments {
    /// Offsets of the Basic Offset Table, from the first fragment's item tag; empty when there is none.
    offsets: Vec<u64>,
    /// Place in the file of each fragment's value.
    values: Vec<Range<u64>>,
}

/// Walks the item headers between `within`, places in the file. Blocking.
///
/// # Errors
/// When the file cannot be read, or has more than [`limits::FRAGMENTS`] fragments.
pub(crate) fn read(file: &File, within: Range<u64>) -> io::Result<Fragments> {
    let mut items = Vec::new();
    let mut position = within.start;
    while position + ITEM_HEADER_BYTES <= within.end {
        let mut head = [0; 8];
        file.read_exact_at(&mut head, position)?;
        let [a, b, c, d, length @ ..] = head;
        if [a, b, c, d] != ITEM {
            break;
        }
        let start = position + ITEM_HEADER_BYTES;
        let end = start + u64::from(u32::from_le_bytes(length));
        if end > within.end || items.len() > limits::FRAGMENTS {
            return Err(io::ErrorKind::InvalidData.into());
        }
        items.push(start..end);
        position = end;
    }
    let mut items = items.into_iter();
    let table = items.next().unwrap_or_default();
    Ok(Fragments { offsets: offset_table(file, table)?, values: items.collect() })
}

impl Fragments {
    /// The fragments of each frame; `None` when they cannot be told apart.
    ///
    /// As many fragments as frames: one each. One frame: all of them. Otherwise the Basic Offset Table decides, when it has an
    /// ascending entry for each frame that is the place of a fragment.
    pub(crate) fn frames(self, number_of_frames: u64) -> Option<Vec<Vec<Range<u64>>>> {
        if self.values.is_empty() {
            return None;
        }
        if self.values.len() as u64 == number_of_frames {
            return Some(self.values.into_iter().map(|fragment| vec![fragment]).collect());
        }
        if number_of_frames == 1 {
            return Some(vec![self.values]);
        }
        self.by_offset_table(number_of_frames)
    }

    fn by_offset_table(self, number_of_frames: u64) -> Option<Vec<Vec<Range<u64>>>> {
        if self.offsets.len() as u64 != number_of_frames || self.offsets.first() != Some(&0) {
            return None;
        }
        let origin = self.values.first()?.start;
        let mut starts = self.offsets.into_iter().peekable();
        let mut frames: Vec<Vec<Range<u64>>> = Vec::new();
        for fragment in self.values {
            if starts.peek() == Some(&(fragment.start - origin)) {
                starts.next();
                frames.push(Vec::new());
            }
            frames.last_mut()?.push(fragment);
        }
        (frames.len() as u64 == number_of_frames).then_some(frames)
    }
}

fn offset_table(file: &File, place: Range<u64>) -> io::Result<Vec<u64>> {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn fragments(offsets: &[u64], values: &[Range<u64>]) -> Fragments {
        Fragments { offsets: offsets.to_vec(), values: values.to_vec() }
    }

    #[test]
    fn tells_frames_apart_by_count_or_offset_table() {
        let values = [100..110, 118..130, 138..140];
        assert_eq!(fragments(&[], &values).frames(3).unwrap().len(), 3);
        assert_eq!(fragments(&[], &values).frames(1).unwrap(), [values.to_vec()]);
        let by_table = fragments(&[0, 38], &values).frames(2).unwrap();
        assert_eq!(by_table, [vec![100..110, 118..130], vec![138..140]]);
    }

    #[test]
    fn does_not_guess() {
        let values = [100..110, 118..130, 138..140];
        assert_eq!(fragments(&[], &values).frames(2), None);
        assert_eq!(fragments(&[0, 7], &values).frames(2), None);
        assert_eq!(fragments(&[4, 38], &values).frames(2), None);
        assert_eq!(fragments(&[], &[]).frames(1), None);
    }
}
