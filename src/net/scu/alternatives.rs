//! In which transfer syntaxes an instance goes out that the other end does not take as it is stored.

use model::syntax::{
    DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN, EXPLICIT_VR_BIG_ENDIAN, EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
};
use model::{SopClassUid, TransferSyntaxUid};
use pipeline::can_transcode;

/// What a presentation context is proposed for: one SOP class in one transfer syntax, so that the peer's choice of one syntax never
/// costs another.
pub type Kind = (SopClassUid, TransferSyntaxUid);

/// What is proposed beside a kind: of what it can be transcoded into, the transfer syntaxes that nearly all peers take, of which
/// Implicit VR Little Endian is the one that each has to (PS3.5 §10.1).
pub(super) fn proposed(kind: &Kind) -> impl Iterator<Item = Kind> {
    let class = kind.0.clone();
    possible(&kind.1, PROPOSED).map(move |syntax| (class.clone(), syntax))
}

/// What is proposed to a peer that refused a kind and all that [`proposed`] has for it: what is compressed without losses.
pub(super) fn proposed_at_last(kind: &Kind) -> impl Iterator<Item = Kind> {
    let class = kind.0.clone();
    possible(&kind.1, COMPRESSED).map(move |syntax| (class.clone(), syntax))
}

/// All that an instance in this transfer syntax can be transcoded into, best first.
pub(super) fn made_of(stored: &TransferSyntaxUid) -> impl Iterator<Item = TransferSyntaxUid> {
    possible(stored, BEST_FIRST)
}

fn possible(
    stored: &TransferSyntaxUid,
    of: &'static [&str],
) -> impl Iterator<Item = TransferSyntaxUid> + use<> {
    let stored = stored.clone();
    of.iter().filter_map(move |uid| {
        let is_other = *uid != stored.as_str() && can_transcode(stored.as_str(), uid).is_ok();
        is_other.then(|| TransferSyntaxUid::lenient(uid)).flatten()
    })
}

const PROPOSED: &[&str] = &[EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN];

/// What archives are known to insist on.
const COMPRESSED: &[&str] = &[
    "1.2.840.10008.1.2.4.80",
    "1.2.840.10008.1.2.4.90",
    "1.2.840.10008.1.2.4.70",
    "1.2.840.10008.1.2.5",
    "1.2.840.10008.1.2.4.201",
];

/// First what says the most and is made of everything that can be decoded; then what is compressed, in the order of what that costs; at
/// last what hardly anybody reads.
const BEST_FIRST: &[&str] = &[
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    "1.2.840.10008.1.2.5",
    "1.2.840.10008.1.2.4.80",
    "1.2.840.10008.1.2.4.201",
    "1.2.840.10008.1.2.4.90",
    "1.2.840.10008.1.2.4.70",
    "1.2.840.10008.1.2.4.57",
    EXPLICIT_VR_BIG_ENDIAN,
    "1.2.840.10008.1.2.8.1",
    "1.2.840.10008.1.2.1.98",
];

#[cfg(test)]
mod tests {
    use super::*;

    const JPEG: &str = "1.2.840.10008.1.2.4.50";
    const JPEG_2000: &str = "1.2.840.10008.1.2.4.90";
    const MPEG4: &str = "1.2.840.10008.1.2.4.102";

    fn kind(class: usize, uid: &str) -> Kind {
        let class = SopClassUid::lenient(&format!("1.2.840.10008.5.1.4.1.1.{class}")).unwrap();
        (class, TransferSyntaxUid::lenient(uid).unwrap())
    }

    #[test]
    fn explicit_comes_first_and_what_cannot_be_decoded_has_none() {
        let of = |uid| proposed(&kind(2, uid)).map(|(_, syntax)| syntax.to_string()).collect::<Vec<_>>();
        assert_eq!(of(JPEG_2000), PROPOSED);
        assert_eq!(of(EXPLICIT_VR_LITTLE_ENDIAN), [IMPLICIT_VR_LITTLE_ENDIAN]);
        assert_eq!(of(IMPLICIT_VR_LITTLE_ENDIAN), [EXPLICIT_VR_LITTLE_ENDIAN]);
        assert_eq!(of(MPEG4), [""; 0]);
        assert_eq!(of("1.3.6.1.4.1.99999.2"), [""; 0]);
    }

    #[test]
    fn at_last_comes_what_is_compressed_without_losses_but_for_what_was_lossy() {
        let of =
            |uid| proposed_at_last(&kind(2, uid)).map(|(_, syntax)| syntax.to_string()).collect::<Vec<_>>();
        assert_eq!(of(EXPLICIT_VR_LITTLE_ENDIAN), COMPRESSED);
        let others: Vec<&str> = COMPRESSED.iter().copied().filter(|uid| *uid != JPEG_2000).collect();
        assert_eq!(of(JPEG_2000), others);
        assert_eq!(of(JPEG), [""; 0]);
        assert_eq!(of(MPEG4), [""; 0]);
        assert!(COMPRESSED.iter().all(|uid| BEST_FIRST.contains(uid)));
    }

    #[test]
    fn whatever_is_encoded_has_its_place_and_what_was_lossy_becomes_native_only() {
        let mut encoded: Vec<&str> = pipeline::abilities()
            .iter()
            .filter(|ability| ability.encoder.is_some())
            .map(|ability| ability.uid)
            .collect();
        let mut placed = BEST_FIRST.to_vec();
        encoded.sort_unstable();
        placed.sort_unstable();
        assert_eq!(placed, encoded);
        let of = |uid| made_of(&kind(2, uid).1).map(|syntax| syntax.to_string()).collect::<Vec<_>>();
        assert_eq!(of(JPEG_2000).len(), BEST_FIRST.len() - 1);
        let native = [
            EXPLICIT_VR_LITTLE_ENDIAN,
            IMPLICIT_VR_LITTLE_ENDIAN,
            DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
            EXPLICIT_VR_BIG_ENDIAN,
        ];
        assert_eq!(of(JPEG), native);
    }
}
