use crate::{SeriesInstanceUid, SopClassUid, SopInstanceUid, StudyInstanceUid};

/// The four UIDs that say which instance this is. They travel together.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct InstanceIds {
    /// Study Instance UID (0020,000D).
    pub study: StudyInstanceUid,
    /// Series Instance UID (0020,000E).
    pub series: SeriesInstanceUid,
    /// SOP Class UID (0008,0016).
    pub sop_class: SopClassUid,
    /// SOP Instance UID (0008,0018).
    pub sop_instance: SopInstanceUid,
}

/// What a retrieve asks for: a study, one series of it, or one instance.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Scope {
    /// The study.
    pub study: StudyInstanceUid,
    /// One series of the study; `None` for all.
    pub series: Option<SeriesInstanceUid>,
    /// One instance of the series; `None` for all.
    pub instance: Option<SopInstanceUid>,
}
