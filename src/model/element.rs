//! Writing of small, trusted data sets: identifiers, command sets, file meta information.

use crate::syntax::Encoding;
use crate::{Tag, Vr};

/// Appends one element, its value padded to an even length as its VR asks.
///
/// The value's words are in the byte order of `encoding` already; that of an SQ is its items. A value too long for the 16-bit length of its VR is written
/// as UN (PS3.5 §6.2.2).
///
/// # Panics
/// When the value has 4 GiB or more: what is written here is bounded far below.
///
/// PS3.5 §7.1.
pub fn put(out: &mut Vec<u8>, encoding: Encoding, tag: Tag, vr: Vr, value: &[u8]) {
    let length = value.len().next_multiple_of(2);
    let length = u32::try_from(length).expect("values written here are small");
    put_header(out, encoding, tag, vr, length);
    out.extend_from_slice(value);
    if value.len() % 2 == 1 {
        out.push(padding(vr));
    }
}

/// Appends one item of defined length, its content encoded already (PS3.5 §7.5).
///
/// # Panics
/// As [`put`].
pub fn put_item(out: &mut Vec<u8>, encoding: Encoding, content: &[u8]) {
    let length = u32::try_from(content.len()).expect("values written here are small");
    // An item has no VR, and a length of 32 bits, in every encoding but for the order of its bytes.
    let (tag, length) = match encoding {
        Encoding::ExplicitBig => (ITEM.map(u16::to_be_bytes), length.to_be_bytes()),
        Encoding::ImplicitLittle | Encoding::ExplicitLittle => {
            (ITEM.map(u16::to_le_bytes), length.to_le_bytes())
        }
    };
    out.extend_from_slice(tag.as_flattened());
    out.extend_from_slice(&length);
    out.extend_from_slice(content);
}

/// Item (FFFE,E000).
const ITEM: [u16; 2] = [0xFFFE, 0xE000];

/// Appends tag, VR and length of an element; returns the VR that it has now: UN where the value is too long for the 16-bit length of
/// its own (PS3.5 §6.2.2).
///
/// PS3.5 §7.1.
pub fn put_header(out: &mut Vec<u8>, encoding: Encoding, tag: Tag, vr: Vr, length: u32) -> Vr {
    let word = |number: u16| match encoding {
        Encoding::ExplicitBig => number.to_be_bytes(),
        Encoding::ImplicitLittle | Encoding::ExplicitLittle => number.to_le_bytes(),
    };
    let long = match encoding {
        Encoding::ExplicitBig => length.to_be_bytes(),
        Encoding::ImplicitLittle | Encoding::ExplicitLittle => length.to_le_bytes(),
    };
    out.extend_from_slice(&word(tag.group()));
    out.extend_from_slice(&word(tag.element()));
    match (encoding, u16::try_from(length)) {
        (Encoding::ImplicitLittle, _) => {
            out.extend_from_slice(&long);
            vr
        }
        (_, Ok(short)) if !has_long_length(vr) => {
            out.extend_from_slice(&vr.to_bytes());
            out.extend_from_slice(&word(short));
            vr
        }
        _ => {
            let vr = if has_long_length(vr) { vr } else { Vr::UN };
            out.extend_from_slice(&vr.to_bytes());
            out.extend_from_slice(&[0, 0]);
            out.extend_from_slice(&long);
            vr
        }
    }
}

/// Whether the length field of an explicit VR has 32 bits, behind two reserved bytes (PS3.5 §7.1.2).
pub(crate) fn has_long_length(vr: Vr) -> bool {
    match vr {
        Vr::OB | Vr::OD | Vr::OF | Vr::OL | Vr::OV | Vr::OW | Vr::SQ | Vr::SV => true,
        Vr::UC | Vr::UN | Vr::UR | Vr::UT | Vr::UV => true,
        Vr::AE | Vr::AS | Vr::AT | Vr::CS | Vr::DA | Vr::DS | Vr::DT | Vr::FD | Vr::FL | Vr::IS => false,
        Vr::LO | Vr::LT | Vr::PN | Vr::SH | Vr::SL | Vr::SS | Vr::ST | Vr::TM | Vr::UI | Vr::UL => false,
        Vr::US => false,
    }
}

/// The byte that makes a value of odd length even (PS3.5 §6.2).
pub fn padding(vr: Vr) -> u8 {
    if crate::vr::is_text(vr) && vr != Vr::UI { b' ' } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(encoding: Encoding, tag: Tag, vr: Vr, value: &[u8], expected: &[u8]) {
        let mut out = Vec::new();
        put(&mut out, encoding, tag, vr, value);
        assert_eq!(out, expected);
    }

    #[test]
    fn writes_each_form() {
        let (name, pixels) = (Tag(0x0010, 0x0020), Tag(0x7FE0, 0x0010));
        check(Encoding::ImplicitLittle, name, Vr::LO, b"ABC", b"\x10\0\x20\0\x04\0\0\0ABC ");
        check(Encoding::ExplicitLittle, name, Vr::LO, b"ABC", b"\x10\0\x20\0LO\x04\0ABC ");
        check(Encoding::ExplicitBig, name, Vr::LO, b"ABC", b"\0\x10\0\x20LO\0\x04ABC ");
        check(Encoding::ExplicitLittle, pixels, Vr::OB, b"\x01", b"\xE0\x7F\x10\0OB\0\0\x02\0\0\0\x01\0");
        check(Encoding::ExplicitLittle, Tag(8, 0x18), Vr::UI, b"1.2", b"\x08\0\x18\0UI\x04\x001.2\0");
        check(Encoding::ExplicitLittle, name, Vr::LO, b"", b"\x10\0\x20\0LO\0\0");
    }

    #[test]
    fn writes_un_where_a_short_length_cannot_say_it() {
        let mut out = Vec::new();
        put(&mut out, Encoding::ExplicitLittle, Tag(0x0010, 0x0020), Vr::LO, &[b'A'; 65_535]);
        assert_eq!(out[..12], *b"\x10\0\x20\0UN\0\0\0\0\x01\0");
        assert_eq!(out.len(), 12 + 65_536);
    }
}
