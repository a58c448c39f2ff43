#![deny(clippy::indexing_slicing, clippy::string_slice)]

use super::elsewhere::is_name;
use super::{Key, Matching, date, datetime, matches_wildcard, time};
use crate::attributes::Attributes;
use crate::fold::fold;
use crate::{Vr, limits};

/// Whether an answer meets a key that the other archive was asked to match; `None` where it does not say: it has no value, or none that
/// can be read.
///
/// What an archive may take for the same is: text without regard to case and accents, numbers however they are written, times by their
/// precision. Names are compared as in our own index.
pub(super) fn verdict(key: &Key, answer: &Attributes) -> Option<bool> {
    let found = answer.get(key.tag)?;
    if let Matching::Item(inner) = &key.matching {
        let item = |item: &Attributes| all(inner.iter().map(|key| verdict(key, item)));
        return any(found.items.iter().map(item));
    }
    let values = found.values.iter().map(|value| value.trim()).filter(|value| !value.is_empty());
    any(values.map(|value| alike(key.vr, &key.matching, value)))
}

/// Of nothing it is not known.
fn all(verdicts: impl Iterator<Item = Option<bool>>) -> Option<bool> {
    let and = |all, one| match (all, one) {
        (Some(false), _) | (_, Some(false)) => Some(false),
        (None, _) | (_, None) => None,
        (Some(true), Some(true)) => Some(true),
    };
    verdicts.reduce(and).flatten()
}

/// Of nothing it is not known.
fn any(verdicts: impl Iterator<Item = Option<bool>>) -> Option<bool> {
    let or = |any, one| match (any, one) {
        (Some(true), _) | (_, Some(true)) => Some(true),
        (None, _) | (_, None) => None,
        (Some(false), Some(false)) => Some(false),
    };
    verdicts.reduce(or).flatten()
}

fn alike(vr: Vr, matching: &Matching, value: &str) -> Option<bool> {
    match vr {
        // It stands for what could not be decoded.
        _ if value.contains(char::REPLACEMENT_CHARACTER) => None,
        // Matching takes the product of both lengths.
        _ if value.len() > limits::PATTERN_BYTES => None,
        Vr::PN => Some(is_name(matching, value)),
        Vr::UI => Some(matching.is_met_by(value)),
        Vr::DA => date(value).map(|day| matching.is_met_by(&day)),
        Vr::TM => time(value).map(|(first, last)| overlaps(matching, &first, &last)),
        Vr::DT => datetime(value).and_then(|(first, last)| {
            let is_met = overlaps(matching, &first, &last);
            // Whether the archive compares the local time, or with the offset, is not known.
            (is_met || !value.contains(['+', '-'])).then_some(is_met)
        }),
        Vr::DS | Vr::FD | Vr::FL | Vr::IS | Vr::SL | Vr::SS | Vr::SV | Vr::UL | Vr::US | Vr::UV => {
            is_number(matching, value)
        }
        _ => is_text(matching, value),
    }
}

/// Whether a range has something of a span of time.
fn overlaps(matching: &Matching, first: &str, last: &str) -> bool {
    match matching {
        Matching::Range { from, to } => {
            from.as_deref().is_none_or(|from| from <= last) && to.as_deref().is_none_or(|to| first <= to)
        }
        matching => matching.is_met_by(first),
    }
}

fn is_number(matching: &Matching, value: &str) -> Option<bool> {
    let number = |text: &str| text.parse::<f64>().ok();
    match matching {
        Matching::Single(wanted) => Some(number(wanted)? == number(value)?),
        _ => None,
    }
}

fn is_text(matching: &Matching, value: &str) -> Option<bool> {
    match matching {
        Matching::Single(wanted) => Some(fold(wanted) == fold(value)),
        Matching::Wildcard(pattern) => Some(matches_wildcard(&fold(pattern), &fold(value))),
        Matching::UidList(_)
        | Matching::Range { .. }
        | Matching::Moments { .. }
        | Matching::Item(_)
        | Matching::Empty
        | Matching::AnyOf(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Tag;
    use crate::query::Mechanisms;

    const TAG: Tag = Tag(0x0010, 0x0010);

    fn of(vr: Vr, wanted: &str, found: &str) -> Option<bool> {
        let matching = Matching::parse(vr, wanted, Mechanisms::default()).unwrap().unwrap();
        let mut answer = Attributes::new();
        answer.insert(TAG, vr, found.split('\\').map(str::to_owned).collect());
        verdict(&Key { tag: TAG, vr, matching }, &answer)
    }

    #[test]
    fn a_value_that_is_another_is_told_from_one_that_is_written_otherwise() {
        for (vr, wanted, same, other) in [
            (Vr::PN, "Doe^J*", "DOE^Jane", "Roe^Jane"),
            (Vr::PN, "Doe^*", "DOE^^^^", "Roe"),
            (Vr::PN, "müller", "MULLER=x", "Muller^A"),
            (Vr::LO, "p 1", "P  1", "P 11"),
            (Vr::SH, "a*9", "AB9", "AB98"),
            (Vr::CS, "CT", "MR\\CT", "MR\\US"),
            (Vr::UI, "1.2\\1.3", "1.3", "1.33"),
            (Vr::DA, "20260102", "2026.01.02", "20260103"),
            (Vr::DA, "20260102-", "20270101", "20260101"),
            (Vr::TM, "10", "10:15:00", "110000"),
            (Vr::TM, "1015-1030", "10", "1031"),
            (Vr::DT, "2026", "20260102030405+0100", "2025"),
            (Vr::IS, "7", " +007 ", "70"),
            (Vr::DS, "1.50", "1.5e0", "1.51"),
        ] {
            assert_eq!(of(vr, wanted, same), Some(true), "{vr} {wanted} {same}");
            assert_eq!(of(vr, wanted, other), Some(false), "{vr} {wanted} {other}");
        }
        for (vr, wanted, found) in [
            (Vr::PN, "Doe", ""),
            (Vr::LO, "P1", "  "),
            (Vr::LO, "P1", "P\u{FFFD}"),
            (Vr::LO, "a*b", &"a".repeat(70_000)),
            (Vr::DA, "20260102", "yesterday"),
            (Vr::DT, "20260102", "20260102233000-0500"),
            (Vr::IS, "7", "seven"),
        ] {
            assert_eq!(of(vr, wanted, found), None, "{vr} {found}");
        }
        let matching = Matching::Single("P1".to_owned());
        assert_eq!(verdict(&Key { tag: TAG, vr: Vr::LO, matching }, &Attributes::new()), None);
    }

    #[test]
    fn one_item_of_a_sequence_meets_all_keys() {
        const CODES: Tag = Tag(0x0008, 0x1032);
        let key = |element, value: &str| {
            let matching = Matching::Single(value.to_owned());
            Key { tag: Tag(0x0008, element), vr: Vr::SH, matching }
        };
        let keys = Matching::Item(vec![key(0x0100, "C1"), key(0x0102, "DCM")]);
        let key = Key { tag: CODES, vr: Vr::SQ, matching: keys };
        let of = |items: &[(&str, &str)]| {
            let item = |(code, scheme): &(&str, &str)| {
                let mut item = Attributes::new();
                item.insert_text(Tag(0x0008, 0x0100), Vr::SH, code);
                item.insert_text(Tag(0x0008, 0x0102), Vr::SH, scheme);
                item
            };
            let mut answer = Attributes::new();
            answer.insert_items(CODES, items.iter().map(item).collect());
            verdict(&key, &answer)
        };
        assert_eq!(of(&[("C9", "DCM"), ("C1", "dcm")]), Some(true));
        assert_eq!(of(&[("C9", "DCM"), ("C1", "SCT")]), Some(false));
        assert_eq!(of(&[("C9", "DCM"), ("C1", "")]), None);
        assert_eq!(of(&[]), None);
    }
}
