use model::syntax::{EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN};
use model::{SopClassUid, TransferSyntaxUid};
use pipeline::can_transcode;

/// One SOP class in one transfer syntax.
pub(super) type Kind = (SopClassUid, TransferSyntaxUid);

/// What an instance of a kind can be transcoded into, best first: the transfer syntaxes that say the most and that nearly all peers
/// take, of which Implicit VR Little Endian is the one that each has to (PS3.5 §10.1).
pub(super) fn alternatives(kind: &Kind) -> impl Iterator<Item = Kind> {
    let (class, stored) = kind.clone();
    ALTERNATIVES.iter().filter_map(move |uid| {
        let is_other = *uid != stored.as_str() && can_transcode(stored.as_str(), uid).is_ok();
        is_other.then(|| TransferSyntaxUid::lenient(uid)).flatten().map(|syntax| (class.clone(), syntax))
    })
}

const ALTERNATIVES: [&str; 2] = [EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn explicit_comes_first_and_what_cannot_be_decoded_has_none() {
        let kind = |uid| {
            let class = SopClassUid::lenient("1.2.840.10008.5.1.4.1.1.2").unwrap();
            (class, TransferSyntaxUid::lenient(uid).unwrap())
        };
        let of = |uid| alternatives(&kind(uid)).map(|(_, syntax)| syntax.to_string()).collect::<Vec<_>>();
        assert_eq!(of("1.2.840.10008.1.2.4.90"), ALTERNATIVES);
        assert_eq!(of(EXPLICIT_VR_LITTLE_ENDIAN), [IMPLICIT_VR_LITTLE_ENDIAN]);
        assert_eq!(of(IMPLICIT_VR_LITTLE_ENDIAN), [EXPLICIT_VR_LITTLE_ENDIAN]);
        assert_eq!(of("1.2.840.10008.1.2.4.102"), [""; 0]);
        assert_eq!(of("1.3.6.1.4.1.99999.2"), [""; 0]);
    }
}
