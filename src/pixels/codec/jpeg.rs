#![deny(clippy::indexing_slicing)]

use std::borrow::Cow;

use oxiarc_jpeg::{
    CodingProcess, ColorSpace, DecodeLimits, DecodeOptions, Decoder, EncodeOptions, EncodeProcess, ImageInfo,
    InputColor, MarkerPolicy, Subsampling, encode_to_vec_with_options, encode_u16_to_vec_with_options,
};

use super::Decoded;
use crate::image::Image;
use crate::{Error, samples};

/// What the three components of a stream are, and what becomes of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Colour {
    /// They come out as they are, and the object knows what they are.
    AsStored,
    /// Luminance and chrominance, turned to RGB.
    Converted,
}

/// Decodes baseline, extended and progressive frames of 8 and 12 bits, and lossless ones of 2 to 16.
///
/// ITU-T T.81, PS3.5 §8.2.1.
pub(super) fn decode(bytes: &[u8], image: &Image) -> Result<Decoded, Error> {
    let failed = |error| Error::codec("JPEG", error);
    let bytes = &*with_spectral_end(bytes);
    let info = Decoder::with_options(bytes, options(image, true)).read_info().map_err(failed)?;
    compare(&info, image)?;
    let colour = colour(&info, image)?;
    let mut decoder = Decoder::with_options(bytes, options(image, colour == Colour::AsStored));
    let precision = u32::from(info.precision);
    let frame = if precision > 8 {
        let values = decoder.decode_u16().map_err(failed)?;
        samples::store(values.into_iter().map(i32::from), precision, image)?
    } else {
        let values = decoder.decode().map_err(failed)?;
        samples::store(values.into_iter().map(i32::from), precision, image)?
    };
    let photometric = match colour {
        Colour::AsStored => Cow::Owned(image.photometric.clone()),
        Colour::Converted => Cow::Borrowed("RGB"),
    };
    let is_lossy = info.process != CodingProcess::Lossless || has_point_transform(bytes);
    Ok(Decoded { frame, photometric, is_lossy })
}

/// Encodes a frame as JPEG Lossless, Process 14 with Selection Value 1.
pub(super) fn encode(frame: &[u8], image: &Image) -> Result<Vec<u8>, Error> {
    let failed = |error| Error::codec("JPEG", error);
    let size = |number: usize| {
        u16::try_from(number).map_err(|_| Error::Unsupported("JPEG has at most 65535 rows and columns"))
    };
    let (width, height) = (size(image.columns)?, size(image.rows)?);
    let precision = samples::precision(frame, image).max(2);
    let options = EncodeOptions {
        process: EncodeProcess::Lossless { predictor: 1, point_transform: 0 },
        precision: precision as u8, // at most 16
        jpeg_color_space: Some(ColorSpace::Luma),
        subsampling: Subsampling::S444,
        write_jfif: MarkerPolicy::Never,
        write_adobe: MarkerPolicy::Never,
        ..EncodeOptions::default()
    };
    let patterns = samples::patterns(frame, precision, image);
    if precision > 8 {
        return encode_u16_to_vec_with_options(&patterns, width, height, InputColor::Luma, &options)
            .map_err(failed);
    }
    let narrow: Vec<u8> = patterns.iter().map(|value| value.to_le_bytes()[0]).collect();
    encode_to_vec_with_options(&narrow, width, height, InputColor::Luma, &options).map_err(failed)
}

/// Whether the first scan of a lossless stream leaves the lowest bits out (T.81 §H.1.2.1).
fn has_point_transform(bytes: &[u8]) -> bool {
    let mut at = 2;
    while let Some([0xFF, marker, l1, l0]) = bytes.get(at..at + 4) {
        at += 2 + usize::from(u16::from_be_bytes([*l1, *l0]));
        if *marker == 0xDA {
            return bytes.get(at - 1).is_some_and(|approximation| approximation & 0x0F != 0);
        }
    }
    false
}

/// The stream, with the selection of coefficients that its only process allows where its scan header has another: some write 0 there.
fn with_spectral_end(bytes: &[u8]) -> Cow<'_, [u8]> {
    let mut at = 2;
    let mut is_sequential = false;
    while let Some([0xFF, marker, l1, l0]) = bytes.get(at..at + 4) {
        let length = usize::from(u16::from_be_bytes([*l1, *l0]));
        match marker {
            0xC0 | 0xC1 => is_sequential = true,
            0xDA if is_sequential => {
                let place = (at + 2 + length).saturating_sub(3);
                let Some(selection) =
                    bytes.get(place..place + 3).filter(|it| matches!(it, [0, end, 0] if *end != 63))
                else {
                    return Cow::Borrowed(bytes);
                };
                let mut repaired = bytes.to_vec();
                repaired.splice(place..place + selection.len(), [0, 63, 0]);
                return Cow::Owned(repaired);
            }
            0xDA => break,
            _ => {}
        }
        at += 2 + length;
    }
    Cow::Borrowed(bytes)
}

fn options(image: &Image, raw_components: bool) -> DecodeOptions {
    let samples = image.frame_samples() as u64;
    let limits = DecodeLimits {
        max_pixels: samples,
        max_output_bytes: samples * 4,
        // 16 by 16 pixels of each component are coded together, beyond the edges too.
        max_coefficient_bytes: (samples + EDGE_SAMPLES) * 8,
        max_scans: MAX_SCANS,
        ..DecodeLimits::default()
    };
    DecodeOptions { limits, raw_components, ..DecodeOptions::default() }
}

/// Whether the stream is a frame of this object.
fn compare(info: &ImageInfo, image: &Image) -> Result<(), Error> {
    let size = (usize::from(info.width), usize::from(info.height), usize::from(info.num_components));
    if size != (image.columns, image.rows, image.samples) {
        return Err(Error::Damaged("the JPEG stream has another size than the object says"));
    }
    Ok(())
}

/// What the stream's components are: as its markers say, else as the object says.
///
/// Streams without marker are taken for luminance and chrominance by most decoders; those that modalities write of RGB are not.
fn colour(info: &ImageInfo, image: &Image) -> Result<Colour, Error> {
    if info.num_components != 3 || info.process == CodingProcess::Lossless {
        return Ok(Colour::AsStored);
    }
    let says_ybr = image.photometric.starts_with("YBR_FULL") || image.photometric.starts_with("YBR_ICT");
    let says_rgb = image.photometric == "RGB";
    match (info.adobe_transform, info.has_jfif) {
        (Some(0), _) if says_rgb => Ok(Colour::AsStored),
        (Some(0), _) => Err(Error::Damaged("the JPEG stream says that it is RGB, the object does not")),
        (Some(_), _) | (None, true) if says_rgb || says_ybr => Ok(Colour::Converted),
        (None, false) if says_rgb => Ok(Colour::AsStored),
        (None, false) if says_ybr && info.input_color_space == ColorSpace::Rgb => {
            Err(Error::Damaged("the JPEG stream says that it is RGB, the object does not"))
        }
        (None, false) if says_ybr => Ok(Colour::Converted),
        _ => Err(Error::Unsupported("a JPEG stream of these colours")),
    }
}

const MAX_SCANS: u32 = 64;
const EDGE_SAMPLES: u64 = 4 << 20;
