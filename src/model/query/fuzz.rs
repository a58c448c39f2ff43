use super::{Key, Matching, Mechanisms, Query, Root};
use crate::limits;
use crate::scan::scan;
use crate::syntax::{Encoding, Form};

/// Reads any bytes as the identifier of a C-FIND with every mechanism agreed upon.
///
/// The first byte chooses the encoding (0 implicit, 1 explicit, 2 big endian), the rest is the data set.
///
/// # Panics
/// When a key breaks the contract of [`Matching`].
pub fn fuzz_identifier(data: &[u8]) {
    let Some((&encoding, data_set)) = data.split_first() else { return };
    let encoding = match encoding & 3 {
        0 => Encoding::ImplicitLittle,
        1 => Encoding::ExplicitLittle,
        _ => Encoding::ExplicitBig,
    };
    let Ok(identifier) = scan(Form { encoding, deflated: false }, data_set) else { return };
    for mechanisms in [Mechanisms::default(), Mechanisms::ALL] {
        if let Ok(query) = Query::from_identifier(&identifier, Root::Patient, mechanisms) {
            query.keys.iter().for_each(check);
            assert!(query.include.within.keys().all(|tag| query.include.tags.contains(tag)));
        }
    }
}

fn check(key: &Key) {
    match &key.matching {
        Matching::Item(inner) => {
            assert!(!inner.is_empty(), "an item asks for something");
            inner.iter().for_each(check);
        }
        Matching::AnyOf(parts) => assert!((2..=limits::KEY_ALTERNATIVES + 1).contains(&parts.len())),
        Matching::Range { from: Some(from), to: Some(to) } => assert!(from <= to),
        Matching::Moments { from: Some(from), to: Some(to), .. } => assert!(from <= to),
        Matching::Moments { from, to, .. } => assert!(from.is_some() || to.is_some()),
        Matching::Range { from, to } => assert!(from.is_some() || to.is_some()),
        Matching::Wildcard(pattern) => assert!(pattern.len() <= limits::PATTERN_BYTES),
        Matching::Single(_) | Matching::UidList(_) | Matching::Empty => {}
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::element::{put, put_item};
    use crate::{Tag, Vr};

    proptest! {
        #[test]
        fn bytes_never_panic(data in proptest::collection::vec(any::<u8>(), 0..300)) {
            fuzz_identifier(&data);
        }

        #[test]
        fn any_values_are_taken_or_refused(values in proptest::collection::vec("[-0-9*?.+\\\\\"=^a ]{0,16}", 8)) {
            let encoding = Encoding::ImplicitLittle;
            let mut item = Vec::new();
            let mut out = vec![0];
            let tags = [
                (Tag(0x0008, 0x0020), Vr::DA),
                (Tag(0x0008, 0x0030), Vr::TM),
                (Tag(0x0008, 0x0050), Vr::SH),
                (Tag(0x0008, 0x0201), Vr::SH),
                (Tag(0x0010, 0x0010), Vr::PN),
                (Tag(0x0020, 0x000D), Vr::UI),
                (Tag(0x0020, 0x0011), Vr::IS),
                (Tag(0x0040, 0x1001), Vr::SH),
            ];
            put(&mut out, encoding, Tag(0x0008, 0x0052), Vr::CS, b"STUDY");
            for ((tag, vr), value) in tags.into_iter().zip(&values) {
                put(&mut out, encoding, tag, vr, value.as_bytes());
                put(&mut item, encoding, tag, vr, value.as_bytes());
            }
            let mut items = Vec::new();
            put_item(&mut items, encoding, &item);
            put(&mut out, encoding, Tag(0x0040, 0x0275), Vr::SQ, &items);
            fuzz_identifier(&out);
        }
    }
}
