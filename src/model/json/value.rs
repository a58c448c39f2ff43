#![deny(clippy::indexing_slicing, clippy::string_slice, clippy::cast_possible_truncation)]

use super::primitive;
use crate::syntax::Encoding;
use crate::{Vr, vr};

/// Appends `,"Value":[…]` of an attribute's decoded text; nothing when it is empty.
///
/// Values are parted at the delimiter, trimmed, and `null` where empty (PS3.18 §F.2.5).
pub(super) fn write_text(vr: Vr, text: &str, out: &mut Vec<u8>) {
    let text = trim(vr, text);
    if text.is_empty() {
        return;
    }
    out.extend_from_slice(b",\"Value\":[");
    if vr::is_multi_valued_text(vr) {
        for value in text.split('\\') {
            write_one(vr, trim(vr, value), out);
            out.push(b',');
        }
        out.pop();
    } else {
        primitive::string(text, out);
    }
    out.push(b']');
}

/// [`write_text`] of values that are parted and trimmed already, numbers of binary VRs among them.
pub(super) fn write_decoded(vr: Vr, values: &[String], out: &mut Vec<u8>) {
    if values.iter().all(String::is_empty) && values.len() < 2 {
        return;
    }
    out.extend_from_slice(b",\"Value\":[");
    for value in values {
        write_one(vr, value, out);
        out.push(b',');
    }
    out.pop();
    out.push(b']');
}

fn write_one(vr: Vr, value: &str, out: &mut Vec<u8>) {
    if value.is_empty() {
        return out.extend_from_slice(b"null");
    }
    match vr {
        Vr::PN => write_person_name(value, out),
        Vr::DS | Vr::FL | Vr::FD => match primitive::number(value) {
            Some(number) => out.extend_from_slice(number.as_bytes()),
            None => primitive::string(value, out),
        },
        Vr::IS | Vr::SL | Vr::SS | Vr::SV | Vr::UL | Vr::US | Vr::UV => match value.parse::<i128>() {
            Ok(number) => primitive::integer(number, out),
            Err(_) => primitive::string(value, out),
        },
        _ => primitive::string(value, out),
    }
}

/// Component groups by their names; those beyond the third have none (PS3.18 §F.2.2, PS3.5 §6.2.1).
fn write_person_name(value: &str, out: &mut Vec<u8>) {
    let groups = ["Alphabetic", "Ideographic", "Phonetic"].into_iter().zip(value.split('='));
    let before = out.len();
    for (name, group) in groups {
        let group = trim(Vr::PN, group);
        if !group.is_empty() {
            out.push(if out.len() == before { b'{' } else { b',' });
            primitive::string(name, out);
            out.push(b':');
            primitive::string(group, out);
        }
    }
    if out.len() == before {
        out.extend_from_slice(b"null");
    } else {
        out.push(b'}');
    }
}

/// Appends `,"Value":[…]` of the numbers or tags in a binary value; bytes that do not fill a last one are left out.
pub(super) fn write_numbers(vr: Vr, bytes: &[u8], encoding: Encoding, out: &mut Vec<u8>) {
    macro_rules! numbers {
        ($number:ty, $write:expr) => {{
            let (values, _) = bytes.as_chunks::<{ size_of::<$number>() }>();
            let read = |value: &[u8; size_of::<$number>()]| match encoding {
                Encoding::ExplicitBig => <$number>::from_be_bytes(*value),
                Encoding::ImplicitLittle | Encoding::ExplicitLittle => <$number>::from_le_bytes(*value),
            };
            write_array(values.iter().map(read), $write, out);
        }};
    }
    match vr {
        Vr::US => numbers!(u16, |number, out| primitive::integer(number.into(), out)),
        Vr::SS => numbers!(i16, |number, out| primitive::integer(number.into(), out)),
        Vr::UL => numbers!(u32, |number, out| primitive::integer(number.into(), out)),
        Vr::SL => numbers!(i32, |number, out| primitive::integer(number.into(), out)),
        Vr::UV => numbers!(u64, |number, out| primitive::integer(number.into(), out)),
        Vr::SV => numbers!(i64, |number, out| primitive::integer(number.into(), out)),
        Vr::FL => numbers!(f32, |number, out| primitive::float(number.into(), out)),
        Vr::FD => numbers!(f64, primitive::float),
        Vr::AT => {
            let (words, _) = bytes.as_chunks::<2>();
            let word = |word: &[u8; 2]| match encoding {
                Encoding::ExplicitBig => u16::from_be_bytes(*word),
                Encoding::ImplicitLittle | Encoding::ExplicitLittle => u16::from_le_bytes(*word),
            };
            let (tags, _) = words.as_chunks::<2>();
            let tags = tags.iter().map(|[group, element]| (word(group), word(element)));
            write_array(tags, write_tag, out);
        }
        _ => {}
    }
}

fn write_tag((group, element): (u16, u16), out: &mut Vec<u8>) {
    out.push(b'"');
    primitive::hex(group, out);
    primitive::hex(element, out);
    out.push(b'"');
}

fn write_array<T>(values: impl Iterator<Item = T>, write: impl Fn(T, &mut Vec<u8>), out: &mut Vec<u8>) {
    let mut separator: &[u8] = b",\"Value\":[";
    let before = out.len();
    for value in values {
        out.extend_from_slice(separator);
        write(value, out);
        separator = b",";
    }
    if out.len() > before {
        out.push(b']');
    }
}

/// Appends `,"InlineBinary":"…"`, its words in little endian order (PS3.18 §F.2.7); nothing when it is empty.
pub(super) fn write_binary(vr: Vr, bytes: &[u8], encoding: Encoding, out: &mut Vec<u8>) {
    if bytes.is_empty() {
        return;
    }
    out.extend_from_slice(b",\"InlineBinary\":\"");
    match (encoding, vr::word_bytes(vr)) {
        (Encoding::ExplicitBig, word @ 2..) => {
            let swapped: Vec<u8> = bytes.chunks(word).flat_map(|word| word.iter().rev().copied()).collect();
            primitive::base64(&swapped, out);
        }
        _ => primitive::base64(bytes, out),
    }
    out.push(b'"');
}

/// [`vr::trim`] of decoded text.
fn trim(vr: Vr, text: &str) -> &str {
    let text = text.trim_end_matches([' ', '\0']);
    match vr {
        Vr::LT | Vr::ST | Vr::UC | Vr::UR | Vr::UT => text,
        _ => text.trim_start_matches(' '),
    }
}
