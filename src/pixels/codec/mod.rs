//! One compressed frame to a native little endian one and back. A file for each way of compressing.
//!
//! Decoders see what a peer sent. Before one starts, what its stream says of width, height, samples and bits is compared with what
//! the object says, which is bounded, and so is what else its headers have it allocate; a panic of its is a failure of the frame.

mod deflated;
mod jpeg;
mod jpeg2000;
pub(crate) mod jpegls;
mod jpegxl;
mod rle;

use std::borrow::Cow;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::Error;
use crate::image::Image;

/// A way of compressing frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Codec {
    Uncompressed,
    Deflated,
    Rle,
    Jpeg,
    JpegLossless,
    JpegLs,
    Jpeg2000,
    Htj2k,
    JpegXl,
}

/// A native frame: little endian, the samples of a pixel side by side.
pub(crate) struct Decoded {
    pub(crate) frame: Vec<u8>,
    /// Photometric Interpretation of the frame.
    pub(crate) photometric: Cow<'static, str>,
    /// The stream says that it is not all that was compressed.
    pub(crate) is_lossy: bool,
}

/// Decodes one frame.
///
/// # Errors
/// It is not a frame as the object describes it, or not one that we decode.
pub(crate) fn decode(codec: Codec, bytes: &[u8], image: &Image) -> Result<Decoded, Error> {
    let decoded = guard(codec, || match codec {
        Codec::Uncompressed => uncompressed(bytes, image).map(|frame| unchanged(frame, image)),
        Codec::Deflated => deflated::decode(bytes, image).map(|frame| unchanged(frame, image)),
        Codec::Rle => rle::decode(bytes, image).map(|frame| unchanged(frame, image)),
        Codec::Jpeg | Codec::JpegLossless => jpeg::decode(bytes, image),
        Codec::JpegLs => jpegls::decode(bytes, image),
        Codec::Jpeg2000 | Codec::Htj2k => jpeg2000::decode(bytes, image),
        Codec::JpegXl => jpegxl::decode(bytes, image),
    })?;
    if decoded.frame.len() != image.frame_bytes()? {
        return Err(Error::Damaged("a decoded frame has another size than the object says"));
    }
    let photometric = full(decoded.photometric, image)?;
    Ok(Decoded { photometric, ..decoded })
}

/// Encodes one native frame without loss.
///
/// # Errors
/// The codec does not take frames like this one.
pub(crate) fn encode(codec: Codec, frame: &[u8], image: &Image) -> Result<Vec<u8>, Error> {
    guard(codec, || match codec {
        Codec::Uncompressed => Ok(frame.to_vec()),
        Codec::Deflated => deflated::encode(frame),
        Codec::Rle => rle::encode(frame, image),
        Codec::JpegLossless => jpeg::encode(frame, image),
        Codec::JpegLs => jpegls::encode(frame, image),
        Codec::Jpeg2000 => jpeg2000::encode(frame, image, false),
        Codec::Htj2k => jpeg2000::encode(frame, image, true),
        Codec::Jpeg | Codec::JpegXl => {
            Err(Error::Unsupported("there is no encoder for that transfer syntax"))
        }
    })
}

/// Whether frames like these are decoded, before one is.
///
/// # Errors
/// Why not.
pub(crate) fn can_decode(codec: Codec, image: &Image) -> Result<(), Error> {
    if image.bits_allocated == 1 && !matches!(codec, Codec::Uncompressed | Codec::Deflated) {
        return Err(Error::Unsupported("single bits are not decoded from this transfer syntax"));
    }
    Ok(())
}

/// Whether frames like these are encoded, before one is.
///
/// # Errors
/// Why not.
pub(crate) fn can_encode(codec: Codec, image: &Image) -> Result<(), Error> {
    let most_bits = match codec {
        Codec::Uncompressed | Codec::Deflated | Codec::Rle => 32,
        _ => 16,
    };
    if image.bits_allocated > most_bits {
        return Err(Error::Unsupported("only samples of at most 16 bits are compressed so"));
    }
    if image.bits_allocated == 1 && !matches!(codec, Codec::Uncompressed | Codec::Deflated) {
        return Err(Error::Unsupported("single bits are not compressed so"));
    }
    if image.has_subsampled_photometric() {
        return Err(Error::Unsupported("frames with subsampled colours are not compressed"));
    }
    let is_one_or_three = matches!(image.samples, 1 | 3);
    if !is_one_or_three && !matches!(codec, Codec::Uncompressed | Codec::Deflated | Codec::Rle) {
        return Err(Error::Unsupported("only 1 or 3 samples per pixel are compressed so"));
    }
    if codec == Codec::JpegLossless && image.samples == 3 {
        // Decoders are not of one mind whether such a stream has colours to be transformed.
        return Err(Error::Unsupported("colours are not compressed so"));
    }
    if codec == Codec::Jpeg2000 && image.samples == 3 && image.photometric != "RGB" {
        return Err(Error::Unsupported("of colours, only RGB is compressed so"));
    }
    Ok(())
}

/// Whether frames are encoded so that have lost something before: not where the name of the transfer syntax says that nothing is lost.
///
/// # Errors
/// Why not.
pub(crate) fn can_encode_lossy(codec: Codec) -> Result<(), Error> {
    match codec {
        Codec::Uncompressed | Codec::Deflated => Ok(()),
        _ => Err(Error::Unsupported("what was compressed with losses is decompressed only")),
    }
}

/// What Lossy Image Compression Method calls a codec (PS3.3 §C.7.6.1.1.5.1).
pub(crate) fn method(codec: Codec) -> Option<&'static str> {
    match codec {
        Codec::Uncompressed | Codec::Deflated | Codec::Rle => None,
        Codec::Jpeg | Codec::JpegLossless => Some("ISO_10918_1"),
        Codec::JpegLs => Some("ISO_14495_1"),
        Codec::Jpeg2000 => Some("ISO_15444_1"),
        Codec::Htj2k => Some("ISO_15444_15"),
        Codec::JpegXl => Some("ISO_18181_1"),
    }
}

/// The Photometric Interpretation of a frame that was encoded (PS3.5 §8.2).
pub(crate) fn encoded_photometric(codec: Codec, image: &Image) -> Cow<'static, str> {
    match codec {
        Codec::Jpeg2000 if image.samples == 3 => Cow::Borrowed("YBR_RCT"),
        _ => Cow::Owned(image.photometric.clone()),
    }
}

/// The name of what decodes and encodes, for reasons.
fn name(codec: Codec) -> &'static str {
    match codec {
        Codec::Uncompressed => "uncompressed frame",
        Codec::Deflated => "deflated frame",
        Codec::Rle => "RLE",
        Codec::Jpeg | Codec::JpegLossless => "JPEG",
        Codec::JpegLs => "JPEG-LS",
        Codec::Jpeg2000 | Codec::Htj2k => "JPEG 2000",
        Codec::JpegXl => "JPEG XL",
    }
}

/// What a third party's code does to one frame ends with that frame.
fn guard<T>(codec: Codec, work: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    catch_unwind(AssertUnwindSafe(work))
        .unwrap_or_else(|_| Err(Error::codec(name(codec), "gave up in panic")))
}

/// The Photometric Interpretation of a decoded frame: all its samples are there, also where those that were compressed were not
/// (PS3.3 §C.7.6.3.1.2).
fn full(photometric: Cow<'static, str>, image: &Image) -> Result<Cow<'static, str>, Error> {
    if !image.has_subsampled_photometric() {
        return Ok(photometric);
    }
    match &*photometric {
        "YBR_FULL_422" | "YBR_FULL_420" => Ok(Cow::Borrowed("YBR_FULL")),
        other if other == image.photometric => {
            Err(Error::Unsupported("subsampled colours that have no name when they are not"))
        }
        _ => Ok(photometric),
    }
}

fn unchanged(frame: Vec<u8>, image: &Image) -> Decoded {
    Decoded { frame, photometric: Cow::Owned(image.photometric.clone()), is_lossy: false }
}

fn uncompressed(bytes: &[u8], image: &Image) -> Result<Vec<u8>, Error> {
    if image.is_planar || image.has_subsampled_photometric() {
        return Err(Error::Unsupported("encapsulated frames by plane or with subsampled colours"));
    }
    let frame = bytes.get(..image.frame_bytes()?);
    frame.map(<[u8]>::to_vec).ok_or(Error::Damaged("a frame is shorter than the object says"))
}
