use std::collections::{BTreeSet, HashSet};

use archive::{Row, RowIds};
use model::attributes::Attributes;
use model::query::{Elsewhere, Key, Matching, Query};
use model::{
    AeTitle, QueryRetrieveLevel, SeriesInstanceUid, SopInstanceUid, StudyInstanceUid, Tag, UpstreamName, Vr,
    limits,
};
use sha2::{Digest, Sha256};

use super::port::{Answer, Asked};

/// A row that an upstream archive has and we do not.
#[derive(Debug, Clone)]
pub struct UpstreamRow {
    /// The row, as one of ours.
    pub row: Row,
    /// Where it is from.
    pub upstream: UpstreamName,
    /// The AE title of that archive.
    pub ae_title: AeTitle,
    /// The upstream archive did not know some of the keys, or does not say whether the row meets them.
    pub has_unknown_keys: bool,
}

/// What makes rows of the answers of upstream archives to one query, each once.
pub(super) struct Sieve {
    query: Query,
    elsewhere: Elsewhere,
    /// Keys of the levels below, which upstream archives are not asked to match: nothing is negotiated with them.
    has_keys_below: bool,
    /// The attributes that rows have; `None`: whatever comes.
    tags: Option<BTreeSet<Tag>>,
    /// Digests of what was given on; two of a patient.
    seen: HashSet<[u8; 16]>,
    /// Rows that were given on.
    given: usize,
}

/// An answer that is a row unless we have it.
pub(super) struct Candidate {
    pub(super) place: usize,
    pub(super) row: Row,
    pub(super) has_unknown_keys: bool,
    entity: Entity,
}

/// What a row is about: the unique key of its level, and of a patient also who issued it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Entity {
    key: String,
    issuer: String,
}

impl Sieve {
    pub(super) fn new(query: &Query) -> Self {
        let unique = unique_keys(query.level).iter().copied();
        let more: Vec<Tag> = unique.chain(archive::returned_tags(query)).collect();
        let (own, has_keys_below) = archive::without_keys_below(query);
        let elsewhere = own.elsewhere(more.iter().copied());
        let tags = || {
            let of_keys = own.keys.iter().map(|key| key.tag);
            own.include.tags.iter().copied().chain(of_keys).chain(more.iter().copied()).collect()
        };
        let tags = (!query.include.all).then(tags);
        Self { query: own, elsewhere, has_keys_below, tags, seen: HashSet::new(), given: 0 }
    }

    /// What is asked of upstream archives.
    pub(super) fn asked(&self, hops: u8) -> Asked {
        Asked { level: self.query.level, keys: self.elsewhere.keys.clone(), hops, is_to_retrieve: false }
    }

    /// Whether so much was given on that more could not be told from it.
    pub(super) fn is_full(&self) -> bool {
        self.given >= limits::UPSTREAM_ROWS
    }

    /// An answer as a row; `None` where it does not say what it is about, does not match after all, or came before.
    pub(super) fn candidate(&mut self, answer: Answer) -> Option<Candidate> {
        let Answer { place, mut attributes, has_unknown_keys, .. } = answer;
        if let Some(tags) = &self.tags {
            attributes.retain(|tag| tags.contains(&tag));
        }
        attributes.remove(SPECIFIC_CHARACTER_SET);
        // PS3.3 §C.4.23.1.1: it is there after a while.
        attributes.insert_text(INSTANCE_AVAILABILITY, Vr::CS, "NEARLINE");
        let ids = self.ids(&attributes)?;
        let entity = entity(self.query.level, &attributes, &ids)?;
        let is_new = self.elsewhere.is_met_by(&attributes) && self.take(&entity);
        self.given += usize::from(is_new);
        let has_unknown_keys =
            has_unknown_keys || self.has_keys_below || self.elsewhere.is_left_open_by(&attributes);
        let row = Row { attributes, ids, json: None };
        is_new.then_some(Candidate { place, row, has_unknown_keys, entity })
    }

    /// The query that tells which of these we have ourselves among what matches.
    pub(super) fn ours(&self, candidates: &[Candidate]) -> Query {
        let level = self.query.level;
        let (tag, vr) = unique_key(level);
        let values: BTreeSet<&str> = candidates.iter().map(|one| one.entity.key.as_str()).collect();
        let matching = Matching::UidList(values.into_iter().map(str::to_owned).collect());
        let mut query = Query { limit: None, offset: 0, ..self.query.clone() };
        // What we have in part is ours, whatever is asked for of how it is had.
        query.keys.retain(|key| key.tag != INSTANCE_AVAILABILITY);
        query.keys.push(Key { tag, vr, matching });
        query.include = Default::default();
        query.include.tags.extend(unique_keys(level));
        query
    }

    /// Those that are none of these rows of ours.
    pub(super) fn without(&self, candidates: Vec<Candidate>, ours: &[Row]) -> Vec<Candidate> {
        let of_ours = |row: &Row| entity(self.query.level, &row.attributes, &row.ids);
        let ours: HashSet<Entity> = ours.iter().filter_map(of_ours).collect();
        let is_ours = |one: &Candidate| ours.iter().any(|other| other.is_same(&one.entity));
        if self.query.level == QueryRetrieveLevel::Patient {
            return candidates.into_iter().filter(|one| !is_ours(one)).collect();
        }
        candidates.into_iter().filter(|one| !ours.contains(&one.entity)).collect()
    }

    /// Whether it is the first time. A patient without an issuer may be anybody's of that ID.
    fn take(&mut self, entity: &Entity) -> bool {
        let Entity { key, issuer } = entity;
        if self.query.level != QueryRetrieveLevel::Patient {
            return self.seen.insert(digest(key, ""));
        }
        // No issuer is called so: a backslash parts values.
        let any = digest(key, "\\");
        let is_known = match issuer.as_str() {
            "" => self.seen.contains(&any),
            issuer => self.seen.contains(&digest(key, issuer)) || self.seen.contains(&digest(key, "")),
        };
        if !is_known {
            self.seen.extend([any, digest(key, issuer)]);
        }
        !is_known
    }

    /// What a row and those above it are called; what the query says of these need not be in the answer.
    fn ids(&self, attributes: &Attributes) -> Option<RowIds> {
        let level = self.query.level;
        let text = |tag| {
            let found = attributes.first(tag).filter(|uid| !uid.is_empty());
            found.or_else(|| self.query.keys.iter().find_map(|key| single(key, tag)))
        };
        let (mut study, mut series, mut instance) = (None, None, None);
        if level >= QueryRetrieveLevel::Study {
            study = Some(StudyInstanceUid::lenient(text(STUDY_INSTANCE_UID)?)?);
        }
        if level >= QueryRetrieveLevel::Series {
            series = Some(SeriesInstanceUid::lenient(text(SERIES_INSTANCE_UID)?)?);
        }
        if level >= QueryRetrieveLevel::Image {
            instance = Some(SopInstanceUid::lenient(text(SOP_INSTANCE_UID)?)?);
        }
        Some(RowIds { study, series, instance })
    }
}

impl Entity {
    /// A patient without an issuer may be anybody's of that ID.
    fn is_same(&self, other: &Self) -> bool {
        let is_open = self.issuer.is_empty() || other.issuer.is_empty();
        self.key == other.key && (is_open || self.issuer == other.issuer)
    }
}

fn entity(level: QueryRetrieveLevel, attributes: &Attributes, ids: &RowIds) -> Option<Entity> {
    let of = |key: &str| Entity { key: key.to_owned(), issuer: String::new() };
    match level {
        QueryRetrieveLevel::Patient => {
            let issuer = attributes.first(ISSUER_OF_PATIENT_ID).unwrap_or_default().to_owned();
            let key = attributes.first(PATIENT_ID).filter(|id| !id.is_empty())?;
            Some(Entity { issuer, ..of(key) })
        }
        QueryRetrieveLevel::Study => ids.study.as_ref().map(|uid| of(uid.as_str())),
        QueryRetrieveLevel::Series => ids.series.as_ref().map(|uid| of(uid.as_str())),
        QueryRetrieveLevel::Image => ids.instance.as_ref().map(|uid| of(uid.as_str())),
    }
}

fn single(key: &Key, tag: Tag) -> Option<&str> {
    match &key.matching {
        Matching::Single(value) if key.tag == tag => Some(value),
        _ => None,
    }
}

/// Of what is looked up only; a digest takes less memory.
fn digest(key: &str, issuer: &str) -> [u8; 16] {
    let mut hash = Sha256::new();
    hash.update(key.as_bytes());
    hash.update([0]);
    hash.update(issuer.as_bytes());
    let [first, _] = *hash.finalize().as_chunks::<16>().0 else { return [0; 16] };
    first
}

fn unique_key(level: QueryRetrieveLevel) -> (Tag, Vr) {
    match level {
        QueryRetrieveLevel::Patient => (PATIENT_ID, Vr::LO),
        QueryRetrieveLevel::Study => (STUDY_INSTANCE_UID, Vr::UI),
        QueryRetrieveLevel::Series => (SERIES_INSTANCE_UID, Vr::UI),
        QueryRetrieveLevel::Image => (SOP_INSTANCE_UID, Vr::UI),
    }
}

/// What says of a row which it is.
fn unique_keys(level: QueryRetrieveLevel) -> &'static [Tag] {
    match level {
        QueryRetrieveLevel::Patient => &[PATIENT_ID, ISSUER_OF_PATIENT_ID],
        QueryRetrieveLevel::Study => &[STUDY_INSTANCE_UID],
        QueryRetrieveLevel::Series => &[STUDY_INSTANCE_UID, SERIES_INSTANCE_UID],
        QueryRetrieveLevel::Image => &[STUDY_INSTANCE_UID, SERIES_INSTANCE_UID, SOP_INSTANCE_UID],
    }
}

const SPECIFIC_CHARACTER_SET: Tag = Tag(0x0008, 0x0005);
pub(super) const INSTANCE_AVAILABILITY: Tag = Tag(0x0008, 0x0056);
pub(super) const SOP_INSTANCE_UID: Tag = Tag(0x0008, 0x0018);
pub(super) const PATIENT_ID: Tag = Tag(0x0010, 0x0020);
pub(super) const ISSUER_OF_PATIENT_ID: Tag = Tag(0x0010, 0x0021);
pub(super) const STUDY_INSTANCE_UID: Tag = Tag(0x0020, 0x000D);
pub(super) const SERIES_INSTANCE_UID: Tag = Tag(0x0020, 0x000E);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_below_the_level_are_not_asked_for_and_leave_every_row_open() {
        const MODALITY: Tag = Tag(0x0008, 0x0060);
        const MODALITIES: Tag = Tag(0x0008, 0x0061);
        let of = |relational| {
            let key = |tag| Key { tag, vr: Vr::CS, matching: Matching::Single("MR".to_owned()) };
            let mut query = Query::new(QueryRetrieveLevel::Study);
            (query.keys, query.relational) = (vec![key(MODALITIES)], relational);
            query.keys.extend(relational.then(|| key(MODALITY)));
            query.include.tags.extend(query.keys.iter().map(|key| key.tag));
            let mut sieve = Sieve::new(&query);
            let mut attributes = Attributes::new();
            attributes.insert_text(STUDY_INSTANCE_UID, Vr::UI, "1.2");
            attributes.insert_text(MODALITIES, Vr::CS, "MR");
            let asked = sieve.asked(1).keys;
            let answer = Answer { place: 0, attributes, bytes: 9, has_unknown_keys: false };
            let row = sieve.candidate(answer).unwrap();
            // What we have of it is ours, whether or not that matches.
            assert!(sieve.ours(std::slice::from_ref(&row)).keys.iter().all(|key| key.tag != MODALITY));
            (asked.first(MODALITIES).map(str::to_owned), asked.get(MODALITY).is_some(), row.has_unknown_keys)
        };
        assert_eq!(of(true), (Some("MR".to_owned()), false, true));
        assert_eq!(of(false), (Some("MR".to_owned()), false, false));
    }

    #[test]
    fn patients_count_as_rows_whatever_is_kept_of_them() {
        let mut sieve = Sieve::new(&Query::new(QueryRetrieveLevel::Patient));
        let mut give = |id: &str, issuer: &str| {
            let mut attributes = Attributes::new();
            attributes.insert_text(PATIENT_ID, Vr::LO, id);
            attributes.insert_text(ISSUER_OF_PATIENT_ID, Vr::LO, issuer);
            let is_given =
                sieve.candidate(Answer { place: 0, attributes, bytes: 9, has_unknown_keys: false }).is_some();
            (is_given, sieve.given)
        };
        assert_eq!(give("P1", "A"), (true, 1));
        assert_eq!(give("P1", "A"), (false, 1));
        assert_eq!(give("P1", "B"), (true, 2));
        assert_eq!(give("P1", ""), (false, 2), "anybody's");
        for number in 2..limits::UPSTREAM_ROWS {
            assert!(give(&format!("Q{number}"), "").0);
        }
        assert!(sieve.is_full());
    }
}
