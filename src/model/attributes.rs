//! Decoded attributes: the rows of query answers.

use std::collections::BTreeMap;
use std::collections::btree_map;
use std::fmt;

use crate::charset::{self, Charset};
use crate::element;
use crate::syntax::Encoding;
use crate::vr::{is_multi_valued_text, word_bytes};
use crate::{Tag, Vr};

/// The values of one attribute, decoded and without padding: numbers in decimal, tags as eight hexadecimal digits. With no value
/// of any kind it is present with zero length.
#[derive(Clone, PartialEq, Eq)]
pub struct Attribute {
    /// Its value representation.
    pub vr: Vr,
    /// One text a value; an empty text is an empty value among others. None where the VR is SQ or one of bytes and words.
    pub values: Vec<String>,
    /// The items of an SQ.
    pub items: Vec<Attributes>,
    /// The value of a VR of bytes or words (OB … OW, UN), in little endian order.
    pub bytes: Vec<u8>,
}

/// Without the values, which may be a patient's.
impl fmt::Debug for Attribute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { vr, values, items, bytes } = self;
        match (items.len(), bytes.len()) {
            (0, 0) => write!(f, "{vr:?} ({} values)", values.len()),
            (0, bytes) => write!(f, "{vr:?} ({bytes} bytes)"),
            (items, _) => write!(f, "{vr:?} ({items} items)"),
        }
    }
}

/// Attributes of one answer, by tag.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Attributes(BTreeMap<Tag, Attribute>);

impl Attributes {
    /// No attributes.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets an attribute, in place of what had its tag.
    pub fn insert(&mut self, tag: Tag, vr: Vr, values: Vec<String>) {
        self.put(tag, Attribute { vr, values, items: Vec::new(), bytes: Vec::new() });
    }

    /// Sets an attribute of any kind, in place of what had its tag.
    pub fn put(&mut self, tag: Tag, attribute: Attribute) {
        self.0.insert(tag, attribute);
    }

    /// Sets a sequence; without items it is present with zero length.
    pub fn insert_items(&mut self, tag: Tag, items: Vec<Attributes>) {
        self.put(tag, Attribute { vr: Vr::SQ, values: Vec::new(), items, bytes: Vec::new() });
    }

    /// Leaves only the attributes that `keep` takes.
    pub fn retain(&mut self, keep: impl Fn(Tag) -> bool) {
        self.0.retain(|tag, _| keep(*tag));
    }

    /// Removes the attribute with this tag.
    pub fn remove(&mut self, tag: Tag) {
        self.0.remove(&tag);
    }

    /// Leaves in the items of a sequence only the attributes that `keep` takes.
    pub fn retain_in_items(&mut self, tag: Tag, keep: impl Fn(Tag) -> bool) {
        for item in self.0.get_mut(&tag).into_iter().flat_map(|sequence| &mut sequence.items) {
            item.0.retain(|tag, _| keep(*tag));
        }
    }

    /// Sets an attribute of one value; an empty one is present with zero length.
    pub fn insert_text(&mut self, tag: Tag, vr: Vr, value: &str) {
        let values = if value.is_empty() { Vec::new() } else { vec![value.to_owned()] };
        self.insert(tag, vr, values);
    }

    /// The attribute with this tag.
    pub fn get(&self, tag: Tag) -> Option<&Attribute> {
        self.0.get(&tag)
    }

    /// The first value of the attribute with this tag.
    pub fn first(&self, tag: Tag) -> Option<&str> {
        self.get(tag)?.values.first().map(String::as_str)
    }

    /// The attributes by ascending tag.
    pub fn iter(&self) -> btree_map::Iter<'_, Tag, Attribute> {
        self.0.iter()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<'a> IntoIterator for &'a Attributes {
    type Item = (&'a Tag, &'a Attribute);
    type IntoIter = btree_map::Iter<'a, Tag, Attribute>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// Writes attributes as a data set, such as the identifier of a C-FIND response.
///
/// Specific Character Set (0008,0005) is added by what the values need: nothing for ASCII; the requestor's own set
/// where it takes no code extensions and every value fits; else ISO_IR 192. One among `attributes` is replaced, those of items
/// are left out, so that it holds for all. Numbers that do not parse are left out.
///
/// PS3.4 §C.4.1.1.3.2, §C.2.2.2.
pub fn to_data_set(attributes: &Attributes, encoding: Encoding, requested: &Charset) -> Vec<u8> {
    let charset = charset_for(attributes, requested);
    let mut out = Vec::new();
    let mut term = charset.term();
    for (&tag, attribute) in attributes {
        if tag >= SPECIFIC_CHARACTER_SET
            && let Some(term) = term.take()
        {
            element::put(&mut out, encoding, SPECIFIC_CHARACTER_SET, Vr::CS, term.as_bytes());
        }
        if tag != SPECIFIC_CHARACTER_SET {
            element::put(&mut out, encoding, tag, attribute.vr, &value_of(attribute, encoding, &charset));
        }
    }
    out
}

pub(crate) const SPECIFIC_CHARACTER_SET: Tag = Tag(0x0008, 0x0005);

fn charset_for(attributes: &Attributes, requested: &Charset) -> Charset {
    if attributes.all_texts(&|text| text.is_ascii()) {
        return Charset::default();
    }
    let fits = requested.term().is_some() && attributes.all_texts(&|text| requested.encode(text).is_some());
    if fits { requested.clone() } else { Charset::utf8() }
}

impl Attributes {
    /// Whether any text is so, those of items too.
    pub(crate) fn any_text(&self, is_so: &impl Fn(&str) -> bool) -> bool {
        self.iter().any(|(_, attribute)| {
            attribute.values.iter().any(|text| is_so(text))
                || attribute.items.iter().any(|item| item.any_text(is_so))
        })
    }

    /// Whether every text that a character set affects passes, those of items too.
    fn all_texts(&self, passes: &impl Fn(&str) -> bool) -> bool {
        self.iter().all(|(_, attribute)| {
            let is_affected = charset::is_affected(attribute.vr);
            (!is_affected || attribute.values.iter().all(|text| passes(text)))
                && attribute.items.iter().all(|item| item.all_texts(passes))
        })
    }
}

fn value_of(attribute: &Attribute, encoding: Encoding, charset: &Charset) -> Vec<u8> {
    let vr = attribute.vr;
    let numbers = || attribute.values.iter().filter_map(|text| number(vr, encoding, text)).flatten();
    match vr {
        Vr::AT | Vr::FD | Vr::FL | Vr::SL | Vr::SS | Vr::SV | Vr::UL | Vr::US | Vr::UV => numbers().collect(),
        Vr::SQ => attribute.items.iter().fold(Vec::new(), |mut out, item| {
            let content = item_of(item, encoding, charset);
            element::put_item(&mut out, encoding, &content);
            out
        }),
        Vr::OB | Vr::OD | Vr::OF | Vr::OL | Vr::OV | Vr::OW | Vr::UN => {
            words_of(vr, &attribute.bytes, encoding)
        }
        _ => {
            // A value of such a VR without delimiters of its own has at most one.
            let delimiter: &[u8] = if is_multi_valued_text(vr) { b"\\" } else { b"" };
            let encode = |text: &String| text_bytes(vr, text, charset);
            attribute.values.iter().map(encode).collect::<Vec<_>>().join(delimiter)
        }
    }
}

fn item_of(item: &Attributes, encoding: Encoding, charset: &Charset) -> Vec<u8> {
    let mut out = Vec::new();
    for (&tag, attribute) in item.iter().filter(|(tag, _)| **tag != SPECIFIC_CHARACTER_SET) {
        element::put(&mut out, encoding, tag, attribute.vr, &value_of(attribute, encoding, charset));
    }
    out
}

fn words_of(vr: Vr, bytes: &[u8], encoding: Encoding) -> Vec<u8> {
    match (encoding, word_bytes(vr)) {
        (Encoding::ExplicitBig, word @ 2..) => {
            bytes.chunks(word).flat_map(|word| word.iter().rev().copied()).collect()
        }
        _ => bytes.to_vec(),
    }
}

fn text_bytes(vr: Vr, text: &str, charset: &Charset) -> Vec<u8> {
    let charset = if charset::is_affected(vr) { charset } else { &Charset::default() };
    // What does not fit here is in a VR without character sets, where the standard has no way to say it.
    charset
        .encode(text)
        .unwrap_or_else(|| text.chars().map(|c| if c.is_ascii() { c as u8 } else { b'?' }).collect())
}

/// The bytes of one number in the order of the encoding; `None` when the text is none of that VR.
fn number(vr: Vr, encoding: Encoding, text: &str) -> Option<Vec<u8>> {
    macro_rules! bytes {
        ($number:ty) => {{
            let number: $number = text.trim().parse().ok()?;
            ordered(&number.to_le_bytes(), encoding)
        }};
    }
    Some(match vr {
        Vr::AT => {
            let (group, element) = text.split_at_checked(4)?;
            let half =
                |text| u16::from_str_radix(text, 16).ok().map(|half| ordered(&half.to_le_bytes(), encoding));
            [half(group)?, half(element)?].concat()
        }
        Vr::FD => bytes!(f64),
        Vr::FL => bytes!(f32),
        Vr::SL => bytes!(i32),
        Vr::SS => bytes!(i16),
        Vr::SV => bytes!(i64),
        Vr::UL => bytes!(u32),
        Vr::US => bytes!(u16),
        Vr::UV => bytes!(u64),
        _ => return None,
    })
}

fn ordered(little: &[u8], encoding: Encoding) -> Vec<u8> {
    match encoding {
        Encoding::ImplicitLittle | Encoding::ExplicitLittle => little.to_vec(),
        Encoding::ExplicitBig => little.iter().rev().copied().collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAME: Tag = Tag(0x0010, 0x0010);

    fn data_set(values: &[(Tag, Vr, &[&str])], encoding: Encoding, requested: &[u8]) -> Vec<u8> {
        let mut attributes = Attributes::new();
        for (tag, vr, values) in values {
            attributes.insert(*tag, *vr, values.iter().map(|&value| value.to_owned()).collect());
        }
        to_data_set(&attributes, encoding, &Charset::parse(requested))
    }

    fn name(text: &str, requested: &[u8]) -> Vec<u8> {
        data_set(&[(NAME, Vr::PN, &[text])], Encoding::ExplicitLittle, requested)
    }

    #[test]
    fn says_the_character_set_that_the_values_need() {
        let with = |term: &[u8], name: &[u8]| {
            let mut out = Vec::new();
            if !term.is_empty() {
                element::put(&mut out, Encoding::ExplicitLittle, SPECIFIC_CHARACTER_SET, Vr::CS, term);
            }
            element::put(&mut out, Encoding::ExplicitLittle, NAME, Vr::PN, name);
            out
        };
        assert_eq!(name("Doe^Jane", b"ISO_IR 100"), with(b"", b"Doe^Jane"));
        assert_eq!(name("Bu\u{e9}", b"ISO_IR 100"), with(b"ISO_IR 100", b"Bu\xe9"));
        assert_eq!(name("Bu\u{e9}", b""), with(b"ISO_IR 192", "Bu\u{e9}".as_bytes()));
        assert_eq!(name("Люк", b"ISO_IR 100"), with(b"ISO_IR 192", "Люк".as_bytes()));
        assert_eq!(name("Люк", b"ISO 2022 IR 144\\ISO 2022 IR 87"), with(b"ISO_IR 144", b"\xbb\xee\xda"));
        assert_eq!(name("山", b"\\ISO 2022 IR 87"), with(b"ISO_IR 192", "山".as_bytes()));
        assert_eq!(name("王", b"GB18030"), with(b"GB18030", b"\xcd\xf5"));
    }

    #[test]
    fn replaces_a_character_set_among_the_attributes() {
        let out = data_set(
            &[(SPECIFIC_CHARACTER_SET, Vr::CS, &["ISO_IR 101"]), (NAME, Vr::PN, &["é"])],
            Encoding::ImplicitLittle,
            b"",
        );
        assert_eq!(out, b"\x08\0\x05\0\x0a\0\0\0ISO_IR 192\x10\0\x10\0\x02\0\0\0\xc3\xa9");
    }

    #[test]
    fn writes_numbers_in_the_order_of_the_encoding() {
        let values: &[(Tag, Vr, &[&str])] =
            &[(Tag(0x0028, 0x0010), Vr::US, &["512", "x"]), (Tag(0x0028, 0x0009), Vr::AT, &["00181063"])];
        assert_eq!(
            data_set(values, Encoding::ExplicitBig, b""),
            b"\0\x28\0\x09AT\0\x04\0\x18\x10\x63\0\x28\0\x10US\0\x02\x02\0"
        );
        assert_eq!(
            data_set(values, Encoding::ImplicitLittle, b""),
            b"\x28\0\x09\0\x04\0\0\0\x18\0\x63\x10\x28\0\x10\0\x02\0\0\0\0\x02"
        );
    }

    #[test]
    fn joins_values_and_pads_them() {
        let values: &[(Tag, Vr, &[&str])] =
            &[(Tag(0x0008, 0x0061), Vr::CS, &["CT", "SEG"]), (Tag(0x0010, 0x0020), Vr::LO, &[])];
        assert_eq!(
            data_set(values, Encoding::ExplicitLittle, b""),
            b"\x08\0\x61\0CS\x06\0CT\\SEG\x10\0\x20\0LO\0\0"
        );
    }

    #[test]
    fn writes_items_and_words() {
        let mut inner = Attributes::new();
        inner.insert_text(SPECIFIC_CHARACTER_SET, Vr::CS, "ISO_IR 192");
        inner.insert_text(Tag(0x0008, 0x0100), Vr::SH, "é");
        let mut outer = Attributes::new();
        outer.insert_items(Tag(0x0008, 0x1032), vec![inner, Attributes::new()]);
        let words = Attribute { vr: Vr::OW, values: vec![], items: vec![], bytes: vec![1, 2, 3, 4] };
        outer.put(Tag(0x0028, 0x3006), words);
        let set = |encoding, requested: &[u8]| to_data_set(&outer, encoding, &Charset::parse(requested));
        assert_eq!(
            set(Encoding::ExplicitLittle, b"ISO_IR 100"),
            b"\x08\0\x05\0CS\x0a\0ISO_IR 100\x08\0\x32\x10SQ\0\0\x1a\0\0\0\xfe\xff\0\xe0\x0a\0\0\0\x08\0\0\x01SH\x02\0\xe9 \
              \xfe\xff\0\xe0\0\0\0\0\x28\0\x06\x30OW\0\0\x04\0\0\0\x01\x02\x03\x04"
        );
        let big = set(Encoding::ExplicitBig, b"ISO_IR 100");
        assert_eq!(big[18..], *b"\0\x08\x10\x32SQ\0\0\0\0\0\x1a\xff\xfe\xe0\0\0\0\0\x0a\0\x08\x01\0SH\0\x02\xe9 \xff\xfe\xe0\0\0\0\0\0\0\x28\x30\x06OW\0\0\0\0\0\x04\x02\x01\x04\x03");
        assert!(set(Encoding::ImplicitLittle, b"").windows(10).any(|window| window == b"ISO_IR 192"));
    }

    #[test]
    fn prints_no_values() {
        let mut attributes = Attributes::new();
        attributes.insert_text(NAME, Vr::PN, "Doe^Jane");
        let printed = format!("{attributes:?}");
        assert!(printed.contains("PN (1 values)") && !printed.contains("Doe"), "{printed}");
    }
}
