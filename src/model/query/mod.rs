//! A query: level, matching keys, return keys. The same value from a C-FIND identifier and from a QIDO-RS URL.

mod identifier;
mod matching;
mod moment;
mod selection;

pub use identifier::Root;
pub use moment::{date, datetime, time};
pub use selection::{Selection, SelectionError};

use std::collections::BTreeSet;
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
    /// At most so many rows.
    pub limit: Option<u32>,
    /// So many rows are left out at the front.
    pub offset: u32,
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

/// The kinds of matching (PS3.4 §C.2.2.2). Universal matching has no key: the tag stands among the return keys.
///
/// Comparison is with case and accents but for PN, where both sides go through [`fold`](crate::fold) first.
#[derive(Clone, PartialEq, Eq)]
pub enum Matching {
    /// Single value matching. A date is YYYYMMDD, a number in decimal without leading zeros.
    Single(String),
    /// List of UID matching; of a CS too, where any of several codes may match.
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
}

/// Without what is looked for, which may be a patient's.
impl fmt::Debug for Matching {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Single(_) => "Single",
            Self::UidList(_) => "UidList",
            Self::Wildcard(_) => "Wildcard",
            Self::Range { .. } => "Range",
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
}

/// Why a query cannot be answered. A C-FIND is then answered with A900H, a QIDO-RS request with 400.
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
        ] {
            let key = Key { tag: Tag(0x0010, 0x0010), vr: Vr::PN, matching };
            assert!(!format!("{key:?}").contains("Doe"), "{key:?}");
        }
    }
}
