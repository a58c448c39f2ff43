use model::header::Header;
use model::{Tag, limits};

use crate::Error;
use crate::words::is_pixels;

/// What an object says of its frames (PS3.3 §C.7.6.3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Image {
    pub(crate) columns: usize,
    pub(crate) rows: usize,
    /// 1 to 4.
    pub(crate) samples: usize,
    /// 1, 8, 16 or 32.
    pub(crate) bits_allocated: u32,
    pub(crate) bits_stored: u32,
    /// The bits stored are the lowest.
    pub(crate) is_low: bool,
    pub(crate) is_signed: bool,
    pub(crate) photometric: String,
    /// Samples are stored plane by plane, where they are stored natively.
    pub(crate) is_planar: bool,
    pub(crate) frames: u64,
}

impl Image {
    /// Reads the top-level attributes.
    ///
    /// # Errors
    /// They are missing, make no sense, or are beyond what is decoded.
    pub(crate) fn read(header: &Header) -> Result<Self, Error> {
        let number = |tag| header.integer(tag).and_then(|value| u64::try_from(value).ok());
        let positive = |tag| number(tag).filter(|value| *value > 0);
        let size = |tag| positive(tag).and_then(|value| usize::try_from(value).ok());
        let rows = size(ROWS).ok_or(Error::Damaged("Rows is missing"))?;
        let columns = size(COLUMNS).ok_or(Error::Damaged("Columns is missing"))?;
        let samples = size(SAMPLES_PER_PIXEL).unwrap_or(1);
        let bits = |tag| positive(tag).and_then(|value| u32::try_from(value).ok());
        let bits_allocated = bits(BITS_ALLOCATED).ok_or(Error::Damaged("Bits Allocated is missing"))?;
        let bits_stored = bits(BITS_STORED).unwrap_or(bits_allocated);
        let high_bit = number(HIGH_BIT).unwrap_or(u64::from(bits_stored) - 1);
        if !matches!(bits_allocated, 1 | 8 | 16 | 32) {
            return Err(Error::Unsupported("only 1, 8, 16 and 32 bits per sample are transcoded"));
        }
        if bits_stored > bits_allocated || high_bit >= u64::from(bits_allocated) {
            return Err(Error::Damaged("Bits Stored and High Bit do not fit Bits Allocated"));
        }
        if !(1..=4).contains(&samples) {
            return Err(Error::Unsupported("only 1 to 4 samples per pixel are transcoded"));
        }
        let is_too_large = rows
            .checked_mul(columns)
            .and_then(|pixels| pixels.checked_mul(samples))
            .is_none_or(|samples| samples > limits::FRAME_SAMPLES);
        if is_too_large {
            return Err(Error::TooLarge("a frame has more samples than are decoded at once"));
        }
        Ok(Self {
            columns,
            rows,
            samples,
            bits_allocated,
            bits_stored,
            is_low: high_bit + 1 == u64::from(bits_stored),
            is_signed: number(PIXEL_REPRESENTATION) == Some(1),
            photometric: header.text(PHOTOMETRIC_INTERPRETATION).unwrap_or_default(),
            is_planar: samples > 1 && number(PLANAR_CONFIGURATION) == Some(1),
            frames: positive(NUMBER_OF_FRAMES).unwrap_or(1),
        })
    }

    /// Samples of one frame.
    pub(crate) fn frame_samples(&self) -> usize {
        self.rows * self.columns * self.samples
    }

    /// Bytes of one sample; single bits are not decoded by their own.
    pub(crate) fn sample_bytes(&self) -> usize {
        self.bits_allocated.div_ceil(8) as usize // at most 4
    }

    /// Bytes of one native frame.
    ///
    /// # Errors
    /// Frames of single bits do not end with a byte.
    pub(crate) fn frame_bytes(&self) -> Result<usize, Error> {
        if self.bits_allocated > 1 {
            return Ok(self.frame_samples() * self.sample_bytes());
        }
        if self.frames > 1 && !self.frame_samples().is_multiple_of(8) {
            return Err(Error::Unsupported("frames of single bits that do not end with a byte"));
        }
        Ok(self.frame_samples().div_ceil(8))
    }

    /// Bytes of all native frames.
    ///
    /// # Errors
    /// They are more than a data set can hold natively.
    pub(crate) fn value_bytes(&self) -> Result<u32, Error> {
        let bytes = (self.frame_bytes()? as u64).checked_mul(self.frames);
        let bytes = bytes.map(|bytes| bytes.next_multiple_of(2)).and_then(|bytes| u32::try_from(bytes).ok());
        bytes
            .filter(|bytes| *bytes < u32::MAX)
            .ok_or(Error::TooLarge("the frames are more than 4 GiB when decompressed"))
    }

    /// Whether two or four pixels share their chrominance (PS3.3 §C.7.6.3.1.2).
    pub(crate) fn has_subsampled_photometric(&self) -> bool {
        self.samples == 3 && (self.photometric.ends_with("_422") || self.photometric.ends_with("_420"))
    }
}

/// Whether the object says that its pixels have lost something (PS3.3 §C.7.6.1.1.5).
pub(crate) fn is_marked_lossy(header: &Header) -> bool {
    header.text(LOSSY_IMAGE_COMPRESSION).as_deref() == Some("01")
}

/// The top-level element that holds the pixels.
pub(crate) fn pixel_tag(header: &Header) -> Option<Tag> {
    header.elements().map(|element| element.tag).find(|tag| is_pixels(*tag))
}

pub(crate) const PIXEL_DATA: Tag = Tag(0x7FE0, 0x0010);
pub(crate) const SAMPLES_PER_PIXEL: Tag = Tag(0x0028, 0x0002);
pub(crate) const PHOTOMETRIC_INTERPRETATION: Tag = Tag(0x0028, 0x0004);
pub(crate) const PLANAR_CONFIGURATION: Tag = Tag(0x0028, 0x0006);
pub(crate) const NUMBER_OF_FRAMES: Tag = Tag(0x0028, 0x0008);
pub(crate) const ROWS: Tag = Tag(0x0028, 0x0010);
pub(crate) const COLUMNS: Tag = Tag(0x0028, 0x0011);
pub(crate) const BITS_ALLOCATED: Tag = Tag(0x0028, 0x0100);
pub(crate) const BITS_STORED: Tag = Tag(0x0028, 0x0101);
pub(crate) const HIGH_BIT: Tag = Tag(0x0028, 0x0102);
pub(crate) const PIXEL_REPRESENTATION: Tag = Tag(0x0028, 0x0103);
pub(crate) const LOSSY_IMAGE_COMPRESSION: Tag = Tag(0x0028, 0x2110);
pub(crate) const LOSSY_IMAGE_COMPRESSION_RATIO: Tag = Tag(0x0028, 0x2112);
pub(crate) const LOSSY_IMAGE_COMPRESSION_METHOD: Tag = Tag(0x0028, 0x2114);
