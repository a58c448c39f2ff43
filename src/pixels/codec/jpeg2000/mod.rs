#![deny(clippy::indexing_slicing)]

mod headers;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::os::fd::AsRawFd;

use openjp2::{
    Codec, OPJ_CLRSPC_UNSPECIFIED, OPJ_CODEC_J2K, Stream, opj_cparameters, opj_dparameters, opj_image,
    opj_image_comptparm,
};
use openjph_core::codestream::Codestream;
use openjph_core::error::OjphError;
use openjph_core::file::MemOutfile;
use openjph_core::types::{Point, Size};
use rustix::fs::{MemfdFlags, memfd_create};

use super::Decoded;
use crate::image::Image;
use crate::{Error, samples};
use headers::Headers;

/// Decodes one frame of JPEG 2000 or HTJ2K.
///
/// ITU-T T.800, T.814; PS3.5 §8.2.4.
pub(super) fn decode(bytes: &[u8], image: &Image) -> Result<Decoded, Error> {
    let codestream = codestream(bytes).ok_or(Error::Damaged("a frame that is no JPEG 2000 codestream"))?;
    let Headers { precision, is_reversible } = headers::read(codestream, image)?;
    let planes = planes(codestream, image)?;
    let frame = samples::store(interleaved(&planes, image), precision, image)?;
    let photometric = match image.photometric.as_str() {
        "YBR_RCT" | "YBR_ICT" => Cow::Borrowed("RGB"),
        other => Cow::Owned(other.to_owned()),
    };
    Ok(Decoded { frame, photometric, is_lossy: !is_reversible })
}

/// Encodes a frame without loss, and looks whether what comes out decodes to what went in.
pub(super) fn encode(frame: &[u8], image: &Image, high_throughput: bool) -> Result<Vec<u8>, Error> {
    let precision = samples::precision(frame, image);
    let planes = component_planes(frame, precision, image);
    let failed = || Error::codec("JPEG 2000", "the encoder refuses the frame");
    let mut stream = if high_throughput {
        encode_ht(&planes, precision, image).map_err(|error| Error::codec("HTJ2K", error))?
    } else {
        encode_classic(&planes, precision, image).map_err(Error::Write)?.ok_or_else(failed)?
    };
    if decode(&stream, image)?.frame != frame {
        return Err(Error::codec("JPEG 2000", "what was encoded does not decode to the same frame"));
    }
    if !stream.len().is_multiple_of(2) {
        stream.push(0);
    }
    Ok(stream)
}

/// `None` when the encoder does not take it.
fn encode_classic(planes: &[Vec<i32>], precision: u32, image: &Image) -> io::Result<Option<Vec<u8>>> {
    let (w, h) = (size(image.columns)?, size(image.rows)?);
    let sgnd = u32::from(image.is_signed);
    let component =
        opj_image_comptparm { dx: 1, dy: 1, w, h, x0: 0, y0: 0, prec: precision, bpp: precision, sgnd };
    let components = vec![component; planes.len()];
    let Some(mut picture) = opj_image::create(&components, OPJ_CLRSPC_UNSPECIFIED) else { return Ok(None) };
    (picture.x1, picture.y1) = (w, h);
    for (component, plane) in picture.comps_mut().unwrap_or_default().iter_mut().zip(planes) {
        component.set_data(plane);
    }
    let mut parameters = opj_cparameters {
        tcp_numlayers: 1,
        cp_disto_alloc: 1,
        tcp_mct: i8::from(planes.len() == 3),
        numresolution: levels(image) as i32 + 1, // at most 6
        ..opj_cparameters::default()
    };
    let (mut file, path) = memory_file()?;
    let mut stream = Stream::new_file(path, STREAM_BYTES, false)?;
    let Some(mut codec) = Codec::new_encoder(OPJ_CODEC_J2K) else { return Ok(None) };
    let is_done = codec.setup_encoder(&mut parameters, &mut picture) == 1
        && codec.start_compress(&mut picture, &mut stream) == 1
        && codec.encode(&mut stream) == 1
        && codec.end_compress(&mut stream) == 1;
    if !is_done {
        return Ok(None);
    }
    stream.flush()?;
    drop(stream);
    let mut encoded = Vec::new();
    file.rewind()?;
    file.read_to_end(&mut encoded)?;
    Ok(Some(encoded))
}

fn encode_ht(planes: &[Vec<i32>], precision: u32, image: &Image) -> Result<Vec<u8>, OjphError> {
    let columns = image.columns as u32; // at most limits::FRAME_SAMPLES
    let rows = image.rows as u32; // the same
    let mut stream = Codestream::new();
    let size = stream.access_siz_mut();
    size.set_image_extent(Point::new(columns, rows));
    size.set_tile_size(Size::new(columns, rows));
    size.set_num_components(planes.len() as u32); // at most 4
    for component in 0..planes.len() as u32 {
        size.set_comp_info(component, Point::new(1, 1), precision, image.is_signed);
    }
    let coding = stream.access_cod_mut();
    coding.set_num_decomposition(levels(image));
    coding.set_reversible(true);
    coding.set_color_transform(false);
    stream.set_planar(0);
    let mut out = MemOutfile::new();
    stream.write_headers(&mut out, &[])?;
    let mut lines: Vec<_> = planes.iter().map(|plane| plane.chunks_exact(image.columns.max(1))).collect();
    for _ in 0..image.rows {
        for (component, lines) in lines.iter_mut().enumerate() {
            stream.exchange(lines.next().unwrap_or_default(), component as u32)?; // at most 4
        }
    }
    stream.flush(&mut out)?;
    Ok(out.get_data().to_vec())
}

fn size(number: usize) -> io::Result<u32> {
    u32::try_from(number).map_err(io::Error::other)
}

/// Five levels, and fewer where the frame gets too small.
fn levels(image: &Image) -> u32 {
    image.columns.min(image.rows).max(1).ilog2().min(5)
}

/// The samples of each component as the numbers that they are.
fn component_planes(frame: &[u8], precision: u32, image: &Image) -> Vec<Vec<i32>> {
    let patterns = samples::patterns(frame, precision, image);
    let shift = 32 - precision;
    let number = |pattern: &u16| {
        let value = i32::from(*pattern);
        if image.is_signed { (value << shift) >> shift } else { value }
    };
    let plane = |sample| patterns.iter().skip(sample).step_by(image.samples).map(number).collect();
    (0..image.samples).map(plane).collect()
}

/// The samples of each component.
fn planes(codestream: &[u8], image: &Image) -> Result<Vec<Vec<i32>>, Error> {
    let failed = || Error::codec("JPEG 2000", "the codestream cannot be decoded");
    let picture = decode_picture(codestream).map_err(Error::Write)?.ok_or_else(failed)?;
    let pixels = image.rows * image.columns;
    let planes = picture.comps().unwrap_or_default().iter().map(|component| {
        let size = (component.w as usize, component.h as usize);
        let data =
            component.data().filter(|data| size == (image.columns, image.rows) && data.len() == pixels);
        data.map(<[i32]>::to_vec)
    });
    let planes: Option<Vec<Vec<i32>>> = planes.collect();
    planes
        .filter(|planes| planes.len() == image.samples)
        .ok_or(Error::Damaged("the JPEG 2000 codestream has another size than the object says"))
}

/// `None` when the decoder does not take it; a codestream that is cut is none that it takes.
fn decode_picture(codestream: &[u8]) -> io::Result<Option<Box<opj_image>>> {
    let (mut file, path) = memory_file()?;
    file.write_all(codestream)?;
    let mut stream = Stream::new_file(path, STREAM_BYTES, true)?;
    let Some(mut codec) = Codec::new_decoder(OPJ_CODEC_J2K) else { return Ok(None) };
    let is_ready =
        codec.setup_decoder(&mut opj_dparameters::default()) == 1 && codec.decoder_set_strict_mode(1) == 1;
    let Some(mut picture) = codec.read_header(&mut stream).filter(|_| is_ready) else { return Ok(None) };
    let is_done =
        codec.set_decode_area(&mut picture, 0, 0, 0, 0) == 1 && codec.decode(&mut stream, &mut picture) == 1;
    Ok(is_done.then_some(picture))
}

/// A file in memory that nobody else has, with a name by which it can be opened: the library reads and writes only such.
fn memory_file() -> io::Result<(File, String)> {
    let file = File::from(memfd_create("frame", MemfdFlags::CLOEXEC)?);
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    Ok((file, path))
}

fn interleaved(planes: &[Vec<i32>], image: &Image) -> impl Iterator<Item = i32> {
    (0..image.rows * image.columns)
        .flat_map(move |pixel| planes.iter().map(move |plane| plane.get(pixel).copied().unwrap_or(0)))
}

/// The codestream, out of the boxes that some put around it.
fn codestream(bytes: &[u8]) -> Option<&[u8]> {
    if bytes.starts_with(&START) {
        return Some(bytes);
    }
    let mut rest = bytes;
    while let Some((head, content)) = rest.split_first_chunk::<8>() {
        let [l0, l1, l2, l3, kind @ ..] = *head;
        let length = u32::from_be_bytes([l0, l1, l2, l3]) as usize;
        if kind == *b"jp2c" {
            let content = if length == 1 { content.get(8..)? } else { content };
            return content.starts_with(&START).then_some(content);
        }
        rest = rest.get(length.max(8)..).filter(|_| length >= 8)?;
    }
    None
}

const STREAM_BYTES: usize = 64 << 10;
/// SOC and SIZ.
const START: [u8; 4] = [0xFF, 0x4F, 0xFF, 0x51];
