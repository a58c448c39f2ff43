use model::element::{padding, put_header};
use model::header::{Element, Elements, Header, Items, Value};
use model::syntax::Encoding;
use model::{Tag, Vr};

use crate::attributes::Edits;
use crate::output::Output;
use crate::source::Source;
use crate::words::{is_big, is_pixels, pixel_word_bytes, swap};
use crate::{Error, image};

/// Writes a data set anew, and has the top-level Pixel Data written by whoever knows how.
pub(crate) struct Rewriter<'a, 's, 'o> {
    pub(crate) header: &'a Header,
    pub(crate) source: &'s mut Source<'a>,
    pub(crate) out: &'s mut Output<'o>,
    pub(crate) encoding: Encoding,
    pub(crate) edits: &'s Edits,
}

/// Writes the element of the pixels.
type Pixels<'p> = &'p mut dyn FnMut(&mut Output<'_>) -> Result<(), Error>;

/// Where the writing of nested elements is.
enum Open<'a> {
    Items(Items<'a>),
    Elements(Elements<'a>),
}

impl<'a> Rewriter<'a, '_, '_> {
    /// Copies all bytes.
    pub(crate) fn copy_all(mut self) -> Result<(), Error> {
        self.copy_range(0, self.header.len())
    }

    /// Copies what is not edited byte for byte: the encoding stays.
    pub(crate) fn copy(mut self, pixels: Pixels<'_>) -> Result<(), Error> {
        let mut added = self.edits.added(self.header, self.encoding).into_iter().peekable();
        let mut position = 0;
        for element in self.header.elements() {
            let replacement = self.edits.replacement(element.tag, self.encoding);
            let is_pixel_data = element.tag == image::PIXEL_DATA;
            let is_touched = replacement.is_some() || is_pixel_data || self.edits.drops(element.tag);
            let is_preceded = added.peek().is_some_and(|(tag, _)| *tag < element.tag);
            if is_touched || is_preceded {
                self.copy_range(position, element.start())?;
                position = element.start();
            }
            while let Some((_, bytes)) = added.next_if(|(tag, _)| *tag < element.tag) {
                self.out.write(&bytes)?;
            }
            if is_touched {
                position = end(&element).ok_or(Error::Unsupported("an element is not what its tag says"))?;
                self.out.write(&replacement.unwrap_or_default())?;
            }
            if is_pixel_data {
                pixels(self.out)?;
            }
        }
        self.copy_range(position, self.header.len())?;
        added.try_for_each(|(_, bytes)| self.out.write(&bytes))
    }

    /// Writes every element in the new encoding; the Pixel Data as one of them, without `pixels`.
    pub(crate) fn reencode(mut self, mut pixels: Option<Pixels<'_>>) -> Result<(), Error> {
        if self.header.omitted() > 0 {
            return Err(Error::Unsupported(
                "some of its elements nest too deep, are too many or cannot be read",
            ));
        }
        let mut added = self.edits.added(self.header, self.encoding).into_iter().peekable();
        for element in self.header.elements().filter(|element| !self.edits.drops(element.tag)) {
            while let Some((_, bytes)) = added.next_if(|(tag, _)| *tag < element.tag) {
                self.out.write(&bytes)?;
            }
            if let Some(replacement) = self.edits.replacement(element.tag, self.encoding) {
                self.out.write(&replacement)?;
            } else if let Some(pixels) = pixels.as_mut().filter(|_| element.tag == image::PIXEL_DATA) {
                pixels(self.out)?;
            } else {
                self.element(element)?;
            }
        }
        added.try_for_each(|(_, bytes)| self.out.write(&bytes))
    }

    /// Writes an element with all that is nested in it.
    fn element(&mut self, element: Element<'a>) -> Result<(), Error> {
        let mut open = Vec::new();
        self.begin(element, &mut open)?;
        while let Some(innermost) = open.last_mut() {
            match innermost {
                Open::Items(items) => match items.next() {
                    Some(item) => {
                        open.push(Open::Elements(item.elements()));
                        self.delimiter(ITEM, UNDEFINED)?;
                    }
                    None => {
                        open.pop();
                        self.delimiter(SEQUENCE_END, 0)?;
                    }
                },
                Open::Elements(elements) => match elements.next() {
                    Some(element) if element.tag.element() == 0 => {}
                    Some(element) => self.begin(element, &mut open)?,
                    None => {
                        open.pop();
                        self.delimiter(ITEM_END, 0)?;
                    }
                },
            }
        }
        Ok(())
    }

    /// Writes an element, of a sequence no more than its beginning.
    fn begin(&mut self, element: Element<'a>, open: &mut Vec<Open<'a>>) -> Result<(), Error> {
        match element.value() {
            Value::Items(items) => {
                self.head(element.tag, Vr::SQ, UNDEFINED)?;
                open.push(Open::Items(items));
                Ok(())
            }
            Value::Bytes(bytes) => {
                let word_bytes = self.value_head(&element, bytes.len() as u64, open.is_empty())?;
                let mut value = bytes.to_vec();
                swap(&mut value, word_bytes);
                self.out.write(&value)?;
                self.pad(&element, value.len() as u64)
            }
            Value::Bulk => {
                let length = u64::from(element.length.unwrap_or(0));
                let word_bytes = self.value_head(&element, length, open.is_empty())?;
                let (source, out) = (&mut *self.source, &mut *self.out);
                source.copy(element.offset..element.offset + length, |chunk| {
                    swap(chunk, word_bytes);
                    out.write(chunk)
                })?;
                self.pad(&element, length)
            }
            Value::Fragments { .. } => Err(Error::Unsupported("compressed pixel data inside a sequence")),
            Value::Omitted => Err(Error::Unsupported("some of its elements nest too deep")),
        }
    }

    /// Writes what is before a value of so many bytes; bytes of the words that are to be swapped in it.
    fn value_head(&mut self, element: &Element<'_>, length: u64, is_top: bool) -> Result<usize, Error> {
        let length = u32::try_from(length.next_multiple_of(2)).ok().filter(|length| *length < UNDEFINED);
        let length = length.ok_or(Error::TooLarge("a value is too long"))?;
        let bits = self.header.integer(image::BITS_ALLOCATED).filter(|_| is_top && is_pixels(element.tag));
        // Pixels of more than a byte are words, whatever some write of them in little endian (PS3.5 §8.1.2).
        let is_mislabelled = element.vr == Vr::OB && bits > Some(8) && !is_big(element.encoding());
        let vr = if is_mislabelled { Vr::OW } else { element.vr };
        let written = self.head(element.tag, vr, length)?;
        // Inside of UN is Implicit VR Little Endian (PS3.5 §6.2.2).
        let is_big_now = is_big(self.encoding) && written != Vr::UN;
        if is_big(element.encoding()) == is_big_now || element.vr == Vr::UN {
            return Ok(1);
        }
        Ok(pixel_word_bytes(element.tag, vr, bits))
    }

    fn pad(&mut self, element: &Element<'_>, length: u64) -> Result<(), Error> {
        if length.is_multiple_of(2) { Ok(()) } else { self.out.write(&[padding(element.vr)]) }
    }

    /// Writes tag, VR and length; the VR as it is written.
    fn head(&mut self, tag: Tag, vr: Vr, length: u32) -> Result<Vr, Error> {
        let mut head = Vec::with_capacity(12);
        let written = put_header(&mut head, self.encoding, tag, vr, length);
        self.out.write(&head)?;
        Ok(written)
    }

    fn delimiter(&mut self, tag: Tag, length: u32) -> Result<(), Error> {
        let big = is_big(self.encoding);
        let word = |number: u16| if big { number.to_be_bytes() } else { number.to_le_bytes() };
        let long = if big { length.to_be_bytes() } else { length.to_le_bytes() };
        self.out.write(&word(tag.group()))?;
        self.out.write(&word(tag.element()))?;
        self.out.write(&long)
    }

    fn copy_range(&mut self, start: u64, end: u64) -> Result<(), Error> {
        let (source, out) = (&mut *self.source, &mut *self.out);
        source.copy(start..end, |chunk| out.write(chunk))
    }
}

/// Whether compressed pixel data is nested in a sequence: an icon, for one (PS3.5 §A.4).
pub(crate) fn has_nested_fragments(header: &Header) -> bool {
    let mut open: Vec<Open<'_>> = header.elements().filter_map(items).collect();
    while let Some(innermost) = open.last_mut() {
        let inner = match innermost {
            Open::Items(items) => items.next().map(|item| Some(Open::Elements(item.elements()))),
            Open::Elements(elements) => match elements.next() {
                Some(element) if matches!(element.value(), Value::Fragments { .. }) => return true,
                Some(element) => Some(items(element)),
                None => None,
            },
        };
        match inner {
            Some(inner) => open.extend(inner),
            None => drop(open.pop()),
        }
    }
    false
}

fn items(element: Element<'_>) -> Option<Open<'_>> {
    match element.value() {
        Value::Items(items) => Some(Open::Items(items)),
        _ => None,
    }
}

/// Where an element ends; `None` for a sequence.
fn end(element: &Element<'_>) -> Option<u64> {
    match element.value() {
        Value::Bytes(_) | Value::Bulk => Some(element.offset + u64::from(element.length?)),
        Value::Fragments { length } => Some(element.offset + length),
        Value::Items(_) | Value::Omitted => None,
    }
}

const UNDEFINED: u32 = 0xFFFF_FFFF;
const ITEM: Tag = Tag(0xFFFE, 0xE000);
const ITEM_END: Tag = Tag(0xFFFE, 0xE00D);
const SEQUENCE_END: Tag = Tag(0xFFFE, 0xE0DD);
