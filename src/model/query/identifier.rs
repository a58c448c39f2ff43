use std::collections::BTreeSet;

use super::{Include, Key, Keys, Mechanisms, Query, QueryError, Zone};
use crate::charset::Charset;
use crate::header::{Element, Header, Item, Items, Value};
use crate::{QueryRetrieveLevel, Tag, Vr, limits, vr};

/// The information model that a C-FIND asks of (PS3.4 §C.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Root {
    /// Patient Root: patients, studies, series, instances.
    Patient,
    /// Study Root: studies, series, instances.
    Study,
}

impl Query {
    /// Reads the identifier of a C-FIND request.
    ///
    /// Each of its attributes is a return key. Those with a value are matching keys, of whatever level: a key above
    /// the level of the query narrows it, and a unique key that is missing there does not hinder it; one below it does so where
    /// relational queries are agreed upon. The item of a sequence has keys of its own; values of bytes or words are return keys only. Which attributes the archive
    /// supports is for the caller to ask.
    ///
    /// # Errors
    /// [`QueryError::Level`] when the level is missing or not of the information model, [`QueryError::Value`] when
    /// the value of a key is not valid for matching, [`QueryError::Alternatives`] when it gives too much to choose from,
    /// [`QueryError::Items`] when a sequence has more than one item, [`QueryError::Keys`] when there are too many keys.
    ///
    /// PS3.4 §C.4.1.1.3.1, §C.4.1.3.1.
    // deviation: PS3.4 §C.4.1.2.1 has the SCU send the unique key of each level above the query's; many do not, and
    // Orthanc answers them.
    pub fn from_identifier(
        identifier: &Header,
        root: Root,
        mechanisms: Mechanisms,
    ) -> Result<Self, QueryError> {
        if count(identifier.elements()) > limits::IDENTIFIER_KEYS {
            return Err(QueryError::Keys);
        }
        let level = level_of(identifier, root).ok_or(QueryError::Level)?;
        let mut include = Include::default();
        let mut keys = Keys::new(mechanisms);
        for element in identifier.elements() {
            if element.tag == TIMEZONE_OFFSET {
                // It says how to read the keys, and is returned: how to read the answer.
                include.tags.insert(TIMEZONE_OFFSET);
                continue;
            }
            if is_about_the_query(element.tag) || !include.tags.insert(element.tag) {
                continue;
            }
            if let Value::Items(items) = element.value() {
                let Some(item) = only_item(element.tag, items)? else { continue };
                let wanted: BTreeSet<Tag> = item.elements().map(|inner| inner.tag).collect();
                if !wanted.is_empty() {
                    include.within.insert(element.tag, wanted);
                }
                keys.add_within(element.tag, keys_of(item, identifier.charset(), mechanisms)?);
                continue;
            }
            if let Some((vr, value)) = text_of(&element, identifier.charset())? {
                keys.add(element.tag, vr, &value)?;
            }
        }
        let zone = if mechanisms.timezone { zone_of(identifier)? } else { None };
        let Mechanisms { relational, fuzzy_names: fuzzy, .. } = mechanisms;
        Ok(Self { keys: keys.finish()?, include, relational, fuzzy, zone, ..Self::new(level) })
    }
}

/// The zone of dates and times in the keys. PS3.4 §C.4.1.1.3.1.
fn zone_of(identifier: &Header) -> Result<Option<Zone>, QueryError> {
    let Some(text) = identifier.text(TIMEZONE_OFFSET) else { return Ok(None) };
    Zone::parse(&text).map(Some).ok_or(QueryError::Value { tag: Some(TIMEZONE_OFFSET), vr: Vr::SH })
}

/// What the item of a sequence asks for; those inside of it, too. The scanner has bounded their depth.
fn keys_of(item: Item<'_>, outer: &Charset, mechanisms: Mechanisms) -> Result<Vec<Key>, QueryError> {
    let own = item.element(SPECIFIC_CHARACTER_SET).and_then(|element| element.bytes()).map(Charset::parse);
    let charset = own.as_ref().unwrap_or(outer);
    let mut keys = Keys::new(mechanisms);
    let mut taken = BTreeSet::new();
    for element in item.elements() {
        // Of several with one tag the first counts, as outside of items.
        if is_about_the_query(element.tag) || !taken.insert(element.tag) {
            continue;
        }
        if let Value::Items(items) = element.value() {
            if let Some(inner) = only_item(element.tag, items)? {
                keys.add_within(element.tag, keys_of(inner, charset, mechanisms)?);
            }
        } else if let Some((vr, value)) = text_of(&element, charset)? {
            keys.add(element.tag, vr, &value)?;
        }
    }
    keys.finish()
}

/// How many elements there are, those in items included. The scanner has bounded their depth.
fn count<'a>(elements: impl Iterator<Item = Element<'a>>) -> usize {
    let within = |element: Element<'a>| match element.value() {
        Value::Items(items) => {
            items.map(|item| count(Box::new(item.elements()) as Box<dyn Iterator<Item = _>>)).sum()
        }
        Value::Bytes(_) | Value::Bulk | Value::Fragments { .. } | Value::Omitted => 0,
    };
    elements.map(|element| 1 + within(element)).sum()
}

/// PS3.4 §C.2.2.2.6: a key has no more than one item.
fn only_item<'a>(tag: Tag, mut items: Items<'a>) -> Result<Option<Item<'a>>, QueryError> {
    let first = items.next();
    if items.next().is_some() { Err(QueryError::Items { tag }) } else { Ok(first) }
}

pub(super) fn level_of(identifier: &Header, root: Root) -> Option<QueryRetrieveLevel> {
    let level = QueryRetrieveLevel::from_keyword(&identifier.text(QUERY_RETRIEVE_LEVEL)?)?;
    match (root, level) {
        (Root::Study, QueryRetrieveLevel::Patient) => None,
        (Root::Patient | Root::Study, level) => Some(level),
    }
}

/// Attributes that say how to read or answer the query, and group lengths.
fn is_about_the_query(tag: Tag) -> bool {
    let Tag(_, element) = tag;
    element == 0 || [SPECIFIC_CHARACTER_SET, QUERY_RETRIEVE_LEVEL, QUERY_RETRIEVE_VIEW].contains(&tag)
}

/// The dictionary's, where it knows: what a key means does not hang on how the peer spelt its VR.
fn vr_of(element: &Element<'_>) -> Vr {
    match vr::of_tag(element.tag, false) {
        Vr::UN => element.vr,
        known => known,
    }
}

/// VR and value of a key as [`super::Matching::parse`] takes it, or none where the attribute is a return key only.
fn text_of(element: &Element<'_>, charset: &Charset) -> Result<Option<(Vr, String)>, QueryError> {
    let vr = vr_of(element);
    let invalid = || QueryError::Value { tag: Some(element.tag), vr };
    let bytes = match element.value() {
        Value::Bytes(bytes) => bytes,
        // Longer than any key that could match.
        Value::Bulk if vr::is_text(vr) => return Err(invalid()),
        Value::Bulk | Value::Items(_) | Value::Fragments { .. } | Value::Omitted => return Ok(None),
    };
    if vr::is_text(vr) {
        return Ok(Some((vr, charset.decode(vr::trim(vr, bytes), vr))));
    }
    Ok(match vr {
        _ if bytes.is_empty() => None,
        Vr::SL | Vr::SS | Vr::SV | Vr::UL | Vr::US | Vr::UV => {
            let number = vr::integer(vr, element.encoding(), bytes).ok_or_else(invalid)?;
            Some((vr, number.to_string()))
        }
        _ => None,
    })
}

const SPECIFIC_CHARACTER_SET: Tag = Tag(0x0008, 0x0005);
const QUERY_RETRIEVE_LEVEL: Tag = Tag(0x0008, 0x0052);
const QUERY_RETRIEVE_VIEW: Tag = Tag(0x0008, 0x0053);
const TIMEZONE_OFFSET: Tag = Tag(0x0008, 0x0201);

#[cfg(test)]
mod tests {
    use super::super::Matching;
    use super::*;
    use crate::element::{put, put_item};
    use crate::scan::scan;
    use crate::syntax::{Encoding, Form};

    const LEVEL: u32 = 0x0008_0052;

    fn read(root: Root, elements: &[(u32, Vr, &[u8])]) -> Result<Query, QueryError> {
        let encoding = Encoding::ImplicitLittle;
        let mut bytes = Vec::new();
        for (tag, vr, value) in elements {
            put(&mut bytes, encoding, Tag((tag >> 16) as u16, *tag as u16), *vr, value);
        }
        let form = Form { encoding, deflated: false };
        Query::from_identifier(&scan(form, &bytes).unwrap(), root, Mechanisms::default())
    }

    #[test]
    fn so_many_keys_are_refused() {
        let keys = |count| {
            let empty = (0..count).map(|n| (0x4001_0001 + n, Vr::UN, &b""[..]));
            let elements: Vec<_> = std::iter::once((LEVEL, Vr::CS, &b"STUDY "[..])).chain(empty).collect();
            read(Root::Study, &elements).map(|query| query.include.tags.len())
        };
        let most = limits::IDENTIFIER_KEYS;
        assert_eq!(keys(most as u32 - 1), Ok(most - 1));
        assert_eq!(keys(most as u32), Err(QueryError::Keys));
    }

    #[test]
    fn keys_with_values_match_and_all_are_returned() {
        let query = read(
            Root::Study,
            &[
                (0x0008_0000, Vr::UL, b"\0\0\0\0"),
                (0x0008_0005, Vr::CS, b"ISO_IR 144"),
                (0x0008_0020, Vr::DA, b"20200101-"),
                (LEVEL, Vr::CS, b"STUDY "),
                (0x0008_0201, Vr::SH, b"+0100"),
                (0x0010_0010, Vr::PN, b"\xbb*"),
                (0x0020_000D, Vr::UI, b""),
                (0x0020_1206, Vr::IS, b""),
                (0x0028_0010, Vr::US, b"\0\x02"),
                (0x0040_0275, Vr::SQ, b""),
            ],
        )
        .unwrap();
        assert_eq!(query.level, QueryRetrieveLevel::Study);
        let key = |group, element, vr, matching| Key { tag: Tag(group, element), vr, matching };
        assert_eq!(
            query.keys,
            [
                key(0x0008, 0x0020, Vr::DA, Matching::Range { from: Some("20200101".into()), to: None }),
                key(0x0010, 0x0010, Vr::PN, Matching::Wildcard("Л*".into())),
                key(0x0028, 0x0010, Vr::US, Matching::Single("512".into())),
            ]
        );
        let tags =
            [(8, 0x20), (8, 0x201), (0x10, 0x10), (0x20, 0x0D), (0x20, 0x1206), (0x28, 0x10), (0x40, 0x0275)];
        let tags = tags.map(|(group, element)| Tag(group, element)).into();
        assert_eq!(query.include, Include { tags, ..Include::default() });
        assert_eq!((query.limit, query.offset), (None, 0));
    }

    #[test]
    fn a_sequence_is_returned_as_its_item_asks() {
        let item = |content: &[u8]| {
            let mut out = Vec::new();
            put_item(&mut out, Encoding::ImplicitLittle, content);
            out
        };
        let mut inner = Vec::new();
        put(&mut inner, Encoding::ImplicitLittle, Tag(0x0040, 0x1001), Vr::SH, b"");
        let within = |value: &[u8]| {
            let query = read(Root::Study, &[(LEVEL, Vr::CS, b"SERIES"), (0x0040_0275, Vr::SQ, value)])?;
            assert!(query.include.tags.contains(&Tag(0x0040, 0x0275)) && query.keys.is_empty());
            Ok(query.include.within.into_iter().collect::<Vec<_>>())
        };
        assert_eq!(within(&[]), Ok(vec![]));
        assert_eq!(within(&item(&[])), Ok(vec![]));
        let nested = {
            let mut out = Vec::new();
            put(&mut out, Encoding::ImplicitLittle, Tag(0x0040, 0x0008), Vr::SQ, &item(&inner));
            out
        };
        assert!(within(&item(&nested)).is_ok());
        let wanted = (Tag(0x0040, 0x0275), [Tag(0x0040, 0x1001)].into());
        assert_eq!(within(&item(&inner)), Ok(vec![wanted]));
        let two = [item(&inner), item(&[])].concat();
        assert_eq!(within(&two), Err(QueryError::Items { tag: Tag(0x0040, 0x0275) }));
    }

    #[test]
    fn the_item_of_a_sequence_has_keys_of_its_own() {
        let encoding = Encoding::ImplicitLittle;
        let mut inner = Vec::new();
        put(&mut inner, encoding, SPECIFIC_CHARACTER_SET, Vr::CS, b"ISO_IR 192");
        put(&mut inner, encoding, Tag(0x0040, 0x0007), Vr::LO, "Sch\u{e4}del*".as_bytes());
        let mut deeper = Vec::new();
        put(&mut deeper, encoding, Tag(0x0008, 0x0100), Vr::SH, b"C1");
        let mut item = Vec::new();
        put_item(&mut item, encoding, &deeper);
        put(&mut inner, encoding, Tag(0x0040, 0x0008), Vr::SQ, &item);
        put(&mut inner, encoding, Tag(0x0040, 0x1001), Vr::SH, b"");
        let mut value = Vec::new();
        put_item(&mut value, encoding, &inner);
        let query = read(
            Root::Study,
            &[
                (0x0008_0005, Vr::CS, b"ISO_IR 100"),
                (LEVEL, Vr::CS, b"SERIES"),
                (0x0040_0275, Vr::SQ, &value),
            ],
        )
        .unwrap();
        let key = |group, element, vr, matching| Key { tag: Tag(group, element), vr, matching };
        let code = key(0x0008, 0x0100, Vr::SH, Matching::Single("C1".into()));
        let inner = vec![
            key(0x0040, 0x0007, Vr::LO, Matching::Wildcard("Schädel*".into())),
            key(0x0040, 0x0008, Vr::SQ, Matching::Item(vec![code])),
        ];
        assert_eq!(query.keys, [key(0x0040, 0x0275, Vr::SQ, Matching::Item(inner))]);
    }

    #[test]
    fn the_zone_and_fuzzy_names_hold_where_they_were_agreed() {
        let query = |zone: &[u8], mechanisms| {
            let mut bytes = Vec::new();
            put(&mut bytes, Encoding::ImplicitLittle, QUERY_RETRIEVE_LEVEL, Vr::CS, b"STUDY");
            put(&mut bytes, Encoding::ImplicitLittle, TIMEZONE_OFFSET, Vr::SH, zone);
            let form = Form { encoding: Encoding::ImplicitLittle, deflated: false };
            let query = Query::from_identifier(&scan(form, &bytes).unwrap(), Root::Study, mechanisms)?;
            assert!(query.keys.is_empty() && query.include.tags.contains(&TIMEZONE_OFFSET));
            Ok((query.zone.map(Zone::minutes), query.fuzzy))
        };
        let none = Mechanisms::default();
        let both = Mechanisms { timezone: true, fuzzy_names: true, ..none };
        assert_eq!(query(b"+0100", none), Ok((None, false)));
        assert_eq!(query(b"-0930", both), Ok((Some(-570), true)));
        assert_eq!(query(b"", both), Ok((None, true)));
        assert_eq!(query(b"CET", none), Ok((None, false)));
        assert_eq!(query(b"CET", both), Err(QueryError::Value { tag: Some(TIMEZONE_OFFSET), vr: Vr::SH }));
    }

    #[test]
    fn a_date_and_its_time_are_one_where_that_was_agreed() {
        let keys = |mechanisms| {
            let mut bytes = Vec::new();
            for (tag, vr, value) in [
                (Tag(0x0008, 0x0020), Vr::DA, &b"20200101-20200102"[..]),
                (Tag(0x0008, 0x0030), Vr::TM, b"10-11"),
                (Tag(0x0008, 0x0052), Vr::CS, b"STUDY"),
            ] {
                put(&mut bytes, Encoding::ImplicitLittle, tag, vr, value);
            }
            let form = Form { encoding: Encoding::ImplicitLittle, deflated: false };
            Query::from_identifier(&scan(form, &bytes).unwrap(), Root::Study, mechanisms).unwrap().keys.len()
        };
        assert_eq!(keys(Mechanisms::default()), 2);
        assert_eq!(keys(Mechanisms { combined_datetime: true, ..Mechanisms::default() }), 1);
    }

    #[test]
    fn the_level_must_be_of_the_information_model() {
        let level = |root, level: &[u8]| read(root, &[(LEVEL, Vr::CS, level)]).map(|query| query.level);
        for root in [Root::Patient, Root::Study] {
            assert_eq!(level(root, b"STUDY"), Ok(QueryRetrieveLevel::Study));
            assert_eq!(level(root, b"SERIES"), Ok(QueryRetrieveLevel::Series));
            assert_eq!(level(root, b"IMAGE"), Ok(QueryRetrieveLevel::Image));
            for unknown in [&b""[..], b"WORKLIST", b"STUDY\\SERIES"] {
                assert_eq!(level(root, unknown), Err(QueryError::Level));
            }
            assert_eq!(read(root, &[(0x0010_0010, Vr::PN, b"x")]), Err(QueryError::Level));
        }
        assert_eq!(level(Root::Patient, b"PATIENT"), Ok(QueryRetrieveLevel::Patient));
        assert_eq!(level(Root::Study, b"PATIENT"), Err(QueryError::Level));
    }

    #[test]
    fn a_unique_key_above_the_level_narrows_and_may_be_missing() {
        let keys = |elements: &[(u32, Vr, &[u8])]| {
            let elements = [&[(LEVEL, Vr::CS, &b"SERIES"[..])], elements].concat();
            read(Root::Patient, &elements).map(|query| query.keys.len())
        };
        assert_eq!(keys(&[(0x0010_0020, Vr::LO, b"7"), (0x0020_000D, Vr::UI, b"1.2")]), Ok(2));
        assert_eq!(keys(&[]), Ok(0));
    }

    #[test]
    fn refuses_values_that_their_vr_cannot_match() {
        let refuse = |tag: u32, vr, value: &[u8]| {
            let result = read(Root::Study, &[(tag, vr, value), (LEVEL, Vr::CS, b"STUDY")]);
            assert_eq!(result, Err(QueryError::Value { tag: Some(Tag((tag >> 16) as u16, tag as u16)), vr }));
        };
        refuse(0x0008_0020, Vr::DA, b"yesterday");
        refuse(0x0008_0030, Vr::TM, b"2500");
        refuse(0x0020_000D, Vr::UI, b"1.2.*");
        refuse(0x0008_1030, Vr::LO, &[b'a'; 70_000]);
    }
}
