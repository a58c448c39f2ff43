use std::borrow::Cow;

use model::header::{Element, Header, Value};

use crate::ability::{Form, ability};
use crate::attributes::Loss;
use crate::codec::{self, Codec, Decoded};
use crate::fragments::{self, Frames};
use crate::image::{self, Image};
use crate::source::{Source, Stored};
use crate::words::{is_big, pixel_word_bytes, swap};
use crate::{Error, Object, samples};

/// Reads the frames of one object, decoded or encoded anew.
pub struct FrameReader<'a> {
    source: Source<'a>,
    stored: Stored<'a>,
    element: Element<'a>,
    image: Image,
    kind: Kind,
    /// The object says that they have lost something.
    is_marked_lossy: bool,
}

enum Kind {
    Native { word_bytes: usize },
    Encapsulated { codec: Codec, frames: Frames },
}

impl<'a> FrameReader<'a> {
    /// Finds the frames.
    ///
    /// # Errors
    /// The object has no Pixel Data, contradicts itself, or is none that we decode.
    pub fn open(object: &Object<'a>) -> Result<Self, Error> {
        let form = ability(object.transfer_syntax).filter(|ability| ability.decoder.is_some());
        let form = form.ok_or(Error::Unsupported("there is no decoder for the stored transfer syntax"))?.form;
        let element = pixel_data(object.header)?;
        let image = Image::read(object.header)?;
        let stored = object.stored();
        image.value_bytes()?;
        let kind = match (form, element.value()) {
            (Form::Native, Value::Bytes(_) | Value::Bulk) => native(&element, &image)?,
            (Form::Encapsulated(codec), Value::Fragments { length }) => {
                codec::can_decode(codec, &image)?;
                let start = stored.offset + element.offset;
                let fragments = fragments::read(stored.bytes, start..start + length).map_err(Error::Read)?;
                let frames = fragments.frames(image.frames, stored.bytes);
                let frames = frames.ok_or(Error::Damaged("the fragments cannot be told apart by frame"))?;
                Kind::Encapsulated { codec, frames }
            }
            (Form::Native, _) => {
                return Err(Error::Damaged("fragments of pixel data in a transfer syntax that has none"));
            }
            (Form::Encapsulated(_), _) => {
                return Err(Error::Damaged(
                    "pixel data without fragments in a transfer syntax that has them",
                ));
            }
        };
        let source = Source::new(stored, object.transfer_syntax);
        let is_marked_lossy = image::is_marked_lossy(object.header);
        Ok(Self { source, stored, element, image, kind, is_marked_lossy })
    }

    /// How many frames there are.
    pub fn count(&self) -> u64 {
        self.image.frames
    }

    /// A frame, counted from 0, as transfer syntax `to` has it: natively little endian, or one encoded frame.
    ///
    /// # Errors
    /// It cannot be decoded, or not be encoded so.
    pub fn frame(&mut self, index: u64, to: &str) -> Result<Vec<u8>, Error> {
        let form = ability(to).filter(|ability| ability.encoder.is_some()).map(|ability| ability.form);
        let decoded = self.decoded(index)?;
        match form.ok_or(Error::Unsupported("there is no encoder for that transfer syntax"))? {
            Form::Native => Ok(decoded.frame),
            Form::Encapsulated(codec) => {
                self.can_encode(codec, &decoded)?;
                let image = Image { photometric: decoded.photometric.into_owned(), ..self.image.clone() };
                codec::can_encode(codec, &image)?;
                codec::encode(codec, &decoded.frame, &image)
            }
        }
    }

    /// Whether frames like this one are encoded so.
    pub(crate) fn can_encode(&self, codec: Codec, decoded: &Decoded) -> Result<(), Error> {
        if decoded.is_lossy || self.is_marked_lossy { codec::can_encode_lossy(codec) } else { Ok(()) }
    }

    /// What the frames have lost, where this one of them has lost something.
    pub(crate) fn loss(&self, decoded: &Decoded) -> Option<Loss> {
        let Kind::Encapsulated { codec, frames } = &self.kind else { return None };
        let method = codec::method(*codec).filter(|_| decoded.is_lossy)?;
        let native = decoded.frame.len() as f64 * self.image.frames as f64; // far below 2^53
        let ratio = format!("{:.2}", native / frames.bytes().max(1) as f64); // the same
        Some(Loss { method, ratio })
    }

    pub(crate) fn image(&self) -> &Image {
        &self.image
    }

    /// A native little endian frame.
    pub(crate) fn decoded(&mut self, index: u64) -> Result<Decoded, Error> {
        match &self.kind {
            Kind::Native { word_bytes } => {
                let (length, word) = (self.image.frame_bytes()?, *word_bytes as u64);
                let start = index * length as u64;
                // The whole words that hold the frame.
                let first = start / word * word;
                let skipped = (start - first) as usize; // less than a word
                let mut frame = vec![0; (skipped + length).next_multiple_of(*word_bytes)];
                self.source.read(self.element.offset + first, &mut frame)?;
                swap(&mut frame, *word_bytes);
                frame.drain(..skipped);
                frame.truncate(length);
                if self.image.is_planar {
                    frame = samples::interleave(&frame, &self.image);
                }
                Ok(Decoded {
                    frame,
                    photometric: Cow::Owned(self.image.photometric.clone()),
                    is_lossy: false,
                })
            }
            Kind::Encapsulated { codec, frames } => {
                let compressed = self.compressed(frames, index)?;
                codec::decode(*codec, &compressed, &self.image)
            }
        }
    }

    fn compressed(&self, frames: &Frames, index: u64) -> Result<Vec<u8>, Error> {
        let places = usize::try_from(index).ok().and_then(|index| frames.get(index));
        let places = places.ok_or(Error::Damaged("a frame is missing"))?;
        let total: u64 = places.iter().map(|place| place.end - place.start).sum();
        // A frame is never stored in much more than it takes natively.
        let most = self.image.frame_samples() as u64 * 8 + SLACK_BYTES;
        let total = usize::try_from(total).ok().filter(|total| *total as u64 <= most);
        let mut bytes =
            vec![0; total.ok_or(Error::TooLarge("a compressed frame is larger than its pixels"))?];
        let mut rest = bytes.as_mut_slice();
        for place in places.iter() {
            let length = usize::try_from(place.end - place.start).unwrap_or(usize::MAX);
            let (part, after) = rest.split_at_mut_checked(length).unwrap_or_default();
            self.stored.bytes.read_exact_at(part, place.start).map_err(Error::Read)?;
            rest = after;
        }
        Ok(bytes)
    }
}

/// The top-level Pixel Data.
fn pixel_data(header: &Header) -> Result<Element<'_>, Error> {
    let tag =
        image::pixel_tag(header).ok_or(Error::Unsupported("an object without pixel data has no frames"))?;
    if tag != image::PIXEL_DATA {
        return Err(Error::Unsupported("floating point pixels are not compressed"));
    }
    header.element(tag).ok_or(Error::Unsupported("an object without pixel data has no frames"))
}

fn native(element: &Element<'_>, image: &Image) -> Result<Kind, Error> {
    if image.has_subsampled_photometric() {
        return Err(Error::Unsupported("frames with subsampled colours are not compressed"));
    }
    let is_swapped = is_big(element.encoding());
    let word = pixel_word_bytes(element.tag, element.vr, Some(i64::from(image.bits_allocated)));
    let word = if is_swapped { word } else { 1 };
    let needed = (image.frame_bytes()? as u64).saturating_mul(image.frames).next_multiple_of(word as u64);
    if u64::from(element.length.unwrap_or(0)) < needed {
        return Err(Error::Damaged("the pixel data is shorter than its frames"));
    }
    Ok(Kind::Native { word_bytes: word })
}

/// What markers and tables may take.
const SLACK_BYTES: u64 = 4 << 20;
