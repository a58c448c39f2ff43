#![deny(clippy::indexing_slicing)]

use std::io::{Read, Write};

use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;

use crate::Error;
use crate::image::Image;

/// Deflated Image Frame Compression: a raw deflate stream of the native frame (PS3.5 §A.4.13).
pub(super) fn decode(bytes: &[u8], image: &Image) -> Result<Vec<u8>, Error> {
    if image.is_planar || image.has_subsampled_photometric() {
        return Err(Error::Unsupported("deflated frames by plane or with subsampled colours"));
    }
    let length = image.frame_bytes()?;
    let mut frame = vec![0; length];
    DeflateDecoder::new(bytes)
        .read_exact(&mut frame)
        .map_err(|error| Error::codec("deflated frame", error))?;
    Ok(frame)
}

pub(super) fn encode(frame: &[u8]) -> Result<Vec<u8>, Error> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(frame).and_then(|()| encoder.finish()).map_err(Error::Write)
}
