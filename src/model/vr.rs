//! Value representations: what a value of each VR is made of (PS3.5 §6.2), and which VR an attribute has (PS3.6).
#![deny(clippy::indexing_slicing, clippy::string_slice)]

use dicom_core::dictionary::{DataDictionary, TagRange, VirtualVr};
use dicom_dictionary_std::StandardDataDictionary;

use crate::syntax::Encoding;
use crate::{Tag, Vr, limits};

/// The VR of an attribute where the data set does not state it.
///
/// Private elements are UN but for their creators (LO) and group lengths (UL), and so is what the dictionary does not know. Where
/// the standard leaves a choice: `signed` (Pixel Representation (0028,0103) is 1) chooses SS over US, and OW is taken before OB and US.
///
/// PS3.5 §A.1, §7.8; PS3.6 §6.
pub fn of_tag(tag: Tag, signed: bool) -> Vr {
    let Tag(group, element) = tag;
    match (group % 2 == 1, element) {
        (_, 0x0000) => Vr::UL,
        (true, 0x0010..=0x00FF) => Vr::LO,
        (true, _) => Vr::UN,
        (false, _) => match StandardDataDictionary.by_tag(tag).map(|entry| entry.vr) {
            Some(VirtualVr::Exact(vr)) => vr,
            Some(VirtualVr::Xs) if signed => Vr::SS,
            Some(VirtualVr::Xs) => Vr::US,
            Some(VirtualVr::Ox | VirtualVr::Px | VirtualVr::Lt) => Vr::OW,
            Some(_) | None => Vr::UN,
        },
    }
}

/// The keyword of a standard attribute, such as `PatientName`; of the first of its kind where groups or elements repeat (PS3.5 §7.6).
pub fn keyword(tag: Tag) -> Option<&'static str> {
    if tag.group() % 2 == 1 || tag.element() == 0 {
        return None;
    }
    StandardDataDictionary.by_tag(tag).map(|entry| entry.alias)
}

/// The attribute that a keyword names, with its VR as [`of_tag`] gives it; `None` for one that is no single attribute.
pub fn tag_of_keyword(keyword: &str) -> Option<(Tag, Vr)> {
    match StandardDataDictionary.by_name(keyword)?.tag {
        TagRange::Single(tag) | TagRange::Group100(tag) | TagRange::Element100(tag) => {
            Some((tag, of_tag(tag, false)))
        }
        TagRange::GroupLength | TagRange::PrivateCreator => None,
    }
}

/// Whether values are characters.
pub fn is_text(vr: Vr) -> bool {
    match vr {
        Vr::AE | Vr::AS | Vr::CS | Vr::DA | Vr::DS | Vr::DT | Vr::IS | Vr::LO | Vr::LT | Vr::PN | Vr::SH => {
            true
        }
        Vr::ST | Vr::TM | Vr::UC | Vr::UI | Vr::UR | Vr::UT => true,
        Vr::AT | Vr::FD | Vr::FL | Vr::SL | Vr::SS | Vr::SV | Vr::UL | Vr::US | Vr::UV | Vr::SQ => false,
        Vr::OB | Vr::OD | Vr::OF | Vr::OL | Vr::OV | Vr::OW | Vr::UN => false,
    }
}

/// Whether values are bytes or words without further meaning, of which an element has one.
pub fn is_binary(vr: Vr) -> bool {
    matches!(vr, Vr::OB | Vr::OD | Vr::OF | Vr::OL | Vr::OV | Vr::OW | Vr::UN)
}

/// Whether a text may hold several values with backslashes between them (PS3.5 §6.4). In other text a backslash is itself.
pub fn is_multi_valued_text(vr: Vr) -> bool {
    is_text(vr) && !matches!(vr, Vr::LT | Vr::ST | Vr::UR | Vr::UT)
}

/// Whether an attribute may have several values at all: text with delimiters, and numbers.
pub fn is_multi_valued(vr: Vr) -> bool {
    if is_text(vr) { is_multi_valued_text(vr) } else { !is_binary(vr) && vr != Vr::SQ }
}

/// Bytes of the unit whose order depends on the encoding: 1, 2, 4 or 8 (PS3.5 §7.3).
pub fn word_bytes(vr: Vr) -> usize {
    match vr {
        Vr::AT | Vr::OW | Vr::SS | Vr::US => 2,
        Vr::FL | Vr::OF | Vr::OL | Vr::SL | Vr::UL => 4,
        Vr::FD | Vr::OD | Vr::OV | Vr::SV | Vr::UV => 8,
        _ => 1,
    }
}

/// Longest value in bytes that a header copies.
pub fn inline_bytes(vr: Vr) -> u32 {
    // AT may not be referred to by URL (PS3.19 §A.1.5), so it has the room of text.
    if is_text(vr) || vr == Vr::AT { limits::INLINE_TEXT_BYTES } else { limits::INLINE_BINARY_BYTES }
}

/// A value less what is not significant at its ends: trailing NULs and spaces, and leading spaces but for LT, ST, UC, UR and UT.
///
/// Given the bytes of several values, it trims the ends of the whole. PS3.5 §6.2.
pub fn trim(vr: Vr, value: &[u8]) -> &[u8] {
    if !is_text(vr) {
        return value;
    }
    let end = value.iter().rposition(|&b| b != 0 && b != b' ').map_or(0, |last| last + 1);
    let value = value.get(..end).unwrap_or_default();
    let begin = match vr {
        Vr::LT | Vr::ST | Vr::UC | Vr::UR | Vr::UT => 0,
        _ => value.iter().position(|&b| b != b' ').unwrap_or(0),
    };
    value.get(begin..).unwrap_or_default()
}

/// The first number of a value of VR US, SS, UL, SL, UV, SV or IS; `None` when there is none, or it exceeds the type.
pub fn integer(vr: Vr, encoding: Encoding, value: &[u8]) -> Option<i64> {
    macro_rules! first {
        ($number:ty) => {{
            let bytes = *value.first_chunk()?;
            Some(match encoding {
                Encoding::ExplicitBig => <$number>::from_be_bytes(bytes),
                Encoding::ImplicitLittle | Encoding::ExplicitLittle => <$number>::from_le_bytes(bytes),
            })
        }};
    }
    match vr {
        Vr::US => first!(u16).map(i64::from),
        Vr::SS => first!(i16).map(i64::from),
        Vr::UL => first!(u32).map(i64::from),
        Vr::SL => first!(i32).map(i64::from),
        Vr::UV => first!(u64).and_then(|number| number.try_into().ok()),
        Vr::SV => first!(i64),
        Vr::IS => {
            let first = value.split(|&b| b == b'\\').next()?;
            std::str::from_utf8(trim(vr, first)).ok()?.parse().ok()
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_vr_of_attributes() {
        for (group, element, vr) in [
            (0x0010, 0x0010, Vr::PN),
            (0x0008, 0x0000, Vr::UL),
            (0x0009, 0x0000, Vr::UL),
            (0x0009, 0x0010, Vr::LO),
            (0x0009, 0x1001, Vr::UN),
            (0x6001, 0x0010, Vr::LO),
            (0x6001, 0x3000, Vr::UN),
            (0x6002, 0x3000, Vr::OW),
            (0x6002, 0x0010, Vr::US),
            (0x7FE0, 0x0010, Vr::OW),
            (0x0028, 0x3006, Vr::OW),
            (0x0028, 0x0106, Vr::US),
            (0x0040, 0xA730, Vr::SQ),
            (0x0008, 0xFFFE, Vr::UN),
        ] {
            assert_eq!(of_tag(Tag(group, element), false), vr, "({group:04X},{element:04X})");
        }
        assert_eq!(of_tag(Tag(0x0028, 0x0106), true), Vr::SS);
    }

    #[test]
    fn translates_keywords() {
        assert_eq!(keyword(Tag(0x0010, 0x0010)), Some("PatientName"));
        assert_eq!(keyword(Tag(0x0009, 0x0010)), None);
        assert_eq!(tag_of_keyword("StudyDate"), Some((Tag(0x0008, 0x0020), Vr::DA)));
        assert_eq!(tag_of_keyword("OverlayData"), Some((Tag(0x6000, 0x3000), Vr::OW)));
        assert_eq!(tag_of_keyword("studydate"), None);
        assert_eq!(tag_of_keyword("PrivateCreator"), None);
    }

    #[test]
    fn trims_only_what_is_not_significant() {
        assert_eq!(trim(Vr::LO, b"  a b \0"), b"a b");
        assert_eq!(trim(Vr::LT, b"  a b \0"), b"  a b");
        assert_eq!(trim(Vr::UI, b"1.2\0"), b"1.2");
        assert_eq!(trim(Vr::CS, b"   "), b"");
        assert_eq!(trim(Vr::OB, b"\x01\0"), b"\x01\0");
    }

    #[test]
    fn reads_the_first_number() {
        let little = |vr, value: &[u8]| integer(vr, Encoding::ExplicitLittle, value);
        assert_eq!(little(Vr::US, &[0xFF, 0xFF, 1, 0]), Some(65535));
        assert_eq!(little(Vr::SS, &[0xFF, 0xFF]), Some(-1));
        assert_eq!(integer(Vr::US, Encoding::ExplicitBig, &[0x01, 0x02]), Some(0x0102));
        assert_eq!(little(Vr::UL, &[1, 0]), None);
        assert_eq!(little(Vr::UV, &[0xFF; 8]), None);
        assert_eq!(little(Vr::IS, b" +12\\13 "), Some(12));
        assert_eq!(little(Vr::IS, b"twelve"), None);
        assert_eq!(little(Vr::DS, b"1"), None);
    }
}
