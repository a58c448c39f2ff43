//! Which attributes the index has: one table that drives columns, matching, return keys and [`support`].

use model::QueryRetrieveLevel::{self, Image, Patient, Series, Study};
use model::{Tag, Vr};

use crate::items;

/// What can be done with an attribute at a level.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Support {
    /// It is a matching key and a return key.
    Match,
    /// It is returned only: it is counted, or comes from a stored object, see [`Row::json`](crate::Row::json).
    Return,
    /// It is neither: it is of a level below, or of no instance at all.
    No,
}

/// Tells what can be done with an attribute at a level; attributes of the levels above are there, too.
///
/// The index has the unique and required keys of PS3.4 §C.6.1.1 and §C.6.2.1, and what PS3.18 Tables 10.6.3-3 to 10.6.3-5 list
/// but for Retrieve URL and Specific Character Set.
pub fn support(level: QueryRetrieveLevel, tag: Tag) -> Support {
    match find(level, tag).map(|attribute| attribute.kind) {
        Some(Kind::Count) => Support::Return,
        Some(
            Kind::Text
            | Kind::Texts
            | Kind::Number
            | Kind::Decimal
            | Kind::Date
            | Kind::Time
            | Kind::Uid
            | Kind::Own
            | Kind::Name(_)
            | Kind::Terms(_)
            | Kind::Constant(_),
        ) => Support::Match,
        None if items::has_sequence(level, tag) => Support::Match,
        None if is_stored(level, tag) => Support::Return,
        None => Support::No,
    }
}

/// The attributes of the index with the level that they are of, by level.
pub fn indexed() -> impl Iterator<Item = (QueryRetrieveLevel, Tag, Vr)> {
    ATTRIBUTES.iter().map(|attribute| (attribute.level, attribute.tag, attribute.vr))
}

/// The attributes that the index has inside the items of sequences: the level of the sequence, its tag, the attribute in its items.
pub fn indexed_within() -> impl Iterator<Item = (QueryRetrieveLevel, Tag, Tag, Vr)> {
    items::ITEM_ATTRIBUTES
        .iter()
        .map(|attribute| (attribute.level, attribute.sequence, attribute.tag, attribute.vr))
}

/// Tells what can be done with an attribute inside the items of a sequence.
pub fn support_within(level: QueryRetrieveLevel, sequence: Tag, tag: Tag) -> Support {
    match items::find(level, sequence, tag) {
        Some(_) => Support::Match,
        None if is_stored(level, sequence) => Support::Return,
        None => Support::No,
    }
}

/// Whether rows of a level may have an attribute that only stored objects know: one that is of the level or above it.
pub(crate) fn is_stored(level: QueryRetrieveLevel, tag: Tag) -> bool {
    QueryRetrieveLevel::of_attribute(tag) <= level
        && find(level, tag).is_none()
        && tag.element() != 0
        && !NOT_OF_INSTANCES.contains(&tag)
}

/// An attribute of the index.
#[derive(Debug)]
pub(crate) struct Attribute {
    pub(crate) tag: Tag,
    pub(crate) vr: Vr,
    /// The level whose table has it. Attributes of the patient are in the table of studies, too.
    pub(crate) level: QueryRetrieveLevel,
    /// Its column; for [`Kind::Terms`] and [`Kind::Constant`] only a name.
    pub(crate) column: &'static str,
    pub(crate) kind: Kind,
    /// Levels at which QIDO-RS returns it unasked.
    pub(crate) default_at: &'static [QueryRetrieveLevel],
}

/// What the values of an attribute are, and with that how they match.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Text, compared with case.
    Text,
    /// Text of several values, one of which must match.
    Texts,
    /// An integer, as decimal text without leading zeros.
    Number,
    /// A decimal number as it came, compared as a number.
    Decimal,
    /// `YYYYMMDD`.
    Date,
    /// `HHMMSS.FFFFFF`, as much of it as came.
    Time,
    /// A UID from the data set.
    Uid,
    /// A UID that is part of what an instance is, so that its column is not filled from the header.
    Own,
    /// A person name, matched by its folded component groups in the table of terms.
    Name(Terms),
    /// All that is known is in the table of terms.
    Terms(Terms),
    /// A counter.
    Count,
    /// The same for all.
    Constant(&'static str),
}

/// What a row of the table of terms is about. The numbers are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Terms {
    /// Of a patient.
    PatientName = 1,
    /// Of a study.
    PatientNameOfStudy = 2,
    /// Of a study.
    ReferringPhysician = 3,
    /// Of a study.
    ReadingPhysician = 4,
    /// Of a study.
    Modality = 5,
    /// Of a study.
    SopClass = 6,
    /// Of a series.
    PerformingPhysician = 7,
    /// Of a series.
    Operator = 8,
    /// Of a patient.
    OtherPatientName = 9,
    /// Of a study.
    OtherPatientNameOfStudy = 10,
}

impl Terms {
    /// Those whose owners are studies.
    pub(crate) const OF_STUDIES: [Self; 6] = [
        Self::PatientNameOfStudy,
        Self::ReferringPhysician,
        Self::ReadingPhysician,
        Self::Modality,
        Self::SopClass,
        Self::OtherPatientNameOfStudy,
    ];

    /// Whether they are names whose beginnings are kept.
    pub(crate) fn has_beginnings(self) -> bool {
        match self {
            Self::PatientName | Self::OtherPatientName => true,
            Self::PatientNameOfStudy | Self::OtherPatientNameOfStudy => true,
            Self::ReferringPhysician | Self::ReadingPhysician => true,
            Self::Modality | Self::SopClass | Self::PerformingPhysician | Self::Operator => false,
        }
    }

    /// What stands for it in the index.
    pub(crate) fn code(self) -> i64 {
        self as i64 // the discriminants above are the stored numbers
    }

    /// What stands in the index for the sounds of names that are such terms.
    pub(crate) fn sound_code(self) -> i64 {
        self.code() + SOUNDS
    }

    /// What the terms of a patient's attribute are in the study that has it, too.
    pub(crate) fn of_study(self) -> Self {
        match self {
            Self::PatientName => Self::PatientNameOfStudy,
            Self::OtherPatientName => Self::OtherPatientNameOfStudy,
            other => other,
        }
    }
}

impl Attribute {
    /// Whether its column is filled from the header.
    pub(crate) fn is_from_header(&self) -> bool {
        match self.kind {
            Kind::Text
            | Kind::Texts
            | Kind::Number
            | Kind::Decimal
            | Kind::Date
            | Kind::Time
            | Kind::Uid
            | Kind::Name(_) => true,
            Kind::Own | Kind::Terms(_) | Kind::Count | Kind::Constant(_) => false,
        }
    }

    /// The values in the text of its column.
    pub(crate) fn split<'a>(&self, text: &'a str) -> Vec<&'a str> {
        match self.kind {
            _ if text.is_empty() => Vec::new(),
            Kind::Uid | Kind::Own => vec![text],
            _ if matches!(self.vr, Vr::LT | Vr::ST | Vr::UT) => vec![text],
            _ => text.split('\\').collect(),
        }
    }

    /// What its terms are about in rows of a level.
    pub(crate) fn terms(&self, level: QueryRetrieveLevel) -> Option<Terms> {
        match self.kind {
            Kind::Name(terms) if level > Patient => Some(terms.of_study()),
            Kind::Name(terms) | Kind::Terms(terms) => Some(terms),
            Kind::Text | Kind::Texts | Kind::Number | Kind::Decimal | Kind::Date | Kind::Time => None,
            Kind::Uid | Kind::Own | Kind::Count | Kind::Constant(_) => None,
        }
    }
}

/// The attribute with this tag that rows of this level can have.
pub(crate) fn find(level: QueryRetrieveLevel, tag: Tag) -> Option<&'static Attribute> {
    ATTRIBUTES.iter().find(|attribute| attribute.tag == tag && attribute.level <= level)
}

/// The attributes of one table that are filled from the header, with their place in [`ATTRIBUTES`].
pub(crate) fn from_header(
    level: QueryRetrieveLevel,
) -> impl Iterator<Item = (usize, &'static Attribute)> + Clone {
    ATTRIBUTES
        .iter()
        .enumerate()
        .filter(move |(_, attribute)| attribute.level == level && attribute.is_from_header())
}

/// All attributes of the index, by level.
#[rustfmt::skip]
pub(crate) const ATTRIBUTES: &[Attribute] = &[
    row(0x0010, 0x0010, Vr::PN, Patient, "patient_name", Kind::Name(Terms::PatientName), &[Patient, Study]),
    row(0x0010, 0x0020, Vr::LO, Patient, "patient_id", Kind::Text, &[Patient, Study]),
    row(0x0010, 0x0021, Vr::LO, Patient, "issuer_of_patient_id", Kind::Text, &[]),
    row(0x0010, 0x0030, Vr::DA, Patient, "patient_birth_date", Kind::Date, &[Patient, Study]),
    row(0x0010, 0x0032, Vr::TM, Patient, "patient_birth_time", Kind::Time, &[]),
    row(0x0010, 0x0040, Vr::CS, Patient, "patient_sex", Kind::Text, &[Patient, Study]),
    row(0x0010, 0x1000, Vr::LO, Patient, "other_patient_ids", Kind::Texts, &[]),
    row(0x0010, 0x1001, Vr::PN, Patient, "other_patient_names", Kind::Name(Terms::OtherPatientName), &[]),
    row(0x0010, 0x2160, Vr::SH, Patient, "ethnic_group", Kind::Text, &[]),
    row(0x0010, 0x4000, Vr::LT, Patient, "patient_comments", Kind::Text, &[]),
    row(0x0020, 0x1200, Vr::IS, Patient, "number_of_studies", Kind::Count, &[Patient]),
    row(0x0020, 0x1202, Vr::IS, Patient, "number_of_series", Kind::Count, &[Patient]),
    row(0x0020, 0x1204, Vr::IS, Patient, "number_of_instances", Kind::Count, &[Patient]),

    row(0x0020, 0x000D, Vr::UI, Study, "study_instance_uid", Kind::Own, &[Study, Series, Image]),
    row(0x0008, 0x0020, Vr::DA, Study, "study_date", Kind::Date, &[Study]),
    row(0x0008, 0x0030, Vr::TM, Study, "study_time", Kind::Time, &[Study]),
    row(0x0008, 0x0050, Vr::SH, Study, "accession_number", Kind::Text, &[Study]),
    row(0x0020, 0x0010, Vr::SH, Study, "study_id", Kind::Text, &[Study]),
    row(0x0008, 0x1030, Vr::LO, Study, "study_description", Kind::Text, &[]),
    row(0x0008, 0x0090, Vr::PN, Study, "referring_physician_name", Kind::Name(Terms::ReferringPhysician), &[Study]),
    row(0x0008, 0x1060, Vr::PN, Study, "name_of_physicians_reading_study", Kind::Name(Terms::ReadingPhysician), &[]),
    row(0x0008, 0x1080, Vr::LO, Study, "admitting_diagnoses_description", Kind::Texts, &[]),
    row(0x0010, 0x1010, Vr::AS, Study, "patient_age", Kind::Text, &[]),
    row(0x0010, 0x1020, Vr::DS, Study, "patient_size", Kind::Decimal, &[]),
    row(0x0010, 0x1030, Vr::DS, Study, "patient_weight", Kind::Decimal, &[]),
    row(0x0010, 0x2180, Vr::SH, Study, "occupation", Kind::Text, &[]),
    row(0x0010, 0x21B0, Vr::LT, Study, "additional_patient_history", Kind::Text, &[]),
    row(0x0020, 0x1070, Vr::IS, Study, "other_study_numbers", Kind::Texts, &[]),
    row(0x0008, 0x0201, Vr::SH, Study, "timezone_offset_from_utc", Kind::Text, &[Study, Series, Image]),
    row(0x0008, 0x0061, Vr::CS, Study, "modalities_in_study", Kind::Terms(Terms::Modality), &[Study]),
    row(0x0008, 0x0062, Vr::UI, Study, "sop_classes_in_study", Kind::Terms(Terms::SopClass), &[]),
    row(0x0020, 0x1206, Vr::IS, Study, "number_of_series", Kind::Count, &[Study]),
    row(0x0020, 0x1208, Vr::IS, Study, "number_of_instances", Kind::Count, &[Study]),
    row(0x0008, 0x0056, Vr::CS, Study, "instance_availability", Kind::Constant("ONLINE"), &[Study, Image]),

    row(0x0020, 0x000E, Vr::UI, Series, "series_instance_uid", Kind::Own, &[Series, Image]),
    row(0x0008, 0x0060, Vr::CS, Series, "modality", Kind::Text, &[Series]),
    row(0x0020, 0x0011, Vr::IS, Series, "series_number", Kind::Number, &[Series]),
    row(0x0008, 0x103E, Vr::LO, Series, "series_description", Kind::Text, &[Series]),
    row(0x0008, 0x0021, Vr::DA, Series, "series_date", Kind::Date, &[]),
    row(0x0008, 0x0031, Vr::TM, Series, "series_time", Kind::Time, &[]),
    row(0x0018, 0x0015, Vr::CS, Series, "body_part_examined", Kind::Text, &[]),
    row(0x0020, 0x0060, Vr::CS, Series, "laterality", Kind::Text, &[]),
    row(0x0018, 0x5100, Vr::CS, Series, "patient_position", Kind::Text, &[]),
    row(0x0018, 0x1030, Vr::LO, Series, "protocol_name", Kind::Text, &[]),
    row(0x0008, 0x1050, Vr::PN, Series, "performing_physician_name", Kind::Name(Terms::PerformingPhysician), &[]),
    row(0x0008, 0x1070, Vr::PN, Series, "operators_name", Kind::Name(Terms::Operator), &[]),
    row(0x0008, 0x0070, Vr::LO, Series, "manufacturer", Kind::Text, &[]),
    row(0x0008, 0x1090, Vr::LO, Series, "manufacturer_model_name", Kind::Text, &[]),
    row(0x0008, 0x1010, Vr::SH, Series, "station_name", Kind::Text, &[]),
    row(0x0008, 0x0080, Vr::LO, Series, "institution_name", Kind::Text, &[]),
    row(0x0008, 0x1040, Vr::LO, Series, "institutional_department_name", Kind::Text, &[]),
    row(0x0020, 0x0052, Vr::UI, Series, "frame_of_reference_uid", Kind::Uid, &[]),
    row(0x0040, 0x0244, Vr::DA, Series, "performed_procedure_step_start_date", Kind::Date, &[Series]),
    row(0x0040, 0x0245, Vr::TM, Series, "performed_procedure_step_start_time", Kind::Time, &[Series]),
    row(0x0040, 0x0253, Vr::SH, Series, "performed_procedure_step_id", Kind::Text, &[]),
    row(0x0040, 0x0254, Vr::LO, Series, "performed_procedure_step_description", Kind::Text, &[]),
    row(0x0020, 0x1209, Vr::IS, Series, "number_of_instances", Kind::Count, &[Series]),

    row(0x0008, 0x0018, Vr::UI, Image, "sop_instance_uid", Kind::Own, &[Image]),
    row(0x0008, 0x0016, Vr::UI, Image, "sop_class_uid", Kind::Own, &[Image]),
    row(0x0008, 0x001A, Vr::UI, Image, "related_general_sop_class_uid", Kind::Texts, &[]),
    row(0x0008, 0x3002, Vr::UI, Image, "transfer_syntax_uid", Kind::Own, &[]),
    row(0x0020, 0x0013, Vr::IS, Image, "instance_number", Kind::Number, &[Image]),
    row(0x0008, 0x0023, Vr::DA, Image, "content_date", Kind::Date, &[]),
    row(0x0008, 0x0033, Vr::TM, Image, "content_time", Kind::Time, &[]),
    row(0x0020, 0x0012, Vr::IS, Image, "acquisition_number", Kind::Number, &[]),
    row(0x0008, 0x0008, Vr::CS, Image, "image_type", Kind::Texts, &[]),
    row(0x0040, 0x0512, Vr::LO, Image, "container_identifier", Kind::Text, &[]),
    row(0x0028, 0x0010, Vr::US, Image, "pixel_rows", Kind::Number, &[Image]),
    row(0x0028, 0x0011, Vr::US, Image, "pixel_columns", Kind::Number, &[Image]),
    row(0x0028, 0x0100, Vr::US, Image, "bits_allocated", Kind::Number, &[Image]),
    row(0x0028, 0x0008, Vr::IS, Image, "number_of_frames", Kind::Number, &[Image]),
];

/// What is added to the code of names for their sounds.
const SOUNDS: i64 = 100;

/// Attributes of queries and retrieves that no instance has: Specific Character Set of the answer, Query/Retrieve
/// Level and View, Retrieve AE Title, Retrieve URL.
const NOT_OF_INSTANCES: [Tag; 5] =
    [Tag(0x0008, 0x0005), Tag(0x0008, 0x0052), Tag(0x0008, 0x0053), Tag(0x0008, 0x0054), Tag(0x0008, 0x1190)];

const fn row(
    group: u16,
    element: u16,
    vr: Vr,
    level: QueryRetrieveLevel,
    column: &'static str,
    kind: Kind,
    default_at: &'static [QueryRetrieveLevel],
) -> Attribute {
    Attribute { tag: Tag(group, element), vr, level, column, kind, default_at }
}
