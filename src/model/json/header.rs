#![deny(clippy::indexing_slicing, clippy::string_slice, clippy::cast_possible_truncation)]

use std::fmt::Write;

use super::{UTF8, close, open, primitive, value};
use crate::attributes::SPECIFIC_CHARACTER_SET;
use crate::charset::Charset;
use crate::header::{Element, Elements, Header, Item, Value};
use crate::{Tag, Vr, limits, vr};

/// Appends the metadata of one instance as a DICOM JSON model object.
///
/// A value that the header refers to, and Pixel Data (7FE0,0010) always, becomes the BulkDataURI
/// `{bulk_base}/{AttributePath}`; where its VR may not have one, the attribute is there without a value. Group
/// lengths, group 0002 and sequences that were not entered are left out; of repeated attributes the first is taken.
/// Integer and decimal strings are numbers, or strings where they are not valid. Big endian values are swapped.
///
/// Behind [`limits::JSON_BYTES`] no further attribute is begun; returns how many were left out for that.
///
/// PS3.18 §F.2.2 to §F.2.7, §10.4.1.1.2.
pub fn write_header(header: &Header, bulk_base: &str, out: &mut Vec<u8>) -> u32 {
    let end = out.len().saturating_add(limits::JSON_BYTES);
    let mut writer = Writer { out, bulk_base, path: String::new(), beyond_ascii: false, end, left_out: 0 };
    writer.top_level(header);
    writer.left_out
}

struct Writer<'o> {
    out: &'o mut Vec<u8>,
    bulk_base: &'o str,
    /// Of the item that is being written, with a slash at its end: `00540016/1/`.
    path: String,
    /// Whether text beyond ASCII was written.
    beyond_ascii: bool,
    /// Length of `out` from which attributes are left out.
    end: usize,
    left_out: u32,
}

impl Writer<'_> {
    fn top_level(&mut self, header: &Header) {
        let charset_place = self.data_set(header.elements(), header.charset());
        if self.beyond_ascii
            && let Some(place) = charset_place
        {
            self.out.splice(place..place, UTF8.iter().copied());
        }
    }

    /// Writes a data set or item. Returns where (0008,0005) would stand if it did not.
    fn data_set(&mut self, elements: Elements<'_>, charset: &Charset) -> Option<usize> {
        self.out.push(b'{');
        let mut place = None;
        let mut stated = false;
        let mut write = |writer: &mut Self, element: Element<'_>| {
            stated |= element.tag == SPECIFIC_CHARACTER_SET;
            if element.tag > SPECIFIC_CHARACTER_SET && place.is_none() {
                place = Some(writer.out.len());
            }
            writer.attribute(element, charset);
        };
        if elements.is_sorted_by(|a, b| a.tag < b.tag) {
            elements.for_each(|element| write(self, element));
        } else {
            let mut sorted: Vec<_> = elements.collect();
            sorted.sort_by_key(|element| element.tag);
            sorted.dedup_by_key(|element| element.tag);
            sorted.into_iter().for_each(|element| write(self, element));
        }
        close(self.out);
        place.filter(|_| !stated)
    }

    fn attribute(&mut self, element: Element<'_>, charset: &Charset) {
        let Tag(group, number) = element.tag;
        if group == 0x0002 || number == 0x0000 {
            return;
        }
        if self.out.len() >= self.end {
            self.left_out = self.left_out.saturating_add(1);
            return;
        }
        if element.tag == SPECIFIC_CHARACTER_SET {
            return self.out.extend_from_slice(UTF8);
        }
        let vr = element.vr;
        match element.value() {
            Value::Omitted => return,
            Value::Bytes(bytes) if element.tag == PIXEL_DATA && !bytes.is_empty() => {
                self.reference(element.tag, vr)
            }
            Value::Bytes(bytes) => self.bytes(&element, bytes, charset),
            Value::Bulk | Value::Fragments { .. } => self.reference(element.tag, vr),
            Value::Items(mut items) => {
                open(element.tag, *b"SQ", self.out);
                if let Some(first) = items.next() {
                    self.out.extend_from_slice(b",\"Value\":[");
                    self.items(element.tag, std::iter::once(first).chain(items), charset);
                    self.out.push(b']');
                }
            }
        }
        self.out.extend_from_slice(b"},");
    }

    fn items<'a>(&mut self, tag: Tag, items: impl Iterator<Item = Item<'a>>, charset: &Charset) {
        let outer = self.path.len();
        for (index, item) in items.enumerate() {
            if index > 0 {
                self.out.push(b',');
            }
            let Tag(group, element) = tag;
            write!(self.path, "{group:04X}{element:04X}/{}/", index + 1).expect("memory takes every write");
            // An item that states a set is read by it, one that does not by the set of what it is part of (PS3.3 §C.12.1.1.2).
            let own =
                item.element(SPECIFIC_CHARACTER_SET).and_then(|element| element.bytes()).map(Charset::parse);
            self.data_set(item.elements(), own.as_ref().unwrap_or(charset));
            self.path.truncate(outer);
        }
    }

    fn bytes(&mut self, element: &Element<'_>, bytes: &[u8], charset: &Charset) {
        let (vr, encoding) = (element.vr, element.encoding());
        open(element.tag, vr.to_bytes(), self.out);
        if vr::is_text(vr) {
            let text = charset.to_text(bytes, vr);
            self.beyond_ascii |= !text.is_ascii();
            value::write_text(vr, &text, self.out);
        } else if vr::is_binary(vr) {
            value::write_binary(vr, bytes, encoding, self.out);
        } else {
            value::write_numbers(vr, bytes, encoding, self.out);
        }
    }

    fn reference(&mut self, tag: Tag, vr: Vr) {
        open(tag, vr.to_bytes(), self.out);
        if may_be_referenced(vr) {
            self.out.extend_from_slice(b",\"BulkDataURI\":\"");
            primitive::escaped(self.bulk_base, self.out);
            self.out.push(b'/');
            self.out.extend_from_slice(self.path.as_bytes());
            primitive::hex(tag.group(), self.out);
            primitive::hex(tag.element(), self.out);
            self.out.push(b'"');
        }
    }
}

/// Whether an attribute of this VR may have a BulkDataURI (PS3.18 §F.2.2).
fn may_be_referenced(vr: Vr) -> bool {
    match vr {
        Vr::DS | Vr::FL | Vr::FD | Vr::IS | Vr::LT | Vr::OB | Vr::OD | Vr::OF | Vr::OL | Vr::OV | Vr::OW => {
            true
        }
        Vr::SL | Vr::SS | Vr::ST | Vr::SV | Vr::UC | Vr::UL | Vr::UN | Vr::US | Vr::UT | Vr::UV => true,
        Vr::AE | Vr::AS | Vr::AT | Vr::CS | Vr::DA | Vr::DT | Vr::LO | Vr::PN | Vr::SH | Vr::SQ => false,
        Vr::TM | Vr::UI | Vr::UR => false,
    }
}

const PIXEL_DATA: Tag = Tag(0x7FE0, 0x0010);
