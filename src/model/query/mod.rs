//! A query: level, matching keys, return keys. The same value from a C-FIND identifier and from a QIDO-RS URL.

mod elsewhere;
mod fuzz;
mod holds;
mod identifier;
mod keys;
mod matching;
mod mechanisms;
mod moment;
mod selection;
mod verdict;
mod zone;

pub use elsewhere::Elsewhere;
pub use fuzz::fuzz_identifier;
pub use holds::matches_wildcard;
pub use identifier::Root;
pub use keys::Keys;
pub use mechanisms::Mechanisms;
pub use moment::{date, datetime, time};
pub use selection::{Selection, SelectionError};
pub use zone::{Zone, days_after};

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::{QueryRetrieveLevel, Tag, Vr, vr};

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    /// What a row of the answer is.
    pub level: QueryRetrieveLevel,
    /// All must match.
    pub keys: Vec<Key>,
    /// What a row holds.
    pub include: Include,
    /// Keys of the levels below match, too: one thing below a row meets all of them (PS3.4 §C.4.1.2.2.1).
    pub relational: bool,
    /// Person names match by sound (PS3.4 §C.2.2.2.1), see [`sound`](crate::sound).
    pub fuzzy: bool,
    /// Dates and times of the keys are those of this zone: stored ones that say their own are compared as of this one (PS3.4
    /// §C.2.2.2.5).
    pub zone: Option<Zone>,
    /// At most so many rows.
    pub limit: Option<u32>,
    /// So many rows are left out at the front.
    pub offset: u32,
}

impl Query {
    /// Everything of a level, without any return key.
    pub fn new(level: QueryRetrieveLevel) -> Self {
        let (keys, include) = (Vec::new(), Include::default());
        Self { level, keys, include, relational: false, fuzzy: false, zone: None, limit: None, offset: 0 }
    }
}

/// One matching key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// The attribute.
    pub tag: Tag,
    /// Its value representation.
    pub vr: Vr,
    /// What its value must be.
    pub matching: Matching,
}

impl Key {
    /// The attributes that it is about: of a range of moments the time, too.
    pub fn tags(&self) -> impl Iterator<Item = Tag> + use<> {
        let time = match self.matching {
            Matching::Moments { time, .. } => Some(time),
            _ => None,
        };
        std::iter::once(self.tag).chain(time)
    }
}

/// The kinds of matching (PS3.4 §C.2.2.2). Universal matching has no key: the tag stands among the return keys.
///
/// Comparison is with case and accents but for PN, where both sides go through [`fold`](crate::fold) first.
#[derive(Clone, PartialEq, Eq)]
pub enum Matching {
    /// Single value matching. A date is YYYYMMDD, a number in decimal without leading zeros.
    Single(String),
    /// List of UID matching; of other VRs too, where any of several values may match (PS3.4 §C.2.2.2.8).
    UidList(Vec<String>),
    /// Wildcard matching: `*` any characters, `?` any one.
    Wildcard(String),
    /// Range matching, ends included; an open end is `None`. Ends have the form that [`date`], [`time()`] and
    /// [`datetime`] give, so that values in that form compare as text. A time or date-time that is no range is the
    /// range of its precision.
    Range {
        /// Earliest.
        from: Option<String>,
        /// Latest.
        to: Option<String>,
    },
    /// Range matching of a date and its time combined, ends included, as [`Matching::Range`] has them (PS3.4 §C.2.2.2.5). A
    /// value without a time counts as the first moment of its day.
    Moments {
        /// The attribute of the time; the key itself is that of the date.
        time: Tag,
        /// Day and time of the earliest.
        from: Option<(String, String)>,
        /// Day and time of the latest.
        to: Option<(String, String)>,
    },
    /// Sequence matching: one item meets all of these (PS3.4 §C.2.2.2.6).
    Item(Vec<Key>),
    /// Empty value matching: there is no value, or no attribute (PS3.4 §C.2.2.2.7).
    Empty,
    /// Multiple value matching of what is not single values: any of these (PS3.4 §C.2.2.2.8).
    AnyOf(Vec<Matching>),
}

/// Without what is looked for, which may be a patient's.
impl fmt::Debug for Matching {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Single(_) => "Single",
            Self::UidList(_) => "UidList",
            Self::Wildcard(_) => "Wildcard",
            Self::Range { .. } => "Range",
            Self::Moments { .. } => "Moments",
            Self::Item(_) => "Item",
            Self::Empty => "Empty",
            Self::AnyOf(_) => "AnyOf",
        })
    }
}

/// What a row holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Include {
    /// The attributes that QIDO-RS returns unasked (PS3.18 Tables 10.6.3-3 to 10.6.3-5).
    pub defaults: bool,
    /// Everything that is known.
    pub all: bool,
    /// These attributes.
    pub tags: BTreeSet<Tag>,
    /// Of the items of these sequences no more than these attributes; of others, the items as they are (PS3.4 §C.2.2.2.6).
    pub within: BTreeMap<Tag, BTreeSet<Tag>>,
    /// Bytes of JSON that a row may have from a stored object, a page about as many: attributes beyond that are there without a
    /// value. `None`: all of it.
    pub most_stored_bytes: Option<usize>,
}

/// Why a query cannot be answered. A C-FIND is then answered with A900H, or C000H where a limit is exceeded; a QIDO-RS request with
/// 400.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    /// Query/Retrieve Level (0008,0052) is missing, unknown, or not of the information model.
    #[error("query/retrieve level is missing or not one of the information model")]
    Level,
    /// The value of a key is not what its VR can match.
    #[error("{} is not valid for matching as {vr}", name(*.tag))]
    Value {
        /// The attribute, where it is known.
        tag: Option<Tag>,
        /// How it would be matched.
        vr: Vr,
    },
    /// A key gives more patterns and ranges to choose from than [`limits::KEY_ALTERNATIVES`](crate::limits::KEY_ALTERNATIVES), or asks
    /// for a name by the sound of more words than [`limits::FUZZY_WORDS`](crate::limits::FUZZY_WORDS); or all keys together more than
    /// [`limits::QUERY_ALTERNATIVES`](crate::limits::QUERY_ALTERNATIVES).
    #[error("{} has too many patterns, ranges or words", .tag.map_or("the query".to_owned(), |tag| name(Some(tag))))]
    Alternatives {
        /// The attribute, where it is one.
        tag: Option<Tag>,
    },
    /// A sequence among the keys has more than one item (PS3.4 §C.2.2.2.6).
    #[error("{} has more than one item", name(Some(*.tag)))]
    Items {
        /// The sequence.
        tag: Tag,
    },
    /// There are more keys than [`limits::IDENTIFIER_KEYS`](crate::limits::IDENTIFIER_KEYS).
    #[error("more than {} keys", crate::limits::IDENTIFIER_KEYS)]
    Keys,
}

impl QueryError {
    /// The same of an attribute that was not known where it was found.
    pub fn of(self, tag: Tag) -> Self {
        match self {
            Self::Level => Self::Level,
            Self::Value { tag: known, vr } => Self::Value { tag: known.or(Some(tag)), vr },
            Self::Alternatives { tag: known } => Self::Alternatives { tag: known.or(Some(tag)) },
            Self::Items { tag } => Self::Items { tag },
            Self::Keys => Self::Keys,
        }
    }
}

/// The attribute that a QIDO-RS parameter or `includefield` names, by keyword or eight hexadecimal digits (PS3.18 §8.3.4.1).
pub fn attribute(name: &str) -> Option<(Tag, Vr)> {
    let hex = name.len() == 8 && name.bytes().all(|byte| byte.is_ascii_hexdigit());
    let number = u32::from_str_radix(name, 16).ok().filter(|_| hex);
    match number.map(u32::to_be_bytes) {
        Some([a, b, c, d]) => {
            let tag = Tag(u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
            Some((tag, vr::of_tag(tag, false)))
        }
        None => vr::tag_of_keyword(name),
    }
}

fn name(tag: Option<Tag>) -> String {
    match tag {
        Some(tag) => match vr::keyword(tag) {
            Some(keyword) => format!("{keyword} {tag}"),
            None => tag.to_string(),
        },
        None => "the value".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_attributes_by_keyword_and_tag() {
        assert_eq!(attribute("PatientID"), Some((Tag(0x0010, 0x0020), Vr::LO)));
        assert_eq!(attribute("00100020"), Some((Tag(0x0010, 0x0020), Vr::LO)));
        assert_eq!(attribute("0009100a"), Some((Tag(0x0009, 0x100A), Vr::UN)));
        for name in ["patientid", "0010002", "0010,0020", "+0100020", "", "00400275.00400009"] {
            assert_eq!(attribute(name), None, "{name}");
        }
    }

    #[test]
    fn errors_name_the_attribute_and_never_its_value() {
        let error = QueryError::Value { tag: Some(Tag(0x0008, 0x0020)), vr: Vr::DA };
        assert_eq!(error.to_string(), "StudyDate (0008,0020) is not valid for matching as DA");
        let error = QueryError::Value { tag: None, vr: Vr::TM };
        assert_eq!(error.to_string(), "the value is not valid for matching as TM");
    }
    #[test]
    fn prints_nothing_that_is_looked_for() {
        let doe = || "Doe".to_owned();
        for matching in [
            Matching::Single(doe()),
            Matching::UidList(vec![doe()]),
            Matching::Wildcard(doe()),
            Matching::Range { from: Some(doe()), to: Some(doe()) },
            Matching::AnyOf(vec![Matching::Single(doe())]),
            Matching::Moments { time: Tag(0x0008, 0x0030), from: Some((doe(), doe())), to: None },
            Matching::Item(vec![Key {
                tag: Tag(0x0010, 0x0020),
                vr: Vr::LO,
                matching: Matching::Single(doe()),
            }]),
        ] {
            let key = Key { tag: Tag(0x0010, 0x0010), vr: Vr::PN, matching };
            assert!(!format!("{key:?}").contains("Doe"), "{key:?}");
        }
    }
}
