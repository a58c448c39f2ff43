//! The DICOM JSON model (PS3.18 Annex F), written straight from what a header holds.
//!
//! Output is always UTF-8; Specific Character Set (0008,0005) says so (ISO_IR 192) wherever the source states a set
//! or text beyond ASCII was written. Attributes stand in ascending order, each once. Reading is for what was written here.
//! Deliberately absent: pretty printing.

mod header;
mod primitive;
mod read;
mod value;

pub use header::write_header;
pub use read::{read, select, without_value};

use serde::de::IgnoredAny;

use crate::attributes::{Attribute, Attributes, SPECIFIC_CHARACTER_SET};
use crate::syntax::{Encoding, Form};
use crate::{Tag, limits};

/// Appends one query answer as a DICOM JSON model object.
///
/// PS3.18 §F.2.2, §10.6.3.3.
pub fn write_attributes(attributes: &Attributes, out: &mut Vec<u8>) {
    let is_beyond_ascii = attributes.any_text(&|text| !text.is_ascii());
    let mut charset = is_beyond_ascii || attributes.get(SPECIFIC_CHARACTER_SET).is_some();
    out.push(b'{');
    for (&tag, attribute) in attributes {
        if tag >= SPECIFIC_CHARACTER_SET && std::mem::take(&mut charset) {
            out.extend_from_slice(UTF8);
        }
        if tag != SPECIFIC_CHARACTER_SET {
            write_attribute(tag, attribute, out);
        }
    }
    close(out);
}

fn write_attribute(tag: Tag, attribute: &Attribute, out: &mut Vec<u8>) {
    open(tag, attribute.vr.to_bytes(), out);
    value::write_decoded(attribute.vr, &attribute.values, out);
    value::write_binary(attribute.vr, &attribute.bytes, Encoding::ExplicitLittle, out);
    if !attribute.items.is_empty() {
        out.extend_from_slice(b",\"Value\":[");
        for item in &attribute.items {
            out.push(b'{');
            for (&tag, attribute) in item.iter().filter(|(tag, _)| **tag != SPECIFIC_CHARACTER_SET) {
                write_attribute(tag, attribute, out);
            }
            close(out);
            out.push(b',');
        }
        out.pop();
        out.push(b']');
    }
    out.extend_from_slice(b"},");
}

/// Begins an attribute object: `"00100010":{"vr":"PN"`.
fn open(Tag(group, element): Tag, vr: [u8; 2], out: &mut Vec<u8>) {
    out.push(b'"');
    primitive::hex(group, out);
    primitive::hex(element, out);
    out.extend_from_slice(b"\":{\"vr\":\"");
    out.extend_from_slice(&vr);
    out.push(b'"');
}

/// Ends a data set object, in place of the comma behind its last attribute.
fn close(out: &mut Vec<u8>) {
    if out.last() == Some(&b',') {
        out.pop();
    }
    out.push(b'}');
}

/// What (0008,0005) is in JSON, with the comma that follows an attribute.
const UTF8: &[u8] = b"\"00080005\":{\"vr\":\"CS\",\"Value\":[\"ISO_IR 192\"]},";

/// Scans a data set and writes it as JSON. For fuzzing.
///
/// The first byte chooses the form (0 implicit, 1 explicit, 2 big endian; 4 more: deflated); the rest is the data set.
///
/// # Panics
/// When the JSON is none, or breaks Annex F: two forms of value at once, an empty `Value`, a group length.
pub fn fuzz_json(data: &[u8]) {
    let Some((&form, data_set)) = data.split_first() else { return };
    let encoding = match form & 3 {
        0 => Encoding::ImplicitLittle,
        1 => Encoding::ExplicitLittle,
        _ => Encoding::ExplicitBig,
    };
    let form = Form { encoding, deflated: form & 4 != 0 };
    let Ok(header) = crate::scan::scan(form, data_set) else { return };
    let mut out = Vec::new();
    write_header(&header, "/bulk\"\\", &mut out);
    serde_json::from_slice::<IgnoredAny>(&out).expect("the output is JSON");
    assert!(out.len() < limits::JSON_BYTES + (1 << 20), "the output is bounded");
    // Deeper than 42 sequences is more than the parser takes when it is to keep the values.
    if let Ok(json) = serde_json::from_slice(&out) {
        check(&json);
    }
}

/// Holds an object against PS3.18 §F.2.2.
fn check(json: &serde_json::Value) {
    let object = json.as_object().expect("a data set is an object");
    for (tag, attribute) in object {
        assert!(tag.len() == 8 && !tag.ends_with("0000") && !tag.starts_with("0002"), "{tag}");
        let members = attribute.as_object().expect("an attribute is an object");
        assert!(members.contains_key("vr") && members.len() <= 2, "{tag}");
        if let Some(values) = members.get("Value") {
            let values = values.as_array().expect("values are an array");
            assert!(!values.is_empty(), "{tag}");
            if members["vr"] == "SQ" {
                values.iter().for_each(check);
            }
        }
    }
}

#[cfg(test)]
mod tests;
