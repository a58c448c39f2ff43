#![deny(clippy::indexing_slicing, clippy::string_slice, clippy::cast_possible_truncation)]

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::primitive;
use crate::attributes::{Attribute, Attributes};
use crate::{Tag, Vr, limits, vr};

/// The members of a DICOM JSON model object whose tags are wanted, as text; `None` when it is no such object.
///
/// What is not wanted is passed over, however deep it is.
pub fn select(json: &[u8], wanted: impl Fn(Tag) -> bool) -> Option<BTreeMap<&str, &RawValue>> {
    let mut members: BTreeMap<&str, &RawValue> = serde_json::from_slice(json).ok()?;
    members.retain(|key, _| tag_of(key).is_some_and(&wanted));
    Some(members)
}

/// Reads a DICOM JSON model object as [`write_header`](super::write_header) writes it.
///
/// A value that is only referred to (BulkDataURI) leaves its attribute with zero length. Sequences deeper than
/// [`limits::DEPTH`] are left out. `None` when it is no such object.
///
/// PS3.18 §F.2.
pub fn read(json: &[u8]) -> Option<Attributes> {
    read_object(str::from_utf8(json).ok()?, limits::DEPTH)
}

/// A member of an object without its value.
pub fn without_value(member: &RawValue) -> Option<Box<RawValue>> {
    let member: Member<'_> = serde_json::from_str(member.get()).ok()?;
    let vr = vr_of(member.vr)?;
    RawValue::from_string(format!("{{\"vr\":\"{vr}\"}}")).ok()
}

fn read_object(json: &str, depth: usize) -> Option<Attributes> {
    let members: BTreeMap<&str, &RawValue> = serde_json::from_str(json).ok()?;
    let mut attributes = Attributes::new();
    for (key, member) in members {
        if let Some(tag) = tag_of(key)
            && let Some(attribute) = read_attribute(member.get(), depth)
        {
            attributes.put(tag, attribute);
        }
    }
    Some(attributes)
}

#[derive(Deserialize)]
struct Member<'a> {
    vr: &'a str,
    #[serde(rename = "Value", borrow)]
    value: Option<Vec<&'a RawValue>>,
    #[serde(rename = "InlineBinary")]
    inline_binary: Option<&'a str>,
}

#[derive(Deserialize)]
struct PersonName {
    #[serde(rename = "Alphabetic", default)]
    alphabetic: String,
    #[serde(rename = "Ideographic", default)]
    ideographic: String,
    #[serde(rename = "Phonetic", default)]
    phonetic: String,
}

fn read_attribute(json: &str, depth: usize) -> Option<Attribute> {
    let member: Member<'_> = serde_json::from_str(json).ok()?;
    let vr = vr_of(member.vr)?;
    let mut attribute = Attribute { vr, values: Vec::new(), items: Vec::new(), bytes: Vec::new() };
    let values = member.value.unwrap_or_default();
    match vr {
        Vr::SQ => {
            let depth = depth.checked_sub(1)?;
            let items = values.into_iter().map(|item| read_object(item.get(), depth));
            attribute.items = items.collect::<Option<_>>()?;
        }
        _ if vr::is_binary(vr) => {
            attribute.bytes = primitive::from_base64(member.inline_binary.unwrap_or_default())?
        }
        _ => {
            attribute.values =
                values.into_iter().map(|value| read_value(vr, value.get())).collect::<Option<_>>()?
        }
    }
    Some(attribute)
}

/// One value as text; a number keeps its digits.
fn read_value(vr: Vr, json: &str) -> Option<String> {
    match json.bytes().next()? {
        b'n' => Some(String::new()),
        b'"' => serde_json::from_str(json).ok(),
        b'{' if vr == Vr::PN => {
            let name: PersonName = serde_json::from_str(json).ok()?;
            let groups = format!("{}={}={}", name.alphabetic, name.ideographic, name.phonetic);
            Some(groups.trim_end_matches('=').to_owned())
        }
        b'-' | b'0'..=b'9' => Some(json.to_owned()),
        _ => None,
    }
}

fn vr_of(text: &str) -> Option<Vr> {
    text.parse().ok()
}

fn tag_of(key: &str) -> Option<Tag> {
    let (group, element) = key.split_at_checked(4).filter(|_| key.len() == 8)?;
    Some(Tag(u16::from_str_radix(group, 16).ok()?, u16::from_str_radix(element, 16).ok()?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::attributes::to_data_set;
    use crate::charset::Charset;
    use crate::element::{put, put_item};
    use crate::scan::scan;
    use crate::syntax::{Encoding, Form};

    const LITTLE: Form = Form { encoding: Encoding::ExplicitLittle, deflated: false };

    fn element(tag: u32, vr: Vr, value: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        put(&mut out, Encoding::ExplicitLittle, Tag((tag >> 16) as u16, (tag & 0xFFFF) as u16), vr, value);
        out
    }

    fn json_of(data_set: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        super::super::write_header(&scan(LITTLE, data_set).unwrap(), "/b", &mut out);
        out
    }

    /// From a data set to JSON and back.
    fn again(data_set: &[u8]) -> Vec<u8> {
        let attributes = read(&json_of(data_set)).unwrap();
        to_data_set(&attributes, Encoding::ExplicitLittle, &Charset::parse(b"ISO_IR 192"))
    }

    #[test]
    fn what_was_written_comes_back() {
        let mut items = Vec::new();
        let content =
            [element(0x0008_0100, Vr::SH, b"T-D1100"), element(0x0008_0104, Vr::LO, "Köpfe".as_bytes())];
        put_item(&mut items, Encoding::ExplicitLittle, &content.concat());
        put_item(&mut items, Encoding::ExplicitLittle, &[]);
        let data_set = [
            element(0x0008_0005, Vr::CS, b"ISO_IR 192"),
            element(0x0008_0008, Vr::CS, b"ORIGINAL\\AXIAL"),
            element(0x0008_1032, Vr::SQ, &items),
            element(0x0010_0010, Vr::PN, "Yamada^Tarou=山田".as_bytes()),
            element(0x0010_1001, Vr::PN, "=山田\\A".as_bytes()),
            element(0x0010_4000, Vr::LT, b" a\\b"),
            element(0x0018_0050, Vr::DS, b"0.50"),
            element(0x0018_9087, Vr::FD, &1.5f64.to_le_bytes()),
            element(0x0020_0013, Vr::IS, b""),
            element(0x0028_0009, Vr::AT, b"\x18\0\x63\x10"),
            element(0x0028_0010, Vr::US, b"\0\x02"),
            element(0x0028_3006, Vr::OW, b"\x01\x02\x03\x04"),
            element(0x0029_1001, Vr::UN, b"\x01\x02"),
            element(0x0040_A730, Vr::SQ, b""),
        ]
        .concat();
        assert_eq!(again(&data_set), data_set);
    }

    #[test]
    fn what_is_only_referred_to_is_there_without_a_value() {
        let data_set =
            [element(0x0028_3006, Vr::OW, &[7; 2000]), element(0x0029_1001, Vr::LO, b"x")].concat();
        let json = json_of(&data_set);
        let attributes = read(&json).unwrap();
        let bulk = attributes.get(Tag(0x0028, 0x3006)).unwrap();
        assert!(bulk.vr == Vr::OW && bulk.bytes.is_empty());
        assert_eq!(attributes.first(Tag(0x0029, 0x1001)), Some("x"));
        let members = select(&json, |_| true).unwrap();
        let bare = |key: &str| without_value(members.get(key).unwrap()).unwrap().get().to_owned();
        assert_eq!([bare("00283006"), bare("00291001")], [r#"{"vr":"OW"}"#, r#"{"vr":"LO"}"#]);
    }

    #[test]
    fn selects_members_by_tag() {
        let json = br#"{"00080018":{"vr":"UI","Value":["1.2"]},"00100010":{"vr":"PN"},"x":1}"#;
        let found = select(json, |tag| tag.group() == 0x0010).unwrap();
        assert_eq!(
            found.into_iter().map(|(key, value)| (key, value.get())).collect::<Vec<_>>(),
            [("00100010", "{\"vr\":\"PN\"}")]
        );
        assert!(select(b"[]", |_| true).is_none() && read(b"{").is_none() && read(b"{}").unwrap().is_empty());
    }

    #[test]
    fn nesting_has_an_end() {
        let deep = |levels: usize| {
            let open = r#"{"00081032":{"vr":"SQ","Value":["#.repeat(levels);
            format!("{open}{{}}{}", "]}}".repeat(levels))
        };
        let depth = |levels: usize| {
            let (mut depth, mut attributes) = (0, read(deep(levels).as_bytes()).unwrap());
            while let Some(sequence) = attributes.get(Tag(0x0008, 0x1032)) {
                depth += 1;
                attributes = sequence.items.first().cloned().unwrap_or_default();
            }
            depth
        };
        assert_eq!([depth(1), depth(limits::DEPTH), depth(200)], [1, limits::DEPTH, limits::DEPTH]);
    }

    proptest! {
        #[test]
        fn bytes_never_panic(data in proptest::collection::vec(any::<u8>(), 0..200), text in "[\\[\\]{}\":,a0nVvrlueS Q]{0,60}") {
            read(&data);
            read(text.as_bytes());
            read(format!("{{\"00081032\":{text}}}").as_bytes());
        }
    }
}
