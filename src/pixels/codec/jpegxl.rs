#![deny(clippy::indexing_slicing)]

use std::borrow::Cow;

use jxl_oxide::image::BitDepth;
use jxl_oxide::{AllocTracker, JxlImage, PixelFormat};

use super::Decoded;
use crate::image::Image;
use crate::{Error, samples};

/// Decodes one frame of JPEG XL.
///
/// ISO/IEC 18181-1, PS3.5 §8.2.
pub(super) fn decode(bytes: &[u8], image: &Image) -> Result<Decoded, Error> {
    let failed = |error| Error::codec("JPEG XL", error);
    let tracker = AllocTracker::with_limit(image.frame_samples().saturating_mul(SAMPLE_BYTES) + BASE_BYTES);
    let jxl = JxlImage::builder().alloc_tracker(tracker).read(bytes).map_err(failed)?;
    let samples = match jxl.pixel_format() {
        PixelFormat::Gray => 1,
        PixelFormat::Rgb => 3,
        _ => return Err(Error::Unsupported("JPEG XL with more than gray or RGB")),
    };
    if (jxl.width() as usize, jxl.height() as usize, samples) != (image.columns, image.rows, image.samples) {
        return Err(Error::Damaged("the JPEG XL codestream has another size than the object says"));
    }
    let BitDepth::IntegerSample { bits_per_sample } = jxl.image_header().metadata.bit_depth else {
        return Err(Error::Unsupported("JPEG XL of floating point samples"));
    };
    if !(1..=MOST_BITS).contains(&bits_per_sample) {
        return Err(Error::Unsupported("JPEG XL of samples of more than 16 bits"));
    }
    let rendered = jxl.render_frame(0).map_err(failed)?;
    let buffer = rendered.image_all_channels();
    if buffer.channels() != samples {
        return Err(Error::Damaged("the JPEG XL codestream has other channels than it says"));
    }
    let most = f32::from(u16::MAX >> (MOST_BITS - bits_per_sample));
    let values = buffer.buf().iter().map(|value| (value * most).round().clamp(0.0, most) as i32);
    let frame = samples::store(values, bits_per_sample, image)?;
    let photometric = match samples {
        3 => Cow::Borrowed("RGB"),
        _ => Cow::Owned(image.photometric.clone()),
    };
    Ok(Decoded { frame, photometric })
}

const MOST_BITS: u32 = 16;
/// What a decoder may hold for a sample, and for the rest.
const SAMPLE_BYTES: usize = 64;
const BASE_BYTES: usize = 64 << 20;
