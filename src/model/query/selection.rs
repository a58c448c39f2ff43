use std::fmt;

use super::identifier::level_of;
use super::{Root, name};
use crate::header::{Element, Header};
use crate::uid::{Kind, Uid};
use crate::{QueryRetrieveLevel, SeriesInstanceUid, SopInstanceUid, StudyInstanceUid, Tag, limits};

/// What a C-MOVE or C-GET asks for: the instances that all of its keys take in.
#[derive(Clone, PartialEq, Eq)]
pub struct Selection {
    /// The level whose unique key says what is wanted.
    pub level: QueryRetrieveLevel,
    /// Patient ID (0010,0020), taken literally; `None` for any. Always there at patient level.
    pub patient_id: Option<String>,
    /// Issuer of Patient ID (0010,0021); `None` for any.
    pub issuer_of_patient_id: Option<String>,
    /// Any of these studies; empty for all. Never empty at study level.
    pub studies: Vec<StudyInstanceUid>,
    /// Any of these series; empty for all. Never empty at series level.
    pub series: Vec<SeriesInstanceUid>,
    /// Any of these instances; empty for all. Never empty at instance level.
    pub instances: Vec<SopInstanceUid>,
}

/// Without the patient.
impl fmt::Debug for Selection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Selection")
            .field("level", &self.level)
            .field("studies", &self.studies)
            .field("series", &self.series)
            .field("instances", &self.instances)
            .finish_non_exhaustive()
    }
}

/// Why an identifier asks for nothing that could be retrieved. The C-MOVE or C-GET is then answered with A900H.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SelectionError {
    /// Query/Retrieve Level (0008,0052) is missing, unknown, or not of the information model.
    #[error("query/retrieve level is missing or not one of the information model")]
    Level,
    /// The unique key of the level is missing or empty.
    #[error("{} is missing", name(Some(*.0)))]
    Missing(Tag),
    /// The value of a key is none that it could have in a retrieve: a wildcard in a UID, several values where there may be one, or more
    /// bytes than are read.
    #[error("{} has a value that no retrieve may ask for", name(Some(*.0)))]
    Value(Tag),
    /// A unique key below the level has a value: whoever sent it may want less than the level says.
    #[error("{} is below the query/retrieve level", name(Some(*.0)))]
    Below(Tag),
}

impl SelectionError {
    /// The attribute that is to be named as Offending Element (0000,0901).
    pub fn offending_element(&self) -> Tag {
        match self {
            Self::Level => QUERY_RETRIEVE_LEVEL,
            Self::Missing(tag) | Self::Value(tag) | Self::Below(tag) => *tag,
        }
    }
}

impl Selection {
    /// Reads the identifier of a C-MOVE or C-GET request.
    ///
    /// Unique keys above the level narrow what is asked for; one that is missing there does not hinder. UIDs may be lists at every
    /// level. Other attributes are not keys of a retrieve and are not looked at.
    ///
    /// # Errors
    /// [`SelectionError`].
    ///
    /// PS3.4 §C.4.2.1.4, §C.4.2.2.1, §C.4.3.1.3.
    // deviation: PS3.4 §C.4.2.2.1 has the SCU send the unique key of each level above, with one value each; many do not, and others
    // answer them.
    pub fn from_identifier(identifier: &Header, root: Root) -> Result<Self, SelectionError> {
        let level = level_of(identifier, root).ok_or(SelectionError::Level)?;
        let is_given = |tag| identifier.element(tag).is_some_and(|element| !is_universal(&element));
        let mut below = UNIQUE_KEYS.into_iter().filter(|(_, of_level)| *of_level > level);
        if let Some((tag, _)) = below.find(|(tag, _)| is_given(*tag)) {
            return Err(SelectionError::Below(tag));
        }
        let selection = Self {
            level,
            patient_id: one(identifier, PATIENT_ID)?,
            issuer_of_patient_id: one(identifier, ISSUER_OF_PATIENT_ID)?,
            studies: uids(identifier, STUDY_INSTANCE_UID)?,
            series: uids(identifier, SERIES_INSTANCE_UID)?,
            instances: uids(identifier, SOP_INSTANCE_UID)?,
        };
        match UNIQUE_KEYS.into_iter().find(|(_, of_level)| *of_level == level) {
            Some((tag, _)) if !selection.has_key_of_level() => Err(SelectionError::Missing(tag)),
            _ => Ok(selection),
        }
    }

    fn has_key_of_level(&self) -> bool {
        match self.level {
            QueryRetrieveLevel::Patient => self.patient_id.is_some(),
            QueryRetrieveLevel::Study => !self.studies.is_empty(),
            QueryRetrieveLevel::Series => !self.series.is_empty(),
            QueryRetrieveLevel::Image => !self.instances.is_empty(),
        }
    }
}

/// The text of a key of one value; `None` for any.
fn one(identifier: &Header, tag: Tag) -> Result<Option<String>, SelectionError> {
    let Some(element) = identifier.element(tag).filter(|element| !is_universal(element)) else {
        return Ok(None);
    };
    // Not copied for its length: whatever it is, it is no identifier of a patient.
    element.bytes().ok_or(SelectionError::Value(tag))?;
    let text = element.text(identifier.charset()).unwrap_or_default();
    let text = text.trim_matches([' ', '\0']);
    if text.contains('\\') {
        return Err(SelectionError::Value(tag));
    }
    Ok((!text.is_empty()).then(|| text.to_owned()))
}

/// The UIDs of a key, each once; empty for any.
fn uids<K: Kind>(identifier: &Header, tag: Tag) -> Result<Vec<Uid<K>>, SelectionError> {
    let Some(element) = identifier.element(tag).filter(|element| !is_universal(element)) else {
        return Ok(Vec::new());
    };
    let bytes = element.bytes().ok_or(SelectionError::Value(tag))?;
    let mut uids: Vec<Uid<K>> = Vec::new();
    for uid in bytes.split(|byte| *byte == b'\\').filter_map(Uid::from_bytes) {
        if uid.as_str().contains(['*', '?']) {
            return Err(SelectionError::Value(tag));
        }
        uids.push(uid);
    }
    uids.sort_unstable_by(|a, b| a.as_str().cmp(b.as_str()));
    uids.dedup();
    Ok(uids)
}

/// Universal matching: nothing but padding, or one `*` as peers send it (see [`super::Matching::parse`]).
fn is_universal(element: &Element<'_>) -> bool {
    let is_blank = |byte: &u8| matches!(byte, b' ' | b'\0' | b'*');
    element.bytes().is_some_and(|bytes| bytes.iter().all(is_blank))
}

/// The unique key of each level (PS3.4 §C.6.1.1, §C.6.2.1).
const UNIQUE_KEYS: [(Tag, QueryRetrieveLevel); 4] = [
    (PATIENT_ID, QueryRetrieveLevel::Patient),
    (STUDY_INSTANCE_UID, QueryRetrieveLevel::Study),
    (SERIES_INSTANCE_UID, QueryRetrieveLevel::Series),
    (SOP_INSTANCE_UID, QueryRetrieveLevel::Image),
];

const SOP_INSTANCE_UID: Tag = Tag(0x0008, 0x0018);
const QUERY_RETRIEVE_LEVEL: Tag = Tag(0x0008, 0x0052);
const PATIENT_ID: Tag = Tag(0x0010, 0x0020);
const ISSUER_OF_PATIENT_ID: Tag = Tag(0x0010, 0x0021);
const STUDY_INSTANCE_UID: Tag = Tag(0x0020, 0x000D);
const SERIES_INSTANCE_UID: Tag = Tag(0x0020, 0x000E);

// The values of a key are copied up to this length, which is also as long as a UI value can be in Explicit VR (PS3.5 §7.1.2).
const _: () = assert!(limits::INLINE_TEXT_BYTES >= u16::MAX as u32);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Vr;
    use crate::element::put;
    use crate::scan::scan;
    use crate::syntax::{Encoding, Form};

    type Keys<'a> = &'a [(Tag, &'a [u8])];

    fn read(root: Root, level: &[u8], keys: Keys<'_>) -> Result<Selection, SelectionError> {
        let encoding = Encoding::ImplicitLittle;
        let mut bytes = Vec::new();
        put(&mut bytes, encoding, QUERY_RETRIEVE_LEVEL, Vr::CS, level);
        for (tag, value) in keys {
            put(&mut bytes, encoding, *tag, Vr::UI, value);
        }
        let form = Form { encoding, deflated: false };
        Selection::from_identifier(&scan(form, &bytes).unwrap(), root)
    }

    fn texts<K>(uids: &[Uid<K>]) -> Vec<&str> {
        uids.iter().map(Uid::as_str).collect()
    }

    #[test]
    fn the_key_of_the_level_may_be_a_list_and_those_above_narrow() {
        let keys: Keys<'_> = &[
            (PATIENT_ID, b"P 1 "),
            (ISSUER_OF_PATIENT_ID, b"SITE"),
            (STUDY_INSTANCE_UID, b"1.2\0"),
            (SERIES_INSTANCE_UID, b"1.2.9\\1.2.3\\\\1.2.9\0"),
            (Tag(0x0020, 0x0011), b"7 "),
        ];
        let selection = read(Root::Patient, b"SERIES", keys).unwrap();
        assert_eq!(selection.level, QueryRetrieveLevel::Series);
        assert_eq!(selection.patient_id.as_deref(), Some("P 1"));
        assert_eq!(selection.issuer_of_patient_id.as_deref(), Some("SITE"));
        assert_eq!(texts(&selection.studies), ["1.2"]);
        assert_eq!(texts(&selection.series), ["1.2.3", "1.2.9"]);
        assert!(selection.instances.is_empty());
        assert!(!format!("{selection:?}").contains("P 1"), "{selection:?}");

        for (level, keys) in [
            (&b"PATIENT "[..], &[(PATIENT_ID, &b"A*?"[..])][..]),
            (b"STUDY", &[(STUDY_INSTANCE_UID, b"1.2")]),
            (b"SERIES", &[(SERIES_INSTANCE_UID, b"1.2")]),
            (b"IMAGE", &[(SOP_INSTANCE_UID, b"1.2")]),
        ] {
            // An empty key, or a star, below or above the level says nothing.
            let bare = read(Root::Patient, level, keys).unwrap();
            let others = UNIQUE_KEYS.into_iter().filter(|(tag, _)| keys[0].0 != *tag);
            for blank in [&b""[..], b"  ", b"* "] {
                let mut padded = keys.to_vec();
                padded.extend(others.clone().map(|(tag, _)| (tag, blank)));
                padded.sort_unstable_by_key(|(tag, _)| *tag);
                assert_eq!(read(Root::Patient, level, &padded).as_ref(), Ok(&bare));
            }
        }
        assert_eq!(
            read(Root::Patient, b"PATIENT", &[(PATIENT_ID, b"A*?")]).unwrap().patient_id.unwrap(),
            "A*?"
        );
    }

    #[test]
    fn refuses_what_asks_for_nothing_or_for_too_much() {
        let long = [b'1'; 65_538];
        use SelectionError::{Below, Level, Missing, Value};
        for (root, level, keys, expected) in [
            (Root::Study, &b"PATIENT"[..], &[(PATIENT_ID, &b"P1"[..])][..], Level),
            (Root::Study, b"", &[(STUDY_INSTANCE_UID, b"1.2")], Level),
            (Root::Study, b"EVERYTHING", &[(STUDY_INSTANCE_UID, b"1.2")], Level),
            (Root::Patient, b"PATIENT", &[], Missing(PATIENT_ID)),
            (Root::Patient, b"PATIENT", &[(PATIENT_ID, b"* ")], Missing(PATIENT_ID)),
            (Root::Patient, b"PATIENT", &[(PATIENT_ID, b"P1\\P2 ")], Value(PATIENT_ID)),
            (Root::Study, b"STUDY", &[(PATIENT_ID, b"P1")], Missing(STUDY_INSTANCE_UID)),
            (Root::Study, b"STUDY", &[(STUDY_INSTANCE_UID, b"")], Missing(STUDY_INSTANCE_UID)),
            (Root::Study, b"STUDY", &[(STUDY_INSTANCE_UID, b"\\\\")], Missing(STUDY_INSTANCE_UID)),
            (Root::Study, b"STUDY", &[(STUDY_INSTANCE_UID, b"1.2.*")], Value(STUDY_INSTANCE_UID)),
            (Root::Study, b"STUDY", &[(STUDY_INSTANCE_UID, &long)], Value(STUDY_INSTANCE_UID)),
            (Root::Study, b"SERIES", &[(STUDY_INSTANCE_UID, b"1.2")], Missing(SERIES_INSTANCE_UID)),
            (
                Root::Study,
                b"SERIES",
                // What cannot be read must not widen what is asked for.
                &[(STUDY_INSTANCE_UID, &long), (SERIES_INSTANCE_UID, b"1.2")],
                Value(STUDY_INSTANCE_UID),
            ),
            (
                Root::Study,
                b"STUDY",
                &[(SOP_INSTANCE_UID, b"1.2.3"), (STUDY_INSTANCE_UID, b"1.2")],
                Below(SOP_INSTANCE_UID),
            ),
            (Root::Study, b"IMAGE", &[(SERIES_INSTANCE_UID, b"1.2")], Missing(SOP_INSTANCE_UID)),
        ] {
            let refused = read(root, level, keys).unwrap_err();
            assert_eq!(refused, expected);
            assert!(keys.is_empty() || !refused.to_string().contains("P1"));
        }
        assert_eq!(Missing(STUDY_INSTANCE_UID).to_string(), "StudyInstanceUID (0020,000D) is missing");
        assert_eq!(Level.offending_element(), QUERY_RETRIEVE_LEVEL);
        assert_eq!(Below(SOP_INSTANCE_UID).offending_element(), SOP_INSTANCE_UID);
    }
}
