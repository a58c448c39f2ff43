#![deny(clippy::indexing_slicing, clippy::string_slice)]

use super::record::UNDEFINED;
use super::{Header, Record, State};
use crate::charset::Charset;
use crate::syntax::Encoding;
use crate::{Tag, Vr, vr};

/// One element of a [`Header`].
#[derive(Clone, Copy)]
pub struct Element<'a> {
    /// Its tag.
    pub tag: Tag,
    /// Its VR: as it came; from the dictionary where the data set does not state one, or states UN or one that we do not know
    /// (PS3.5 §6.2.2); SQ for whatever holds items.
    pub vr: Vr,
    /// Where its value begins in the inflated data set.
    pub offset: u64,
    /// Its length as it came; `None` when undefined.
    pub length: Option<u32>,
    header: &'a Header,
    record: &'a Record,
    index: usize,
}

/// What a [`Header`] has of an element's value.
#[derive(Clone, Copy)]
pub enum Value<'a> {
    /// The value as it came, padding included.
    Bytes(&'a [u8]),
    /// Pixel data, or longer than the inline limit of its VR: only its place is known, `offset` and `length`.
    Bulk,
    /// The items of a sequence.
    Items(Items<'a>),
    /// The fragments of encapsulated pixel data (PS3.5 §A.4).
    Fragments {
        /// Bytes from `offset` to the end of the sequence delimiter.
        length: u64,
    },
    /// A sequence that was not entered; [`Header::omitted`] counts it.
    Omitted,
}

impl<'a> Element<'a> {
    /// What the header has of the value.
    pub fn value(&self) -> Value<'a> {
        match self.record.state {
            State::Captured => Value::Bytes(self.captured()),
            State::Bulk => Value::Bulk,
            State::Sequence => {
                Value::Items(Items { records: Records::inside(self.header, self.index, self.record) })
            }
            State::Fragments => Value::Fragments { length: self.record.extra },
            State::Item | State::Omitted => Value::Omitted,
        }
    }

    /// Where the element begins in the inflated data set: its tag.
    pub fn start(&self) -> u64 {
        self.offset - u64::from(self.record.head_bytes)
    }

    /// How the element and the words of its value are coded: as the data set, but Implicit VR Little Endian where it is UN or stands
    /// inside of UN (PS3.5 §6.2.2).
    pub fn encoding(&self) -> Encoding {
        self.record.encoding
    }

    /// The value as it came, where the header has it.
    pub fn bytes(&self) -> Option<&'a [u8]> {
        (self.record.state == State::Captured).then(|| self.captured())
    }

    /// The decoded text, all values, less trailing padding; `None` when empty, no text, or not copied.
    pub fn text(&self, charset: &Charset) -> Option<String> {
        if !vr::is_text(self.vr) {
            return None;
        }
        let text = charset.decode(vr::trim(self.vr, self.bytes()?), self.vr);
        (!text.is_empty()).then_some(text)
    }

    /// The first number of a value of VR US, SS, UL, SL, UV, SV or IS.
    pub fn integer(&self) -> Option<i64> {
        vr::integer(self.vr, self.encoding(), self.bytes()?)
    }

    fn captured(&self) -> &'a [u8] {
        let begin = usize::try_from(self.record.extra).unwrap_or(usize::MAX);
        let length = usize::try_from(self.record.length).unwrap_or(usize::MAX);
        self.header.bytes.get(begin..begin.saturating_add(length)).unwrap_or_default()
    }
}

/// The elements of a data set or item, in stream order.
#[derive(Clone, Copy)]
pub struct Elements<'a> {
    records: Records<'a>,
}

impl<'a> Elements<'a> {
    pub(super) fn new(header: &'a Header, begin: usize, end: usize) -> Self {
        Self { records: Records { header, at: begin, end } }
    }
}

impl<'a> Iterator for Elements<'a> {
    type Item = Element<'a>;

    fn next(&mut self) -> Option<Element<'a>> {
        let header = self.records.header;
        let (index, record) = self.records.next()?;
        Some(Element {
            tag: record.tag,
            vr: record.vr,
            offset: record.offset,
            length: (record.length != UNDEFINED).then_some(record.length),
            header,
            record,
            index,
        })
    }
}

/// The items of a sequence, in stream order. Items that were left out stand behind all others, so that numbers hold.
#[derive(Clone, Copy)]
pub struct Items<'a> {
    records: Records<'a>,
}

impl<'a> Iterator for Items<'a> {
    type Item = Item<'a>;

    fn next(&mut self) -> Option<Item<'a>> {
        let header = self.records.header;
        let (index, record) = self.records.next()?;
        Some(Item { elements: Elements { records: Records::inside(header, index, record) } })
    }
}

/// One item of a sequence: a data set inside the data set.
#[derive(Clone, Copy)]
pub struct Item<'a> {
    elements: Elements<'a>,
}

impl<'a> Item<'a> {
    /// Its elements, in stream order.
    pub fn elements(&self) -> Elements<'a> {
        self.elements
    }

    /// Its first element with this tag.
    pub fn element(&self, tag: Tag) -> Option<Element<'a>> {
        self.elements().find(|element| element.tag == tag)
    }
}

/// Walks sibling records, stepping over what stands inside of them.
#[derive(Clone, Copy)]
struct Records<'a> {
    header: &'a Header,
    at: usize,
    end: usize,
}

impl<'a> Records<'a> {
    fn inside(header: &'a Header, index: usize, record: &Record) -> Self {
        Self { header, at: index + 1, end: usize::try_from(record.next).unwrap_or(usize::MAX) }
    }

    fn next(&mut self) -> Option<(usize, &'a Record)> {
        let index = self.at;
        let record = self.header.records.get(..self.end)?.get(index)?;
        self.at = usize::try_from(record.next).unwrap_or(usize::MAX);
        Some((index, record))
    }
}
