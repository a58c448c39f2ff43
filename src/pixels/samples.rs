#![deny(clippy::indexing_slicing)]

use crate::Error;
use crate::image::Image;

/// Puts the samples of one frame, numbers of `precision` bits, into a native little endian frame.
///
/// The lowest `precision` bits of each are taken and then read as the object's Pixel Representation says: some codecs cannot say
/// whether samples are signed, and some encoders say it wrongly.
///
/// # Errors
/// They have more bits than the object allocates, or are not as many as it says.
pub(crate) fn store(
    values: impl Iterator<Item = i32>,
    precision: u32,
    image: &Image,
) -> Result<Vec<u8>, Error> {
    if precision == 0 || precision > image.bits_allocated {
        return Err(Error::Damaged("compressed samples have more bits than Bits Allocated"));
    }
    let shift = 32 - precision;
    let extended = values.map(|value| {
        let high = value.cast_unsigned() << shift;
        if image.is_signed { (high.cast_signed() >> shift).cast_unsigned() } else { high >> shift }
    });
    let bytes = image.frame_bytes()?;
    let mut frame = Vec::with_capacity(bytes);
    match image.sample_bytes() {
        1 => frame.extend(extended.map(|value| value.to_le_bytes()[0])),
        2 => extended.for_each(|value| {
            frame.extend_from_slice(value.to_le_bytes().first_chunk::<2>().unwrap_or(&[0; 2]))
        }),
        _ => extended.for_each(|value| frame.extend_from_slice(&value.to_le_bytes())),
    }
    if frame.len() == bytes {
        Ok(frame)
    } else {
        Err(Error::Damaged("a frame has fewer samples than the object says"))
    }
}

/// How many low bits hold all that the samples of a native frame of at most 16 bits are: Bits Stored, or Bits Allocated where there is
/// more above these than the sign.
pub(crate) fn precision(frame: &[u8], image: &Image) -> u32 {
    let stored = image.bits_stored;
    let fits = |value: u16, bits: u32| {
        let shift = bits - stored;
        let high = u32::from(value) << (32 - bits);
        if image.is_signed {
            ((high.cast_signed() << shift) >> shift).cast_unsigned() == high
        } else {
            (high << shift) >> shift == high
        }
    };
    let all_fit = image.is_low
        && match image.sample_bytes() {
            1 => frame.iter().all(|byte| fits(u16::from(*byte), 8)),
            _ => frame.as_chunks::<2>().0.iter().all(|word| fits(u16::from_le_bytes(*word), 16)),
        };
    if all_fit { stored } else { image.bits_allocated }
}

/// The lowest `precision` bits of each sample of a native frame of at most 16 bits.
pub(crate) fn patterns(frame: &[u8], precision: u32, image: &Image) -> Vec<u16> {
    let mask = u16::MAX >> (16 - precision.clamp(1, 16));
    match image.sample_bytes() {
        1 => frame.iter().map(|byte| u16::from(*byte) & mask).collect(),
        _ => frame.as_chunks::<2>().0.iter().map(|word| u16::from_le_bytes(*word) & mask).collect(),
    }
}

/// A frame stored plane by plane, with the samples of a pixel side by side.
pub(crate) fn interleave(frame: &[u8], image: &Image) -> Vec<u8> {
    let bytes = image.sample_bytes();
    let plane_bytes = frame.len() / image.samples;
    let planes: Vec<&[u8]> = frame.chunks_exact(plane_bytes.max(1)).take(image.samples).collect();
    let mut out = Vec::with_capacity(frame.len());
    for start in (0..plane_bytes).step_by(bytes.max(1)) {
        for plane in &planes {
            out.extend_from_slice(plane.get(start..start + bytes).unwrap_or_default());
        }
    }
    out
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn image(bits: (u32, u32), is_signed: bool, samples: usize, size: (usize, usize)) -> Image {
        Image {
            columns: size.0,
            rows: size.1,
            samples,
            bits_allocated: bits.0,
            bits_stored: bits.1,
            is_low: true,
            is_signed,
            photometric: if samples == 3 { "RGB" } else { "MONOCHROME2" }.to_owned(),
            is_planar: false,
            frames: 1,
        }
    }

    #[test]
    fn samples_are_read_as_the_object_says_whatever_the_codec_says() {
        let signed = image((16, 13), true, 1, (3, 1));
        let expected: Vec<u8> = [-2000_i16, 5, -1].iter().flat_map(|v| v.to_le_bytes()).collect();
        assert_eq!(store([-2000, 5, -1].into_iter(), 13, &signed).unwrap(), expected);
        let unsigned_codestream = [8192 - 2000, 5, 8191];
        assert_eq!(store(unsigned_codestream.into_iter(), 13, &signed).unwrap(), expected);
        let unsigned = image((16, 13), false, 1, (3, 1));
        let expected: Vec<u8> = [6192_u16, 5, 8191].iter().flat_map(|v| v.to_le_bytes()).collect();
        assert_eq!(store([-2000, 5, -1].into_iter(), 13, &unsigned).unwrap(), expected);
        assert!(store([0, 0].into_iter(), 13, &signed).is_err());
        assert!(store([0, 0, 0].into_iter(), 17, &signed).is_err());
    }

    #[test]
    fn bits_above_those_stored_are_kept() {
        let frame = |values: &[i16]| values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>();
        let (signed, unsigned) = (image((16, 12), true, 1, (2, 1)), image((16, 12), false, 1, (2, 1)));
        assert_eq!(precision(&frame(&[-2048, 2047]), &signed), 12);
        assert_eq!(precision(&frame(&[0x0FFF, 0]), &signed), 16);
        assert_eq!(precision(&frame(&[0x0FFF, 0]), &unsigned), 12);
        assert_eq!(precision(&frame(&[0x1000, 0]), &unsigned), 16);
        assert_eq!(precision(&frame(&[0, 0]), &Image { is_low: false, ..unsigned }), 16);
        assert_eq!(precision(&[0x7F, 0x80], &image((8, 7), false, 1, (2, 1))), 8);
    }

    #[test]
    fn planes_are_interleaved() {
        let rgb = image((16, 16), false, 3, (2, 1));
        let planes = [1, 10, 2, 20, 3, 30, 4, 40, 5, 50, 6, 60];
        assert_eq!(interleave(&planes, &rgb), [1, 10, 3, 30, 5, 50, 2, 20, 4, 40, 6, 60]);
    }
}
