//! What upstream archives have of something, as they say so.

use std::collections::HashSet;

use model::attributes::Attributes;
use model::query::Selection;
use model::{
    Kind, QueryRetrieveLevel, Scope, SeriesInstanceUid, SopInstanceUid, StudyInstanceUid, Tag, Uid, Vr,
    limits, vr,
};

use super::port::Asked;
use super::rows::{
    ISSUER_OF_PATIENT_ID, PATIENT_ID, SERIES_INSTANCE_UID, SOP_INSTANCE_UID, STUDY_INSTANCE_UID,
};

/// Something that an upstream archive is asked about: what it has of it, as studies, series or instances.
#[derive(Debug, Clone)]
pub(super) struct Piece {
    /// What it is asked for.
    pub(super) level: QueryRetrieveLevel,
    patient_id: Option<String>,
    issuer_of_patient_id: Option<String>,
    /// Of each of these any where there are some; several at the level only.
    studies: Vec<StudyInstanceUid>,
    series: Vec<SeriesInstanceUid>,
    instances: Vec<SopInstanceUid>,
}

/// A study, series or instance that an upstream archive has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Held {
    pub(super) scope: Scope,
    /// How many instances it has there, where it says so.
    pub(super) instances: Option<u64>,
}

impl Piece {
    /// What is to be asked about for a retrieve: one question for each [`limits::UPSTREAM_BATCH`] of at most
    /// [`limits::UPSTREAM_PIECES`] UIDs. Those that are none are left out: nobody else could be asked for them, and they might stand for
    /// others.
    ///
    /// PS3.4 §C.2.2.2.2.
    pub(super) fn of(selection: &Selection) -> Vec<Self> {
        let whole = Self {
            level: selection.level.max(QueryRetrieveLevel::Study),
            patient_id: selection.patient_id.clone(),
            issuer_of_patient_id: selection.issuer_of_patient_id.clone(),
            studies: only(&selection.studies),
            series: Vec::new(),
            instances: Vec::new(),
        };
        match selection.level {
            QueryRetrieveLevel::Patient => vec![whole],
            QueryRetrieveLevel::Study => {
                let of = |studies| Self { studies, ..whole.clone() };
                batches(&selection.studies).into_iter().map(of).collect()
            }
            QueryRetrieveLevel::Series => {
                let of = |series| Self { series, ..whole.clone() };
                batches(&selection.series).into_iter().map(of).collect()
            }
            QueryRetrieveLevel::Image => {
                let whole = Self { series: only(&selection.series), ..whole };
                let of = |instances| Self { instances, ..whole.clone() };
                batches(&selection.instances).into_iter().map(of).collect()
            }
        }
    }

    /// How many things it is about, where it names them.
    pub(super) fn names(&self) -> usize {
        match self.level {
            QueryRetrieveLevel::Patient | QueryRetrieveLevel::Study => self.studies.len(),
            QueryRetrieveLevel::Series => self.series.len(),
            QueryRetrieveLevel::Image => self.instances.len(),
        }
    }

    /// Each thing that a list of them names and that is not among these, by itself.
    pub(super) fn without(&self, found: &[Held]) -> Vec<Self> {
        let found: HashSet<&str> = found.iter().filter_map(|held| self.key(&held.scope)).collect();
        let is_left = |uid: &str| !found.contains(uid);
        match self.level {
            QueryRetrieveLevel::Patient | QueryRetrieveLevel::Study => {
                let of = |uid: &StudyInstanceUid| Self { studies: vec![uid.clone()], ..self.clone() };
                self.studies.iter().filter(|uid| is_left(uid.as_str())).map(of).collect()
            }
            QueryRetrieveLevel::Series => {
                let of = |uid: &SeriesInstanceUid| Self { series: vec![uid.clone()], ..self.clone() };
                self.series.iter().filter(|uid| is_left(uid.as_str())).map(of).collect()
            }
            QueryRetrieveLevel::Image => {
                let of = |uid: &SopInstanceUid| Self { instances: vec![uid.clone()], ..self.clone() };
                self.instances.iter().filter(|uid| is_left(uid.as_str())).map(of).collect()
            }
        }
    }

    /// The unique key of the level.
    fn key<'a>(&self, scope: &'a Scope) -> Option<&'a str> {
        match self.level {
            QueryRetrieveLevel::Patient | QueryRetrieveLevel::Study => Some(scope.study.as_str()),
            QueryRetrieveLevel::Series => scope.series.as_ref().map(Uid::as_str),
            QueryRetrieveLevel::Image => scope.instance.as_ref().map(Uid::as_str),
        }
    }

    /// What stands in a study or series: its series, or instances.
    pub(super) fn inside(scope: &Scope) -> Self {
        let level =
            if scope.series.is_none() { QueryRetrieveLevel::Series } else { QueryRetrieveLevel::Image };
        Self {
            level,
            patient_id: None,
            issuer_of_patient_id: None,
            studies: vec![scope.study.clone()],
            series: scope.series.iter().cloned().collect(),
            instances: Vec::new(),
        }
    }

    /// A study, as one of a list in which it is neither the first nor the last, and the only one that there is.
    pub(super) fn amid_strangers(study: StudyInstanceUid) -> Self {
        let [first, last] = NOBODYS.map(|uid| StudyInstanceUid::parse(uid).expect("these are UIDs"));
        Self {
            level: QueryRetrieveLevel::Study,
            patient_id: None,
            issuer_of_patient_id: None,
            studies: vec![first, study, last],
            series: Vec::new(),
            instances: Vec::new(),
        }
    }

    /// The question.
    pub(super) fn asked(&self, hops: u8) -> Asked {
        let mut keys = Attributes::new();
        keys.insert(STUDY_INSTANCE_UID, Vr::UI, texts(&self.studies));
        if self.level >= QueryRetrieveLevel::Series {
            keys.insert(SERIES_INSTANCE_UID, Vr::UI, texts(&self.series));
        }
        let mut key = |tag, value: &str| keys.insert_text(tag, vr::of_tag(tag, false), value);
        match self.level {
            QueryRetrieveLevel::Patient | QueryRetrieveLevel::Study => {
                key(PATIENT_ID, self.patient_id.as_deref().unwrap_or_default());
                if let Some(issuer) = &self.issuer_of_patient_id {
                    key(ISSUER_OF_PATIENT_ID, issuer);
                }
                key(NUMBER_OF_STUDY_RELATED_INSTANCES, "");
            }
            QueryRetrieveLevel::Series => key(NUMBER_OF_SERIES_RELATED_INSTANCES, ""),
            QueryRetrieveLevel::Image => keys.insert(SOP_INSTANCE_UID, Vr::UI, texts(&self.instances)),
        }
        Asked { level: self.level, keys, hops, is_to_retrieve: true }
    }

    /// What a row of the answer says. `None` where it does not say what it is about, or is about something else: it is not believed
    /// that.
    pub(super) fn held(&self, row: &Attributes) -> Option<Held> {
        if let Some(wanted) = &self.patient_id {
            // What was asked for may have been taken as a pattern.
            let is_patient = self.level > QueryRetrieveLevel::Study || row.first(PATIENT_ID) == Some(wanted);
            is_patient.then_some(())?;
        }
        let study = one(row, STUDY_INSTANCE_UID, &self.studies)?;
        let series = match self.level {
            QueryRetrieveLevel::Patient | QueryRetrieveLevel::Study => None,
            QueryRetrieveLevel::Series | QueryRetrieveLevel::Image => {
                Some(one(row, SERIES_INSTANCE_UID, &self.series)?)
            }
        };
        let instance = match self.level {
            QueryRetrieveLevel::Patient | QueryRetrieveLevel::Study | QueryRetrieveLevel::Series => None,
            QueryRetrieveLevel::Image => Some(one(row, SOP_INSTANCE_UID, &self.instances)?),
        };
        let count = match self.level {
            QueryRetrieveLevel::Patient | QueryRetrieveLevel::Study => NUMBER_OF_STUDY_RELATED_INSTANCES,
            QueryRetrieveLevel::Series | QueryRetrieveLevel::Image => NUMBER_OF_SERIES_RELATED_INSTANCES,
        };
        let told = row.first(count).and_then(|count| count.trim().parse::<u32>().ok());
        let told = told.filter(|count| *count > 0).map(u64::from);
        let instances = if instance.is_some() { Some(1) } else { told };
        Some(Held { scope: Scope { study, series, instance }, instances })
    }
}

/// The UID of a row, or the one that was asked for where the row has none.
fn one<K: Kind>(row: &Attributes, tag: Tag, wanted: &[Uid<K>]) -> Option<Uid<K>> {
    let told = row.first(tag).and_then(Uid::lenient).filter(Uid::is_valid);
    match (told, wanted) {
        (Some(told), wanted) => (wanted.is_empty() || wanted.contains(&told)).then_some(told),
        (None, [wanted]) => Some(wanted.clone()),
        (None, _) => None,
    }
}

/// A UID that stands above what is asked for: there it has one value (PS3.4 §C.4.1.2.1).
fn only<K>(uids: &[Uid<K>]) -> Vec<Uid<K>> {
    match uids {
        [uid] if uid.is_valid() => vec![uid.clone()],
        _ => Vec::new(),
    }
}

fn batches<K>(uids: &[Uid<K>]) -> Vec<Vec<Uid<K>>> {
    let valid: Vec<_> =
        uids.iter().filter(|uid| uid.is_valid()).take(limits::UPSTREAM_PIECES).cloned().collect();
    valid.chunks(limits::UPSTREAM_BATCH).map(<[_]>::to_vec).collect()
}

fn texts<K>(uids: &[Uid<K>]) -> Vec<String> {
    uids.iter().map(|uid| uid.as_str().to_owned()).collect()
}

/// From random UUIDs (PS3.5 §B.2).
const NOBODYS: [&str; 2] =
    ["2.25.329732722258098555605743857803903072914", "2.25.173886137706216489521542699743500181626"];

const NUMBER_OF_STUDY_RELATED_INSTANCES: Tag = Tag(0x0020, 0x1208);
const NUMBER_OF_SERIES_RELATED_INSTANCES: Tag = Tag(0x0020, 0x1209);

#[cfg(test)]
mod tests {
    use super::*;

    fn selection(
        level: QueryRetrieveLevel,
        studies: &[&str],
        series: &[&str],
        instances: &[&str],
    ) -> Selection {
        fn uids<K: Kind>(texts: &[&str]) -> Vec<Uid<K>> {
            texts.iter().filter_map(|text| Uid::lenient(text)).collect()
        }
        Selection {
            level,
            patient_id: None,
            issuer_of_patient_id: None,
            studies: uids(studies),
            series: uids(series),
            instances: uids(instances),
        }
    }

    fn row(values: &[(Tag, &str)]) -> Attributes {
        let mut row = Attributes::new();
        values.iter().for_each(|(tag, value)| row.insert_text(*tag, vr::of_tag(*tag, false), value));
        row
    }

    #[test]
    fn things_are_asked_for_together_and_nothing_by_a_pattern() {
        use QueryRetrieveLevel::{Image, Series, Study};
        let asked = |selection: Selection| {
            let pieces = Piece::of(&selection);
            let uids = pieces.iter().map(|piece| {
                let keys = piece.asked(1).keys;
                [STUDY_INSTANCE_UID, SERIES_INSTANCE_UID, SOP_INSTANCE_UID]
                    .map(|tag| keys.get(tag).map_or(String::new(), |uids| uids.values.join("\\")))
            });
            uids.collect::<Vec<_>>()
        };
        assert_eq!(asked(selection(Study, &["1.2", "1.*", "1.3"], &[], &[])), [["1.2\\1.3", "", ""]]);
        assert_eq!(asked(selection(Series, &["1.2"], &["1.2.1"], &[])), [["1.2", "1.2.1", ""]]);
        assert_eq!(asked(selection(Series, &["1.2", "1.3"], &["1.2.1"], &[])), [["", "1.2.1", ""]]);
        assert_eq!(asked(selection(Image, &["1.2"], &["1.2.1"], &["9.1"])), [["1.2", "1.2.1", "9.1"]]);
        let of_two_series = selection(Image, &["1.2"], &["1.2.1", "1.2.2"], &["9.1", "*", "9.2"]);
        assert_eq!(asked(of_two_series), [["1.2", "", "9.1\\9.2"]]);
        assert!(asked(selection(Study, &["*"], &[], &[])).is_empty());
        assert!(asked(selection(Image, &["x-1"], &[], &["?"])).is_empty());
        let many: Vec<String> = (0..2000).map(|number| format!("1.2.{number}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        let batches = limits::UPSTREAM_PIECES / limits::UPSTREAM_BATCH;
        assert_eq!(asked(selection(Study, &many, &[], &[])).len(), batches);
    }

    #[test]
    fn of_several_things_each_answer_says_which_it_is_about() {
        let all = selection(QueryRetrieveLevel::Image, &["1.2"], &["1.2.1"], &["9.1", "9.2", "9.3"]);
        let piece = &Piece::of(&all)[0];
        assert_eq!(piece.names(), 3);
        let held = |uid| piece.held(&row(&[(SOP_INSTANCE_UID, uid)]));
        assert!(held("9.4").is_none() && piece.held(&row(&[])).is_none());
        let found = [held("9.2").unwrap()];
        let left: Vec<_> = piece.without(&found).iter().map(|one| texts(&one.instances)).collect();
        assert_eq!(left, [["9.1"], ["9.3"]]);
    }

    #[test]
    fn an_answer_about_something_else_is_not_believed() {
        let piece = &Piece::of(&selection(QueryRetrieveLevel::Study, &["1.2"], &[], &[]))[0];
        let held = |values: &[(Tag, &str)]| piece.held(&row(values)).map(|held| held.instances);
        assert_eq!(
            held(&[(STUDY_INSTANCE_UID, "1.2"), (NUMBER_OF_STUDY_RELATED_INSTANCES, "7")]),
            Some(Some(7))
        );
        assert_eq!(held(&[(NUMBER_OF_STUDY_RELATED_INSTANCES, "x")]), Some(None));
        assert_eq!(held(&[(STUDY_INSTANCE_UID, "1.3")]), None);
        let patient = Selection {
            patient_id: Some("P*".to_owned()),
            ..selection(QueryRetrieveLevel::Patient, &[], &[], &[])
        };
        let piece = &Piece::of(&patient)[0];
        assert_eq!(piece.level, QueryRetrieveLevel::Study);
        let of = |id| piece.held(&row(&[(PATIENT_ID, id), (STUDY_INSTANCE_UID, "1.5")]));
        assert!(of("P1").is_none() && of("P*").is_some());
        assert!(piece.held(&row(&[(PATIENT_ID, "P*")])).is_none(), "which study, it does not say");
    }
}
