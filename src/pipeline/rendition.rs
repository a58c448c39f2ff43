use std::fs::File;
use std::io::ErrorKind;
use std::ops::Range;

use archive::StoredInstance;
use model::header::{AttributePath, Element, Header, Value};
use model::syntax::{self, Encoding};
use model::{Tag, TransferSyntaxUid, limits};
use pixels::fragments::{self, Frames, Places};
use pixels::pixel_word_bytes;

use crate::{Error, Pipeline, blocking, header};

/// One or more values of a stored object in the form in which they are sent (PS3.18 §8.7.3.3).
#[derive(Debug, Clone)]
pub struct Rendition {
    /// Media type of each part.
    pub media_type: &'static str,
    /// Transfer syntax of each part.
    pub transfer_syntax: TransferSyntaxUid,
    /// The parts, in the order asked for.
    pub parts: Vec<Part>,
}

/// Where the bytes of one part lie.
#[derive(Debug, Clone)]
pub struct Part {
    places: Places,
    /// Where the data set begins, as the places count.
    origin: u64,
    pub(crate) word_bytes: usize,
    pub(crate) inflate: bool,
    /// Where the value begins and how long it is, when not in whole bytes.
    pub(crate) bits: Option<Bits>,
}

/// Place of a frame in the whole words that hold it; the first pixel is the lowest bit (PS3.5 §8.1.1).
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bits {
    /// Bits that belong to the frame before.
    pub(crate) skipped: u64,
    /// Bits of the frame.
    pub(crate) length: u64,
}

impl Part {
    /// Ranges of the (inflated) data set, one after the other.
    pub(crate) fn ranges(&self) -> impl Iterator<Item = Range<u64>> {
        self.places.iter().map(|place| place.start - self.origin..place.end - self.origin)
    }

    /// Bytes of the part.
    pub fn length(&self) -> u64 {
        if let Some(bits) = self.bits {
            return bits.length.div_ceil(8);
        }
        self.ranges().map(|range| range.end - range.start).sum()
    }
}

impl Pipeline {
    /// The value that a BulkDataURI of the metadata names. Cancel safe.
    ///
    /// A native value is one part, big endian words turned to little endian. Encapsulated Pixel Data is a part for each frame; a
    /// video is one; where fragments cannot be told apart by frame, it is one part with the items as stored.
    ///
    /// # Errors
    /// [`Error::NotFound`] when the object has no such value, [`Error::File`] and [`Error::Unreadable`] when it cannot be read,
    /// [`Error::Busy`] when too many large headers are held at once.
    pub async fn bulkdata(
        &self,
        instance: &StoredInstance,
        path: &AttributePath,
    ) -> Result<Rendition, Error> {
        let (instance, path) = (instance.clone(), path.clone());
        let mut claim = self.headers.claim();
        blocking(move || {
            let file = File::open(&instance.path).map_err(Error::File)?;
            let header = header::read(&instance, &file, &mut claim)?;
            let element = header.at(&path).ok_or(Error::NotFound)?;
            let source = Pixels { instance: &instance, file: &file, header: &header, element, path: &path };
            let number_of_frames = if source.is_video() { 1 } else { source.number_of_frames() };
            match element.value() {
                Value::Fragments { length } => match source.frames_of_fragments(length, number_of_frames) {
                    Ok(frames) if frames.len() as u64 <= limits::PARTS => {
                        source.encapsulated(&frames, 0..frames.len())
                    }
                    Ok(_) | Err(Error::NotAvailable(_)) => {
                        let stored = element.offset..element.offset + length;
                        Ok(source.as_stored(source.part(stored, 1)))
                    }
                    Err(error) => Err(error),
                },
                Value::Bytes(_) | Value::Bulk => {
                    let length = element.length.ok_or(Error::NotFound)?;
                    let value = element.offset..element.offset + u64::from(length);
                    Ok(source.octets(vec![source.part(value, source.word_bytes())]))
                }
                Value::Items(_) | Value::Omitted => Err(Error::NotFound),
            }
        })
        .await
    }

    /// The frames with these numbers, counted from 1. Cancel safe.
    ///
    /// Native frames are sent in little endian; encapsulated ones as stored.
    ///
    /// # Errors
    /// [`Error::NotFound`] when the object has no such frame or no pixels; [`Error::NotAvailable`] when its frames cannot be told
    /// apart; [`Error::File`] and [`Error::Unreadable`] when it cannot be read; [`Error::Busy`] when too many large headers are held
    /// at once.
    pub async fn frames(&self, instance: &StoredInstance, numbers: &[u32]) -> Result<Rendition, Error> {
        let (instance, numbers) = (instance.clone(), numbers.to_vec());
        let mut claim = self.headers.claim();
        blocking(move || {
            let file = File::open(&instance.path).map_err(Error::File)?;
            let header = header::read(&instance, &file, &mut claim)?;
            let element = PIXELS.iter().find_map(|tag| header.element(*tag)).ok_or(Error::NotFound)?;
            let path = AttributePath::top(element.tag);
            let source = Pixels { instance: &instance, file: &file, header: &header, element, path: &path };
            if source.is_deflated() && numbers.len() > limits::DEFLATED_FRAMES {
                return Err(Error::NotAvailable("too many frames of a deflated object at a time"));
            }
            match element.value() {
                Value::Fragments { length } => {
                    let frames = source.frames_of_fragments(length, source.number_of_frames())?;
                    let chosen =
                        numbers.iter().map(|number| index(*number)).collect::<Result<Vec<_>, _>>()?;
                    source.encapsulated(&frames, chosen)
                }
                Value::Bytes(_) | Value::Bulk => source.native(&numbers),
                Value::Items(_) | Value::Omitted => Err(Error::NotFound),
            }
        })
        .await
    }
}

/// One bulk element of an open object.
struct Pixels<'a> {
    instance: &'a StoredInstance,
    file: &'a File,
    header: &'a Header,
    element: Element<'a>,
    /// Of the element.
    path: &'a AttributePath,
}

impl Pixels<'_> {
    fn frames_of_fragments(&self, length: u64, number_of_frames: u64) -> Result<Frames, Error> {
        if self.is_deflated() {
            return Err(Error::NotAvailable("encapsulated pixel data inside a deflated data set"));
        }
        let start = self.instance.data_offset + self.element.offset;
        let fragments = match fragments::read(self.file, start..start + length) {
            Err(error) if error.kind() == ErrorKind::InvalidData => None,
            read => Some(read.map_err(Error::File)?),
        };
        fragments
            .and_then(|fragments| fragments.frames(number_of_frames, self.file))
            .ok_or(Error::NotAvailable("the fragments of this object cannot be told apart by frame"))
    }

    fn native(&self, numbers: &[u32]) -> Result<Rendition, Error> {
        let bits = self.frame_bits().ok_or(Error::NotAvailable("the size of a frame is not stated"))?;
        let parts =
            numbers.iter().map(|number| self.native_frame(*number, bits)).collect::<Result<_, _>>()?;
        Ok(self.octets(parts))
    }

    fn native_frame(&self, number: u32, bits: u64) -> Result<Part, Error> {
        let before = index(number)? as u64;
        let start = bits.checked_mul(before).filter(|_| before < self.number_of_frames());
        let end = start.and_then(|start| start.checked_add(bits)).ok_or(Error::NotFound)?;
        let start = start.ok_or(Error::NotFound)?;
        let value_bytes = u64::from(self.element.length.ok_or(Error::NotFound)?);
        if end.div_ceil(8) > value_bytes {
            return Err(Error::NotFound);
        }
        let word_bytes = self.word_bytes();
        let word = word_bytes as u64; // at most 8
        let (first, last) =
            (start / 8 / word * word, end.div_ceil(8).next_multiple_of(word).min(value_bytes));
        let place = Bits { skipped: start - first * 8, length: bits };
        let is_whole = place.skipped == 0 && (last - first) * 8 == bits;
        Ok(Part {
            bits: (!is_whole).then_some(place),
            ..self.part(self.element.offset + first..self.element.offset + last, word_bytes)
        })
    }

    /// An attribute that stands beside the element, in the same item.
    fn beside(&self, tag: Tag) -> Option<Element<'_>> {
        self.header.at(&self.path.beside(tag))
    }

    /// Bits of a native frame (PS3.3 §C.7.6.3); `None` when the object does not say or says nonsense.
    fn frame_bits(&self) -> Option<u64> {
        let positive = |tag| self.positive(tag);
        let samples = positive(SAMPLES_PER_PIXEL).unwrap_or(1);
        let bits = positive(ROWS)?
            .checked_mul(positive(COLUMNS)?)?
            .checked_mul(samples)?
            .checked_mul(positive(BITS_ALLOCATED)?)?;
        let photometric = self.header.text(PHOTOMETRIC_INTERPRETATION).unwrap_or_default();
        // Two luminance samples share one pair of chrominance samples (PS3.3 §C.7.6.3.1.2), but some write all of them.
        let is_subsampled = samples == 3 && photometric.ends_with("_422");
        let all_bits = bits.checked_mul(self.number_of_frames())?;
        let is_short = u64::from(self.element.length?) < all_bits.div_ceil(8);
        Some(if is_subsampled && is_short { bits / 3 * 2 } else { bits })
    }

    fn positive(&self, tag: Tag) -> Option<u64> {
        let value = self.beside(tag)?.integer()?;
        u64::try_from(value).ok().filter(|value| *value > 0)
    }

    fn number_of_frames(&self) -> u64 {
        self.positive(NUMBER_OF_FRAMES).unwrap_or(1)
    }

    fn is_video(&self) -> bool {
        syntax::frame_media_type(self.instance.transfer_syntax.as_str()).starts_with("video/")
    }

    /// Bytes of a word that big endian storage reverses; 1 in little endian.
    fn word_bytes(&self) -> usize {
        if self.element.encoding() != Encoding::ExplicitBig {
            return 1;
        }
        let bits = self.beside(BITS_ALLOCATED).and_then(|element| element.integer());
        pixel_word_bytes(self.element.tag, self.element.vr, bits)
    }

    fn is_deflated(&self) -> bool {
        syntax::form(self.instance.transfer_syntax.as_str()).deflated
    }

    fn octets(&self, parts: Vec<Part>) -> Rendition {
        Rendition {
            media_type: syntax::OCTET_STREAM,
            transfer_syntax: TransferSyntaxUid::lenient(syntax::EXPLICIT_VR_LITTLE_ENDIAN)
                .expect("the constant is not empty"),
            parts,
        }
    }

    fn as_stored(&self, part: Part) -> Rendition {
        Rendition { transfer_syntax: self.instance.transfer_syntax.clone(), ..self.octets(vec![part]) }
    }

    fn encapsulated(
        &self,
        frames: &Frames,
        chosen: impl IntoIterator<Item = usize>,
    ) -> Result<Rendition, Error> {
        let part = |index| {
            let places = frames.get(index).ok_or(Error::NotFound)?;
            let origin = self.instance.data_offset;
            Ok(Part { places, origin, word_bytes: 1, inflate: false, bits: None })
        };
        Ok(Rendition {
            media_type: syntax::frame_media_type(self.instance.transfer_syntax.as_str()),
            transfer_syntax: self.instance.transfer_syntax.clone(),
            parts: chosen.into_iter().map(part).collect::<Result<_, Error>>()?,
        })
    }

    fn part(&self, range: Range<u64>, word_bytes: usize) -> Part {
        let inflate = self.is_deflated();
        Part { places: Places::one(range), origin: 0, word_bytes, inflate, bits: None }
    }
}

/// Frame numbers count from 1.
fn index(number: u32) -> Result<usize, Error> {
    number.checked_sub(1).and_then(|n| usize::try_from(n).ok()).ok_or(Error::NotFound)
}

/// Pixel Data, Float Pixel Data, Double Float Pixel Data.
const PIXELS: [Tag; 3] = [Tag(0x7FE0, 0x0010), Tag(0x7FE0, 0x0008), Tag(0x7FE0, 0x0009)];
const SAMPLES_PER_PIXEL: Tag = Tag(0x0028, 0x0002);
const PHOTOMETRIC_INTERPRETATION: Tag = Tag(0x0028, 0x0004);
const NUMBER_OF_FRAMES: Tag = Tag(0x0028, 0x0008);
const ROWS: Tag = Tag(0x0028, 0x0010);
const COLUMNS: Tag = Tag(0x0028, 0x0011);
const BITS_ALLOCATED: Tag = Tag(0x0028, 0x0100);
