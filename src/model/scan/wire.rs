#![deny(clippy::indexing_slicing, clippy::cast_possible_truncation)]

use crate::element::has_long_length;
use crate::syntax::Encoding;
use crate::{Tag, Vr};

/// What stands before a value: tag, VR where the encoding has it, length (PS3.5 §7.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) tag: Tag,
    /// `None` where the data set does not state it: implicit VR, items, delimiters. UN where it is none that we know.
    pub(super) vr: Option<Vr>,
    pub(super) length: u32,
    /// Its own bytes: 8 or 12.
    pub(super) bytes: u8,
}

/// What the first eight bytes of an element are.
pub(super) enum Begun {
    /// All of the head.
    Whole(Head),
    /// The 32-bit length follows.
    Long(Tag, Vr),
}

/// Reads the first eight bytes of an element, or of what stands between items.
pub(super) fn begin(encoding: Encoding, has_vr: bool, bytes: [u8; 8]) -> Begun {
    let [g0, g1, e0, e1, v0, v1, l0, l1] = bytes;
    let word = |bytes| match encoding {
        Encoding::ExplicitBig => u16::from_be_bytes(bytes),
        Encoding::ImplicitLittle | Encoding::ExplicitLittle => u16::from_le_bytes(bytes),
    };
    let tag = Tag(word([g0, g1]), word([e0, e1]));
    let is_delimiter = matches!(tag, ITEM | ITEM_END | SEQUENCE_END);
    if !has_vr || is_delimiter || encoding == Encoding::ImplicitLittle {
        return Begun::Whole(Head { tag, vr: None, length: long(encoding, [v0, v1, l0, l1]), bytes: 8 });
    }
    let short = |vr| Begun::Whole(Head { tag, vr: Some(vr), length: u32::from(word([l0, l1])), bytes: 8 });
    match (vr_of([v0, v1]), [v0, v1]) {
        (Some(vr), _) if has_long_length(vr) => Begun::Long(tag, vr),
        (Some(vr), _) => short(vr),
        // VRs to come have the long form (PS3.5 §7.1.2).
        (None, [b'A'..=b'Z', b'A'..=b'Z']) => Begun::Long(tag, Vr::UN),
        // deviation: PS3.5 §7.1.2 knows no such VR; DCMTK reads it with a 16-bit length, and so do those who send it.
        (None, _) => short(Vr::UN),
    }
}

/// Reads a 32-bit length.
pub(super) fn long(encoding: Encoding, bytes: [u8; 4]) -> u32 {
    match encoding {
        Encoding::ExplicitBig => u32::from_be_bytes(bytes),
        Encoding::ImplicitLittle | Encoding::ExplicitLittle => u32::from_le_bytes(bytes),
    }
}

/// Item (PS3.5 §7.5).
pub(super) const ITEM: Tag = Tag(0xFFFE, 0xE000);
/// Item Delimitation Item.
pub(super) const ITEM_END: Tag = Tag(0xFFFE, 0xE00D);
/// Sequence Delimitation Item.
pub(super) const SEQUENCE_END: Tag = Tag(0xFFFE, 0xE0DD);

/// The dictionary crate compares text; this is on the path of every element.
fn vr_of(bytes: [u8; 2]) -> Option<Vr> {
    Some(match &bytes {
        b"AE" => Vr::AE,
        b"AS" => Vr::AS,
        b"AT" => Vr::AT,
        b"CS" => Vr::CS,
        b"DA" => Vr::DA,
        b"DS" => Vr::DS,
        b"DT" => Vr::DT,
        b"FD" => Vr::FD,
        b"FL" => Vr::FL,
        b"IS" => Vr::IS,
        b"LO" => Vr::LO,
        b"LT" => Vr::LT,
        b"OB" => Vr::OB,
        b"OD" => Vr::OD,
        b"OF" => Vr::OF,
        b"OL" => Vr::OL,
        b"OV" => Vr::OV,
        b"OW" => Vr::OW,
        b"PN" => Vr::PN,
        b"SH" => Vr::SH,
        b"SL" => Vr::SL,
        b"SQ" => Vr::SQ,
        b"SS" => Vr::SS,
        b"ST" => Vr::ST,
        b"SV" => Vr::SV,
        b"TM" => Vr::TM,
        b"UC" => Vr::UC,
        b"UI" => Vr::UI,
        b"UL" => Vr::UL,
        b"UN" => Vr::UN,
        b"UR" => Vr::UR,
        b"US" => Vr::US,
        b"UT" => Vr::UT,
        b"UV" => Vr::UV,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_every_vr_of_the_dictionary_crate() {
        for first in b'A'..=b'Z' {
            for second in b'A'..=b'Z' {
                assert_eq!(vr_of([first, second]), Vr::from_binary([first, second]));
            }
        }
    }
}
