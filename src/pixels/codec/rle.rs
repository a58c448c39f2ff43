#![deny(clippy::indexing_slicing)]

use crate::Error;
use crate::image::Image;

/// Decodes one frame of RLE Lossless: a segment for each byte of each sample, highest byte first.
///
/// PS3.5 Annex G.
pub(super) fn decode(bytes: &[u8], image: &Image) -> Result<Vec<u8>, Error> {
    let (sample_bytes, pixels) = (image.sample_bytes(), image.rows * image.columns);
    let segments = image.samples * sample_bytes;
    if image.bits_allocated < 8 || segments > MAX_SEGMENTS {
        return Err(Error::Unsupported("RLE of such samples"));
    }
    let ends = segment_ends(bytes, segments)?;
    let mut frame = vec![0; image.frame_bytes()?];
    let mut plane = Vec::with_capacity(pixels);
    for (index, &(start, end)) in ends.iter().enumerate() {
        let segment =
            bytes.get(start..end).ok_or(Error::Damaged("an RLE segment lies outside of its frame"))?;
        plane.clear();
        unpack(segment, pixels, &mut plane)?;
        let (sample, byte) = (index / sample_bytes, sample_bytes - 1 - index % sample_bytes);
        let places = frame.iter_mut().skip(sample * sample_bytes + byte).step_by(segments);
        places.zip(&plane).for_each(|(place, value)| *place = *value);
    }
    Ok(frame)
}

/// Encodes one frame; no run crosses the end of a row (PS3.5 §G.3.1).
pub(super) fn encode(frame: &[u8], image: &Image) -> Result<Vec<u8>, Error> {
    let sample_bytes = image.sample_bytes();
    let segments = image.samples * sample_bytes;
    if segments > MAX_SEGMENTS {
        return Err(Error::Unsupported("RLE of such samples"));
    }
    let mut offsets = [0_u32; MAX_SEGMENTS + 1];
    let mut out = vec![0; HEADER_BYTES];
    let mut slots = offsets.iter_mut();
    if let Some(count) = slots.next() {
        *count = segments as u32; // at most 15
    }
    let mut plane = Vec::with_capacity(image.rows * image.columns);
    for (index, offset) in (0..segments).zip(slots) {
        *offset = u32::try_from(out.len()).map_err(|_| Error::TooLarge("an RLE frame beyond 4 GiB"))?;
        let (sample, byte) = (index / sample_bytes, sample_bytes - 1 - index % sample_bytes);
        plane.clear();
        plane.extend(frame.iter().skip(sample * sample_bytes + byte).step_by(segments));
        plane.chunks(image.columns.max(1)).for_each(|row| pack(row, &mut out));
        if !out.len().is_multiple_of(2) {
            out.push(0);
        }
    }
    let header = offsets.iter().flat_map(|offset| offset.to_le_bytes());
    out.iter_mut().zip(header).for_each(|(place, byte)| *place = byte);
    Ok(out)
}

/// Where each segment begins and ends.
fn segment_ends(bytes: &[u8], segments: usize) -> Result<Vec<(usize, usize)>, Error> {
    let header = bytes.get(..HEADER_BYTES).ok_or(Error::Damaged("an RLE frame without its header"))?;
    let mut numbers = header.as_chunks::<4>().0.iter().map(|number| u32::from_le_bytes(*number) as usize);
    if numbers.next() != Some(segments) {
        return Err(Error::Damaged(
            "an RLE frame has another number of segments than its samples have bytes",
        ));
    }
    let starts: Vec<usize> = numbers.take(segments).collect();
    let ends = starts.iter().copied().skip(1).chain([bytes.len()]);
    Ok(starts.iter().copied().zip(ends).collect())
}

/// Unpacks exactly `length` bytes; zeros that follow are padding. PS3.5 §G.3.2.
fn unpack(segment: &[u8], length: usize, out: &mut Vec<u8>) -> Result<(), Error> {
    let mut rest = segment;
    while out.len() < length {
        let Some((control, after)) = rest.split_first() else {
            return Err(Error::Damaged("an RLE segment ends early"));
        };
        rest = after;
        match control {
            0..=127 => {
                let count = usize::from(*control) + 1;
                let (literal, after) =
                    rest.split_at_checked(count).ok_or(Error::Damaged("an RLE segment ends early"))?;
                out.extend(literal);
                rest = after;
            }
            129..=255 => {
                let (value, after) = rest.split_first().ok_or(Error::Damaged("an RLE segment ends early"))?;
                out.resize(out.len() + 257 - usize::from(*control), *value);
                rest = after;
            }
            128 => {}
        }
    }
    let is_padded = rest.len() <= 1 || rest.iter().all(|byte| *byte == 0);
    if out.len() == length && is_padded { Ok(()) } else { Err(Error::Damaged("an RLE segment is too long")) }
}

/// Packs one row: runs of 3 or more, and what is between them as it is.
fn pack(row: &[u8], out: &mut Vec<u8>) {
    let mut rest = row;
    let mut literal: &[u8] = &[];
    while let Some(first) = rest.first() {
        let run = rest.iter().take(MAX_RUN).take_while(|byte| *byte == first).count();
        if run >= 3 {
            put_literal(literal, out);
            out.extend([(257 - run) as u8, *first]); // 3 to 128 long
            rest = rest.get(run..).unwrap_or_default();
            literal = rest.get(..0).unwrap_or_default();
            continue;
        }
        let held = literal.len() + run;
        // `literal` stands directly before `rest` in the row.
        let end = row.len() - rest.len() + run;
        literal = row.get(end - held..end).unwrap_or_default();
        rest = rest.get(run..).unwrap_or_default();
    }
    put_literal(literal, out);
}

fn put_literal(literal: &[u8], out: &mut Vec<u8>) {
    for part in literal.chunks(MAX_RUN) {
        out.push((part.len() - 1) as u8); // at most 127
        out.extend_from_slice(part);
    }
}

const HEADER_BYTES: usize = 64;
const MAX_SEGMENTS: usize = 15;
const MAX_RUN: usize = 128;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::samples::tests::image;

    #[test]
    fn packs_as_the_standard_says() {
        for (row, expected) in [
            (&[5_u8; 5][..], &[252, 5][..]),
            (&[1, 2, 3], &[2, 1, 2, 3]),
            (&[1, 1, 2, 2, 2, 7], &[1, 1, 1, 254, 2, 0, 7]),
            (&[], &[]),
        ] {
            let mut out = Vec::new();
            pack(row, &mut out);
            assert_eq!(out, expected, "{row:?}");
        }
        let mut out = Vec::new();
        pack(&[9; 130], &mut out);
        assert_eq!(out, [129, 9, 1, 9, 9]);
    }

    #[test]
    fn segments_are_highest_byte_first() {
        let image = image((16, 16), false, 1, (2, 1));
        let encoded = encode(&[0x02, 0x01, 0x04, 0x03], &image).unwrap();
        assert_eq!(encoded.get(..12).unwrap(), [2, 0, 0, 0, 64, 0, 0, 0, 68, 0, 0, 0]);
        assert_eq!(encoded.get(64..).unwrap(), [1, 1, 3, 0, 1, 2, 4, 0]);
    }

    #[test]
    fn damaged_frames_are_refused() {
        let image = image((8, 8), false, 1, (4, 4));
        let good = encode(&[3; 16], &image).unwrap();
        assert_eq!(decode(&good, &image).unwrap(), [3; 16]);
        assert!(decode(good.get(..63).unwrap(), &image).is_err());
        assert!(decode(good.get(..65).unwrap(), &image).is_err());
        let three = Image { samples: 3, ..image.clone() };
        assert!(decode(&good, &three).is_err());
        let mut outside = good.clone();
        outside.splice(4..8, [255, 255, 255, 127]);
        assert!(decode(&outside, &image).is_err());
    }

    proptest! {
        #[test]
        fn comes_back(
            values in prop::collection::vec(prop_oneof![Just(0_u8), Just(7), any::<u8>()], 12 * 24),
            shape in prop_oneof![Just((8, 1)), Just((16, 1)), Just((32, 1)), Just((8, 3)), Just((16, 3))],
        ) {
            let (bits, samples) = shape;
            let image = image((bits, bits), false, samples, (12, 2));
            let frame = values.get(..image.frame_bytes().unwrap()).unwrap();
            let encoded = encode(frame, &image).unwrap();
            prop_assert_eq!(decode(&encoded, &image).unwrap(), frame);
        }
    }
}
