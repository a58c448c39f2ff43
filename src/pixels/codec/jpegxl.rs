#![deny(clippy::indexing_slicing)]

use std::borrow::Cow;

use jxl_oxide::frame::Encoding;
use jxl_oxide::image::BitDepth;
use jxl_oxide::{AllocTracker, InitializeResult, JxlImage, PixelFormat};

use super::Decoded;
use crate::image::Image;
use crate::{Error, samples};

/// Decodes one frame of JPEG XL.
///
/// ISO/IEC 18181-1, PS3.5 §8.2.
pub(super) fn decode(bytes: &[u8], image: &Image) -> Result<Decoded, Error> {
    let failed = |error| Error::codec("JPEG XL", error);
    let tracker = AllocTracker::with_limit(image.frame_samples().saturating_mul(SAMPLE_BYTES) + BASE_BYTES);
    let jxl = parse(bytes, tracker)?;
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
    if work(&jxl) > LEAST_WORK.saturating_add(MOST_WORK.saturating_mul((image.rows * image.columns) as u64)) {
        return Err(Error::TooLarge("the JPEG XL codestream lays far more over itself than its size"));
    }
    let is_var_dct =
        |index| jxl.frame(index).is_some_and(|frame| frame.header().encoding == Encoding::VarDct);
    let is_lossy = jxl.image_header().metadata.xyb_encoded || (0..jxl.num_loaded_frames()).any(is_var_dct);
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
    Ok(Decoded { frame, photometric, is_lossy })
}

/// Parses a codestream piece by piece, and no further than to one layer too many: the decoder goes down a level for each, on the stack.
fn parse(bytes: &[u8], tracker: AllocTracker) -> Result<JxlImage, Error> {
    let failed = |error| Error::codec("JPEG XL", error);
    let mut pieces = Pieces { rest: bytes, length: PIECE_BYTES };
    let mut empty = JxlImage::builder().alloc_tracker(tracker).build_uninit();
    let mut jxl = loop {
        let piece = pieces.next().ok_or(Error::Damaged("a JPEG XL codestream that is cut short"))?;
        pieces.took(empty.feed_bytes(piece).map_err(failed)?);
        match empty.try_init().map_err(failed)? {
            InitializeResult::NeedMoreData(more) => empty = more,
            InitializeResult::Initialized(jxl) => break jxl,
        }
    };
    while jxl.num_loaded_frames() <= MOST_LAYERS && !jxl.is_loading_done() {
        let Some(piece) = pieces.next() else { break };
        pieces.took(jxl.feed_bytes(piece).map_err(failed)?);
    }
    if jxl.num_loaded_frames() > MOST_LAYERS {
        return Err(Error::TooLarge("the JPEG XL codestream has too many layers"));
    }
    jxl.finalize().map_err(failed)?;
    Ok(jxl)
}

/// What is still to be parsed. Of a piece that ends within a header of the container, the parser takes what is before that.
struct Pieces<'a> {
    rest: &'a [u8],
    length: usize,
}

impl<'a> Pieces<'a> {
    fn next(&self) -> Option<&'a [u8]> {
        let piece = self.rest.get(..self.length).unwrap_or(self.rest);
        (!piece.is_empty()).then_some(piece)
    }

    /// So much of the piece was taken. Where that is nothing the next piece is longer, and the last one has been.
    fn took(&mut self, bytes: usize) {
        self.length = if bytes > 0 { PIECE_BYTES } else { self.length + PIECE_BYTES };
        let is_end = bytes == 0 && self.length - PIECE_BYTES >= self.rest.len();
        self.rest = if is_end { &[] } else { self.rest.get(bytes..).unwrap_or_default() };
    }
}

/// Pixels that are touched at most: all layers, and the patches on them, whose number and size are up to the stream.
fn work(jxl: &JxlImage) -> u64 {
    let frames = (0..jxl.num_loaded_frames()).filter_map(|index| jxl.frame(index));
    let area = |width: u32, height: u32| u64::from(width).saturating_mul(height.into());
    frames.fold(0_u64, |sum, frame| {
        let header = frame.header();
        let global = header.flags.patches().then(|| frame.try_parse_lf_global::<i32>()).flatten();
        // What cannot be parsed is not rendered either.
        let patches = global.and_then(Result::ok).and_then(|global| global.patches);
        let patched = patches.iter().flat_map(|patches| &patches.patches).fold(0_u64, |sum, patch| {
            let each = area(patch.width, patch.height);
            sum.saturating_add(each.saturating_mul(patch.patch_targets.len() as u64))
        });
        sum.saturating_add(area(header.width, header.height)).saturating_add(patched)
    })
}

const MOST_BITS: u32 = 16;
/// Layers and frames that others are made of, beside those of one piece.
const MOST_LAYERS: usize = 64;
const PIECE_BYTES: usize = 1024;
/// So many times its own pixels may a frame touch, and so many in any case.
const MOST_WORK: u64 = 16;
const LEAST_WORK: u64 = 1 << 16;
/// What a decoder may hold for a sample, and for the rest.
const SAMPLE_BYTES: usize = 64;
const BASE_BYTES: usize = 64 << 20;
