//! JPEG-LS, lossless and near-lossless (ITU-T T.87). Written here: the maintained library is C++ and takes more to build than a
//! compiler, and what there is in Rust gets interleaved components wrong.
#![deny(clippy::indexing_slicing)]

mod bits;
mod header;
mod model;
mod scan;

use super::{Decoded, unchanged};
use crate::image::Image;
use crate::{Error, samples};
use bits::{BitReader, BitWriter};
use header::{Interleave, Parameters, Part};
use scan::{Lines, ScanDecoder, ScanEncoder};

/// Decodes one frame.
///
/// PS3.5 §8.2.3.
pub(crate) fn decode(bytes: &[u8], image: &Image) -> Result<Decoded, Error> {
    let mut reader = header::Reader::new(bytes);
    let frame = reader.frame()?;
    if (frame.columns, frame.rows, frame.components.len()) != (image.columns, image.rows, image.samples) {
        return Err(Error::Damaged("the JPEG-LS stream has another size than the object says"));
    }
    if frame.precision > image.bits_allocated {
        return Err(Error::Damaged("compressed samples have more bits than Bits Allocated"));
    }
    let mut values = vec![0_u16; image.frame_samples()];
    let mut is_lossy = false;
    let mut missing: Vec<u8> = frame.components.clone();
    while !missing.is_empty() {
        let Part::Scan(scan) = reader.next_scan(&frame)? else {
            return Err(Error::Damaged("the JPEG-LS stream ends before its last component"));
        };
        let first = frame.components.iter().position(|id| scan.components.first() == Some(id));
        let first = first.ok_or(Error::Damaged("a JPEG-LS scan of no component of its frame"))?;
        let is_next = missing.get(..scan.components.len()) == Some(scan.components.as_slice());
        if !is_next || (scan.interleave == Interleave::None && scan.components.len() > 1) {
            return Err(Error::Damaged("a JPEG-LS scan of components out of their order"));
        }
        is_lossy |= scan.near > 0;
        missing.drain(..scan.components.len());
        let parameters = Parameters::new(&frame, reader.presets(), scan.near)?;
        let lines = Lines { columns: image.columns, rows: image.rows, components: scan.components.len() };
        let mut decoder = ScanDecoder::new(parameters, lines, BitReader::new(reader.rest()));
        decoder.decode(scan.interleave, &mut values, first, image.samples)?;
        let used = decoder.into_used();
        reader.skip(used);
    }
    let frame = samples::store(values.into_iter().map(i32::from), frame.precision, image)?;
    Ok(Decoded { is_lossy, ..unchanged(frame, image) })
}

/// Encodes one frame without loss, in one scan, components line by line.
pub(crate) fn encode(frame: &[u8], image: &Image) -> Result<Vec<u8>, Error> {
    let precision = samples::precision(frame, image).max(2);
    let values = samples::patterns(frame, precision, image);
    let mut out = header::write(image, precision)?;
    let parameters = Parameters::lossless(precision);
    let lines = Lines { columns: image.columns, rows: image.rows, components: image.samples };
    let mut encoder = ScanEncoder::new(parameters, lines, BitWriter::new(&mut out));
    encoder.encode(&values);
    encoder.finish();
    out.extend_from_slice(&header::END_OF_IMAGE);
    if !out.len().is_multiple_of(2) {
        out.push(0);
    }
    Ok(out)
}

#[cfg(test)]
mod tests;
