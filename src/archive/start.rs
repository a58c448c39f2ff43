//! Where queries may start, and which tables have what. Pure.

use model::QueryRetrieveLevel::{self, Image, Patient, Series, Study};

use crate::attribute::{Attribute, Terms};
use crate::items::ItemAttribute;

/// The table that the outermost loop goes through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Start {
    Patient(Through),
    Study(Through),
    Series(Through),
    Instance(Through),
}

/// How the outermost loop goes through its table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Through {
    Index(&'static str),
    /// In the order of its own key.
    All,
    /// By the keys of [`Plan::source`](crate::plan::Plan::source).
    Chosen,
    /// By the rows of one term in this table, as `stream`.
    Stream(&'static str),
    /// By those of several terms, merged in the order of the answer, as `stream`.
    Merged,
}

impl Start {
    /// The level of its table.
    pub(crate) fn level(self) -> QueryRetrieveLevel {
        match self {
            Self::Patient(_) => Patient,
            Self::Study(_) => Study,
            Self::Series(_) => Series,
            Self::Instance(_) => Image,
        }
    }

    /// The start from the same table by keys.
    pub(crate) fn through_chosen(self) -> Self {
        match self {
            Self::Patient(_) => Self::Patient(Through::Chosen),
            Self::Study(_) => Self::Study(Through::Chosen),
            Self::Series(_) => Self::Series(Through::Chosen),
            Self::Instance(_) => Self::Instance(Through::Chosen),
        }
    }
}

/// Where the column of an attribute is in a query of a level: the table of studies has what is known of the patient,
/// too.
pub(crate) fn table(attribute: &Attribute, level: QueryRetrieveLevel) -> &'static str {
    match (attribute.level, level) {
        (Patient, Patient) => "patient",
        (Patient | Study, _) => "study",
        (Series, _) => "series",
        (Image, _) => "instance",
    }
}

/// Whose terms they are.
pub(crate) fn owner(terms: Terms) -> &'static str {
    match terms {
        Terms::PatientName => "patient.patient_pk",
        Terms::PatientNameOfStudy | Terms::ReferringPhysician | Terms::ReadingPhysician => "study.study_pk",
        Terms::Modality | Terms::SopClass => "study.study_pk",
        Terms::PerformingPhysician | Terms::Operator => "series.series_pk",
        Terms::OtherPatientName => "patient.patient_pk",
        Terms::OtherPatientNameOfStudy => "study.study_pk",
    }
}

/// Whose items they are in a query of a level: the key, and the level of that table.
pub(crate) fn item_owner(
    attribute: &ItemAttribute,
    level: QueryRetrieveLevel,
) -> (&'static str, QueryRetrieveLevel) {
    match (attribute.level, level) {
        (Patient, Patient) => ("patient.patient_pk", Patient),
        (Patient | Study, _) => ("study.study_pk", Study),
        (Series, _) => ("series.series_pk", Series),
        (Image, _) => ("instance.instance_pk", Image),
    }
}

/// The start from owners of terms.
pub(crate) fn through_owners(terms: Terms) -> Start {
    match terms {
        Terms::PatientName | Terms::OtherPatientName => Start::Patient(Through::Chosen),
        Terms::PerformingPhysician | Terms::Operator => Start::Series(Through::Chosen),
        Terms::PatientNameOfStudy | Terms::ReferringPhysician | Terms::ReadingPhysician => {
            Start::Study(Through::Chosen)
        }
        Terms::Modality | Terms::SopClass | Terms::OtherPatientNameOfStudy => Start::Study(Through::Chosen),
    }
}

/// The start from owners of items.
pub(crate) fn through_owners_of_items(owner: QueryRetrieveLevel) -> Start {
    match owner {
        Patient => Start::Patient(Through::Chosen),
        Study => Start::Study(Through::Chosen),
        Series => Start::Series(Through::Chosen),
        Image => Start::Instance(Through::Chosen),
    }
}

/// The start that a key on a column offers, and how much it is worth: the lower, the fewer rows are left.
pub(crate) fn indexed(column: &str, table: &str) -> Option<(u32, Start)> {
    Some(match (column, table) {
        ("sop_instance_uid", _) => (0, Start::Instance(Through::Index("instance_by_uid"))),
        ("series_instance_uid", _) => (1, Start::Series(Through::Index("series_by_uid"))),
        ("study_instance_uid", _) => (2, Start::Study(Through::Index("study_by_uid"))),
        ("accession_number", _) => (3, Start::Study(Through::Index("study_by_accession_number"))),
        ("patient_id", "patient") => (4, Start::Patient(Through::Index("patient_by_id"))),
        ("patient_id", _) => (4, Start::Study(Through::Index("study_by_patient_id"))),
        ("patient_birth_date", "patient") => (6, Start::Patient(Through::Index("patient_by_birth_date"))),
        ("patient_birth_date", _) => (6, Start::Study(Through::Index("study_by_birth_date"))),
        ("study_id", _) => (7, Start::Study(Through::Index("study_by_study_id"))),
        ("study_date", _) => (8, Start::Study(Through::Index("study_by_date"))),
        ("modality", _) => (9, Start::Series(Through::Index("series_by_modality"))),
        _ => return None,
    })
}

/// The start of a query without any better: all rows, in the order of the answer.
pub(crate) fn walk(level: QueryRetrieveLevel) -> Start {
    match level {
        Patient => Start::Patient(Through::All),
        Study => Start::Study(Through::Index("study_by_date")),
        Series => Start::Series(Through::All),
        Image => Start::Instance(Through::Index("instance_by_series")),
    }
}
