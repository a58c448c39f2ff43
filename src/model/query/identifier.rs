use super::{Include, Key, Matching, Query, QueryError};
use crate::charset::Charset;
use crate::header::{Element, Header, Value};
use crate::{QueryRetrieveLevel, Tag, Vr, vr};

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
    /// the level of the query narrows it, and a unique key that is missing there does not hinder it. Sequences, and
    /// values of bytes or words, are return keys only. Which attributes the archive supports is for the caller to
    /// ask.
    ///
    /// # Errors
    /// [`QueryError::Level`] when the level is missing or not of the information model, [`QueryError::Value`] when
    /// the value of a key is not valid for matching; the SCU then gets A900H.
    ///
    /// PS3.4 §C.4.1.1.3.1, §C.4.1.3.1.
    // deviation: PS3.4 §C.4.1.2.1 has the SCU send the unique key of each level above the query's; many do not, and
    // Orthanc answers them.
    pub fn from_identifier(identifier: &Header, root: Root) -> Result<Self, QueryError> {
        let level = level_of(identifier, root).ok_or(QueryError::Level)?;
        let mut query = Self { level, keys: Vec::new(), include: Include::default(), limit: None, offset: 0 };
        for element in identifier.elements() {
            if is_about_the_query(element.tag) || !query.include.tags.insert(element.tag) {
                continue;
            }
            let vr = vr_of(&element);
            let error = || QueryError::Value { tag: Some(element.tag), vr };
            let Some(value) = value_of(&element, vr, identifier.charset()).ok_or_else(error)? else {
                continue;
            };
            if let Some(matching) = Matching::parse(vr, &value).map_err(|_| error())? {
                query.keys.push(Key { tag: element.tag, vr, matching });
            }
        }
        Ok(query)
    }
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
    element == 0
        || [SPECIFIC_CHARACTER_SET, QUERY_RETRIEVE_LEVEL, QUERY_RETRIEVE_VIEW, TIMEZONE_OFFSET].contains(&tag)
}

/// The dictionary's, where it knows: what a key means does not hang on how the peer spelt its VR.
fn vr_of(element: &Element<'_>) -> Vr {
    match vr::of_tag(element.tag, false) {
        Vr::UN => element.vr,
        known => known,
    }
}

/// The value as [`Matching::parse`] takes it, or none where the attribute is a return key only; the outer `None` when
/// it is not of its VR.
fn value_of(element: &Element<'_>, vr: Vr, charset: &Charset) -> Option<Option<String>> {
    let bytes = match element.value() {
        Value::Bytes(bytes) => bytes,
        // Longer than any key that could match.
        Value::Bulk => return if vr::is_text(vr) { None } else { Some(None) },
        Value::Items(_) | Value::Fragments { .. } | Value::Omitted => return Some(None),
    };
    if vr::is_text(vr) {
        return Some(Some(charset.decode(vr::trim(vr, bytes), vr)));
    }
    Some(match vr {
        _ if bytes.is_empty() => None,
        Vr::SL | Vr::SS | Vr::SV | Vr::UL | Vr::US | Vr::UV => {
            Some(vr::integer(vr, element.encoding(), bytes)?.to_string())
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
    use super::*;
    use crate::element::put;
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
        Query::from_identifier(&scan(form, &bytes).unwrap(), root)
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
        let tags = [(8, 0x20), (0x10, 0x10), (0x20, 0x0D), (0x20, 0x1206), (0x28, 0x10), (0x40, 0x0275)];
        let tags = tags.map(|(group, element)| Tag(group, element)).into();
        assert_eq!(query.include, Include { defaults: false, all: false, tags });
        assert_eq!((query.limit, query.offset), (None, 0));
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
