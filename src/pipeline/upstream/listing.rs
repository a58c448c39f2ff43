//! What upstream archives have of something, as they say so.

use model::attributes::Attributes;
use model::query::Selection;
use model::{
    Kind, QueryRetrieveLevel, Scope, SeriesInstanceUid, SopInstanceUid, StudyInstanceUid, Tag, Uid, limits,
    vr,
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
    study: Option<StudyInstanceUid>,
    series: Option<SeriesInstanceUid>,
    instance: Option<SopInstanceUid>,
}

/// A study, series or instance that an upstream archive has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Held {
    pub(super) scope: Scope,
    /// How many instances it has there, where it says so.
    pub(super) instances: Option<u64>,
}

impl Piece {
    /// What is to be asked about for a retrieve: one question each, of at most [`limits::UPSTREAM_PIECES`]. UIDs that are none are left
    /// out: nobody else could be asked for them, and they might stand for others.
    pub(super) fn of(selection: &Selection) -> Vec<Self> {
        let (study, series) = (only(&selection.studies), only(&selection.series));
        let whole = Self {
            level: selection.level.max(QueryRetrieveLevel::Study),
            patient_id: selection.patient_id.clone(),
            issuer_of_patient_id: selection.issuer_of_patient_id.clone(),
            study: study.cloned(),
            series: None,
            instance: None,
        };
        let most = limits::UPSTREAM_PIECES;
        match selection.level {
            QueryRetrieveLevel::Patient => vec![whole],
            QueryRetrieveLevel::Study => {
                let of = |uid: &StudyInstanceUid| Self { study: Some(uid.clone()), ..whole.clone() };
                selection.studies.iter().filter(|uid| uid.is_valid()).take(most).map(of).collect()
            }
            QueryRetrieveLevel::Series => {
                let of = |uid: &SeriesInstanceUid| Self { series: Some(uid.clone()), ..whole.clone() };
                selection.series.iter().filter(|uid| uid.is_valid()).take(most).map(of).collect()
            }
            QueryRetrieveLevel::Image => {
                let whole = Self { series: series.cloned(), ..whole };
                let of = |uid: &SopInstanceUid| Self { instance: Some(uid.clone()), ..whole.clone() };
                selection.instances.iter().filter(|uid| uid.is_valid()).take(most).map(of).collect()
            }
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
            study: Some(scope.study.clone()),
            series: scope.series.clone(),
            instance: None,
        }
    }

    /// The question.
    pub(super) fn asked(&self, hops: u8) -> Asked {
        let text = |uid: Option<&str>| uid.unwrap_or_default().to_owned();
        let mut keys = Attributes::new();
        let mut key = |tag, value: &str| keys.insert_text(tag, vr::of_tag(tag, false), value);
        key(STUDY_INSTANCE_UID, &text(self.study.as_ref().map(Uid::as_str)));
        match self.level {
            QueryRetrieveLevel::Patient | QueryRetrieveLevel::Study => {
                key(PATIENT_ID, self.patient_id.as_deref().unwrap_or_default());
                if let Some(issuer) = &self.issuer_of_patient_id {
                    key(ISSUER_OF_PATIENT_ID, issuer);
                }
                key(NUMBER_OF_STUDY_RELATED_INSTANCES, "");
            }
            QueryRetrieveLevel::Series => {
                key(SERIES_INSTANCE_UID, &text(self.series.as_ref().map(Uid::as_str)));
                key(NUMBER_OF_SERIES_RELATED_INSTANCES, "");
            }
            QueryRetrieveLevel::Image => {
                key(SERIES_INSTANCE_UID, &text(self.series.as_ref().map(Uid::as_str)));
                key(SOP_INSTANCE_UID, &text(self.instance.as_ref().map(Uid::as_str)));
            }
        }
        Asked { level: self.level, keys, hops }
    }

    /// What a row of the answer says. `None` where it does not say what it is about, or is about something else: it is not believed
    /// that.
    pub(super) fn held(&self, row: &Attributes) -> Option<Held> {
        if let Some(wanted) = &self.patient_id {
            // What was asked for may have been taken as a pattern.
            let is_patient = self.level > QueryRetrieveLevel::Study || row.first(PATIENT_ID) == Some(wanted);
            is_patient.then_some(())?;
        }
        let study = one(row, STUDY_INSTANCE_UID, self.study.as_ref())?;
        let series = match self.level {
            QueryRetrieveLevel::Patient | QueryRetrieveLevel::Study => None,
            QueryRetrieveLevel::Series | QueryRetrieveLevel::Image => {
                Some(one(row, SERIES_INSTANCE_UID, self.series.as_ref())?)
            }
        };
        let instance = match self.level {
            QueryRetrieveLevel::Patient | QueryRetrieveLevel::Study | QueryRetrieveLevel::Series => None,
            QueryRetrieveLevel::Image => Some(one(row, SOP_INSTANCE_UID, self.instance.as_ref())?),
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
fn one<K: Kind>(row: &Attributes, tag: Tag, wanted: Option<&Uid<K>>) -> Option<Uid<K>> {
    let told = row.first(tag).and_then(Uid::lenient).filter(Uid::is_valid);
    match (told, wanted) {
        (Some(told), Some(wanted)) => (told == *wanted).then_some(told),
        (Some(told), None) => Some(told),
        (None, wanted) => wanted.cloned(),
    }
}

fn only<K>(uids: &[Uid<K>]) -> Option<&Uid<K>> {
    match uids {
        [uid] if uid.is_valid() => Some(uid),
        _ => None,
    }
}

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
    fn each_thing_is_asked_for_by_itself_and_nothing_by_a_pattern() {
        use QueryRetrieveLevel::{Image, Series, Study};
        let asked = |selection: Selection| {
            let pieces = Piece::of(&selection);
            let uids = pieces.iter().map(|piece| {
                let keys = piece.asked(1).keys;
                [STUDY_INSTANCE_UID, SERIES_INSTANCE_UID, SOP_INSTANCE_UID]
                    .map(|tag| keys.first(tag).unwrap_or_default().to_owned())
            });
            uids.collect::<Vec<_>>()
        };
        assert_eq!(
            asked(selection(Study, &["1.2", "1.*", "1.3"], &[], &[])),
            [["1.2", "", ""], ["1.3", "", ""]]
        );
        assert_eq!(asked(selection(Series, &["1.2"], &["1.2.1"], &[])), [["1.2", "1.2.1", ""]]);
        assert_eq!(asked(selection(Series, &["1.2", "1.3"], &["1.2.1"], &[])), [["", "1.2.1", ""]]);
        assert_eq!(asked(selection(Image, &["1.2"], &["1.2.1"], &["9.1"])), [["1.2", "1.2.1", "9.1"]]);
        assert!(asked(selection(Study, &["*"], &[], &[])).is_empty());
        assert!(asked(selection(Image, &["x-1"], &[], &["?"])).is_empty());
        let many: Vec<String> = (0..2000).map(|number| format!("1.2.{number}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert_eq!(asked(selection(Study, &many, &[], &[])).len(), limits::UPSTREAM_PIECES);
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
